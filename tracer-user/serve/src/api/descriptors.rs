//! `GET /api/v1/descriptors`.

use super::parameter::{Parameters, moment, on_clock_of, read};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use tracer_answers::view::{process_with_pid, tables_at};
use tracer_model::{
    entity,
    ids::{BootNs, ProcessKey},
    session::Session,
};
use tracer_wire::{
    api::{Descriptor, Descriptors, Direct, Process, Socket},
    number::offset,
};

/// Whose table, and when.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// The process (`pid@start`).
    process: Option<String>,
    /// Or its pid: the process that had it at `at`, or else the latest.
    #[param(value_type = Option<u32>)]
    pid: Option<String>,
    /// The moment: RFC 3339, nanoseconds since the epoch, or `-30s`; now if it is left out.
    at: Option<String>,
}

/// One process's descriptors at a moment, table by table and by number, and the sockets behind them.
#[utoipa::path(
    get,
    path = "/api/v1/descriptors",
    tag = "entities",
    params(Query),
    responses((status = 200, body = Descriptors), (status = 404, description = "No such process is kept."))
)]
pub(crate) async fn descriptors(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Query>,
) -> Result<Json<Descriptors>, Problem> {
    let key = read::<ProcessKey>("process", query.process.as_deref(), "a process such as 812@5119676157000")?;
    let pid = read::<u32>("pid", query.pid.as_deref(), "a pid")?;
    let at = moment("at", query.at.as_deref())?;
    if key.is_some() == pid.is_some() {
        return Err(Problem::parameter("process", "name one process, by process=PID@START or by pid=PID"));
    }
    let table = app.handle.ask(move |session| {
        let at = at.map_or(session.now(), |at| on_clock_of(session, at));
        let process = match (key, pid) {
            (Some(key), _) => session.process(key),
            (None, pid) => pid.and_then(|pid| process_with_pid(session, pid, at)),
        };
        process.map(|process| table(session, process, at))
    });
    table.await?.map(Json).ok_or_else(|| {
        let process = query.process.or(query.pid).unwrap_or_default();
        Problem::new(
            StatusCode::NOT_FOUND,
            format!("no process {process} is kept; /api/v1/processes lists those that are"),
        )
    })
}

fn table(session: &Session, process: &entity::Process, at: BootNs) -> Descriptors {
    let t0 = session.t0();
    let tables = tables_at(process, at);
    let descriptors: Vec<_> = tables.flat_map(|table| session.table_at(table, at)).collect();
    let rings = session.ring_tables_at(process, at);
    let entries = rings.iter().flat_map(|(_, entries)| entries);
    let mut sockets: Vec<_> =
        descriptors.iter().chain(entries).filter_map(|descriptor| descriptor.socket).collect();
    sockets.sort_unstable();
    sockets.dedup();
    Descriptors {
        process: Process::new(process, t0),
        at: offset(at, t0),
        descriptors: descriptors.into_iter().map(|descriptor| Descriptor::new(descriptor, t0)).collect(),
        direct: rings
            .iter()
            .flat_map(|(ring, entries)| entries.iter().map(|entry| Direct::new(*ring, entry, t0)))
            .collect(),
        sockets: sockets
            .into_iter()
            .filter_map(|id| session.socket(id))
            .map(|socket| Socket::new(socket, t0))
            .collect(),
    }
}

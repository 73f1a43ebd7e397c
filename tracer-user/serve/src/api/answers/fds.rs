//! `GET /api/v1/answers/fds`.

use super::{
    super::parameter::{Parameters, moment, on_clock_of, read},
    answer,
};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use tracer_answers::fds::{NoProcess, Wanted};
use tracer_wire::answers::fds::Fds;

/// Of which processes, and when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Their numbers, with commas between them; every living one if it is left out.
    pid: Option<String>,
    /// The moment: RFC 3339, nanoseconds since the epoch, or `-30s`; now if it is left out.
    at: Option<String>,
    /// Only what changed between this moment and `at`.
    since: Option<String>,
    /// Only what they have from other processes: inherited or passed; what they gave up of that included.
    #[param(value_type = Option<bool>)]
    inherited: Option<String>,
}

/// Descriptor tables, with the other ends of pipes, queues and shared memory; or what changed between two moments.
#[utoipa::path(
    get,
    path = "/api/v1/answers/fds",
    tag = "answers",
    params(Query),
    responses((status = 200, body = Fds), (status = 404, description = "No such process is kept."))
)]
pub(crate) async fn fds(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Query>,
) -> Result<Json<Fds>, Problem> {
    let list = query.pid.as_deref().unwrap_or_default();
    let pids = list.split(',').filter(|pid| !pid.is_empty());
    let pids = pids.map(|pid| read("pid", Some(pid), "a pid")).collect::<Result<Vec<Option<u32>>, _>>()?;
    let inherited = read("inherited", query.inherited.as_deref(), "true or false")?.unwrap_or(false);
    let since = moment("since", query.since.as_deref())?;
    let scope = app.settings.selection.clone();
    let fds = answer(&app, query.at.as_deref(), move |view| {
        let since = since.map(|since| on_clock_of(view.session(), since));
        let wanted = Wanted { pids: pids.into_iter().flatten().collect(), since, inherited };
        Fds::new(view, &wanted, &scope)
    });
    fds.await?.map(Json).map_err(|NoProcess(pid)| {
        let text = format!("no process {pid} is kept; /api/v1/processes lists those that are");
        Problem::new(StatusCode::NOT_FOUND, text)
    })
}

//! `GET /api/v1/sockets`.

use super::parameter::{Parameters, moment, on_clock_of, read};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State};
use serde::Deserialize;
use std::{borrow::Cow, sync::Arc};
use tracer_answers::past::Past;
use tracer_model::{
    entity,
    ids::{BootNs, SocketId},
    names,
    session::Session,
};
use tracer_wire::{
    api::{Socket, Sockets},
    instant::Instant,
};

/// Sockets that one question looks at: the engine is kept for a few milliseconds, however many there are.
const PORTION: usize = 5_000;

/// Which sockets.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// In this phase (`listening`) or kernel state (`LISTEN`), now or at `at`.
    state: Option<String>,
    /// With this local or peer's port.
    #[param(value_type = Option<u16>)]
    port: Option<String>,
    /// That came from this listener (`s7`).
    listener: Option<String>,
    /// That existed at this moment, as they were then: RFC 3339, nanoseconds since the epoch, or `-30s`.
    at: Option<String>,
}

/// Every kept socket that fits, in the order in which they were first seen.
#[utoipa::path(get, path = "/api/v1/sockets", tag = "entities", params(Query), responses((status = 200, body = Sockets)))]
pub(crate) async fn sockets(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Query>,
) -> Result<Json<Sockets>, Problem> {
    let wanted = Arc::new(Wanted::read(&query)?);
    let moment = wanted.at;
    let (newest, at) = app
        .handle
        .ask(move |session| {
            let newest = session.sockets().map(|socket| socket.id).max();
            (newest, moment.map(|moment| on_clock_of(session, moment)))
        })
        .await?;
    // In portions, so that the engine is not kept from its work for long; what is made meanwhile is not waited for.
    let mut sockets = Vec::new();
    let mut last = None;
    while last < newest {
        let wanted = Arc::clone(&wanted);
        let portion = move |session: &Session| wanted.portion(session, last, at);
        let (found, seen) = app.handle.ask(portion).await?;
        sockets.extend(found);
        last = seen.or(newest);
    }
    Ok(Json(Sockets { sockets }))
}

struct Wanted {
    state: Option<String>,
    port: Option<u16>,
    listener: Option<SocketId>,
    at: Option<Instant>,
}

impl Wanted {
    fn read(query: &Query) -> Result<Self, Problem> {
        let names: Vec<_> = entity::Phase::ALL.iter().map(|phase| phase.name()).collect();
        let known = |state: &str| {
            names.contains(&state)
                || ["UNCONN", "ESTAB"].contains(&state)
                || (0..=names::state::NEW_SYN_RECV)
                    .any(|number| names::state_name(None, number) == Some(state))
        };
        if let Some(state) = query.state.as_deref().filter(|state| !known(state)) {
            let names = names.join(", ");
            return Err(Problem::parameter(
                "state",
                format!("{state:?} is not one of {names}, or the kernel's name"),
            ));
        }
        Ok(Self {
            state: query.state.clone(),
            port: read("port", query.port.as_deref(), "a number from 0 to 65535")?,
            listener: read("listener", query.listener.as_deref(), "a socket such as s7")?,
            at: moment("at", query.at.as_deref())?,
        })
    }

    /// Looks at a portion after `last`; returns what fits, and the last socket that was looked at.
    fn portion(
        &self,
        session: &Session,
        last: Option<SocketId>,
        at: Option<BootNs>,
    ) -> (Vec<Socket>, Option<SocketId>) {
        let mut seen = None;
        let mut found = Vec::new();
        let past = at.map(|at| Past::new(session, at));
        for socket in session.sockets().filter(|socket| Some(socket.id) > last).take(PORTION) {
            seen = Some(socket.id);
            let then = match &past {
                Some(past) => past.socket(socket).map(Cow::Owned),
                None => Some(Cow::Borrowed(socket)),
            };
            found.extend(
                then.filter(|socket| self.fits(socket)).map(|socket| Socket::new(&socket, session.t0())),
            );
        }
        (found, seen)
    }

    fn fits(&self, socket: &entity::Socket) -> bool {
        let state = self.state.as_deref().is_none_or(|wanted| {
            socket.steps.last().is_some_and(|step| {
                let state = step.state.and_then(|state| names::state_name(Some(socket.kind), state));
                step.phase.name() == wanted || state == Some(wanted)
            })
        });
        let port =
            |wanted| [&socket.local, &socket.peer].iter().any(|address| address.port() == Some(wanted));
        state
            && self.port.is_none_or(port)
            && self.listener.is_none_or(|wanted| socket.listener == Some(wanted))
    }
}

//! `GET /api/v1/info`.

use crate::{
    problem::Problem,
    server::{App, Settings},
};
use axum::{Json, extract::State};
use std::sync::Arc;
use tracer_model::session::Session;
use tracer_wire::{
    api::{Info, LostCount, Status},
    number::offset,
};

/// What this session is.
#[utoipa::path(get, path = "/api/v1/info", tag = "info", responses((status = 200, body = Info)))]
pub(crate) async fn info(State(app): State<Arc<App>>) -> Result<Json<Info>, Problem> {
    let settings = app.settings.clone();
    Ok(Json(app.handle.ask(move |session| describe(&settings, session)).await?))
}

pub(crate) fn describe(settings: &Settings, session: &Session) -> Info {
    let (t0, now) = (session.t0(), session.now());
    // By what the wall clock shows now.
    let t0_ns = i128::from(session.wall().epoch_ns(now)) - i128::from(now.0) + i128::from(t0.0);
    Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        session: settings.session.clone(),
        source: settings.source,
        selection: settings.selection.clone(),
        t0_ns: t0_ns.to_string(),
        now: offset(session.now(), session.t0()),
        attached: settings.attached.clone(),
        missing: settings.missing.clone(),
        status: status(session),
    }
}

pub(crate) fn status(session: &Session) -> Status {
    let totals = session.totals();
    let history = session.history();
    let t0 = session.t0();
    Status {
        now: offset(session.now(), t0),
        rev: session.rev(),
        events: totals.events,
        lost: totals.lost,
        lost_by_cause: totals
            .lost_by_cause
            .iter()
            .map(|(cause, count)| LostCount::new(*cause, *count))
            .collect(),
        doubtful: u32::try_from(totals.doubtful).unwrap_or(u32::MAX),
        repairs: totals.repairs,
        checks: totals.checks,
        checks_ns: totals.checks_ns,
        stacks_missed: totals.stacks_missed,
        kept: u64::try_from(history.len()).unwrap_or(u64::MAX),
        first_seq: history.first_seq(),
        kept_since: offset(history.first_ts().unwrap_or(session.now()), t0),
        cut_off: session.cut_off_after(),
    }
}

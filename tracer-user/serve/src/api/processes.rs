//! `GET /api/v1/processes`.

use crate::{problem::Problem, server::App};
use axum::{Json, extract::State};
use std::sync::Arc;
use tracer_wire::api::{Process, Processes};

/// Every kept process, in the order in which they were first seen.
#[utoipa::path(get, path = "/api/v1/processes", tag = "entities", responses((status = 200, body = Processes)))]
pub(crate) async fn processes(State(app): State<Arc<App>>) -> Result<Json<Processes>, Problem> {
    let processes = app.handle.ask(|session| {
        let t0 = session.t0();
        session.processes().map(|process| Process::new(process, t0)).collect()
    });
    Ok(Json(Processes { processes: processes.await? }))
}

//! `GET /api/v1/answers/slow`.

use super::{super::parameter::Parameters, Listeners, answer};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State};
use std::sync::Arc;
use tracer_wire::answers::slow::Slow;

/// Where the time between queued and accepted went, where the scheduler is traced (`--sched`).
#[utoipa::path(get, path = "/api/v1/answers/slow", tag = "answers", params(Listeners), responses((status = 200, body = Slow)))]
pub(crate) async fn slow(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Listeners>,
) -> Result<Json<Slow>, Problem> {
    let wanted = query.target()?;
    let scope = app.settings.selection.clone();
    let given = answer(&app, query.at.as_deref(), move |view| Slow::new(view, wanted.as_ref(), &scope));
    Ok(Json(given.await?))
}

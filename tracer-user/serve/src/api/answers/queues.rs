//! `GET /api/v1/answers/queues`.

use super::{super::parameter::Parameters, Listeners, answer};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State};
use std::sync::Arc;
use tracer_wire::answers::queues::Queues;

/// Accept queues: what waits and since when, how long connections waited, the queue over time, what was dropped, and what is wrong.
#[utoipa::path(get, path = "/api/v1/answers/queues", tag = "answers", params(Listeners), responses((status = 200, body = Queues)))]
pub(crate) async fn queues(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Listeners>,
) -> Result<Json<Queues>, Problem> {
    let wanted = query.target()?;
    let scope = app.settings.selection.clone();
    let given = answer(&app, query.at.as_deref(), move |view| Queues::new(view, wanted.as_ref(), &scope));
    Ok(Json(given.await?))
}

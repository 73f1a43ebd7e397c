//! `GET /api/v1/answers/balance`.

use super::{super::parameter::Parameters, Listeners, answer};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State};
use std::sync::Arc;
use tracer_wire::answers::balance::Balance;

/// Who accepts: by worker, by listener of a `SO_REUSEPORT` group, wake-ups for nothing, and what is wrong.
#[utoipa::path(get, path = "/api/v1/answers/balance", tag = "answers", params(Listeners), responses((status = 200, body = Balance)))]
pub(crate) async fn balance(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Listeners>,
) -> Result<Json<Balance>, Problem> {
    let wanted = query.target()?;
    let scope = app.settings.selection.clone();
    let given = answer(&app, query.at.as_deref(), move |view| Balance::new(view, wanted.as_ref(), &scope));
    Ok(Json(given.await?))
}

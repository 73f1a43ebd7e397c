//! `GET /api/v1/answers/who`.

use super::{super::parameter::Parameters, held};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State};
use serde::Deserialize;
use std::sync::Arc;
use tracer_wire::answers::who::{Who, target};

/// Of what, and when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// A port (`80`, `127.0.0.1:80`, `[::1]:80`) or a unix socket (`/run/x.sock`, `@abstract`).
    of: String,
    /// The moment: RFC 3339, nanoseconds since the epoch, or `-30s`; now if it is left out.
    at: Option<String>,
}

/// Who holds a port or a unix path: listeners, their holders and how each came by the socket, who held it before, and what
/// is left without an owner.
#[utoipa::path(get, path = "/api/v1/answers/who", tag = "answers", params(Query), responses((status = 200, body = Who)))]
pub(crate) async fn who(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Query>,
) -> Result<Json<Who>, Problem> {
    let wanted = target(&query.of).map_err(|error| Problem::parameter("of", error))?;
    let scope = app.settings.selection.clone();
    let of = wanted.clone();
    let who = held(&app, of, query.at.as_deref(), move |view| Who::new(view, &query.of, &wanted, &scope));
    Ok(Json(who.await?))
}

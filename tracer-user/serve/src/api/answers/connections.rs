//! `GET /api/v1/answers/connections`.

use super::{super::parameter::Parameters, fresh, target_of};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State};
use serde::Deserialize;
use std::sync::Arc;
use tracer_wire::answers::connections::Connections;

/// Of what, and when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Connections with this port or unix socket at either end; all if it is left out.
    of: Option<String>,
    /// Also those that have ended and are kept.
    #[serde(default)]
    ended: bool,
    /// The moment: RFC 3339, nanoseconds since the epoch, or `-30s`; now if it is left out.
    at: Option<String>,
}

/// Both ends of each connection, where both are on this machine: bytes each way, round trip time and retransmissions as the
/// kernel counts them, and who closed first.
#[utoipa::path(get, path = "/api/v1/answers/connections", tag = "answers", params(Query),
               responses((status = 200, body = Connections)))]
pub(crate) async fn connections(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Query>,
) -> Result<Json<Connections>, Problem> {
    let wanted = target_of(query.of.as_deref())?;
    let scope = app.settings.selection.clone();
    let given = fresh(&app, query.at.as_deref(), move |view| {
        Connections::new(view, wanted.as_ref(), query.ended, &scope)
    });
    Ok(Json(given.await?))
}

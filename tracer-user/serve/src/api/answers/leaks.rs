//! `GET /api/v1/answers/leaks`.

use super::{super::parameter::Parameters, answer};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State};
use serde::Deserialize;
use std::sync::Arc;
use tracer_wire::answers::leaks::Leaks;

/// Of whom, and when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Pids, with commas between them; every process if it is left out.
    pid: Option<String>,
    /// The moment: RFC 3339, nanoseconds since the epoch, or `-30s`; now if it is left out.
    at: Option<String>,
}

/// What a server leaves behind: descriptors that only grow, connections whose peer hung up or that were never read, sockets
/// that survived an exec, and the time until the limit on descriptors is reached.
#[utoipa::path(get, path = "/api/v1/answers/leaks", tag = "answers", params(Query), responses((status = 200, body = Leaks)))]
pub(crate) async fn leaks(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Query>,
) -> Result<Json<Leaks>, Problem> {
    let pids = query.pid.as_deref().unwrap_or_default().split(',').filter(|pid| !pid.is_empty());
    let pids: Vec<u32> = pids
        .map(|pid| pid.parse().map_err(|_| Problem::parameter("pid", format!("{pid:?} is no pid"))))
        .collect::<Result<_, _>>()?;
    let scope = app.settings.selection.clone();
    Ok(Json(answer(&app, query.at.as_deref(), move |view| Leaks::new(view, &pids, &scope)).await?))
}

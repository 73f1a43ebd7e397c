//! `GET /api/v1/answers/handovers`.

use super::{super::parameter::Parameters, answer};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State};
use serde::Deserialize;
use std::sync::Arc;
use tracer_wire::answers::{handover::Handovers, who::target};

/// Of what, and when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// A port or a unix socket, as for `who`; every socket with several owners if it is left out.
    of: Option<String>,
    /// The moment: RFC 3339, nanoseconds since the epoch, or `-30s`; now if it is left out.
    at: Option<String>,
}

/// Sockets with several owners over time: inherited, handed over at a reload, activated; and what went wrong with that.
#[utoipa::path(
    get,
    path = "/api/v1/answers/handovers",
    tag = "answers",
    params(Query),
    responses((status = 200, body = Handovers))
)]
pub(crate) async fn handovers(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Query>,
) -> Result<Json<Handovers>, Problem> {
    let wanted = query.of.as_deref().map(target).transpose();
    let wanted = wanted.map_err(|error| Problem::parameter("of", error))?;
    let scope = app.settings.selection.clone();
    let answer = answer(&app, query.at.as_deref(), move |view| Handovers::new(view, wanted.as_ref(), &scope));
    Ok(Json(answer.await?))
}

//! `GET /api/v1/answers/sockets`.

use super::{
    super::parameter::{Parameters, read},
    answer,
};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State};
use serde::Deserialize;
use std::sync::Arc;
use tracer_answers::sockets::Wanted;
use tracer_wire::answers::sockets::HeldSockets;

/// Which sockets, and when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// Only those that take connections, and datagram sockets without a peer.
    #[param(value_type = Option<bool>)]
    listening: Option<String>,
    /// TCP; several of these add up, and none means all.
    #[param(value_type = Option<bool>)]
    tcp: Option<String>,
    /// UDP.
    #[param(value_type = Option<bool>)]
    udp: Option<String>,
    /// AF_UNIX.
    #[param(value_type = Option<bool>)]
    unix: Option<String>,
    /// The moment: RFC 3339, nanoseconds since the epoch, or `-30s`; now if it is left out.
    at: Option<String>,
}

/// Sockets and who holds them.
#[utoipa::path(
    get,
    path = "/api/v1/answers/sockets",
    tag = "answers",
    params(Query),
    responses((status = 200, body = HeldSockets))
)]
pub(crate) async fn sockets(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Query>,
) -> Result<Json<HeldSockets>, Problem> {
    let switch = |name: &str, text: &Option<String>| {
        Ok::<_, Problem>(read(name, text.as_deref(), "true or false")?.unwrap_or(false))
    };
    let wanted = Wanted {
        listening: switch("listening", &query.listening)?,
        tcp: switch("tcp", &query.tcp)?,
        udp: switch("udp", &query.udp)?,
        unix: switch("unix", &query.unix)?,
    };
    let scope = app.settings.selection.clone();
    let sockets = answer(&app, query.at.as_deref(), move |view| HeldSockets::new(view, wanted, &scope));
    Ok(Json(sockets.await?))
}

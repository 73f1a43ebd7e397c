//! `/api/v1/`: one file a resource. The OpenAPI document is collected from the handlers themselves.

pub(crate) mod answers;
pub(crate) mod descriptors;
pub(crate) mod events;
pub(crate) mod info;
pub(crate) mod parameter;
pub(crate) mod processes;
pub(crate) mod sockets;

use crate::{live, server::App};
use axum::{Json, Router, routing::get};
use std::sync::Arc;
use tracer_wire::api::{ClientMessage, Problem, ServerMessage};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the document says apart from the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "sockreel",
        description = "What the sockets and descriptors of the traced processes did and do. Times are nanoseconds \
                       since the session's `t0` (`info`), unless a name says otherwise."
    ),
    components(schemas(ServerMessage, ClientMessage, Problem)),
    modifiers(&Bearer)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
        document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    }
}

/// The API's routes, its document among them.
pub(crate) fn router() -> Router<Arc<App>> {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(info::info))
        .routes(routes!(processes::processes))
        .routes(routes!(sockets::sockets))
        .routes(routes!(descriptors::descriptors))
        .routes(routes!(events::events))
        .routes(routes!(live::live))
        .routes(routes!(answers::fds::fds))
        .routes(routes!(answers::handovers::handovers))
        .routes(routes!(answers::sockets::sockets))
        .routes(routes!(answers::leaks::leaks))
        .routes(routes!(answers::who::who))
        .routes(routes!(answers::queues::queues))
        .routes(routes!(answers::slow::slow))
        .routes(routes!(answers::balance::balance))
        .routes(routes!(answers::connections::connections))
        .split_for_parts();
    router.route("/api/v1/openapi.json", get(move || std::future::ready(Json(document))))
}

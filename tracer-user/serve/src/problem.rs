//! Error answers: a status and a JSON body that names the thing, the cause and the way out.

use crate::handle::Unavailable;
use axum::{
    Json,
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use tracer_wire::api;

/// An error answer.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    error: String,
}

impl Problem {
    /// 400 for a parameter.
    pub(crate) fn parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: format!("parameter {name:?}: {reason}") }
    }

    /// Any other.
    pub(crate) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, unavailable.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(api::Problem { error: self.error })).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The answer to any method that a path does not take.
pub(crate) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} takes GET, not {method}", uri.path()))
}

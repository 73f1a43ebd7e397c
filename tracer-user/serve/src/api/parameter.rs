//! Parameters in a URL's query. They are taken as text and read here, so that every error names the parameter and the
//! way out.

use crate::problem::Problem;
use axum::{
    extract::{FromRequestParts, Query},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;
use std::{fmt::Display, str::FromStr};
use tracer_model::{ids::BootNs, session::Session};
use tracer_wire::instant::Instant;

/// The query's parameters; unknown ones are an error.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(parameters) = Query::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))?;
        Ok(Self(parameters))
    }
}

/// Reads a parameter, if it is there.
pub(crate) fn read<T: FromStr>(
    name: &str,
    text: Option<&str>,
    form: impl Display,
) -> Result<Option<T>, Problem> {
    text.map(|text| text.parse().map_err(|_| Problem::parameter(name, format!("{text:?} is not {form}"))))
        .transpose()
}

/// Reads a moment, if it is there.
pub(crate) fn moment(name: &str, text: Option<&str>) -> Result<Option<Instant>, Problem> {
    text.map(|text| text.parse().map_err(|error| Problem::parameter(name, error))).transpose()
}

/// The moment on the session's clock.
pub(crate) fn on_clock_of(session: &Session, moment: Instant) -> BootNs {
    moment.on_boot_clock(session.now(), session.wall())
}

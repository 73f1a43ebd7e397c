//! The page, out of the binary.

use crate::problem::{Problem, no_such_method};
use axum::{
    http::{Method, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};

/// Path, content type and content of every file, made by the build script.
static FILES: &[(&str, &str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Vite puts files with a hash of their content in their name here.
const HASHED: &str = "/assets/";

/// Everything that is no other route: a file of the page, or 404.
pub(crate) async fn page(method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return no_such_method(method, uri).await.into_response();
    }
    let path = if uri.path() == "/" { "/index.html" } else { uri.path() };
    let Some((_, content_type, content)) = FILES.iter().find(|(name, ..)| *name == path) else {
        return Problem::new(
            StatusCode::NOT_FOUND,
            format!("nothing is at {path}; the page is at / and the API's document at /api/v1/openapi.json"),
        )
        .into_response();
    };
    let kept = if path.starts_with(HASHED) { "private, max-age=31536000, immutable" } else { "no-cache" };
    ([(header::CONTENT_TYPE, *content_type), (header::CACHE_CONTROL, kept)], *content).into_response()
}

/// What a browser without the cookie sees.
pub(crate) fn sign_in_notice() -> Html<&'static str> {
    Html(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>sockreel: not signed in</title>\n\
         <h1>Not signed in</h1>\n\
         <p>Open the URL that <code>sockreel</code> printed when it started: it ends with <code>/?token=</code> and a \
         token. It works once; later, use the browser that opened it, or start <code>sockreel</code> again for a new \
         one.</p>\n</html>\n",
    )
}

//! The page, out of the binary.

use crate::{
    api::info::describe,
    problem::{Problem, no_such_method},
    server::App,
};
use axum::{
    extract::State,
    http::{Method, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use std::{borrow::Cow, sync::Arc};
use tracer_wire::api::Info;

/// Path, content type and content of every file, made by the build script.
static FILES: &[(&str, &str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Vite puts files with a hash of their content in their name here.
const HASHED: &str = "/assets/";

/// Where the page has room for the session's numbers: they are there when it is painted first, before its code asks for any.
const NUMBERS: &str = r#"name="sockreel-info" content="""#;

/// Everything that is no other route: a file of the page, or 404.
pub(crate) async fn page(State(app): State<Arc<App>>, method: Method, uri: Uri) -> Response {
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
    let content =
        if path == "/index.html" { with_numbers(&app, content).await } else { Cow::Borrowed(*content) };
    let kept = if path.starts_with(HASHED) { "private, max-age=31536000, immutable" } else { "no-cache" };
    ([(header::CONTENT_TYPE, *content_type), (header::CACHE_CONTROL, kept)], content).into_response()
}

/// The page with the session's numbers; as it is where the engine does not tell them.
async fn with_numbers(app: &App, page: &'static [u8]) -> Cow<'static, [u8]> {
    let settings = app.settings.clone();
    let told = app.handle.ask(move |session| describe(&settings, session)).await;
    match (told, std::str::from_utf8(page)) {
        (Ok(info), Ok(text)) => Cow::Owned(filled(text, &info).into_bytes()),
        _ => Cow::Borrowed(page),
    }
}

fn filled(page: &str, info: &Info) -> String {
    let json = serde_json::to_string(info).unwrap_or_default();
    page.replacen(NUMBERS, &format!(r#"name="sockreel-info" content="{}""#, attribute(&json)), 1)
}

/// Text as the value of an attribute in double quotes (HTML, 13.1.2.3).
fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
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

#[cfg(test)]
mod tests {
    use super::attribute;

    #[test]
    fn what_a_session_is_called_stays_the_value_of_an_attribute() {
        let json = r#"{"selection":"\"><script>alert(1)</script>&amp;"}"#;
        let told = attribute(json);
        assert!(!told.contains(['<', '"']), "{told}");
        assert_eq!(told.replace("&lt;", "<").replace("&quot;", "\"").replace("&amp;", "&"), json);
    }
}

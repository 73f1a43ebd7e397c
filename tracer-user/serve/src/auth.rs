//! The gate: who may ask, from where, and how a browser trades the printed token for a cookie.
//!
//! The daemon runs as root and listens on a port that every local user and every web page in a browser can reach.
//! Host must be a loopback name with our port, which stops DNS rebinding; Origin, where there is one, must be our
//! own, which stops other pages; and every request but `/healthz` needs a secret. The secret in the printed URL works
//! once, because URLs are kept in histories and shown on screens.

use crate::{assets, problem::Problem, server::App};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use subtle::ConstantTimeEq;

/// The secrets of one server.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Printed in the URL, and what scripts send as `Authorization: Bearer`.
    token: String,
    /// What a browser has instead, once it has shown the token.
    cookie: String,
    /// Cookies do not tell ports apart (RFC 6265, section 8.5): the name does.
    cookie_name: String,
    port: u16,
    token_used: AtomicBool,
}

/// How a request showed that it may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    Bearer,
    Cookie,
}

impl Gate {
    pub(crate) fn new(token: String, port: u16) -> Result<Self, getrandom::Error> {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random)?;
        let cookie = format!("{:032x}", u128::from_ne_bytes(random));
        let cookie_name = format!("sockreel_{port}");
        Ok(Self { token, cookie, cookie_name, port, token_used: AtomicBool::new(false) })
    }

    fn proof(&self, headers: &HeaderMap) -> Option<Proof> {
        let bearer = only(headers, &header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        if bearer.is_some_and(|shown| same(shown, &self.token)) {
            return Some(Proof::Bearer);
        }
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs
            .any(|(name, value)| name == self.cookie_name && same(value, &self.cookie))
            .then_some(Proof::Cookie)
    }

    /// Trades the token in a URL for the cookie, once.
    fn exchange(&self, shown: &str) -> Option<HeaderValue> {
        if !same(shown, &self.token) || self.token_used.swap(true, Ordering::Relaxed) {
            return None;
        }
        let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie_name, self.cookie);
        HeaderValue::from_str(&cookie).ok()
    }

    /// The authority that a request names, if it is this server's.
    fn own_authority(&self, uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
        let host = only(headers, &header::HOST)?.parse::<Authority>().ok()?;
        let own = |authority: &Authority| is_loopback(authority) && port(authority) == Some(self.port);
        // A request in absolute form names its target twice (RFC 9112, section 3.2.2).
        (own(&host) && uri.authority().is_none_or(own)).then_some(host)
    }
}

/// The middleware: lets a request through or answers it, and puts the safety headers on every answer.
pub(crate) async fn gate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = match turn_away(&app.gate, &request) {
        None => next.run(request).await,
        Some(answer) => {
            if answer.status().is_client_error() {
                app.handle.counters.refused_requests.add();
            }
            answer
        }
    };
    let headers = response.headers_mut();
    for (name, value) in SAFETY {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    // Assets say themselves how long they may be kept.
    if path.starts_with("/api/") || !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

const SAFETY: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// The answer to a request that is not let through.
fn turn_away(gate: &Gate, request: &Request) -> Option<Response> {
    let (uri, headers) = (request.uri(), request.headers());
    let Some(authority) = gate.own_authority(uri, headers) else {
        return Some(forbidden(format!(
            "the Host header is not this server's; ask for http://127.0.0.1:{}/ itself",
            gate.port
        )));
    };
    if uri.path() == "/healthz" {
        return None;
    }
    let has_origin = headers.contains_key(header::ORIGIN);
    if has_origin && !only(headers, &header::ORIGIN).is_some_and(|origin| is_origin(origin, &authority)) {
        return Some(forbidden("the Origin header names another site; only this server's own page may ask"));
    }
    let proof = gate.proof(headers);
    let shown = query_value(uri, "token").filter(|_| uri.path() == "/" && request.method() == Method::GET);
    if let Some(shown) = shown {
        return Some(match (gate.exchange(shown), proof) {
            (None, None) => unauthorized(uri),
            (cookie, _) => to_clean_url(cookie),
        });
    }
    match proof {
        None => Some(unauthorized(uri)),
        // A browser always says where a WebSocket comes from; who does not is no browser and has no cookie.
        Some(Proof::Cookie) if !has_origin && headers.contains_key(header::UPGRADE) => {
            Some(forbidden("an upgrade without an Origin header needs \"Authorization: Bearer TOKEN\""))
        }
        Some(_) => None,
    }
}

fn forbidden(error: impl Into<String>) -> Response {
    Problem::new(StatusCode::FORBIDDEN, error).into_response()
}

fn unauthorized(uri: &Uri) -> Response {
    if uri.path() == "/" {
        return (StatusCode::UNAUTHORIZED, assets::sign_in_notice()).into_response();
    }
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "no valid token; open the URL that sockreel printed, or send \"Authorization: Bearer TOKEN\"",
    )
    .into_response()
}

fn to_clean_url(cookie: Option<HeaderValue>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Equal in a time that does not tell where they differ; lengths are no secret, and an empty secret is none.
fn same(shown: &str, secret: &str) -> bool {
    !secret.is_empty() && bool::from(shown.as_bytes().ct_eq(secret.as_bytes()))
}

/// The value of a header that must not come twice.
fn only<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// Tokens are made of characters that a URL carries as they are.
fn query_value<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    uri.query()?
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    !authority.as_str().contains('@')
        && (host.eq_ignore_ascii_case("localhost")
            || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback()))
}

/// Port of an `http` authority, 80 where it names none (RFC 9110, section 4.2.1); `None` where it is no number.
fn port(authority: &Authority) -> Option<u16> {
    authority.port_u16().or_else(|| authority.as_str().ends_with(authority.host()).then_some(80))
}

/// Whether an origin (RFC 6454, section 7) is that of our pages under `own`.
fn is_origin(origin: &str, own: &Authority) -> bool {
    origin.strip_prefix("http://").and_then(|origin| origin.parse::<Authority>().ok()).is_some_and(|origin| {
        !origin.as_str().contains('@')
            && origin.host().eq_ignore_ascii_case(own.host())
            && port(&origin) == port(own)
    })
}

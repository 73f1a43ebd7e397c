//! The gate, case by case.

use super::bench::{Bench, OWN, TOKEN};
use axum::http::StatusCode;

const BEARER: (&str, &str) = ("authorization", "Bearer 0123456789abcdef");

/// The status of `GET path` with these headers.
async fn status(bench: &Bench, path: &str, headers: &[(&str, &str)]) -> u16 {
    bench.send("GET", path, headers).await.status.as_u16()
}

/// Shows the printed URL's token; returns the cookie as a browser sends it back.
async fn sign_in(bench: &Bench) -> String {
    let answer = bench.send("GET", &format!("/?token={TOKEN}"), &[("host", OWN)]).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/"));
    let cookie = answer.header("set-cookie");
    let (pair, attributes) = cookie.split_once(';').unwrap();
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Strict");
    assert!(pair.starts_with("sockreel_4711=") && !pair.contains(TOKEN), "{pair}");
    pair.to_owned()
}

#[tokio::test]
async fn without_a_secret_only_health_answers() {
    let bench = Bench::new();
    for path in
        ["/", "/index.html", "/metrics", "/api/v1/info", "/api/v1/openapi.json", "/api/v1/live", "/none"]
    {
        assert_eq!(status(&bench, path, &[("host", OWN)]).await, 401, "{path}");
        assert_eq!(
            status(&bench, path, &[("host", OWN), ("authorization", "Bearer wrong")]).await,
            401,
            "{path}"
        );
        assert_eq!(status(&bench, path, &[("host", OWN), ("authorization", "Bearer ")]).await, 401, "{path}");
        assert_eq!(
            status(&bench, path, &[("host", OWN), ("cookie", "sockreel_4711=x")]).await,
            401,
            "{path}"
        );
    }
    let health = bench.send("GET", "/healthz", &[("host", OWN)]).await;
    assert_eq!((health.status, health.body.as_str()), (StatusCode::OK, "ok\n"));
    let page = bench.send("GET", "/", &[("host", OWN)]).await;
    assert!(page.body.contains("Open the URL") && page.header("content-type").starts_with("text/html"));
    let api = bench.send("GET", "/api/v1/info", &[("host", OWN)]).await;
    assert!(api.body.contains("Authorization: Bearer"), "{}", api.body);
    assert_eq!(api.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn the_urls_token_works_once_and_the_bearer_always() {
    let bench = Bench::new();
    assert_eq!(status(&bench, "/?token=wrong", &[("host", OWN)]).await, 401);
    let cookie = sign_in(&bench).await;
    let signed_in = [("host", OWN), ("cookie", cookie.as_str())];
    assert_eq!(status(&bench, "/", &signed_in).await, 200);
    assert_eq!(status(&bench, "/api/v1/info", &signed_in).await, 200);
    let others = format!("other=1; {cookie}; sockreel_80=2");
    assert_eq!(status(&bench, "/api/v1/info", &[("host", OWN), ("cookie", &others)]).await, 200);

    let again = format!("/?token={TOKEN}");
    let second = bench.send("GET", &again, &[("host", OWN)]).await;
    assert_eq!((second.status.as_u16(), second.header("set-cookie")), (401, ""));
    let reload = bench.send("GET", &again, &signed_in).await;
    assert_eq!(
        (reload.status.as_u16(), reload.header("location"), reload.header("set-cookie")),
        (303, "/", "")
    );

    assert_eq!(status(&bench, "/api/v1/info", &[("host", OWN), BEARER]).await, 200);
    // The token is no key to anything but the page's own address.
    assert_eq!(status(&bench, &format!("/api/v1/info?token={TOKEN}"), &[("host", OWN)]).await, 401);
}

#[tokio::test]
async fn the_host_must_be_a_loopback_name_with_our_port() {
    let bench = Bench::new();
    for host in ["127.0.0.1:4711", "localhost:4711", "LOCALHOST:4711", "[::1]:4711", "127.1.2.3:4711"] {
        assert_eq!(status(&bench, "/api/v1/info", &[("host", host), BEARER]).await, 200, "{host}");
    }
    for host in [
        "127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1:4712",
        "127.0.0.1:",
        "127.0.0.1:471100",
        "127.0.0.1.evil.example:4711",
        "127.0.0.1.nip.io:4711",
        "localhost.evil.example:4711",
        "evil.example:4711",
        "user@127.0.0.1:4711",
        "10.0.0.1:4711",
        "0.0.0.0:4711",
        "[::]:4711",
        "",
    ] {
        let headers = [("host", host), BEARER];
        assert_eq!(status(&bench, "/api/v1/info", &headers).await, 403, "{host}");
        assert_eq!(status(&bench, "/healthz", &headers).await, 403, "{host}");
        assert_eq!(status(&bench, &format!("/?token={TOKEN}"), &headers).await, 403, "{host}");
    }
    assert_eq!(status(&bench, "/api/v1/info", &[BEARER]).await, 403, "no Host");
    assert_eq!(status(&bench, "/api/v1/info", &[("host", OWN), ("host", "evil.example"), BEARER]).await, 403);
    let absolute = "http://evil.example:4711/api/v1/info";
    assert_eq!(status(&bench, absolute, &[("host", OWN), BEARER]).await, 403, "a second target");
    // None of the refused requests used the token up.
    sign_in(&bench).await;
}

#[tokio::test]
async fn an_origin_must_be_our_own() {
    let bench = Bench::new();
    let cookie = sign_in(&bench).await;
    for proof in [BEARER, ("cookie", cookie.as_str())] {
        for origin in ["http://127.0.0.1:4711", "HTTP://127.0.0.1:4711"] {
            let expected = if origin.starts_with("http") { 200 } else { 403 };
            let headers = [("host", OWN), ("origin", origin), proof];
            assert_eq!(status(&bench, "/api/v1/info", &headers).await, expected, "{origin}");
        }
        for origin in [
            "http://evil.example",
            "http://127.0.0.1.evil.example:4711",
            "http://127.0.0.1:4712",
            "http://127.0.0.1",
            "http://localhost:4711",
            "https://127.0.0.1:4711",
            "http://evil.example@127.0.0.1:4711",
            "null",
            "",
        ] {
            let headers = [("host", OWN), ("origin", origin), proof];
            assert_eq!(status(&bench, "/api/v1/info", &headers).await, 403, "{origin}");
            assert_eq!(status(&bench, "/api/v1/live", &headers).await, 403, "{origin}");
        }
    }
}

#[tokio::test]
async fn an_upgrade_without_an_origin_needs_the_bearer() {
    let bench = Bench::new();
    let cookie = sign_in(&bench).await;
    let upgrade = [
        ("host", OWN),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let with = |more: &[(&'static str, &str)]| -> Vec<(String, String)> {
        upgrade.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    for (more, expected) in [
        (vec![], 401),
        (vec![("origin", "http://127.0.0.1:4711")], 401),
        (vec![("cookie", cookie.as_str())], 403),
        (vec![("cookie", cookie.as_str()), ("origin", "http://evil.example")], 403),
        (vec![BEARER, ("origin", "http://evil.example")], 403),
        // Past the gate: without a connection behind it, the upgrade itself is what fails.
        (vec![("cookie", cookie.as_str()), ("origin", "http://127.0.0.1:4711")], 426),
        (vec![BEARER], 426),
    ] {
        let headers = with(&more);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(status(&bench, "/api/v1/live", &headers).await, expected, "{more:?}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_safety_headers() {
    let bench = Bench::new();
    for (path, headers) in [
        ("/", vec![("host", OWN), BEARER]),
        ("/", vec![("host", OWN)]),
        ("/healthz", vec![("host", OWN)]),
        ("/healthz", vec![("host", "evil.example")]),
        ("/api/v1/info", vec![("host", OWN), BEARER]),
        ("/none", vec![("host", OWN), BEARER]),
        ("/?token=0123456789abcdef", vec![("host", OWN)]),
    ] {
        let answer = bench.send("GET", path, &headers).await;
        let csp = answer.header("content-security-policy");
        assert!(csp.starts_with("default-src 'none'; script-src 'self';"), "{path}: {csp}");
        assert!(
            csp.ends_with("base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
            "{path}: {csp}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
        let page = path == "/" && headers.len() == 2;
        assert_eq!(answer.header("cache-control"), if page { "no-cache" } else { "no-store" }, "{path}");
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_problems() {
    let bench = Bench::new();
    let headers = [("host", OWN), BEARER];
    for path in ["/api/v1/info", "/healthz", "/"] {
        let answer = bench.send("POST", path, &headers).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert!(answer.body.contains("takes GET, not POST"), "{path}: {}", answer.body);
    }
    let answer = bench.get("/api/v1/none").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.body.contains("/api/v1/openapi.json"), "{}", answer.body);
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let error = crate::bind(address.parse().unwrap()).await.unwrap_err().to_string();
        assert!(error.contains(address) && error.contains("TLS") && error.contains("ssh -L"), "{error}");
    }
    let first = crate::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let taken = first.local_addr().unwrap();
    let error = crate::bind(taken).await.unwrap_err().to_string();
    assert!(error.contains(&taken.to_string()) && error.contains("--listen 127.0.0.1:0"), "{error}");
}

//! The resources.

use super::bench::{
    Bench, EPOCH_MINUS_BOOT_NS, Engine, PROCESS, T0, accept, at, close, failure, listener, loss, open,
};
use crate::handle::channel;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tracer_model::input::Body;

/// Events: 1 socket, 2 bind, 3 listen, 4 and 5 accept, 6 open, 7 close, 8 lost.
async fn web_server() -> Bench {
    let bench = Bench::new();
    let mut inputs = listener();
    inputs.extend([
        accept(200, 9, 41),
        accept(220, 10, 42),
        open(240, 11, 43),
        close(300, 9, 41),
        loss(310, 12),
    ]);
    bench.engine.feed(inputs).await;
    bench
}

fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    list.as_array().unwrap().iter().map(|item| &item[field]).collect()
}

/// RFC 3339 of so many nanoseconds after the anchor would be 18 digits: epoch nanoseconds will do.
fn moment(ns: u64) -> i64 {
    EPOCH_MINUS_BOOT_NS + i64::try_from(T0 + ns).unwrap()
}

#[tokio::test]
async fn info_says_what_the_session_is() {
    let bench = web_server().await;
    let info = bench.get("/api/v1/info").await.json();
    assert_eq!(info["session"], "a");
    assert_eq!(info["source"], "live");
    assert_eq!(info["selection"], "pid 812");
    assert_eq!(info["t0_ns"], "1795348801000000000");
    assert_eq!(info["now"], 310);
    assert_eq!(info["status"]["events"], 9);
    assert_eq!(info["status"]["lost"], 12);
    assert_eq!(info["status"]["lost_by_cause"], json!([{"cause": "ring_full", "count": 12}]));
    assert_eq!(info["status"]["kept"], 9);
    assert_eq!(info["status"]["first_seq"], 1);
}

#[tokio::test]
async fn processes_and_sockets() {
    let bench = web_server().await;
    let processes = bench.get("/api/v1/processes").await.json();
    assert_eq!(each(&processes["processes"], "id"), [PROCESS]);
    let all = bench.get("/api/v1/sockets").await.json();
    assert_eq!(each(&all["sockets"], "ino"), ["1", "41", "42"]);
    let listening = bench.get("/api/v1/sockets?state=listening").await.json();
    assert_eq!(each(&listening["sockets"], "ino"), ["1"]);
    assert_eq!(listening["sockets"][0]["local"], "127.0.0.1:80");
    assert_eq!(listening["sockets"][0]["backlog"], 511);
    let listen = bench.get("/api/v1/sockets?state=LISTEN&port=80").await.json();
    assert_eq!(each(&listen["sockets"], "ino"), ["1"]);
    let by_peer = bench.get("/api/v1/sockets?port=50042").await.json();
    assert_eq!(each(&by_peer["sockets"], "ino"), ["42"]);
    let id = listening["sockets"][0]["id"].as_str().unwrap();
    let children = bench.get(&format!("/api/v1/sockets?listener={id}")).await.json();
    assert_eq!(each(&children["sockets"], "ino"), ["41", "42"]);
    assert_eq!(children["sockets"][0]["peer"], "127.0.0.1:50041");
}

#[tokio::test]
async fn sockets_at_an_instant_are_as_they_were() {
    let bench = web_server().await;
    let before_listen = bench.get(&format!("/api/v1/sockets?at={}", moment(130))).await.json();
    assert_eq!(each(&before_listen["sockets"], "ino"), ["1"]);
    let phases: Vec<_> = each(&before_listen["sockets"][0]["steps"], "phase");
    assert_eq!(phases, ["created", "bound"]);
    let none = bench.get(&format!("/api/v1/sockets?state=listening&at={}", moment(130))).await.json();
    assert_eq!(none["sockets"], json!([]));
    let one_child = bench.get(&format!("/api/v1/sockets?at={}", moment(210))).await.json();
    assert_eq!(each(&one_child["sockets"], "ino"), ["1", "41"]);
}

#[tokio::test]
async fn descriptors_at_an_instant() {
    let bench = web_server().await;
    for (at, fds) in [
        (None, vec![3, 10, 11]),
        (Some(250), vec![3, 9, 10, 11]),
        (Some(210), vec![3, 9]),
        (Some(50), vec![]),
    ] {
        for who in [format!("process={PROCESS}"), "pid=812".to_owned()] {
            let at = at.map(|ns| format!("&at={}", moment(ns))).unwrap_or_default();
            let table = bench.get(&format!("/api/v1/descriptors?{who}{at}")).await.json();
            assert_eq!(each(&table["descriptors"], "fd"), fds, "{who}{at}");
            assert_eq!(table["process"]["id"], PROCESS);
        }
    }
    let ago = bench.get("/api/v1/descriptors?pid=812&at=-60ns").await.json();
    assert_eq!(
        (&ago["at"], each(&ago["descriptors"], "fd")),
        (&json!(250), vec![&json!(3), &json!(9), &json!(10), &json!(11)])
    );
    assert_eq!(each(&ago["sockets"], "ino"), ["1", "41", "42"]);
}

#[tokio::test]
async fn events_come_in_pages() {
    let bench = web_server().await;
    let mut seen = Vec::new();
    let mut path = "/api/v1/events?limit=3".to_owned();
    loop {
        let page = bench.get(&path).await.json();
        seen.extend(each(&page["events"], "seq").into_iter().map(|seq| seq.as_u64().unwrap()));
        match page["next_seq"].as_u64() {
            Some(next) => path = format!("/api/v1/events?limit=3&from_seq={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let first = &bench.get("/api/v1/events?limit=1").await.json()["events"][0];
    assert_eq!(
        (&first["event"], &first["t"], &first["process"]),
        (&json!("socket"), &json!(100), &json!(PROCESS))
    );
    assert_eq!(first["ts_ns"], 1_795_348_801_000_000_100_u64);
}

#[tokio::test]
async fn events_are_filtered_and_bounded_in_time() {
    let bench = web_server().await;
    for (query, seqs) in [
        ("filter=event:accept".to_owned(), vec![4, 5]),
        ("filter=event:accept+new_fd:%3E9".to_owned(), vec![5]),
        ("filter=-event:accept&from_seq=3".to_owned(), vec![3, 6, 7, 8, 9]),
        ("from_seq=8".to_owned(), vec![8, 9]),
        ("from_seq=3&to_seq=6&filter=-event:accept".to_owned(), vec![3]),
        ("to_seq=2".to_owned(), vec![1]),
        ("filter=event:standing".to_owned(), vec![9]),
        ("from_seq=10".to_owned(), vec![]),
        ("from_seq=99999999".to_owned(), vec![]),
        (format!("from={}&to={}", moment(200), moment(300)), vec![4, 5, 6]),
        (format!("from={}", moment(301)), vec![8, 9]),
        ("from=-10ns".to_owned(), vec![7, 8, 9]),
        ("to=2020-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        let page = bench.get(&format!("/api/v1/events?{query}")).await.json();
        assert_eq!(each(&page["events"], "seq"), seqs, "{query}");
        assert_eq!(page["next_seq"], Value::Null, "{query}");
    }
}

#[tokio::test]
async fn a_filter_that_fits_little_looks_through_everything() {
    let bench = Bench::new();
    let mut inputs: Vec<_> = (1..=12_000).map(|n| failure(n * 10)).collect();
    inputs.extend(listener().into_iter().map(|input| at(200_000, input.body)));
    bench.engine.feed(inputs).await;
    let page = bench.get("/api/v1/events?filter=event:listen&limit=1").await.json();
    assert_eq!(each(&page["events"], "seq"), [12_003]);
    let page = bench.get("/api/v1/events?limit=10000").await.json();
    assert_eq!((page["events"].as_array().unwrap().len(), &page["next_seq"]), (10_000, &json!(10_001)));
}

#[tokio::test]
async fn the_live_stream_tells_plain_requests_what_it_is() {
    let bench = Bench::new();
    let answer = bench.get("/api/v1/live").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.starts_with("{\"error\":\"this is a WebSocket: "), "{}", answer.body);
}

#[tokio::test]
async fn a_bad_parameter_is_named_with_the_way_out() {
    let bench = web_server().await;
    for (path, says) in [
        ("events?limit=0", "parameter \\\"limit\\\": 0 is not a number from 1 to 10000"),
        ("events?limit=10001", "from 1 to 10000"),
        ("events?limit=many", "parameter \\\"limit\\\""),
        ("events?to_seq=x", "parameter \\\"to_seq\\\""),
        ("events?from_seq=-1", "parameter \\\"from_seq\\\""),
        ("events?filter=prot:80", "no field is called"),
        (
            "events?from=yesterday",
            "parameter \\\"from\\\": \\\"yesterday\\\" is not a moment: write RFC 3339",
        ),
        ("events?to=30s", "parameter \\\"to\\\""),
        ("events?form=1", "form"),
        ("sockets?port=70000", "parameter \\\"port\\\": \\\"70000\\\" is not a number from 0 to 65535"),
        ("sockets?state=open", "listening"),
        ("sockets?listener=7", "such as s7"),
        ("sockets?at=now", "parameter \\\"at\\\""),
        ("descriptors", "process=PID@START"),
        ("descriptors?pid=1&process=1@2", "name one process"),
        ("descriptors?pid=x", "parameter \\\"pid\\\""),
        ("descriptors?process=812", "such as 812@"),
    ] {
        let answer = bench.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.body.contains(says), "{path}: {}", answer.body);
        assert!(answer.body.starts_with("{\"error\":"), "{path}: {}", answer.body);
    }
    let answer = bench.get("/api/v1/descriptors?pid=813").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.body.contains("no process 813 is kept"), "{}", answer.body);
}

#[tokio::test]
async fn the_document_names_every_route() {
    let document = Bench::new().get("/api/v1/openapi.json").await.json();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        paths,
        [
            "answers/balance",
            "answers/connections",
            "answers/fds",
            "answers/handovers",
            "answers/leaks",
            "answers/queues",
            "answers/slow",
            "answers/sockets",
            "answers/who",
            "descriptors",
            "events",
            "info",
            "live",
            "processes",
            "sockets"
        ]
        .map(|name| format!("/api/v1/{name}"))
    );
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for schema in ["Info", "Socket", "Line", "ServerMessage", "ClientMessage", "Problem"] {
        assert!(document["components"]["schemas"][schema].is_object(), "{schema}");
    }
    let parameters = &document["paths"]["/api/v1/events"]["get"]["parameters"];
    assert_eq!(each(parameters, "name"), ["from_seq", "to_seq", "limit", "filter", "from", "to"]);
    assert_eq!(document["security"], json!([{"token": []}]));
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let bench = web_server().await;
    let answer = bench.get("/metrics").await;
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        "# TYPE sockreel_events_total counter",
        "sockreel_events_total 9",
        "sockreel_lost_records_total 12",
        "sockreel_lost_records_by_cause_total{cause=\"ring_full\"} 12",
        "sockreel_kept_events 9",
        "sockreel_live_clients 0",
        "sockreel_questions_refused_total 0",
        "sockreel_requests_refused_total 0",
    ] {
        assert!(answer.body.lines().any(|found| found == line), "{line} in\n{}", answer.body);
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_answer_is_a_503() {
    let mut engine = Engine::start();
    let (handle, mut questions) = channel();
    engine.handle = handle;
    let bench = Bench::with(engine);
    let busy = bench.get("/api/v1/info").await;
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(busy.body.contains("within 2 s"), "{}", busy.body);
    questions.close();
    let stopped = bench.get("/api/v1/info").await;
    assert_eq!(stopped.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(stopped.body.contains("has stopped"), "{}", stopped.body);
    assert_eq!(bench.engine.handle.counters.refused_questions.get(), 2);
}

#[tokio::test]
async fn before_the_first_input_everything_is_empty() {
    let bench = Bench::new();
    bench.engine.feed(vec![at(5, Body::Anchor { epoch_minus_boot_ns: EPOCH_MINUS_BOOT_NS })]).await;
    assert_eq!(bench.get("/api/v1/events").await.json(), json!({"events": [], "next_seq": null}));
    assert_eq!(bench.get("/api/v1/sockets").await.json(), json!({"sockets": []}));
    assert_eq!(bench.get("/api/v1/processes").await.json(), json!({"processes": []}));
}

#[tokio::test]
async fn the_page_comes_with_the_sessions_numbers() {
    let bench = web_server().await;
    let info = bench.get("/api/v1/info").await.json();
    let page = bench.get("/").await.body;
    // A checkout without a built page has a notice in its place.
    let Some((_, rest)) = page.split_once(r#"name="sockreel-info" content=""#) else {
        assert!(!page.contains("sockreel-info"), "{page}");
        return;
    };
    let told = rest.split_once('"').unwrap().0.replace("&quot;", "\"").replace("&amp;", "&");
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), info);
    assert!(info["status"]["events"].as_u64().unwrap() > 0);
}

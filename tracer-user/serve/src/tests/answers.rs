//! The answers.

use super::bench::{Bench, EPOCH_MINUS_BOOT_NS, PROCESS, T0, accept, close, listener, loss};
use axum::http::StatusCode;
use serde_json::{Value, json};

/// Events: 1 socket at 100, 2 bind at 120, 3 listen at 140, 4 accept at 200, 5 lost, 6 close of the listener, which begins
/// at 290.
async fn web_server() -> Bench {
    let bench = Bench::new();
    let mut inputs = listener();
    inputs.extend([accept(200, 9, 41), loss(210, 12), close(300, 3, 1)]);
    bench.engine.feed(inputs).await;
    bench
}

/// So many nanoseconds after the session began, and the event of that moment.
fn when(t: u64, seq: u64) -> Value {
    let ts_ns = EPOCH_MINUS_BOOT_NS.cast_unsigned() + T0 + t;
    json!({"ts_ns": ts_ns, "t": t, "seq": seq})
}

fn at(t: u64) -> i64 {
    EPOCH_MINUS_BOOT_NS + i64::try_from(T0 + t).unwrap()
}

#[tokio::test]
async fn who_holds_a_port_since_when_and_how() {
    let bench = web_server().await;
    let who = bench.get(&format!("/api/v1/answers/who?of=80&at={}", at(250))).await.json();
    let [held] = who["sockets"].as_array().unwrap().as_slice() else { panic!("{who}") };
    assert_eq!((&held["bound"], &held["listening"]), (&when(120, 2), &when(140, 3)));
    assert_eq!(held["socket"]["local"], "127.0.0.1:80");
    let holder = json!({"process": PROCESS, "pid": 812, "comm": "", "fd": 3, "cloexec": false, "since": when(100, 1),
                        "how": "socket"});
    assert_eq!((&held["holders"], &held["former"]), (&json!([holder]), &json!([])));
    assert_eq!((&who["connections"], &who["before"]), (&json!(1), &json!([])));
    let basis = &who["basis"];
    assert_eq!((&basis["scope"], &basis["at"]["t"]), (&json!("pid 812"), &json!(250)));
    assert!(basis["caveats"][0].as_str().unwrap().starts_with("12 records were lost"), "{basis}");
}

#[tokio::test]
async fn who_held_it_before_and_what_was_not_yet() {
    let bench = web_server().await;
    let who = bench.get("/api/v1/answers/who?of=:80").await.json();
    assert_eq!((&who["sockets"], &who["connections"]), (&json!([]), &json!(1)));
    let former = &who["ownerless"][0]["former"][0];
    assert_eq!((&former["until"], &former["until_by"]), (&when(290, 7), &json!("close")));
    // Before it listens, and before any record was lost.
    let early = bench.get(&format!("/api/v1/answers/who?of=127.0.0.1:80&at={}", at(130))).await.json();
    assert_eq!(early["sockets"][0]["listening"], Value::Null);
    let caveats = early["basis"]["caveats"].as_array().unwrap();
    assert_eq!(caveats.len(), 1, "{early}");
    assert!(caveats[0].as_str().unwrap().starts_with("the kernel was not asked"), "{early}");
    assert_eq!(early["sockets"][0]["socket"]["backlog"], Value::Null);
    // Before it has the address at all.
    let unbound = bench.get(&format!("/api/v1/answers/who?of=80&at={}", at(110))).await.json();
    assert_eq!(unbound["sockets"], json!([]), "{unbound}");
    let table = bench.get(&format!("/api/v1/answers/fds?at={}", at(110))).await.json();
    let socket = &table["tables"][0]["descriptors"][0]["socket"];
    assert_eq!((&socket["id"], &socket["local"]), (&json!("s1"), &Value::Null), "{table}");
    let other = bench.get("/api/v1/answers/who?of=127.0.0.2:80").await.json();
    assert_eq!((&other["sockets"], &other["before"]), (&json!([]), &json!([])));
    let nothing = bench.get("/api/v1/answers/who?of=80&at=2020-01-01T00:00:00Z").await.json();
    assert!(nothing["basis"]["caveats"][0].as_str().unwrap().starts_with("nothing is known"), "{nothing}");
}

#[tokio::test]
async fn a_bad_parameter_is_named_with_the_way_out() {
    let bench = web_server().await;
    for (query, says) in [
        ("of=http", "parameter \\\"of\\\": \\\"http\\\" is neither a port"),
        ("of=80&at=now", "parameter \\\"at\\\""),
        ("", "of"),
    ] {
        let answer = bench.get(&format!("/api/v1/answers/who?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(answer.body.contains(says), "{query}: {}", answer.body);
    }
}

fn column<'a>(rows: &'a Value, field: &str) -> Vec<&'a Value> {
    rows.as_array().unwrap().iter().map(|row| &row[field]).collect()
}

#[tokio::test]
async fn tables_at_an_instant_and_what_changed_between_two() {
    let bench = web_server().await;
    let now = bench.get("/api/v1/answers/fds?pid=812").await.json();
    assert_eq!(column(&now["tables"][0]["descriptors"], "fd"), [9]);
    let before = bench.get(&format!("/api/v1/answers/fds?at={}", at(250))).await.json();
    let rows = &before["tables"][0]["descriptors"];
    assert_eq!(
        (column(rows, "fd"), column(rows, "how")),
        (vec![&json!(3), &json!(9)], vec![&json!("socket"), &json!("accept")])
    );
    assert_eq!((&rows[1]["since"], &rows[1]["socket"]["ino"]), (&when(200, 4), &json!("41")));
    let query = format!("since={}&at={}", at(150), at(310));
    let changed = bench.get(&format!("/api/v1/answers/fds?{query}")).await.json();
    let rows = &changed["tables"][0]["descriptors"];
    assert_eq!(
        (column(rows, "fd"), column(rows, "change")),
        (vec![&json!(3), &json!(9)], vec![&json!("closed"), &json!("opened")])
    );
    assert_eq!((&rows[0]["until"], &rows[0]["until_by"]), (&when(290, 7), &json!("close")));
    let nobody = bench.get("/api/v1/answers/fds?pid=812,813").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    assert!(nobody.body.contains("no process 813"), "{}", nobody.body);
    let inherited = bench.get("/api/v1/answers/fds?inherited=true").await.json();
    assert_eq!(inherited["tables"][0]["descriptors"], json!([]));
}

#[tokio::test]
async fn sockets_and_who_holds_them() {
    let bench = web_server().await;
    let all = bench.get(&format!("/api/v1/answers/sockets?at={}", at(250))).await.json();
    let held: Vec<_> =
        all["sockets"].as_array().unwrap().iter().map(|row| column(&row["holders"], "fd")).collect();
    assert_eq!(held, [[3], [9]]);
    for (query, count) in [("listening=true&tcp=true", 1), ("udp=true", 0), ("unix=true&tcp=true", 2)] {
        let some = bench.get(&format!("/api/v1/answers/sockets?{query}&at={}", at(250))).await.json();
        assert_eq!(some["sockets"].as_array().unwrap().len(), count, "{query}");
    }
    let answer = bench.get("/api/v1/answers/sockets?tcp=maybe").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn answers_about_listeners_are_of_the_instant() {
    let bench = web_server().await;
    let now = at(250);
    let queues = bench.get(&format!("/api/v1/answers/queues?of=80&at={now}")).await.json();
    let [queue] = queues["queues"].as_array().unwrap().as_slice() else { panic!("{queues}") };
    assert_eq!((&queue["accepted"], &queue["findings"]), (&json!(1), &json!([])));
    let early = bench.get(&format!("/api/v1/answers/queues?of=80&at={}", at(150))).await.json();
    assert_eq!(early["queues"][0]["accepted"], json!(0), "{early}");
    let balance = bench.get(&format!("/api/v1/answers/balance?at={now}")).await.json();
    let worker = &balance["groups"][0]["workers"][0];
    assert_eq!((&worker["process"]["process"], &worker["accepted"]), (&json!(PROCESS), &json!(1)));
    assert_eq!(worker["last"], when(200, 4));
    let slow = bench.get(&format!("/api/v1/answers/slow?at={now}")).await.json();
    assert_eq!((&slow["listeners"][0]["known"], &slow["listeners"][0]["unknown"]), (&json!(0), &json!(1)));
    let connections = bench.get(&format!("/api/v1/answers/connections?of=80&at={now}")).await.json();
    let [connection] = connections["connections"].as_array().unwrap().as_slice() else {
        panic!("{connections}")
    };
    assert_eq!(
        (&connection["client"], &connection["server"]["socket"]["listener"]),
        (&Value::Null, &json!("s1"))
    );
    let bad = bench.get("/api/v1/answers/queues?of=http").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST, "{}", bad.body);
}

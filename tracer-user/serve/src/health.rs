//! `/healthz` and `/metrics`: for supervisors and for Prometheus.

use crate::{problem::Problem, server::App};
use axum::{extract::State, http::header, response::IntoResponse};
use std::{fmt::Write as _, sync::Arc};

/// `GET /healthz`: the server runs. The only answer without a token: it tells nothing else.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /metrics`: the counters in Prometheus' text format, version 0.0.4.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    let (totals, kept, rev) =
        app.handle.ask(|session| (session.totals(), session.history().len(), session.rev())).await?;
    let counters = &app.handle.counters;
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "# HELP sockreel_{name} {help}\n# TYPE sockreel_{name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "sockreel_{name}{labels} {value}");
        }
    };
    let one = |value: u64| [(String::new(), value)];
    let size = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    let lost: Vec<_> = totals
        .lost_by_cause
        .iter()
        .map(|(cause, count)| (format!("{{cause=\"{}\"}}", cause.name()), *count))
        .collect();
    metric("events_total", "counter", "Events so far.", &one(totals.events));
    metric("lost_records_total", "counter", "Records lost so far.", &one(totals.lost));
    metric("lost_records_by_cause_total", "counter", "Records lost so far, by cause.", &lost);
    metric("doubtful_processes", "gauge", "Processes whose table is doubtful.", &one(size(totals.doubtful)));
    metric("repairs_total", "counter", "Events that set a table right.", &one(totals.repairs));
    metric(
        "checks_total",
        "counter",
        "Snapshots that compared tables with the kernel's.",
        &one(totals.checks),
    );
    metric(
        "checks_nanoseconds_total",
        "counter",
        "How long the kernel took to write them.",
        &one(totals.checks_ns),
    );
    metric("kept_events", "gauge", "Events that are still kept.", &one(size(kept)));
    metric("revision", "gauge", "Revision of the model.", &one(rev));
    metric("live_clients", "gauge", "Clients of the live stream.", &one(counters.clients.get()));
    metric("live_changes_total", "counter", "Changes sent to clients.", &one(counters.changes.get()));
    metric(
        "live_message_bytes_max",
        "gauge",
        "Longest message of the live stream so far.",
        &one(counters.longest_message.get()),
    );
    metric(
        "live_waiting_bytes_max",
        "gauge",
        "What one client had not acknowledged yet, at most so far.",
        &one(counters.most_waiting.get()),
    );
    metric(
        "live_resyncs_total",
        "counter",
        "Clients that named a revision and had to start anew.",
        &one(counters.resyncs.get()),
    );
    metric(
        "live_kept_told_total",
        "counter",
        "Times that a client was so far behind that it was told what is kept.",
        &one(counters.kept_told.get()),
    );
    metric(
        "live_slow_clients_total",
        "counter",
        "Clients disconnected because they acknowledged nothing.",
        &one(counters.slow_clients.get()),
    );
    metric(
        "questions_waiting",
        "gauge",
        "Questions that wait for the engine.",
        &one(size(app.handle.waiting())),
    );
    metric(
        "questions_refused_total",
        "counter",
        "Questions that the engine did not answer in time.",
        &one(counters.refused_questions.get()),
    );
    metric(
        "requests_refused_total",
        "counter",
        "Requests that had no right to an answer.",
        &one(counters.refused_requests.get()),
    );
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

//! Where waits went: `/api/v1/answers/slow`, `sockreel slow`.

use super::{
    Basis, Party, Terms, When,
    columns::columns,
    queues::{FailedAccept, listener_line, party},
};
use crate::{api::Socket, errno, line::accept_failed, sentence::duration};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::fmt::Write as _;
use tracer_answers::{accepting, slow, view::View, who::Target};
use tracer_model::event;
use ts_rs::TS;
use utoipa::ToSchema;

/// Where waits went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Slow {
    /// By listener, in the order in which they were made.
    pub listeners: Vec<SlowListener>,
    /// What the answer rests on.
    pub basis: Basis,
}

/// Waits at a listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct SlowListener {
    /// The listener.
    pub socket: Socket,
    /// Waits of which it is known where they went.
    pub known: u64,
    /// Accepted connections of which it is not: their acceptor was not seen accepting here before, or nobody knows when they
    /// were queued, or the scheduler is not traced.
    pub unknown: u64,
    /// The sum of those that are known.
    pub total: Split,
    /// Accepts that failed, but for want of a connection.
    pub failed: Vec<FailedAccept>,
    /// The slowest waits, slowest first.
    pub slowest: Vec<Slowest>,
}

/// Parts of a wait, nanoseconds: what the accepting thread did meanwhile.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Split {
    /// Asleep in a call that waits for connections (accept, epoll, poll, select, `io_uring_enter`).
    pub asleep_ns: u64,
    /// Ready to run, and not running.
    pub runnable_ns: u64,
    /// Running.
    pub running_ns: u64,
    /// Asleep or stopped elsewhere.
    pub blocked_ns: u64,
    /// The call in which most of that was, or `stopped`.
    pub blocked_in: Option<String>,
    /// Not known.
    pub unknown_ns: u64,
    /// Accepts on this listener that failed meanwhile for want of something, `EMFILE=2`.
    pub accept_failed: Vec<String>,
}

/// A slow wait.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Slowest {
    /// From queued to accepted.
    pub wait_ns: u64,
    /// The accept.
    pub accepted: When,
    /// The connection.
    pub socket: Option<String>,
    /// Who accepted.
    pub by: Party,
    /// Its thread.
    pub tid: u32,
    /// Where the wait went; absent: unknown.
    pub split: Option<Split>,
    /// The largest part: `asleep`, `runnable`, `running`, `blocked` or `unknown`.
    pub cause: String,
}

impl Split {
    fn new(split: &event::Split) -> Self {
        Self {
            asleep_ns: split.asleep_ns,
            runnable_ns: split.runnable_ns,
            running_ns: split.running_ns,
            blocked_ns: split.blocked_ns,
            blocked_in: split.blocked_in.clone(),
            unknown_ns: split.unknown_ns,
            accept_failed: accept_failed(split),
        }
    }

    fn cause(&self) -> &'static str {
        let parts = [
            ("unknown", self.unknown_ns),
            ("blocked", self.blocked_ns),
            ("asleep", self.asleep_ns),
            ("runnable", self.runnable_ns),
            ("running", self.running_ns),
        ];
        parts.into_iter().rev().max_by_key(|(_, ns)| *ns).map_or("unknown", |(cause, _)| cause)
    }
}

impl Slow {
    /// The answer as the API gives it.
    #[must_use]
    pub fn new(view: &View<'_>, target: Option<&Target>, scope: &str) -> Self {
        let slow::Slow { listeners, caveats } = slow::slow(view, target);
        let terms = Terms::new(view);
        let wait = |wait: &accepting::Wait| {
            let split = wait.split.as_ref().map(Split::new);
            Slowest {
                wait_ns: wait.ns,
                accepted: terms.when(wait.accepted),
                socket: wait.socket.map(|id| id.to_string()),
                by: terms.party(wait.worker.0),
                tid: wait.worker.1,
                cause: split.as_ref().map_or("unknown", Split::cause).to_owned(),
                split,
            }
        };
        let failed = |(error, times): (&u32, &accepting::Times)| FailedAccept {
            error: errno::name(*error).into_owned(),
            count: times.count,
            last: terms.when(times.last),
        };
        let listeners = listeners.iter().map(|(socket, tally)| SlowListener {
            socket: Socket::new(socket, view.session().t0()),
            known: tally.split.1,
            unknown: tally.accepted.saturating_sub(tally.split.1),
            total: Split::new(&tally.split.0),
            failed: tally.failed.iter().map(failed).collect(),
            slowest: tally.slowest.iter().map(wait).collect(),
        });
        Self { listeners: listeners.collect(), basis: terms.basis(view, scope, &caveats) }
    }

    /// The answer for people.
    #[must_use]
    pub fn text(&self, zone: &TimeZone) -> String {
        let mut text = String::new();
        if self.listeners.is_empty() {
            text.push_str("nothing was accepted\n");
        }
        for listener in &self.listeners {
            let _ = writeln!(text, "{}", listener_line(&listener.socket, &[]));
            let total = &listener.total;
            let parts = [
                ("asleep", total.asleep_ns),
                ("runnable", total.runnable_ns),
                ("running", total.running_ns),
                ("blocked", total.blocked_ns),
                ("unknown", total.unknown_ns),
            ];
            let parts: Vec<_> = parts.iter().map(|(name, ns)| format!("{name} {}", duration(*ns))).collect();
            let _ = writeln!(
                text,
                "    of {} waits: {}; of {} more unknown",
                listener.known,
                parts.join(", "),
                listener.unknown
            );
            for failed in &listener.failed {
                let evidence = failed.last.evidence();
                let _ = writeln!(
                    text,
                    "    accept failed with {} {} times{evidence}",
                    failed.error, failed.count
                );
            }
            let rows = listener.slowest.iter().map(|slow| {
                let mut within = slow.cause.clone();
                if let Some(call) = slow.split.as_ref().and_then(|split| split.blocked_in.as_ref())
                    && slow.cause == "blocked"
                {
                    let _ = write!(within, " in {call}");
                }
                let failed = slow.split.iter().flat_map(|split| &split.accept_failed);
                for failed in failed {
                    let _ = write!(within, ", accept failed: {failed}");
                }
                let part = |part: fn(&Split) -> u64| {
                    slow.split.as_ref().map_or_else(|| "-".to_owned(), |split| duration(part(split)))
                };
                vec![
                    duration(slow.wait_ns),
                    within,
                    part(|split| split.asleep_ns),
                    part(|split| split.runnable_ns),
                    part(|split| split.running_ns),
                    part(|split| split.blocked_ns),
                    format!("{} thread {}", party(&slow.by), slow.tid),
                    slow.accepted.text(zone) + &slow.accepted.evidence(),
                ]
            });
            let heads = ["WAITED", "MOSTLY", "ASLEEP", "RUNNABLE", "RUNNING", "BLOCKED", "BY", "ACCEPTED"];
            text.push_str(&columns(4, &heads, rows));
        }
        text + &self.basis.text(zone)
    }
}

//! What is wrong with an accept queue, in words.

use super::{Terms, When};
use crate::{errno, sentence::duration};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use tracer_answers::{accepting::Times, queues::Finding};
use ts_rs::TS;
use utoipa::ToSchema;

/// What is wrong with a queue.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct QueueFinding {
    /// `stuck`: connections wait and nobody accepts; `slow`: they wait for long although somebody does; `overflowed`:
    /// it was full, and connections were dropped or turned away.
    pub kind: String,
    /// The same for people.
    pub text: String,
    /// Connections that wait for too long, or that were dropped or turned away.
    pub count: u64,
    /// For how long the oldest has waited, nanoseconds.
    pub oldest_ns: Option<u64>,
    /// `stuck`: what accepts fail with, where they are tried.
    pub error: Option<String>,
    /// The evidence: of `stuck` the newest accept, or the newest that failed; absent where there was none; of `slow` when the oldest was queued; of
    /// `overflowed` what told of the newest.
    pub evidence: Option<When>,
}

impl QueueFinding {
    pub(super) fn new(finding: &Finding, terms: &Terms<'_>) -> Self {
        let wait = |count: usize, oldest_ns: u64| {
            let who =
                if count == 1 { "1 connection has".to_owned() } else { format!("{count} connections have") };
            format!("{who} waited for up to {}", duration(oldest_ns))
        };
        let many = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        match finding {
            Finding::Stuck { overdue, oldest_ns, accepted, failing } => {
                let since = match accepted {
                    Some((_, ago_ns)) => format!("for {}", duration(*ago_ns)),
                    None => "at all".to_owned(),
                };
                let why = match failing {
                    Some((error, times)) => {
                        format!("accept fails with {}, {} times", errno::name(*error), times.count)
                    }
                    None => "nobody accepts".to_owned(),
                };
                let evidence = failing.map(|(_, times)| times.last).or(accepted.map(|(moment, _)| moment));
                Self {
                    kind: "stuck".to_owned(),
                    text: format!("{why}: {}, and nothing was accepted {since}", wait(*overdue, *oldest_ns)),
                    count: many(*overdue),
                    oldest_ns: Some(*oldest_ns),
                    error: failing.map(|(error, _)| errno::name(error).into_owned()),
                    evidence: evidence.map(|moment| terms.when(moment)),
                }
            }
            Finding::Slow { overdue, oldest_ns, queued } => Self {
                kind: "slow".to_owned(),
                text: format!("accepting is behind: {}", wait(*overdue, *oldest_ns)),
                count: many(*overdue),
                oldest_ns: Some(*oldest_ns),
                error: None,
                evidence: Some(terms.when(*queued)),
            },
            Finding::Overflowed { at_least, noticed } => Self {
                kind: "overflowed".to_owned(),
                text: format!(
                    "the queue was full: at least {at_least} {} dropped",
                    if *at_least == 1 {
                        "connection or part of a handshake was"
                    } else {
                        "connections or parts of handshakes were"
                    }
                ),
                count: *at_least,
                oldest_ns: None,
                error: None,
                evidence: noticed.map(|moment| terms.when(moment)),
            },
            Finding::TurnedAway(Times { count, last }) => Self {
                kind: "overflowed".to_owned(),
                text: format!(
                    "the queue was full: {count} {} turned away with EAGAIN",
                    if *count == 1 { "connect was" } else { "connects were" }
                ),
                count: *count,
                oldest_ns: None,
                error: None,
                evidence: Some(terms.when(*last)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, QueueFinding, Terms, Times};
    use tracer_answers::{moment::Moment, tallies::Tallies, view::View};
    use tracer_model::{
        ids::BootNs,
        session::{Limits, Session},
    };

    #[test]
    fn a_full_queue_drops_connections_and_turns_connects_to_unix_sockets_away() {
        let session = Session::new(Limits::default());
        let tallies = Tallies::default();
        let view = View::new(&session, session.now(), &tallies);
        let terms = Terms::new(&view);
        let full = |at_least| Finding::Overflowed { at_least, noticed: None };
        let away = |count| Finding::TurnedAway(Times { count, last: Moment::bare(BootNs(1)) });
        for (finding, text) in [
            (full(1), "the queue was full: at least 1 connection or part of a handshake was dropped"),
            (full(24), "the queue was full: at least 24 connections or parts of handshakes were dropped"),
            (away(1), "the queue was full: 1 connect was turned away with EAGAIN"),
            (away(3), "the queue was full: 3 connects were turned away with EAGAIN"),
        ] {
            let told = QueueFinding::new(&finding, &terms);
            assert_eq!((told.kind.as_str(), told.text.as_str()), ("overflowed", text));
        }
    }
}

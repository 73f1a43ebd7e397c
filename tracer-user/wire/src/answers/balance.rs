//! Who accepts: `/api/v1/answers/balance`, `sockreel balance`.

use super::{
    Basis, Party, Terms, When,
    columns::columns,
    queues::{listener_line, party},
};
use crate::{api::Socket, sentence::duration};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::fmt::Write as _;
use tracer_answers::{
    balance::{self, Finding},
    view::View,
    who::Target,
};
use tracer_model::ids::ProcessKey;
use ts_rs::TS;
use utoipa::ToSchema;

/// Who accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Balance {
    /// Listeners that share an address by `SO_REUSEPORT` are one group; others are one each.
    pub groups: Vec<Group>,
    /// What the answer rests on.
    pub basis: Basis,
}

/// Listeners of one address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Group {
    /// Its listeners, in the order in which they were made.
    pub members: Vec<Member>,
    /// Threads that accept, and processes that could and did not.
    pub workers: Vec<Worker>,
    /// What is wrong, if anything.
    pub findings: Vec<Imbalance>,
}

/// A listener of a group.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Member {
    /// The listener.
    pub socket: Socket,
    /// Processes that have it.
    pub owners: Vec<Party>,
    /// Connections that the kernel queued there.
    pub assigned: u64,
    /// Connections that were accepted from there.
    pub accepted: u64,
    /// How many wait there.
    pub waiting: u64,
    /// For how long the oldest of them has waited, nanoseconds.
    pub oldest_ns: Option<u64>,
}

/// Who accepts, or could.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Worker {
    /// The process.
    pub process: Party,
    /// The thread; absent for a process that did not accept.
    pub tid: Option<u32>,
    /// Connections that it accepted.
    pub accepted: u64,
    /// How often it slept, was woken, and its first accept since found nothing.
    pub woken_idle: u64,
    /// The same for each connection that it accepted.
    pub woken_idle_per_accept: Option<f64>,
    /// Its last accept, whatever came of it.
    pub last: Option<When>,
}

/// What is wrong with a group.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Imbalance {
    /// `stranded`: connections wait at one of several listeners, where nobody accepts; `idle`: a process never accepts while
    /// others do; `herd`: threads are woken for connections that another one takes.
    pub kind: String,
    /// The same for people.
    pub text: String,
    /// The listener.
    pub listener: Option<String>,
    /// The processes.
    pub processes: Vec<Party>,
    /// Connections that wait, what others accepted, or wake-ups for nothing.
    pub count: u64,
    /// For how long the oldest has waited, nanoseconds.
    pub oldest_ns: Option<u64>,
    /// The evidence: of `stranded` when the oldest was queued; of `idle` the newest accept of the others; of `herd` the newest
    /// accept, whatever came of it.
    pub evidence: Option<When>,
}

impl Balance {
    /// The answer as the API gives it.
    #[must_use]
    pub fn new(view: &View<'_>, target: Option<&Target>, scope: &str) -> Self {
        let balance::Balance { groups, caveats } = balance::balance(view, target);
        let terms = Terms::new(view);
        let groups = groups.iter().map(|group| Group::new(view, group, &terms)).collect();
        Self { groups, basis: terms.basis(view, scope, &caveats) }
    }

    /// The answer for people.
    #[must_use]
    pub fn text(&self, zone: &TimeZone) -> String {
        let mut text = String::new();
        if self.groups.is_empty() {
            text.push_str("nobody listens there\n");
        }
        for group in &self.groups {
            text.push_str(&group.text(zone));
        }
        text + &self.basis.text(zone)
    }
}

impl Group {
    fn new(view: &View<'_>, group: &balance::Group<'_>, terms: &Terms<'_>) -> Self {
        let parties = |keys: &[ProcessKey]| keys.iter().map(|key| terms.party(*key)).collect();
        let member = |member: &balance::Member<'_>| {
            let owners: Vec<_> = member.owners.iter().map(|(process, _)| process.key).collect();
            Member {
                socket: Socket::new(&member.socket, view.session().t0()),
                owners: parties(&owners),
                assigned: member.assigned,
                accepted: member.accepted,
                waiting: u64::try_from(member.waiting).unwrap_or(u64::MAX),
                oldest_ns: member.oldest.map(|(oldest, _)| oldest),
            }
        };
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        let worker = |worker: &balance::Worker<'_>| Worker {
            process: terms.party(worker.process.key),
            tid: worker.tid,
            accepted: worker.accepted,
            woken_idle: worker.woken_idle,
            woken_idle_per_accept: ratio(worker.woken_idle, worker.accepted),
            last: worker.last.map(|moment| terms.when(moment)),
        };
        let finding = |finding: &Finding| match finding {
            Finding::Stranded { listener, owners, waiting, oldest_ns, queued } => {
                let processes: Vec<Party> = parties(owners);
                let names: Vec<_> = processes.iter().map(party).collect();
                Imbalance {
                    kind: "stranded".to_owned(),
                    text: format!(
                        "{waiting} wait at {listener} of {}, for up to {}: the other listeners cannot take them",
                        names.join(", "),
                        duration(*oldest_ns)
                    ),
                    listener: Some(listener.to_string()),
                    processes,
                    count: u64::try_from(*waiting).unwrap_or(u64::MAX),
                    oldest_ns: Some(*oldest_ns),
                    evidence: Some(terms.when(*queued)),
                }
            }
            Finding::Idle { process, others, newest } => {
                let process = terms.party(*process);
                Imbalance {
                    kind: "idle".to_owned(),
                    text: format!("{} accepted nothing, the others {others}", party(&process)),
                    listener: None,
                    processes: vec![process],
                    count: *others,
                    oldest_ns: None,
                    evidence: newest.map(|moment| terms.when(moment)),
                }
            }
            Finding::Herd { woken_idle, accepted, newest } => Imbalance {
                kind: "herd".to_owned(),
                text: format!("threads were woken for nothing {woken_idle} times, for {accepted} accepts"),
                listener: None,
                processes: Vec::new(),
                count: *woken_idle,
                oldest_ns: None,
                evidence: newest.map(|moment| terms.when(moment)),
            },
        };
        Self {
            members: group.members.iter().map(member).collect(),
            workers: group.workers.iter().map(worker).collect(),
            findings: group.findings.iter().map(finding).collect(),
        }
    }

    fn text(&self, zone: &TimeZone) -> String {
        let mut text = String::new();
        for member in &self.members {
            let _ = writeln!(text, "{}", listener_line(&member.socket, &member.owners));
            let oldest =
                member.oldest_ns.map(|ns| format!(" for up to {}", duration(ns))).unwrap_or_default();
            let _ = writeln!(
                text,
                "    assigned {}, accepted {}, waiting {}{oldest}",
                member.assigned, member.accepted, member.waiting
            );
        }
        let rows = self.workers.iter().map(|worker| {
            vec![
                party(&worker.process),
                worker.tid.map_or_else(|| "-".to_owned(), |tid| tid.to_string()),
                worker.accepted.to_string(),
                worker.woken_idle.to_string(),
                worker.woken_idle_per_accept.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
                worker.last.map_or_else(|| "never".to_owned(), |last| last.text(zone) + &last.evidence()),
            ]
        });
        text.push_str(&columns(
            4,
            &["WORKER", "TID", "ACCEPTED", "WOKEN IDLE", "PER ACCEPT", "LAST ACCEPT"],
            rows,
        ));
        for finding in &self.findings {
            let evidence = finding.evidence.map(When::evidence).unwrap_or_default();
            let _ = writeln!(text, "    ! {}{evidence}", finding.text);
        }
        text
    }
}

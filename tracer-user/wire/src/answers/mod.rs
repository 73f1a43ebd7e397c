//! Wire forms of the answers: what `/api/v1/answers/...` gives, what a verb prints with `--json`, and the text for people.
//! One file an answer; what they share is here.

pub mod balance;
mod columns;
pub mod connections;
pub mod fds;
pub mod handover;
pub mod leaks;
pub mod queue_findings;
pub mod queues;
pub mod slow;
pub mod sockets;
mod stack;
pub mod who;

use crate::{
    api::Socket,
    escape::Escaped,
    line::lossy,
    number::offset,
    sentence::{self, duration},
};
use columns::columns;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::fmt::Write as _;
use tracer_answers::{
    caveat::Caveat,
    holders::{self, How},
    moment,
    view::View,
};
use tracer_model::{
    ids::{BootNs, ProcessKey},
    session::Session,
};
use ts_rs::TS;
use utoipa::ToSchema;

/// A moment.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct When {
    /// Nanoseconds since the Unix epoch, as in a line.
    pub ts_ns: u64,
    /// Nanoseconds since the session's `t0`.
    pub t: i64,
    /// The event that tells of it, where that is kept.
    pub seq: Option<u64>,
}

/// What an answer rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct Basis {
    /// The instant that it is about.
    pub at: When,
    /// What was looked at: `every process`, or what is followed, as the user asked for it.
    pub scope: String,
    /// What it cannot know, in sentences.
    pub caveats: Vec<String>,
}

/// A process in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct Party {
    /// `pid@start`.
    pub process: String,
    /// Thread group id.
    pub pid: u32,
    /// Name.
    pub comm: String,
}

/// A program that was executed while a descriptor was open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct Kept {
    /// The program, as `execve` was called.
    pub path: String,
    /// When.
    pub at: When,
}

/// A process that holds or held something through a descriptor.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Holder {
    /// `pid@start`.
    pub process: String,
    /// Thread group id.
    pub pid: u32,
    /// Its number as itself sees it (pid_namespaces(7)), where that is another.
    pub ns_pid: Option<u32>,
    /// Name.
    pub comm: String,
    /// Its control group: a path from the root of the cgroup2 hierarchy (cgroups(7)), where known.
    pub cgroup: Option<String>,
    /// Number of the descriptor.
    pub fd: i32,
    /// Close-on-exec.
    pub cloexec: bool,
    /// Since when; at the latest, where `how` is `snapshot` or `repair`.
    pub since: When,
    /// How it came by it: the call's event (`socket`, `accept`, `dup`, ...), `fork` (inherited), `pass` (over `SCM_RIGHTS`, by
    /// pidfd_getfd(2) or a seccomp supervisor), `snapshot` (it had it when tracing began), `repair` (a check found it).
    pub how: String,
    /// `how` and `from` were concluded: when tracing began, its parent had the same open file under the same number.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[serde(default)]
    #[ts(as = "Option<bool>")]
    pub inferred: bool,
    /// Whom it has it from: the process that forked it, or that passed it.
    pub from: Option<Party>,
    /// When it ceased to hold it.
    pub until: Option<When>,
    /// How: `close`, `dup`, `exec`, `exit`, `repair`, `unshare` (it has a copy since then).
    pub until_by: Option<String>,
    /// Programs that it executed with the descriptor open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<Kept>>")]
    pub kept_across: Vec<Kept>,
}

/// Processes that a note names.
const NAMED: usize = 3;

/// From the domain's terms to the wire's, for one view.
pub(crate) struct Terms<'a> {
    session: &'a Session,
    view: &'a View<'a>,
}

impl<'a> Terms<'a> {
    pub(crate) fn new(view: &'a View<'a>) -> Self {
        Self { session: view.session(), view }
    }

    pub(crate) fn bare(&self, ts: BootNs) -> When {
        self.when(moment::Moment::bare(ts))
    }

    pub(crate) fn when(&self, moment: moment::Moment) -> When {
        When {
            ts_ns: moment
                .event
                .map_or_else(|| self.session.wall().epoch_ns(moment.ts), |event| event.epoch_ns),
            t: offset(moment.ts, self.session.t0()),
            seq: moment.event.map(|event| event.seq),
        }
    }

    pub(crate) fn basis(&self, view: &View<'_>, scope: &str, caveats: &[Caveat]) -> Basis {
        Basis {
            at: self.bare(view.at()),
            scope: scope.to_owned(),
            caveats: caveats.iter().chain(&view.evidence_cut()).map(|caveat| self.sentence(caveat)).collect(),
        }
    }

    pub(crate) fn party(&self, key: ProcessKey) -> Party {
        let process = self.session.process(key);
        let comm = process.map(|process| self.view.comm(process).to_owned()).unwrap_or_default();
        Party { process: key.to_string(), pid: key.pid, comm }
    }

    pub(crate) fn holder(&self, holder: &holders::Holder<'_>) -> Holder {
        let key = holder.process.key;
        let (how, from) = match holder.how {
            How::Made(kind) => (kind.name(), None),
            How::Inherited { from } => ("fork", from),
            How::Concluded { from } => ("fork", Some(from)),
            How::Passed { from } => ("pass", from),
            How::Found => ("snapshot", None),
            How::Repaired => ("repair", None),
        };
        let place = holder.process.place.as_ref();
        Holder {
            process: key.to_string(),
            pid: key.pid,
            ns_pid: place.map(|place| place.ns_pid).filter(|own| *own != key.pid),
            cgroup: place.and_then(|place| place.cgroup.as_deref()).map(lossy),
            comm: self.view.comm(holder.process).to_owned(),
            fd: holder.descriptor.fd,
            cloexec: holder.descriptor.cloexec,
            since: self.when(holder.since),
            how: how.to_owned(),
            inferred: matches!(holder.how, How::Concluded { .. }),
            from: from.map(|from| self.party(from)),
            until: holder.until.map(|(until, _)| self.when(until)),
            until_by: holder.until.map(|(_, how)| how.name().to_owned()),
            kept_across: holder
                .kept_across
                .iter()
                .map(|(at, path)| Kept { path: lossy(path), at: self.when(*at) })
                .collect(),
        }
    }

    fn sentence(&self, caveat: &Caveat) -> String {
        match caveat {
            Caveat::BeforeTracing { began } => {
                format!("nothing is known of that moment: tracing began at {}", self.bare(*began).utc())
            }
            Caveat::Evicted { first_seq } => {
                format!("events before #{first_seq} are not kept any longer, nor is all that ended before")
            }
            Caveat::Lost { count, last } => {
                let last = last
                    .map_or(String::new(), |last| format!(", the newest before {}", self.when(last).utc()));
                format!("{count} records were lost{last}: what they would have told may be missing")
            }
            Caveat::Namespace { netns, why } => {
                format!("connections without an owner in network namespace {netns} are not known: {why}")
            }
            Caveat::NamespaceNotEntered { netns } => format!(
                "connections without an owner in network namespace {netns} are concluded from followed sockets: the daemon asks \
                 the kernel about its own namespace alone"
            ),
            Caveat::NotAsked => {
                "the kernel was not asked (it cannot be of the past or beside a recording, nor too often): who holds it and is \
                 not followed is not known, and connections without an owner are concluded from followed sockets"
                    .to_owned()
            }
            Caveat::NotSampled => {
                "queues were not sampled: drops, and connections that were queued before, are not known"
                    .to_owned()
            }
            Caveat::NoScheduler => {
                "where waits went is unknown: the scheduler is not traced; serve and trace do with \
                                    --sched"
                    .to_owned()
            }
            Caveat::OthersCut => "not every process that is not followed was looked at: others may hold it too".to_owned(),
            Caveat::OneLook { traced_ns: 0 } => {
                "what grows, and connections that are never read, show over time, and this is one look: ask a daemon or a \
                 recording (--from)"
                    .to_owned()
            }
            Caveat::OneLook { traced_ns } => format!(
                "what grows, and connections that are never read, show over time, and {} are known",
                duration(*traced_ns)
            ),
            Caveat::ReadOnce => "connections that are never read show by two checks of the tables (--check), and there was one"
                .to_owned(),
            Caveat::Unjudged { kinds, process: (process, comm), kind, by, needs_ns, traced_ns } => {
                let others = match kinds.saturating_sub(1) {
                    0 => String::new(),
                    1 => " and of one other kind".to_owned(),
                    more => format!(" and of {more} other kinds"),
                };
                format!(
                    "whether {} ({comm}) leaves descriptors of {} by {}{others} open cannot be told yet: it takes {} of tracing, \
                     and {} are known",
                    process.pid,
                    kind.name(),
                    by.name(),
                    duration(*needs_ns),
                    duration(*traced_ns)
                )
            }
            Caveat::UnreadSince => "of connections that had never been read by then, those that were read or closed since are \
                                    not known"
                .to_owned(),
            Caveat::EvidenceCut => "the events that this rests on are too many to be looked up at once: some moments are told \
                                    without the event's number"
                .to_owned(),
            Caveat::UnixUnread { count } => format!(
                "whether anything was ever read is known of TCP alone: of unix sockets ({count} accepted and open) the kernel \
                 keeps no read position"
            ),
            Caveat::Doubtful { processes, why, since } => {
                let (since, why) = (self.bare(*since).utc(), sentence::doubt(why));
                let party = |(key, comm): &(ProcessKey, String)| format!("{} ({comm})", key.pid);
                let names: Vec<_> = processes.iter().take(NAMED).map(party).collect();
                let names = names.join(", ");
                match processes.len().checked_sub(NAMED).filter(|more| *more > 0) {
                    None if processes.len() == 1 => {
                        format!("the table of {names} may be wrong since {since}: {why}")
                    }
                    None => format!("the tables of {names} may be wrong, the first since {since}: {why}"),
                    Some(more) => {
                        format!("the tables of {names} and {more} more may be wrong, the first since {since}: {why}")
                    }
                }
            }
        }
    }
}

impl When {
    /// Without the context of a time zone.
    fn utc(self) -> String {
        self.text(&TimeZone::UTC) + "Z"
    }

    /// Date and time of day to the microsecond.
    pub(crate) fn text(self, zone: &TimeZone) -> String {
        Timestamp::from_nanosecond(self.ts_ns.into()).map_or_else(
            |_| self.ts_ns.to_string(),
            |time| zone.to_datetime(time).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string(),
        )
    }

    /// The event, as text names it.
    pub(crate) fn evidence(self) -> String {
        self.seq.map_or(String::new(), |seq| format!(" (#{seq})"))
    }
}

impl Basis {
    /// What stands below an answer.
    pub(crate) fn text(&self, zone: &TimeZone) -> String {
        let mut text = format!("at {}, of {}\n", self.at.text(zone), Escaped(self.scope.as_bytes()));
        for caveat in &self.caveats {
            let _ = writeln!(text, "note: {}", Escaped(caveat.as_bytes()));
        }
        text
    }
}

impl Holder {
    /// Heads of [`Self::cells`].
    const HEADS: [&'static str; 5] = ["COMMAND", "PID", "FD", "SINCE", "HOW"];

    fn cells(&self, zone: &TimeZone) -> Vec<String> {
        vec![
            Escaped(self.comm.as_bytes()).to_string(),
            self.pid_text(),
            self.fd.to_string(),
            self.since_text(zone),
            self.how_text(zone),
        ]
    }

    /// Its number, and the one that itself sees.
    fn pid_text(&self) -> String {
        self.ns_pid.map_or(self.pid.to_string(), |own| format!("{} ({own} inside)", self.pid))
    }

    /// Since when; `<`: at the latest.
    fn since_text(&self, zone: &TimeZone) -> String {
        format!("{}{}", if self.was_seen() { "" } else { "<" }, self.since.text(zone))
    }

    /// Whether it was seen how it came by it.
    fn was_seen(&self) -> bool {
        !self.inferred && !matches!(self.how.as_str(), "snapshot" | "repair")
    }

    fn how_text(&self, zone: &TimeZone) -> String {
        let from = |verb: &str| match &self.from {
            Some(from) => format!("{verb} {} {}", from.pid, Escaped(from.comm.as_bytes())),
            None => format!("{verb} an unknown process"),
        };
        let group = self.cgroup.as_deref().filter(|group| *group != "/");
        let mut how = match self.how.as_str() {
            "fork" => from("inherited from"),
            "pass" => from("passed by"),
            "snapshot" => "had it before".to_owned(),
            "repair" => "found by a check".to_owned(),
            call => call.to_owned(),
        };
        if self.inferred {
            how.push_str(" (concluded)");
        }
        how.push_str(&self.since.evidence());
        if let Some(Kept { path, at }) = self.kept_across.last() {
            let count = self.kept_across.len();
            let times = if count == 1 { String::new() } else { format!("{count} execs, the last ") };
            let _ = write!(how, "; kept across {times}exec of {}{}", Escaped(path.as_bytes()), at.evidence());
        }
        if let (Some(until), Some(by)) = (self.until, &self.until_by) {
            let _ = write!(how, "; until {} by {by}{}", until.text(zone), until.evidence());
        }
        if let Some(group) = group {
            let _ = write!(how, "; in {}", Escaped(group.as_bytes()));
        }
        how
    }

    /// Holders as indented rows.
    pub(crate) fn table(holders: &[Self], indent: usize, zone: &TimeZone) -> String {
        columns(indent, &Self::HEADS, holders.iter().map(|holder| holder.cells(zone)))
    }
}

/// State of a socket as the kernel names it; where it has none, its phase.
fn state(socket: &Socket) -> String {
    let last = socket.steps.last();
    last.and_then(|step| step.state.clone())
        .or_else(|| last.map(|step| step.phase.clone()))
        .unwrap_or_default()
}

/// What is spoken on a connection: the protocol, and the server's name in brackets.
fn spoken(protocol: &str, name: Option<&str>, cut: bool) -> String {
    let end = if cut { "…" } else { "" };
    let name = name.map(|name| format!(" ({}{end})", Escaped(name.as_bytes())));
    format!("{protocol}{}", name.unwrap_or_default())
}

/// What kind of socket it is: `tcp`, `tcp6`, `udp`, `unix stream`, `netlink route` and so on.
fn netid(socket: &Socket) -> String {
    match (socket.family.as_str(), &socket.protocol) {
        ("inet6", Some(protocol)) => format!("{protocol}6"),
        ("inet", Some(protocol)) => protocol.clone(),
        (family, Some(protocol)) => format!("{family} {protocol}"),
        (family, None) => format!("{family} {}", socket.ty),
    }
}

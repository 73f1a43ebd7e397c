//! Wire forms of the answers: what `/api/v1/answers/...` gives, what a verb prints with `--json`, and the text for people.
//! One file an answer; what they share is here.

mod columns;
pub mod who;

use crate::{escape::Escaped, number::offset};
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
    entity::{self, Closed},
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

/// A process that holds or held something through a descriptor.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Holder {
    /// `pid@start`.
    pub process: String,
    /// Thread group id.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Number of the descriptor.
    pub fd: i32,
    /// Close-on-exec.
    pub cloexec: bool,
    /// Since when; at the latest, where `how` is `snapshot` or `repair`.
    pub since: When,
    /// How it came by it: the call's event (`socket`, `accept`, `dup`, ...), `fork` (inherited), `pass` (over `SCM_RIGHTS`, by
    /// pidfd_getfd(2) or a seccomp supervisor), `snapshot` (it had it when tracing began), `repair` (a check found it).
    pub how: String,
    /// Whom it has it from: the process that forked it, or that passed it.
    pub from: Option<Party>,
    /// When it ceased to hold it.
    pub until: Option<When>,
    /// How: `close`, `dup`, `exec`, `exit`, `repair`.
    pub until_by: Option<String>,
}

/// From the domain's terms to the wire's, for one view.
pub(crate) struct Terms<'a> {
    session: &'a Session,
}

impl<'a> Terms<'a> {
    pub(crate) fn new(view: &View<'a>) -> Self {
        Self { session: view.session() }
    }

    pub(crate) fn bare(&self, ts: BootNs) -> When {
        self.when(moment::Moment::bare(ts))
    }

    pub(crate) fn when(&self, moment: moment::Moment) -> When {
        let boot = moment.ts.0.saturating_add_signed(self.session.epoch_minus_boot_ns());
        When {
            ts_ns: moment.event.map_or(boot, |event| event.epoch_ns),
            t: offset(moment.ts, self.session.t0()),
            seq: moment.event.map(|event| event.seq),
        }
    }

    pub(crate) fn basis(&self, view: &View<'_>, scope: &str, caveats: &[Caveat]) -> Basis {
        Basis {
            at: self.bare(view.at()),
            scope: scope.to_owned(),
            caveats: caveats.iter().map(|caveat| self.sentence(caveat)).collect(),
        }
    }

    pub(crate) fn party(&self, key: ProcessKey) -> Party {
        let comm = self.session.process(key).map(|process| process.comm.clone()).unwrap_or_default();
        Party { process: key.to_string(), pid: key.pid, comm }
    }

    pub(crate) fn holder(&self, holder: &holders::Holder<'_>) -> Holder {
        let entity::Process { key, comm, .. } = holder.process;
        let (how, from) = match holder.how {
            How::Made(kind) => (kind.name(), None),
            How::Inherited { from } => ("fork", from),
            How::Passed { from } => ("pass", from),
            How::Found => ("snapshot", None),
            How::Repaired => ("repair", None),
        };
        Holder {
            process: key.to_string(),
            pid: key.pid,
            comm: comm.clone(),
            fd: holder.descriptor.fd,
            cloexec: holder.descriptor.cloexec,
            since: self.when(holder.since),
            how: how.to_owned(),
            from: from.map(|from| self.party(from)),
            until: holder.until.map(|(until, _)| self.when(until)),
            until_by: holder.until.map(|(_, how)| Closed::name(how).to_owned()),
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
            Caveat::Doubtful { process, comm, why, since } => {
                let since = self.bare(*since).utc();
                format!("the table of {} ({comm}) may be wrong since {since}: {why}", process.pid)
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
    pub(crate) const HEADS: [&'static str; 5] = ["COMMAND", "PID", "FD", "SINCE", "HOW"];

    pub(crate) fn cells(&self, zone: &TimeZone) -> [String; 5] {
        let from = |verb: &str| match &self.from {
            Some(from) => format!("{verb} {} {}", from.pid, Escaped(from.comm.as_bytes())),
            None => format!("{verb} an unknown process"),
        };
        let how = match self.how.as_str() {
            "fork" => from("inherited from"),
            "pass" => from("passed by"),
            "snapshot" => "had it when tracing began".to_owned(),
            "repair" => "found by a check".to_owned(),
            call => call.to_owned(),
        };
        let mut how = how + &self.since.evidence();
        if let (Some(until), Some(by)) = (self.until, &self.until_by) {
            let _ = write!(how, "; until {} by {by}{}", until.text(zone), until.evidence());
        }
        let known = !matches!(self.how.as_str(), "snapshot" | "repair");
        [
            Escaped(self.comm.as_bytes()).to_string(),
            self.pid.to_string(),
            self.fd.to_string(),
            format!("{}{}", if known { "" } else { "<" }, self.since.text(zone)),
            how,
        ]
    }

    /// Holders as indented rows.
    pub(crate) fn table(holders: &[Self], indent: usize, zone: &TimeZone) -> String {
        columns(indent, Self::HEADS, holders.iter().map(|holder| holder.cells(zone)))
    }
}

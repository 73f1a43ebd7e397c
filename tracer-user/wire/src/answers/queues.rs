//! Accept queues: `/api/v1/answers/queues`, `sockreel queues`.

use super::{Basis, Party, Terms, When, columns::columns, queue_findings::QueueFinding};
use crate::{api::Socket, errno, escape::Escaped, sentence::duration};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::{borrow::Cow, fmt::Write as _};
use tracer_answers::{
    accepting::{self, AtListener, Times},
    queues,
    view::View,
    who::Target,
};
use tracer_model::address::Address;
use ts_rs::TS;
use utoipa::ToSchema;

/// Accept queues.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Queues {
    /// By listener, in the order in which they were made.
    pub queues: Vec<Queue>,
    /// When queues were sampled last; absent of the past.
    pub sampled: Option<When>,
    /// Nanoseconds between two samples.
    pub period_ns: Option<u64>,
    /// What the answer rests on.
    pub basis: Basis,
}

/// A listener and its queue.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Queue {
    /// The listener.
    pub socket: Socket,
    /// Processes that have it.
    pub owners: Vec<Party>,
    /// Length.
    pub len: Option<u32>,
    /// When it was that.
    pub len_at: Option<When>,
    /// Limit: the lesser of the backlog that was asked for and `somaxconn` (listen(2)).
    pub limit: Option<u32>,
    /// How many connections it holds: one more than the limit. It may have more: handshakes that end at the same moment overshoot,
    /// and a limit that listen(2) lowered leaves those that wait.
    pub holds: Option<u64>,
    /// The backlog that `listen` was called with, where that was seen.
    pub asked: Option<i32>,
    /// The longest that the queue was.
    pub longest: Option<u32>,
    /// When.
    pub longest_at: Option<When>,
    /// Connections that were queued.
    pub queued: u64,
    /// Connections that were accepted.
    pub accepted: u64,
    /// Waits of accepted connections.
    pub waits: Waits,
    /// Connections that wait, the one that has waited for longest first.
    pub waiting: Vec<WaitingConnection>,
    /// Connections in the queue that are not among them: beyond those that are told, or that nothing told of.
    pub others: u64,
    /// The queue over time: the seconds in which it changed.
    pub lengths: Vec<QueueLength>,
    /// What the listener dropped.
    pub drops: Option<Drops>,
    /// Unix sockets: connects of followed processes that found the queue full (`EAGAIN`). They are counted by the name that they
    /// asked for: listeners of one name in several network or mount namespaces have one count.
    pub turned_away: Option<HowOften>,
    /// Accepts that failed, but for want of a connection.
    pub failed: Vec<FailedAccept>,
    /// What is wrong, if anything.
    pub findings: Vec<QueueFinding>,
}

/// Waits between queued and accepted, nanoseconds; percentiles have two significant digits.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Waits {
    /// How many there were.
    pub count: u64,
    /// Accepted connections since when nobody knows when they were queued.
    pub without_start: u64,
    /// Half of them waited no longer.
    pub p50_ns: Option<u64>,
    /// 90 % likewise.
    pub p90_ns: Option<u64>,
    /// 99 %.
    pub p99_ns: Option<u64>,
    /// 99.9 %.
    pub p999_ns: Option<u64>,
    /// The longest wait.
    pub max_ns: Option<u64>,
    /// The accept that ended the longest.
    pub max_at: Option<When>,
}

/// A connection that waits.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct WaitingConnection {
    /// The connection.
    pub socket: String,
    /// Its peer.
    pub peer: Option<String>,
    /// Since when.
    pub since: When,
    /// It was found waiting then, and has waited for longer.
    pub at_least: bool,
    /// For how long, nanoseconds.
    pub age_ns: u64,
}

/// The length of a queue in one second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct QueueLength {
    /// The first change of that second.
    pub when: When,
    /// The longest it was in it.
    pub longest: u32,
    /// After its last change.
    pub last: u32,
    /// The limit then.
    pub limit: u32,
}

/// How often, and when last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct HowOften {
    /// How often.
    pub count: u64,
    /// The last time.
    pub last: When,
}

/// Accepts that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct FailedAccept {
    /// Name of the error.
    pub error: String,
    /// How often.
    pub count: u64,
    /// The last time.
    pub last: When,
}

/// What a listener dropped.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Drops {
    /// Packets, by the listener's own counter (`sk_drops`), since it was first sampled.
    pub total: u64,
    /// When that was.
    pub since: Option<When>,
    /// How many met a full queue, at least.
    pub queue_full_min: Option<u64>,
    /// At most.
    pub queue_full_max: Option<u64>,
    /// How many the counter has twice: the last segment of a handshake counts as a connection and as a packet.
    pub counted_twice: u64,
    /// How many were dropped for another reason, at least.
    pub other_min: Option<u64>,
    /// At most.
    pub other_max: Option<u64>,
    /// How far `ListenOverflows` of the network namespace grew meanwhile, for all its listeners.
    pub host_overflows: Option<u64>,
    /// The sample that told of the newest.
    pub noticed: Option<When>,
    /// Dropped connections whose moment and peer the kernel told; of the others both are unknown.
    pub moments: u64,
    /// The newest of those.
    pub refused: Vec<RefusedClient>,
    /// SYNs that clients on this machine sent again.
    pub sent_again: u64,
    /// The newest of those.
    pub clients: Vec<RefusedClient>,
}

/// A connection that was dropped, or a client that got no answer.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct RefusedClient {
    /// When.
    pub when: When,
    /// Address of the client.
    pub peer: Option<String>,
}

impl Queues {
    /// The answer as the API gives it.
    #[must_use]
    pub fn new(view: &View<'_>, target: Option<&Target>, scope: &str) -> Self {
        let queues::Queues { queues, sampled, caveats } = queues::queues(view, target);
        let terms = Terms::new(view);
        Self {
            queues: queues.iter().map(|queue| Queue::new(view, queue, &terms)).collect(),
            sampled: sampled.and_then(|(_, at)| at).map(|at| terms.bare(at)),
            period_ns: sampled.map(|(period_ns, _)| period_ns),
            basis: terms.basis(view, scope, &caveats),
        }
    }

    /// The answer for people.
    #[must_use]
    pub fn text(&self, zone: &TimeZone) -> String {
        let mut text = String::new();
        if self.queues.is_empty() {
            text.push_str("nobody listens there\n");
        }
        for queue in &self.queues {
            text.push_str(&queue.text(zone));
        }
        if let Some(period_ns) = self.period_ns.filter(|_| !self.queues.is_empty()) {
            let _ = writeln!(text, "sampled each {}", duration(period_ns));
        }
        text + &self.basis.text(zone)
    }
}

impl Waits {
    fn new(tally: Option<&AtListener>, terms: &Terms<'_>) -> Self {
        let slowest = tally.and_then(|tally| tally.slowest.first());
        // What is counted is told to two digits, its end rounded up: the longest is known exactly.
        let percentile = |percent| {
            let ns = tally.and_then(|tally| tally.waits.percentile(percent))?;
            Some(slowest.map_or(ns, |slowest| ns.min(slowest.ns)))
        };
        Self {
            count: tally.map_or(0, |tally| tally.waits.count()),
            without_start: tally.map_or(0, |tally| tally.without_start),
            p50_ns: percentile(50.0),
            p90_ns: percentile(90.0),
            p99_ns: percentile(99.0),
            p999_ns: percentile(99.9),
            max_ns: slowest.map(|wait| wait.ns),
            max_at: slowest.map(|wait| terms.when(wait.accepted)),
        }
    }

    fn text(&self) -> Option<String> {
        let max = self.max_ns?;
        let parts: Vec<_> =
            [("p50", self.p50_ns), ("p90", self.p90_ns), ("p99", self.p99_ns), ("p99.9", self.p999_ns)]
                .into_iter()
                .filter_map(|(name, ns)| Some(format!("{name} {}", duration(ns?))))
                .collect();
        let evidence = self.max_at.map(When::evidence).unwrap_or_default();
        Some(format!("waited: {}, max {}{evidence}", parts.join(", "), duration(max)))
    }
}

impl Queue {
    fn new(view: &View<'_>, queue: &queues::Queue<'_>, terms: &Terms<'_>) -> Self {
        let tally = queue.tally;
        let times = |times: Times| HowOften { count: times.count, last: terms.when(times.last) };
        let longest = tally.and_then(|tally| tally.longest);
        let waiting = |waiting: &queues::Waiting<'_>| WaitingConnection {
            socket: waiting.socket.id.to_string(),
            peer: (!waiting.socket.peer.is_unset()).then(|| waiting.socket.peer.to_string()),
            since: terms.when(waiting.since),
            at_least: waiting.at_least,
            age_ns: waiting.age_ns,
        };
        let length = |length: &accepting::Length| QueueLength {
            when: terms.when(length.longest_at),
            longest: length.longest,
            last: length.last,
            limit: length.limit,
        };
        let failed = |(error, times): (&u32, &Times)| FailedAccept {
            error: errno::name(*error).into_owned(),
            count: times.count,
            last: terms.when(times.last),
        };
        Self {
            socket: Socket::new(&queue.socket, view.session().t0()),
            owners: queue.owners.iter().map(|process| terms.party(process.key)).collect(),
            len: queue.len.map(|(len, _)| len),
            len_at: queue.len.map(|(_, moment)| terms.when(moment)),
            limit: queue.limit,
            holds: queue.limit.map(|limit| u64::from(limit) + 1),
            asked: queue.socket.backlog,
            longest: longest.map(|(len, _)| len),
            longest_at: longest.map(|(_, moment)| terms.when(moment)),
            queued: tally.map_or(0, |tally| tally.queued),
            accepted: tally.map_or(0, |tally| tally.accepted),
            waits: Waits::new(tally, terms),
            waiting: queue.waiting.iter().map(waiting).collect(),
            others: queue.others,
            lengths: tally.into_iter().flat_map(|tally| &tally.lengths).map(length).collect(),
            drops: queue.drops.map(|drops| Drops::new(drops, tally, terms)),
            turned_away: queue.turned_away.map(times),
            failed: tally.into_iter().flat_map(|tally| &tally.failed).map(failed).collect(),
            findings: queue.findings.iter().map(|finding| QueueFinding::new(finding, terms)).collect(),
        }
    }

    fn text(&self, zone: &TimeZone) -> String {
        let mut text = listener_line(&self.socket, &self.owners) + "\n";
        let mut facts: Vec<String> = Vec::new();
        if let (Some(len), Some(limit)) = (self.len, self.limit) {
            let asked = self.asked.map(|asked| format!("; asked for {asked}")).unwrap_or_default();
            let holds = u64::from(limit) + 1;
            facts.push(format!("queue {len}, limit {limit} (holds {holds}{asked})"));
            let more = u64::from(len).saturating_sub(holds);
            facts.extend((more > 0).then(|| format!("{more} more than it holds")));
        }
        if let (Some(longest), Some(at)) = (self.longest, self.longest_at) {
            facts.push(format!("longest {longest} at {}{}", at.text(zone), at.evidence()));
        }
        if facts.is_empty() {
            facts.push("length and limit unknown".to_owned());
        }
        let _ = writeln!(text, "    {}", facts.join(", "));
        let mut counts = format!("    queued {}, accepted {}", self.queued, self.accepted);
        if self.waits.without_start > 0 {
            let _ =
                write!(counts, " ({} of which nobody knows when they were queued)", self.waits.without_start);
        }
        text.push_str(&counts);
        text.push('\n');
        if let Some(waits) = self.waits.text() {
            let _ = writeln!(text, "    {waits}");
        }
        for failed in &self.failed {
            let evidence = failed.last.evidence();
            let _ =
                writeln!(text, "    accept failed with {} {} times{evidence}", failed.error, failed.count);
        }
        if !self.waiting.is_empty() {
            let rows = self.waiting.iter().map(|waiting| {
                vec![
                    waiting.peer.clone().unwrap_or_else(|| waiting.socket.clone()),
                    format!("{}{}", if waiting.at_least { ">" } else { "" }, duration(waiting.age_ns)),
                    waiting.since.text(zone) + &waiting.since.evidence(),
                ]
            });
            text.push_str(&columns(4, &["WAITING", "FOR", "SINCE"], rows));
        }
        if self.others > 0 {
            let _ = writeln!(text, "    {} more in the queue", self.others);
        }
        if let Some(drops) = self.drops.as_ref().filter(|drops| drops.total > 0 || drops.sent_again > 0) {
            text.push_str(&drops.text(zone));
        }
        if let Some(HowOften { count, last }) = &self.turned_away {
            let _ = writeln!(text, "    connects that found the queue full: {count}{}", last.evidence());
        }
        for finding in &self.findings {
            let evidence = finding.evidence.map(When::evidence).unwrap_or_default();
            let _ = writeln!(text, "    ! {}{evidence}", finding.text);
        }
        text
    }
}

impl Drops {
    fn new(drops: queues::Dropped, tally: Option<&AtListener>, terms: &Terms<'_>) -> Self {
        type Newest = std::collections::VecDeque<(tracer_answers::moment::Moment, Option<Address>)>;
        let refused = |newest: &Newest| -> Vec<RefusedClient> {
            let one = |(moment, peer): &(_, Option<Address>)| RefusedClient {
                when: terms.when(*moment),
                peer: peer.as_ref().map(ToString::to_string),
            };
            newest.iter().map(one).collect()
        };
        Self {
            total: drops.total,
            since: drops.since.map(|since| terms.bare(since)),
            queue_full_min: drops.queue_full.map(|(least, _)| least),
            queue_full_max: drops.queue_full.map(|(_, most)| most),
            counted_twice: drops.counted_twice,
            other_min: drops.other.map(|(least, _)| least),
            other_max: drops.other.map(|(_, most)| most),
            host_overflows: drops.host_overflows,
            noticed: drops.noticed.map(|moment| terms.when(moment)),
            moments: tally.map_or(0, |tally| tally.refused.0),
            refused: tally.map(|tally| refused(&tally.refused.1)).unwrap_or_default(),
            sent_again: tally.map_or(0, |tally| tally.sent_again.0),
            clients: tally.map(|tally| refused(&tally.sent_again.1)).unwrap_or_default(),
        }
    }

    fn text(&self, zone: &TimeZone) -> String {
        let range = |least: Option<u64>, most: Option<u64>| match (least, most) {
            (Some(least), Some(most)) if least == most => least.to_string(),
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => "unknown".to_owned(),
        };
        let mut text = format!(
            "    dropped {}: met a full queue {}, counted twice {}, other {}",
            self.total,
            range(self.queue_full_min, self.queue_full_max),
            self.counted_twice,
            range(self.other_min, self.other_max)
        );
        if let Some(overflows) = self.host_overflows {
            let _ = write!(text, "; ListenOverflows of the namespace +{overflows}");
        }
        let evidence = self.noticed.map(When::evidence).unwrap_or_default();
        let _ = writeln!(text, "{evidence}");
        let last = |refused: &[RefusedClient]| {
            let newest = refused.last()?;
            let peer = newest.peer.as_deref().unwrap_or("unknown");
            Some(format!(", the newest from {peer} at {}{}", newest.when.text(zone), newest.when.evidence()))
        };
        let moments = last(&self.refused).unwrap_or_default();
        let _ = writeln!(text, "    moment and peer known of {}{moments}; of others unknown", self.moments);
        if let Some(newest) = last(&self.clients) {
            let _ =
                writeln!(text, "    SYNs sent again by clients on this machine: {}{newest}", self.sent_again);
        }
        text
    }
}

/// A listener in one line, as ss(8) begins it, and who has it.
pub(super) fn listener_line(socket: &Socket, owners: &[Party]) -> String {
    let local = socket.local.as_deref().unwrap_or("*");
    let kind = socket.protocol.as_deref().unwrap_or(&socket.family);
    let names: Vec<Cow<'_, str>> = owners.iter().map(|owner| party(owner).into()).collect();
    format!("{kind}  LISTEN  {}  {}  {}", Escaped(local.as_bytes()), socket.id, names.join(", "))
        .trim_end()
        .to_owned()
}

/// `nginx/812`.
pub(super) fn party(party: &Party) -> String {
    format!("{}/{}", Escaped(party.comm.as_bytes()), party.pid)
}

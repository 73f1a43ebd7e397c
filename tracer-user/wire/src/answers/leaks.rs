//! What a server leaves behind: `/api/v1/answers/leaks`, `sockreel leaks`.

use super::{Basis, Holder, Party, Terms, When, columns::columns, stack::Stack};
use crate::{
    api::Socket,
    escape::Escaped,
    sentence::{duration, one_of},
};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::fmt::Write as _;
use tracer_answers::{growth, leaks, moment::Moment, view::View};
use tracer_model::entity::Process;
use ts_rs::TS;
use utoipa::ToSchema;

/// What a server leaves behind. Empty lists: nothing was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Leaks {
    /// Descriptors that only grow, most first.
    pub growing: Vec<Growing>,
    /// Connections in `CLOSE_WAIT` for 5 s or longer, oldest first: the peer hung up, their holder does not close.
    pub hung_up: Vec<HungUp>,
    /// Accepted connections of TCP that sent something of which nothing was ever read, by the kernel's own read position, for
    /// 5 s or longer. A check of the tables finds it, so it takes two; of the past only what is so still is told.
    pub unread: Vec<Unread>,
    /// Sockets that were open across an exec, and still are; but for those that take connections, or datagrams under a name of
    /// their own, which `handovers` tells.
    pub survived_exec: Vec<SurvivedExec>,
    /// Tables that grow or are filled to 80 % of their limit or more, and those that were asked for.
    pub room: Vec<Room>,
    /// What the answer rests on.
    pub basis: Basis,
}

/// Descriptors of one kind, made by one call, of which some are left open again and again.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Growing {
    /// Whose.
    pub process: Party,
    /// What they hold: `socket`, `file` ...
    pub kind: String,
    /// The event of the call that made them: `accept`, `open` ...
    pub by: String,
    /// How many were left in `over_ns`.
    pub left: u64,
    /// How many were made in that time, as far as those that were closed are kept.
    pub made: u64,
    /// Of that time not all that were closed are kept: more may have been made, and one of them may have been open for longer.
    pub made_at_least: bool,
    /// The time that was judged.
    pub over_ns: u64,
    /// Longest time that one of them was open and was then closed; absent where none was.
    pub longest_ns: Option<u64>,
    /// When the first that is left was made.
    pub since: When,
    /// When the last of that kind was made, left or not, if that is longer ago than a seventh of `over_ns`: what is left is there,
    /// but it grows no more. Absent: it does.
    pub stopped: Option<When>,
    /// Which threads made them, most first; of the newest 64, as far as their events are kept.
    pub threads: Vec<Thread>,
    /// Some of them, newest first.
    pub newest: Vec<Left>,
    /// From where they were made, most first; absent where stacks are not read (`--stacks`).
    pub stacks: Option<Vec<MadeAt>>,
}

/// Descriptors that are left and were made from one place.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct MadeAt {
    /// How many.
    pub left: u64,
    /// Which threads made them, as in `threads` of all.
    pub threads: Vec<Thread>,
    /// The stack of the calls, innermost first; absent where it was not read.
    pub stack: Option<Stack>,
}

/// A thread and what it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct Thread {
    /// Thread id.
    pub tid: u32,
    /// How many.
    pub left: u64,
}

/// A descriptor that was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct Left {
    /// Number.
    pub fd: i32,
    /// When it was made.
    pub made: When,
}

/// A connection whose peer hung up.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct HungUp {
    /// The socket.
    pub socket: Socket,
    /// Who holds it.
    pub holders: Vec<Holder>,
    /// When the peer's FIN came; before that, where `found`.
    pub since: When,
    /// It was found so when tracing began, or by a check: it is older.
    pub found: bool,
    /// How long ago.
    pub age_ns: u64,
    /// The process that hung up, where it is followed.
    pub peer: Option<Party>,
}

/// An accepted connection from which nobody has ever read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Unread {
    /// The socket.
    pub socket: Socket,
    /// Who holds it.
    pub holders: Vec<Holder>,
    /// When the kernel was first found to keep something for it, by a check of the tables, which has no event.
    pub since: When,
    /// When it was found so last.
    pub read: When,
    /// What waits, in bytes.
    pub bytes: u64,
    /// How long ago the first was.
    pub age_ns: u64,
}

/// A socket that survived an exec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct SurvivedExec {
    /// Whose.
    pub process: Party,
    /// Number of the descriptor.
    pub fd: i32,
    /// The socket.
    pub socket: Socket,
    /// When the process executed its program.
    pub exec: When,
}

/// How far a table is from its limit.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Room {
    /// Whose table.
    pub process: Party,
    /// Soft limit on descriptors (`RLIMIT_NOFILE`), as last read.
    pub limit: u64,
    /// Descriptors in use.
    pub used: u64,
    /// How many are left behind in 1000 s; absent where none is.
    pub left_per_1000_s: Option<u64>,
    /// Time until the limit is reached at that rate.
    pub reached_in_ns: Option<u64>,
}

impl Leaks {
    /// The answer as the API gives it, about these processes; about all where none is named.
    #[must_use]
    pub fn new(view: &View<'_>, pids: &[u32], scope: &str) -> Self {
        let leaks::Leaks { growing, hung_up, unread, survived, room, caveats } = leaks::leaks(view, pids);
        let terms = Terms::new(view);
        let t0 = view.session().t0();
        let party = |process: &Process| terms.party(process.key);
        Self {
            growing: growing.iter().map(|growth| Growing::new(growth, &terms)).collect(),
            hung_up: hung_up
                .iter()
                .map(|hung_up| HungUp {
                    socket: Socket::new(&hung_up.socket, t0),
                    holders: hung_up.holders.iter().map(|holder| terms.holder(holder)).collect(),
                    since: terms.when(hung_up.since),
                    found: hung_up.found,
                    age_ns: hung_up.age_ns,
                    peer: hung_up.peer.map(|peer| terms.party(peer)),
                })
                .collect(),
            unread: unread
                .iter()
                .map(|unread| Unread {
                    socket: Socket::new(&unread.socket, t0),
                    holders: unread.holders.iter().map(|holder| terms.holder(holder)).collect(),
                    since: terms.when(Moment::bare(unread.since)),
                    read: terms.when(Moment::bare(unread.read)),
                    bytes: unread.bytes,
                    age_ns: unread.age_ns,
                })
                .collect(),
            survived_exec: survived
                .iter()
                .map(|survived| SurvivedExec {
                    process: party(survived.process),
                    fd: survived.descriptor.fd,
                    socket: Socket::new(&survived.socket, t0),
                    exec: terms.when(survived.exec),
                })
                .collect(),
            room: room
                .iter()
                .map(|room| Room {
                    process: party(room.process),
                    limit: room.limit,
                    used: room.used,
                    left_per_1000_s: (room.left_per_1000_s > 0).then_some(room.left_per_1000_s),
                    reached_in_ns: room.reached_in_ns,
                })
                .collect(),
            basis: terms.basis(view, scope, &caveats),
        }
    }

    /// The answer for people.
    #[must_use]
    pub fn text(&self, zone: &TimeZone) -> String {
        let mut text = String::new();
        for growing in &self.growing {
            text.push_str(&growing.text(zone));
        }
        if !self.hung_up.is_empty() {
            text.push_str("the peer hung up, and nobody closes\n");
            let rows = self.hung_up.iter().map(HungUp::cells);
            text.push_str(&columns(4, &["COMMAND", "PID", "FD", "AGE", "LOCAL", "PEER", "HUNG UP"], rows));
        }
        if !self.unread.is_empty() {
            text.push_str("accepted, and nothing was ever read, as checks of the tables found\n");
            let rows = self.unread.iter().map(|unread| {
                let [comm, pid, fd] = holder(unread.holders.first());
                let [local, peer] = ends(&unread.socket);
                vec![
                    comm,
                    pid,
                    fd,
                    format!(">{}", long(unread.age_ns)),
                    local,
                    peer,
                    unread.bytes.to_string(),
                ]
            });
            text.push_str(&columns(4, &["COMMAND", "PID", "FD", "AGE", "LOCAL", "PEER", "RECV-Q"], rows));
        }
        if !self.survived_exec.is_empty() {
            text.push_str("sockets that survived an exec\n");
            let rows = self.survived_exec.iter().map(|survived| {
                let [comm, pid] = who(&survived.process);
                let [local, peer] = ends(&survived.socket);
                let exec = survived.exec.text(zone) + &survived.exec.evidence();
                vec![comm, pid, survived.fd.to_string(), local, peer, exec]
            });
            text.push_str(&columns(4, &["COMMAND", "PID", "FD", "LOCAL", "PEER", "EXEC"], rows));
        }
        if !self.room.is_empty() {
            text.push_str("room for descriptors\n");
            let rows = self.room.iter().map(|room| {
                let [comm, pid] = who(&room.process);
                let reached = match room.reached_in_ns {
                    Some(ns) => format!("full in {}", long(ns)),
                    None => "no rate is known".to_owned(),
                };
                vec![comm, pid, room.used.to_string(), room.limit.to_string(), reached]
            });
            text.push_str(&columns(4, &["COMMAND", "PID", "USED", "LIMIT", "AT THIS RATE"], rows));
        }
        if text.is_empty() {
            text.push_str("nothing was found that is left behind\n");
        }
        text + &self.basis.text(zone)
    }
}

impl Growing {
    fn new(growth: &growth::Growth<'_>, terms: &Terms<'_>) -> Self {
        let thread = |(tid, left): &(u32, u64)| Thread { tid: *tid, left: *left };
        let made_at = |place: &growth::MadeAt<'_>| MadeAt {
            left: place.left,
            threads: place.threads.iter().map(thread).collect(),
            stack: place.stack.map(Stack::new),
        };
        Self {
            process: terms.party(growth.process.key),
            kind: growth.kind.name().to_owned(),
            by: growth.by.name().to_owned(),
            left: growth.left,
            made: growth.made,
            made_at_least: growth.made_at_least,
            over_ns: growth.over_ns,
            longest_ns: growth.longest_ns,
            since: terms.when(growth.since),
            stopped: growth.stopped.map(|last| terms.when(Moment::bare(last))),
            threads: growth.threads.iter().map(thread).collect(),
            newest: growth
                .newest
                .iter()
                .map(|(fd, made)| Left { fd: *fd, made: terms.when(*made) })
                .collect(),
            stacks: (!growth.places.is_empty()).then(|| growth.places.iter().map(made_at).collect()),
        }
    }

    fn text(&self, zone: &TimeZone) -> String {
        let [comm, pid] = who(&self.process);
        let Self { left, made, .. } = self;
        let at_least = if self.made_at_least { "at least " } else { "" };
        let kinds = one_of(&self.kind, *left);
        let (leaves, stopped) = match &self.stopped {
            None => ("leaves", String::new()),
            Some(last) => ("left", format!("; none was made after {}", last.text(zone))),
        };
        let mut text = format!(
            "{comm} {pid} {leaves} {kinds} open: {left} of {at_least}{made} made by {} in {}, the first at {}{}{stopped}\n",
            self.by,
            duration(self.over_ns),
            self.since.text(zone),
            self.since.evidence()
        );
        let lives = match self.longest_ns {
            Some(longest) => format!("what was closed was open for at most {}", duration(longest)),
            None => "none was closed".to_owned(),
        };
        let fds: Vec<String> =
            self.newest.iter().map(|left| format!("fd {}{}", left.fd, left.made.evidence())).collect();
        let by = made_by(&self.threads);
        let _ = writeln!(text, "    {lives}{by}\n    newest: {}", fds.join(", "));
        let places = self.stacks.as_deref().unwrap_or_default();
        for MadeAt { left, threads, stack } in places.iter().take(STACKS) {
            let by = made_by(threads);
            match stack {
                Some(stack) => {
                    let _ = writeln!(text, "    {left} from here{by}");
                    text.push_str(&stack.text(8));
                }
                None => {
                    let _ = writeln!(text, "    {left} without a known place{by}");
                }
            }
        }
        if let Some(others) = places.get(STACKS..).filter(|others| !others.is_empty()) {
            let left: u64 = others.iter().map(|place| place.left).sum();
            let _ = writeln!(text, "    {left} from {} other places", others.len());
        }
        text
    }
}

/// Stacks that text shows; `--json` has all.
const STACKS: usize = 3;

fn made_by(threads: &[Thread]) -> String {
    let threads: Vec<String> =
        threads.iter().map(|thread| format!("thread {} ({})", thread.tid, thread.left)).collect();
    if threads.is_empty() { String::new() } else { format!("; made by {}", threads.join(", ")) }
}

impl HungUp {
    fn cells(&self) -> Vec<String> {
        let [local, peer] = ends(&self.socket);
        let [comm, pid, fd] = holder(self.holders.first());
        let more = if self.found { ">" } else { "" };
        let age = format!("{more}{}{}", long(self.age_ns), self.since.evidence());
        let by = self.peer.as_ref().map_or_else(|| "?".to_owned(), |peer| who(peer).join(" "));
        vec![comm, pid, fd, age, local, peer, by]
    }
}

/// Name, pid and number of whoever holds a socket.
fn holder(holder: Option<&Holder>) -> [String; 3] {
    holder.map_or_else(
        || ["?"; 3].map(str::to_owned),
        |holder| [Escaped(holder.comm.as_bytes()).to_string(), holder.pid.to_string(), holder.fd.to_string()],
    )
}

fn who(party: &Party) -> [String; 2] {
    [Escaped(party.comm.as_bytes()).to_string(), party.pid.to_string()]
}

fn ends(socket: &Socket) -> [String; 2] {
    [&socket.local, &socket.peer].map(|end| Escaped(end.as_deref().unwrap_or("*").as_bytes()).to_string())
}

/// A duration that may be hours: `3 d 4 h`, `2 h 5 min`, `3 min 20 s`.
fn long(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    let two = |whole: u64, unit: &str, rest: u64, small: &str| {
        if rest == 0 { format!("{whole} {unit}") } else { format!("{whole} {unit} {rest} {small}") }
    };
    match seconds {
        0..60 => duration(ns),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

//! Types of the HTTP API and of the live stream (`/api/v1/`).
//!
//! Times are nanoseconds since the session's `t0` (first anchor of the stream, `Info::t0_ns`), as whole JSON numbers:
//! exact up to 2^53 where those are doubles (RFC 8259, section 6), which is 104 days. Absolute times are strings of
//! decimal digits (nanoseconds since the Unix epoch). 64-bit identities are strings. The TypeScript of the page is generated from these types.

use crate::line::{Line, is_false};
use serde::{Deserialize, Serialize};
use ts_rs::TS;
use utoipa::ToSchema;

/// `GET /api/v1/info`: what this session is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Info {
    /// Version of the program.
    pub version: String,
    /// Identity of the session: differs for every start of the daemon and for every recording.
    pub session: String,
    /// `live` or `recording`.
    pub source: Source,
    /// What is followed, as the user asked for it.
    pub selection: String,
    /// Nanoseconds since the Unix epoch of offset 0, decimal.
    pub t0_ns: String,
    /// The newest moment that the model has reached.
    pub now: i64,
    /// What is attached and what is missing.
    pub attached: Vec<String>,
    /// What this kernel cannot tell, in sentences.
    pub missing: Vec<String>,
    /// Status at this moment.
    pub status: Status,
}

/// Where the events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The kernel, now.
    Live,
    /// A recording.
    Recording,
}

/// Counters that must always be in sight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Status {
    /// The newest moment that the model has reached.
    pub now: i64,
    /// Revision of the model.
    pub rev: u64,
    /// Events so far.
    pub events: u64,
    /// Records lost so far.
    pub lost: u64,
    /// Lost records by cause.
    pub lost_by_cause: Vec<LostCount>,
    /// Processes whose table is doubtful.
    pub doubtful: u32,
    /// Events that set a table right.
    pub repairs: u64,
    /// Snapshots that compared tables with the kernel's: periodic checks, and repairs after a loss.
    pub checks: u64,
    /// How long the kernel took to write them, nanoseconds.
    pub checks_ns: u64,
    /// Stacks of calls that make a descriptor that could not be read; absent where none are read (`--stacks`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub stacks_missed: Option<u64>,
    /// Events that are still kept.
    pub kept: u64,
    /// `seq` of the oldest kept event.
    pub first_seq: u64,
    /// Time of the oldest kept event.
    pub kept_since: i64,
    /// The recording was cut off after so many of the kernel's records: what came after them is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub cut_off: Option<u64>,
}

/// One cause of loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct LostCount {
    /// As in `lost` events.
    pub cause: String,
    /// How many.
    pub count: u64,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Process {
    /// `pid@start`.
    pub id: String,
    /// Thread group id.
    pub pid: u32,
    /// Parent's pid.
    pub ppid: Option<u32>,
    /// Name.
    pub comm: String,
    /// Path of the program.
    pub exe: Option<String>,
    /// Its number in its own pid namespace (pid_namespaces(7)), where known.
    pub ns_pid: Option<u32>,
    /// That namespace, by inode number.
    pub pidns: Option<u32>,
    /// Its control group: a path from the root of the cgroup2 hierarchy (cgroups(7)).
    pub cgroup: Option<String>,
    /// Descriptor table (`t3`); processes may share one (`CLONE_FILES`).
    pub table: String,
    /// Tables that only other threads of it have (`unshare(CLONE_FILES)` in a thread).
    pub thread_tables: Vec<String>,
    /// When it was first seen.
    pub seen: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// Wait status, once it ended (wait(2)).
    pub status: Option<u32>,
    /// Soft limit on descriptors (`RLIMIT_NOFILE`).
    pub fd_limit: Option<u64>,
    /// `exact`, `repaired` or `doubtful`.
    pub standing: String,
    /// For `repaired`: how many differences.
    pub repaired: Option<u64>,
    /// For `doubtful`: why.
    pub why: Option<String>,
    /// For `repaired` and `doubtful`: since when.
    pub since: Option<i64>,
}

/// A descriptor: one slot of one table, from filled to emptied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Descriptor {
    /// `d7`.
    pub id: String,
    /// Table.
    pub table: String,
    /// Number.
    pub fd: i32,
    /// Open file description (`f12`): descriptors with the same one are duplicates of each other.
    pub file: String,
    /// Kind of the file, as in events.
    pub kind: String,
    /// Path or name; empty for a socket. Not markup: hostile text.
    pub name: String,
    /// Inode number, decimal.
    pub ino: String,
    /// Device of the inode, `major:minor`.
    pub dev: String,
    /// Close-on-exec.
    pub cloexec: bool,
    /// When it was filled.
    pub opened: i64,
    /// How: an event's name, or `fork`, `snapshot`, `repair`.
    pub opened_by: String,
    /// When it was emptied.
    pub closed: Option<i64>,
    /// How: `close`, `dup`, `exec`, `exit`, `repair`.
    pub closed_by: Option<String>,
    /// The socket behind it.
    pub socket: Option<String>,
}

/// A descriptor without a number: an entry of an io_uring's file table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Direct {
    /// `d7`.
    pub id: String,
    /// The number that the ring has, where that is known.
    pub ring: Option<i32>,
    /// Index in the ring's file table.
    pub direct: i32,
    /// Open file description (`f12`).
    pub file: String,
    /// Kind of the file, as in events.
    pub kind: String,
    /// Path or name; empty for a socket. Not markup: hostile text.
    pub name: String,
    /// Inode number, decimal.
    pub ino: String,
    /// When it was filled.
    pub opened: i64,
    /// How: an event's name or `snapshot`.
    pub opened_by: String,
    /// The socket behind it.
    pub socket: Option<String>,
}

/// A limit that an accept queue had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
pub struct FormerLimit {
    /// Until when.
    pub until: i64,
    /// The limit: the queue held one more.
    pub limit: u32,
}

/// A step in a socket's life: what it is from `t` on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Step {
    /// When.
    pub t: i64,
    /// `created`, `bound`, `listening`, `connecting`, `queued`, `connected`, `half_closed`, `closing`, `closed`.
    pub phase: String,
    /// The kernel's state without `TCP_`, where the family has one; `UNCONN`, `ESTAB` or `LISTEN` for one that has no others.
    pub state: Option<String>,
    /// Name of the error that came with it.
    pub error: Option<String>,
    /// The peer that it was about, where the socket has had another one since: a socket can be connected again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub peer: Option<String>,
}

/// Counters of a TCP connection, as `TCP_INFO` has them (tcp(7)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Tcp {
    /// When they were read.
    pub t: i64,
    /// Bytes that the peer acknowledged; a SYN and a FIN are one each.
    pub bytes_acked: u64,
    /// Bytes that were received in order; a FIN is one.
    pub bytes_received: u64,
    /// Smoothed round trip time, microseconds; 0: not measured.
    pub rtt_us: u32,
    /// Segments that were sent again.
    pub retransmits: u32,
}

/// What is spoken on a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Spoken {
    /// When that was known.
    pub t: i64,
    /// `http/1`, `http/2`, `websocket`, `tls`, `redis`, `postgresql` or `unknown`.
    pub app_protocol: String,
    /// `tls`: the server's name that the client asks for, where it is within the bytes that are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub sni: Option<String>,
    /// The name goes on beyond them.
    #[serde(default, skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>", optional)]
    pub sni_cut: bool,
    /// It was concluded: a switch whose header `Upgrade` is not within those bytes.
    #[serde(default, skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>", optional)]
    pub inferred: bool,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Socket {
    /// `s41`.
    pub id: String,
    /// `inet`, `unix`, ...; by number where unknown.
    pub family: String,
    /// `stream`, `dgram`, ...
    #[serde(rename = "type")]
    pub ty: String,
    /// `tcp`, `udp`, ...; absent where the family has none.
    pub protocol: Option<String>,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// Inode number, decimal; `0` before it is accepted.
    pub ino: String,
    /// Local address; absent before it has one.
    pub local: Option<String>,
    /// Peer's address.
    pub peer: Option<String>,
    /// Options that are set, each as `NAME` or `NAME=VALUE`: `SO_REUSEADDR`, `SO_REUSEPORT`, `IPV6_V6ONLY`, `SO_LINGER`
    /// (seconds), `TCP_DEFER_ACCEPT` (seconds), `TCP_FASTOPEN` (length of its queue), `O_NONBLOCK`.
    pub options: Vec<String>,
    /// Its life, oldest first; never empty.
    pub steps: Vec<Step>,
    /// The listener that it came from.
    pub listener: Option<String>,
    /// `listener` was concluded, not read.
    pub inferred: bool,
    /// For a listener: children so far.
    pub children: u64,
    /// For a listener: the backlog asked for. One below 0 asks for as much as there may be (`__sys_listen`, net/socket.c).
    pub backlog: Option<i32>,
    /// For a listener: accept queue length when last read.
    pub queue_len: Option<u32>,
    /// For a listener: its limit.
    pub queue_limit: Option<u32>,
    /// For a listener that listened anew with another backlog: limits that it had before, oldest first; of them the newest 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub former_limits: Option<Vec<FormerLimit>>,
    /// For a child: when it entered the queue.
    pub queued: Option<i64>,
    /// For a child: when it was accepted.
    pub accepted: Option<i64>,
    /// For a child: from queued to accepted, nanoseconds.
    pub wait_ns: Option<u64>,
    /// Child: the process that accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub accepted_by: Option<String>,
    /// Listener: packets that it dropped since it was first sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub drops: Option<u64>,
    /// TCP connection: its counters, as they were last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub tcp: Option<Tcp>,
    /// What was spoken on it, oldest first, as bytes in its holders' memory tell it; the newest counts. Only where that is
    /// asked for (`--peek`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<Spoken>>", optional)]
    pub spoken: Vec<Spoken>,
    /// Unix socket: the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub other_end: Option<String>,
    /// `local` or `peer`.
    pub closed_first: Option<String>,
    /// Descriptors that point to it now.
    pub holders: u32,
    /// When it ended.
    pub ended: Option<i64>,
}

/// `GET /api/v1/processes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Processes {
    /// Every kept process, in the order in which they were first seen.
    pub processes: Vec<Process>,
}

/// `GET /api/v1/sockets?state=&port=&listener=&at=`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Sockets {
    /// Every kept socket that fits, in the order in which they were first seen.
    pub sockets: Vec<Socket>,
}

/// `GET /api/v1/descriptors?process=&at=`: one process's tables at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Descriptors {
    /// The process.
    pub process: Process,
    /// The instant.
    pub at: i64,
    /// The descriptors at that instant, by number: of the process's own table, then of each table of its threads.
    pub descriptors: Vec<Descriptor>,
    /// Entries of the file tables of its io_urings at that instant, by ring and index.
    pub direct: Vec<Direct>,
    /// The sockets behind them.
    pub sockets: Vec<Socket>,
}

/// `GET /api/v1/events?from_seq=&to_seq=&limit=&filter=&from=&to=`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Events {
    /// Lines as `sockreel dump --json` prints them.
    pub events: Vec<Line>,
    /// `from_seq` of the next page; null at the end.
    pub next_seq: Option<u64>,
}

/// Server to page, one JSON object a WebSocket message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ServerMessage {
    /// First message of every connection.
    Hello {
        /// The session.
        info: Info,
        /// True where what follows continues the revision that the client named, false where it starts anew.
        resumed: bool,
    },
    /// What changed between two revisions: whole objects, to be put in place of those with the same `id`. The first
    /// change after a `hello` that did not resume holds everything that is kept.
    Change {
        /// Revision that this change builds on.
        from: u64,
        /// Revision that it leads to.
        to: u64,
        /// Changed processes.
        processes: Vec<Process>,
        /// Changed descriptors.
        descriptors: Vec<Descriptor>,
        /// Changed sockets.
        sockets: Vec<Socket>,
        /// The newest events since the last change, oldest first.
        events: Vec<Line>,
        /// Events between the last change and this one that are left out here; `events` has them at `/api/v1/events`.
        skipped: u64,
        /// More changes are ready: the server sends them after this one is acknowledged.
        more: bool,
        /// Counters.
        status: Status,
    },
    /// Objects that are not kept any longer.
    Evict {
        /// Descriptors.
        descriptors: Vec<String>,
        /// Sockets.
        sockets: Vec<String>,
        /// Processes.
        processes: Vec<String>,
    },
    /// What is kept at a revision, to a client that is too far behind to be told what was evicted: whatever else it has is
    /// gone. It may come in several messages; only the last one of them is the end of it.
    Kept {
        /// The revision.
        rev: u64,
        /// Processes.
        processes: Vec<String>,
        /// Numbers of descriptors (`d7` is 7), in runs of consecutive ones: first and last of each, lowest first.
        descriptors: Vec<[u32; 2]>,
        /// The same of sockets.
        sockets: Vec<[u32; 2]>,
        /// More of it follows once this is acknowledged.
        more: bool,
    },
}

/// Page to server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ClientMessage {
    /// First message of every connection; the server answers with `hello`.
    Hello {
        /// Session and revision to continue from.
        resume: Option<Resume>,
    },
    /// A change was applied: the next one may come. The server keeps one change under way for each client.
    Ack {
        /// The change's `to`; the `rev` of what is kept.
        rev: u64,
    },
}

/// Where a client left off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Resume {
    /// The session's identity.
    pub session: String,
    /// The last change's `to`.
    pub rev: u64,
    /// `seq` of the newest event that the client has or was told to be left out.
    #[serde(default)]
    #[ts(optional)]
    pub seq: Option<u64>,
}

/// Body of every error answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Problem {
    /// What is wrong, the cause and the way out.
    pub error: String,
}

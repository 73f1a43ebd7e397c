//! What the model tells: one event a line of the dump.

use crate::{
    address::Address,
    explain::Explain,
    ids::{BootNs, ProcessKey, SocketId},
    input::{LossCause, Options, Origin, Tcp},
    syscall::Syscall,
};
use serde::{Deserialize, Serialize};

macro_rules! named {
    ($(#[$attr:meta])* $type:ident { $($(#[$variant_attr:meta])* $variant:ident $name:literal,)* }) => {
        $(#[$attr])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $type { $($(#[$variant_attr])* $variant,)* }

        impl $type {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Name in the contract.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

pub(crate) use named;

named! {
    /// Kind of an event: the base name of the call, or what happened without one.
    #[expect(missing_docs, reason = "most variants are the call of that name")]
    EventKind {
        Socket "socket", Socketpair "socketpair", Bind "bind", Listen "listen", Accept "accept", Connect "connect",
        Shutdown "shutdown", Close "close", Dup "dup", Open "open", Pipe "pipe", Eventfd "eventfd", Epoll "epoll",
        Timerfd "timerfd", Signalfd "signalfd", Inotify "inotify", Fanotify "fanotify", Memfd "memfd",
        Pidfd "pidfd", Userfaultfd "userfaultfd", PerfEvent "perf_event", IoUring "io_uring", Mqueue "mqueue",
        Landlock "landlock",
        Bpf "bpf", Seccomp "seccomp",
        /// Descriptors received or sent over `SCM_RIGHTS`, or received as `SCM_PIDFD`, by `pidfd_getfd` or with the events
        /// of a fanotify group.
        Pass "pass",
        Fork "fork", Exec "exec", Exit "exit",
        /// A socket's state changed.
        State "state",
        /// A connection entered an accept queue.
        Queued "queued",
        /// `F_SETFD`, `FIOCLEX`, `FIONCLEX`, `close_range` with `CLOSE_RANGE_CLOEXEC`.
        Setfd "setfd",
        Unshare "unshare",
        /// An attempt to seek in a socket, which fails.
        Lseek "lseek",
        /// An option of a socket.
        Setsockopt "setsockopt",
        /// `F_SETFL` and `FIONBIO` that change `O_NONBLOCK` of a socket.
        Setfl "setfl",
        /// A slot or a socket that existed when tracing began.
        Snapshot "snapshot",
        /// Something was lost.
        Lost "lost",
        /// An entry of a ring's file table was filled or emptied by io_uring_register(2) or `IORING_OP_FILES_UPDATE`.
        Register "register",
        /// A table was wrong after a loss and was set right.
        Repair "repair",
        /// A listener dropped connections or parts of their handshakes.
        Overflow "overflow",
        /// A client on this machine sent its SYN again.
        Retransmit "retransmit",
        /// The first bytes of a connection, or an answer in HTTP/1, told what is spoken on it.
        Spoken "spoken",
        /// How far a process's table can be trusted has changed.
        Standing "standing",
    }
}

named! {
    /// How far a process's table can be trusted, in a word: [`crate::entity::Standing`].
    Trust {
        /// Nothing was lost since the table was read or begun.
        Exact "exact",
        /// Differences were found and set right.
        Repaired "repaired",
        /// It may be wrong.
        Doubtful "doubtful",
    }
}

/// How far a process's table can be trusted from an event on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stands {
    /// In a word.
    pub trust: Trust,
    /// How many differences were found and set right so far; 0 where the word is another.
    pub repaired: u64,
    /// Why it is doubtful: the cause of a loss, or `unread`.
    pub why: Option<String>,
    /// Since when, nanoseconds since the Unix epoch; `None` for one that is exact.
    pub since_epoch_ns: Option<u64>,
}

named! {
    /// An application protocol, as the bytes in the caller's memory tell it.
    AppProtocol {
        /// None of the others, or the bytes were not seen.
        Unknown "unknown",
        /// HTTP/1.0, HTTP/1.1 (RFC 9112).
        Http1 "http/1",
        /// HTTP/2 without TLS (RFC 9113).
        Http2 "http/2",
        /// WebSocket (RFC 6455), from the answer 101 on.
        Websocket "websocket",
        /// TLS (RFC 8446), whatever is inside.
        Tls "tls",
        /// Redis (RESP).
        Redis "redis",
        /// PostgreSQL, protocol 3.
        Postgresql "postgresql",
    }
}

/// What is spoken on a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// The protocol.
    pub protocol: AppProtocol,
    /// It was concluded: what would prove it is not within the bytes that are looked at.
    pub inferred: bool,
    /// TLS: name of the server that the client asks for (RFC 6066, section 3), as far as it is within those bytes.
    pub sni: Option<String>,
    /// The name goes on.
    pub sni_cut: bool,
}

named! {
    /// How an event came about.
    Via {
        /// A system call.
        Syscall "syscall",
        /// An operation of an io_uring.
        IoUring "io_uring",
        /// Close-on-exec.
        Exec "exec",
        /// The end of a process.
        Exit "exit",
        /// Inheritance.
        Fork "fork",
        /// It existed when tracing began.
        Snapshot "snapshot",
        /// A repair after a loss.
        Repair "repair",
        /// The kernel, outside a system call of the process.
        Kernel "kernel",
    }
}

named! {
    /// What a descriptor points to.
    #[expect(missing_docs, reason = "each is the file type of inode(7) or the call that makes it")]
    FileKind {
        File "file", Directory "directory", CharDevice "char_device", BlockDevice "block_device", Symlink "symlink",
        Pipe "pipe", Fifo "fifo", Socket "socket", Eventfd "eventfd", Epoll "epoll", Timerfd "timerfd",
        Signalfd "signalfd", Inotify "inotify", Fanotify "fanotify", Memfd "memfd", Pidfd "pidfd",
        Userfaultfd "userfaultfd", PerfEvent "perf_event", IoUring "io_uring", Mqueue "mqueue", Bpf "bpf",
        /// An anonymous inode of another kind; its name tells which.
        Anonymous "anonymous",
        /// Not read.
        Unknown "unknown",
    }
}

named! {
    /// One of the two ends of a connection.
    Side {
        /// The traced process.
        Local "local",
        /// The other end.
        Peer "peer",
    }
}

named! {
    /// Direction of a passed descriptor.
    Direction {
        /// Received.
        In "in",
        /// Sent.
        Out "out",
    }
}

/// Family, type and protocol of a socket, as numbers; [`crate::names`] has their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SocketKind {
    /// `AF_*`.
    pub family: u16,
    /// `SOCK_*`.
    pub ty: u16,
    /// `IPPROTO_*`.
    pub protocol: u16,
}

/// An option of a socket that was set: level and option as the caller passed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetOption {
    /// `SOL_*`.
    pub level: u32,
    /// `SO_*`, `TCP_*`, `IPV6_*`.
    pub option: u32,
    /// The value in the caller's memory; for `SO_LINGER` its seconds, -1: off.
    pub asked: Option<i32>,
    /// The value that the kernel's socket has after the call.
    pub value: Option<i64>,
}

/// Where a process lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its number as itself sees it, in its own pid namespace (pid_namespaces(7)).
    pub ns_pid: u32,
    /// Inode number of that namespace.
    pub pid_ns: u32,
    /// Path of its control group from the root of the cgroup2 hierarchy, where known.
    pub cgroup: Option<Box<[u8]>>,
}

/// Where the time between queued and accepted went; the parts add up to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Asleep in a call that waits for connections.
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
    /// Calls of accept on this listener that failed for want of something, by error number: how many.
    pub failed: Vec<(u32, u64)>,
}

/// What a listener dropped, as its samples tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCount {
    /// Since the sample before.
    pub new: u64,
    /// Since the listener was first sampled.
    pub total: u64,
    /// How many of all these met a full queue: at least and at most; `None` where the namespace could not be read.
    pub queue_full: Option<(u64, u64)>,
    /// Nanoseconds between the two samples.
    pub period_ns: u64,
}

/// One event. A field that has no meaning for it is `None`, empty or false.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the line that is there or not")]
pub struct Event {
    /// Number of the line: 1, 2, 3 ... without gaps.
    pub seq: u64,
    /// When it happened (for a call: when it returned; while it runs: when that was told).
    pub ts: BootNs,
    /// The same in nanoseconds since the Unix epoch.
    pub epoch_ns: u64,
    /// Process; its pid is 0 where it belongs to none: a loss, a socket whose owner is not known.
    pub process: ProcessKey,
    /// Thread; 0 where none did it.
    pub tid: u32,
    /// Name of the process.
    pub comm: String,
    /// Kind.
    pub kind: EventKind,
    /// The exact system call.
    pub call: Option<Syscall>,
    /// Joins the two lines of a call that ran longer than 100 ms.
    pub call_id: Option<u64>,
    /// The call still runs.
    pub pending: bool,
    /// How it came about.
    pub via: Via,
    /// The descriptor that the call names, or the slot that the event is about.
    pub fd: Option<i32>,
    /// Return value.
    pub ret: Option<i64>,
    /// The descriptor that the call made.
    pub new_fd: Option<i32>,
    /// Slots that one call or fork filled or ended together; for a `pass` every slot that was received or sent.
    pub fds: Vec<i32>,
    /// Close-on-exec after the event, of the slot that it filled or changed.
    pub cloexec: Option<bool>,
    /// `O_NONBLOCK` after the event, of the open file that it made or changed.
    pub nonblock: Option<bool>,
    /// What the slot holds.
    pub file_kind: Option<FileKind>,
    /// Inode number of what the slot holds.
    pub ino: Option<u64>,
    /// The socket.
    pub socket: Option<SocketId>,
    /// The listener that the socket came from.
    pub listener: Option<SocketId>,
    /// Family, type, protocol.
    pub socket_kind: Option<SocketKind>,
    /// Where a socket is new to the process: its network namespace (inode number).
    pub netns: Option<u32>,
    /// Local address, from the kernel's socket.
    pub local: Option<Address>,
    /// Peer's address, from the kernel's socket.
    pub peer: Option<Address>,
    /// The address in the caller's memory.
    pub asked: Option<Address>,
    /// The path in the caller's memory, or in a snapshot the kernel's.
    pub path: Option<Vec<u8>>,
    /// `setsockopt`: which option, and its value.
    pub set_option: Option<SetOption>,
    /// `listen`, `snapshot`, `repair`: what is set of the socket's options.
    pub options: Option<Options>,
    /// The backlog that `listen` was called with.
    pub backlog: Option<i32>,
    /// Accept queue: length.
    pub queue_len: Option<u32>,
    /// Accept queue: limit.
    pub queue_limit: Option<u32>,
    /// From queued to accepted.
    pub wait_ns: Option<u64>,
    /// `accept`: what its thread did meanwhile, where the scheduler is traced and the thread is known.
    pub split: Option<Box<Split>>,
    /// `accept`: its thread went to sleep since its last accept.
    pub slept: bool,
    /// `overflow`: how many packets the listener dropped.
    pub drops: Option<DropCount>,
    /// What a TCP connection came to, where this is its end.
    pub tcp: Option<Tcp>,
    /// `spoken`: what.
    pub spoken: Option<Box<Spoken>>,
    /// How long the call ran.
    pub dur_ns: Option<u64>,
    /// State before, as the kernel numbers it; none where a connection stays in its state and was found broken.
    pub from: Option<u16>,
    /// State after; for a snapshot, the state.
    pub to: Option<u16>,
    /// Who closed a connection first.
    pub closed_first: Option<Side>,
    /// Error number of a failed call or of a socket's verdict.
    pub error: Option<u32>,
    /// Direction of a `pass`.
    pub direction: Option<Direction>,
    /// Fork: the child.
    pub child: Option<ProcessKey>,
    /// Fork: where the child lives. Exec, snapshot: where the process does.
    pub place: Option<Box<Place>>,
    /// Exit: wait status.
    pub status: Option<u32>,
    /// `shutdown`: how (0 read, 1 write, 2 both, shutdown(2)).
    pub how: Option<u32>,
    /// A fact in this event was concluded, not read.
    pub inferred: bool,
    /// Its place in the order is later than its time.
    pub late: bool,
    /// Record that it came from.
    pub origin: Option<Origin>,
    /// `lost`: how many.
    pub count: Option<u64>,
    /// `lost`: why.
    pub cause: Option<LossCause>,
    /// `standing`: what it is now.
    pub stands: Option<Box<Stands>>,
    /// The ring whose operation it was: the number that the ring has, where that is known.
    pub ring: Option<i32>,
    /// The entry of the ring's file table that stands in place of `fd`.
    pub direct: Option<i32>,
    /// The entry that stands in place of `new_fd`.
    pub new_direct: Option<i32>,
    /// Entries that stand in place of `fds`.
    pub directs: Vec<i32>,
    /// The ring whose file table `new_direct` is in, where that is not `ring`.
    pub new_ring: Option<i32>,
    /// The operation was submitted, and nothing will tell that it succeeded.
    pub unconfirmed: bool,
    /// A check found that it did: a second event of the operation, without a result.
    pub confirmed: bool,
    /// Which operation it was was concluded among several with the same mark.
    pub doubtful: bool,
    /// Why it failed, where that can be said.
    pub explain: Option<Box<Explain>>,
}

impl Event {
    /// Whether it is of a process: a loss of records is of none, a doubt about a table is.
    #[must_use]
    pub const fn is_of_process(&self) -> bool {
        self.process.pid != 0
    }
}

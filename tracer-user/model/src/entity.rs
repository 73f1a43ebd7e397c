//! What the model keeps: processes, descriptor tables, descriptors, open files and sockets, with references between
//! them. The descriptor layer and the socket layer are two sets of objects; neither is keyed by (pid, fd).

use crate::{
    address::Address,
    event::{FileKind, Place, Side, SocketKind, Spoken},
    ids::{BootNs, DescriptorId, FileId, ProcessKey, SocketId, StackId, TableId},
    input::{NamespaceSample, Options, Tcp},
};

/// How far a process's table can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was lost since the table was read or begun.
    Exact,
    /// Differences were found and set right.
    Repaired {
        /// How many.
        count: u64,
        /// Since when it is right again.
        since: BootNs,
    },
    /// It may be wrong.
    Doubtful {
        /// Why.
        why: &'static str,
        /// Since when.
        since: BootNs,
    },
}

/// A program that a process executed while it was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// When.
    pub ts: BootNs,
    /// The program, as `execve` was called.
    pub path: Vec<u8>,
    /// Name of the process until then.
    pub comm_before: String,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Identity.
    pub key: ProcessKey,
    /// Parent's pid, where known.
    pub parent: Option<u32>,
    /// Name.
    pub comm: String,
    /// Path of the program, as `execve` was called.
    pub exe: Option<Vec<u8>>,
    /// Programs that it executed, oldest first: the newest 16.
    pub executions: Vec<Execution>,
    /// Where it lives, where known.
    pub place: Option<Place>,
    /// Its descriptor table now: of its leader, where a thread has one of its own. After unshare(2) the table that it
    /// had before is another one.
    pub table: TableId,
    /// Tables that only other threads of it have: `unshare(CLONE_FILES)` in a thread, clone(2) with `CLONE_THREAD` and without
    /// `CLONE_FILES`.
    pub thread_tables: Vec<TableId>,
    /// Tables that it shared and left, and when: the newest 16.
    pub former_tables: Vec<(TableId, BootNs)>,
    /// When it was first seen.
    pub seen: BootNs,
    /// When it ended.
    pub ended: Option<BootNs>,
    /// Wait status (wait(2)) once it ended.
    pub status: Option<u32>,
    /// Soft limit on descriptors, where known.
    pub fd_limit: Option<u64>,
    /// How far its table can be trusted.
    pub standing: Standing,
    /// Revision of its last change.
    pub rev: u64,
}

/// How an open file may be used (`O_ACCMODE`, open(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `O_RDONLY`; of a pipe, its read end.
    Read,
    /// `O_WRONLY`; of a pipe, its write end.
    Write,
    /// `O_RDWR`.
    Both,
}

impl Access {
    /// From open flags; `None` for a descriptor that only names a file (`O_PATH`).
    #[must_use]
    pub const fn from_flags(flags: u32) -> Option<Self> {
        const O_PATH: u32 = 0o10_000_000;
        match flags & (O_PATH | 3) {
            0 => Some(Self::Read),
            1 => Some(Self::Write),
            2 => Some(Self::Both),
            _ => None,
        }
    }

    /// As lsof(8) marks it.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Write => "w",
            Self::Both => "u",
        }
    }
}

/// How a descriptor came into its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A call; the event kind names it (`accept`, `dup`, `open`, ...).
    By(crate::event::EventKind),
    /// Inherited at a fork.
    Inherited,
    /// It was there when tracing began.
    Snapshot,
    /// Found by a repair.
    Repair,
}

impl Opened {
    /// Name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::By(kind) => kind.name(),
            Self::Inherited => "fork",
            Self::Snapshot => "snapshot",
            Self::Repair => "repair",
        }
    }
}

/// How a descriptor left its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// `close` or `close_range`.
    Close,
    /// A close was submitted to an io_uring that tells nothing of its success; a check settles it.
    Unconfirmed,
    /// `dup2` or `dup3` put another file there.
    Replaced,
    /// Close-on-exec.
    Exec,
    /// The last process of the table ended.
    Exit,
    /// Found missing by a repair, or replaced by a call whose cause was not seen.
    Repair,
}

impl Closed {
    /// Name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Unconfirmed => "unconfirmed",
            Self::Replaced => "dup",
            Self::Exec => "exec",
            Self::Exit => "exit",
            Self::Repair => "repair",
        }
    }
}

/// One slot of one table, from filled to emptied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Identity.
    pub id: DescriptorId,
    /// Table.
    pub table: TableId,
    /// Number.
    pub fd: i32,
    /// Open file description it points to.
    pub file: FileId,
    /// Kind of the file.
    pub kind: FileKind,
    /// Name: a path, an anonymous inode's name, or empty for a socket.
    pub name: Vec<u8>,
    /// Inode number.
    pub ino: u64,
    /// Device of the inode: major << 20 | minor.
    pub dev: u32,
    /// How the open file may be used, where that is known.
    pub access: Option<Access>,
    /// Close-on-exec.
    pub cloexec: bool,
    /// When it was filled.
    pub opened: BootNs,
    /// How.
    pub opened_by: Opened,
    /// When it was emptied, and how.
    pub closed: Option<(BootNs, Closed)>,
    /// The socket behind it.
    pub socket: Option<SocketId>,
    /// From where it was made, where that was asked for and is known.
    pub stack: Option<StackId>,
    /// Revision of its last change.
    pub rev: u64,
}

/// The kernel's read position stands where it stood when the connection began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeverRead {
    /// When something was first found that waits.
    pub since: BootNs,
    /// When that was found last.
    pub read: BootNs,
    /// What waits, in bytes; a FIN counts as one.
    pub waiting: u64,
}

/// Accept queue of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptQueue {
    /// Connections that waited.
    pub len: u32,
    /// `sk_max_ack_backlog`: it holds one more (`sk_acceptq_is_full`, include/net/sock.h).
    pub limit: u32,
    /// When both were read.
    pub read: BootNs,
    /// Limits that it had before, oldest first, each with the moment at which it was found to have another one: listen(2) sets it
    /// anew. The newest [`Self::FORMER`] are kept.
    pub former: Vec<(BootNs, u32)>,
}

impl AcceptQueue {
    /// How many former limits are kept.
    pub const FORMER: usize = 32;
}

impl Socket {
    /// Takes in what was read of its accept queue; what is older than what is known is left out.
    pub(crate) fn reads_queue(&mut self, len: u32, limit: u32, read: BootNs) {
        let Some(known) = &mut self.queue else {
            self.queue = Some(Box::new(AcceptQueue { len, limit, read, former: Vec::new() }));
            return;
        };
        if known.read > read {
            return;
        }
        if known.limit != limit {
            known.former.push((read, known.limit));
            let surplus = known.former.len().saturating_sub(AcceptQueue::FORMER);
            known.former.drain(..surplus);
        }
        (known.len, known.limit, known.read) = (len, limit, read);
    }
}

/// A step in a socket's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub ts: BootNs,
    /// What the socket is from here on.
    pub phase: Phase,
    /// The kernel's state, where the family has one.
    pub state: Option<u16>,
    /// Error number that came with it.
    pub error: Option<u32>,
    /// The peer that it was about, where the socket has had another one since: a socket can be connected again.
    pub peer: Option<Box<Address>>,
}

/// Where a socket stands in its life, in the words of design and page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Made, without an address.
    Created,
    /// It has a local address.
    Bound,
    /// It takes connections.
    Listening,
    /// `connect` is under way.
    Connecting,
    /// In an accept queue.
    Queued,
    /// Both directions are open.
    Connected,
    /// One direction is closed.
    HalfClosed,
    /// Closed by this side, the kernel waits for the peer (`FIN_WAIT*`, `LAST_ACK`, `CLOSING`, `TIME_WAIT`).
    Closing,
    /// Gone, or unconnected again.
    Closed,
}

impl Phase {
    /// Every one.
    pub const ALL: &'static [Self] = &[
        Self::Created,
        Self::Bound,
        Self::Listening,
        Self::Connecting,
        Self::Queued,
        Self::Connected,
        Self::HalfClosed,
        Self::Closing,
        Self::Closed,
    ];

    /// Name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Bound => "bound",
            Self::Listening => "listening",
            Self::Connecting => "connecting",
            Self::Queued => "queued",
            Self::Connected => "connected",
            Self::HalfClosed => "half_closed",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}

/// What a listener dropped since it was first sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drops {
    /// When it was first sampled.
    pub since: BootNs,
    /// How many packets it dropped since then.
    pub total: u64,
    /// How many of them the counter has twice: a segment that ends a handshake and meets a full queue counts as a refused
    /// connection and as a dropped packet (`tcp_v4_syn_recv_sock`, `tcp_v4_rcv`, net/ipv4/tcp_ipv4.c). As far as the kernel
    /// tells of them.
    pub counted_twice: u64,
    /// When the newest of them were noticed.
    pub noticed: BootNs,
    /// `sk_drops` at the newest sample.
    pub(crate) counter: u32,
    /// Its namespace at the first sample and at the newest.
    pub(crate) namespace: Option<(NamespaceSample, NamespaceSample)>,
}

impl Drops {
    /// How many of them met a full queue: at least and at most; `None` where the namespace could not be read.
    ///
    /// A listener's counter has both kinds. The namespace counts those that met a full queue by themselves, for all its
    /// listeners (`tcp_conn_request`, net/ipv4/tcp_input.c; `tcp_v4_syn_recv_sock`, net/ipv4/tcp_ipv4.c): what the others
    /// dropped may have been of that kind, or not.
    #[must_use]
    pub fn queue_full(&self) -> Option<(u64, u64)> {
        let (first, now) = self.namespace?;
        let least = now.overflows.0.saturating_sub(first.overflows.1);
        let most = now.overflows.1.saturating_sub(first.overflows.0);
        let own = self.total.saturating_sub(self.counted_twice);
        let others = now.drops.1.saturating_sub(first.drops.0).saturating_sub(own);
        Some((least.saturating_sub(others).min(own), most.min(own)))
    }

    /// How far the namespace's `ListenOverflows` has grown meanwhile.
    #[must_use]
    pub fn host_overflows(&self) -> Option<u64> {
        let (first, now) = self.namespace?;
        Some(now.overflows.1.saturating_sub(first.overflows.0))
    }
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Identity.
    pub id: SocketId,
    /// Family, type, protocol.
    pub kind: SocketKind,
    /// Network namespace (inode number).
    pub netns: u32,
    /// Inode number; 0 while it waits in an accept queue.
    pub ino: u64,
    /// Local address.
    pub local: Address,
    /// Peer's address.
    pub peer: Address,
    /// Options that are set.
    pub options: Options,
    /// Its life so far, oldest first; never empty. At most 64: beyond, the first 32 and the newest 32 stay.
    pub steps: Vec<Step>,
    /// The listener that it came from.
    pub listener: Option<SocketId>,
    /// `listener` was concluded, not read.
    pub inferred: bool,
    /// For a listener: how many children it has had.
    pub children: u64,
    /// For a listener: the backlog that `listen` was called with, where that was seen.
    pub backlog: Option<i32>,
    /// For a listener: its accept queue, as it was read last.
    pub queue: Option<Box<AcceptQueue>>,
    /// For a child: when it entered the queue, where that was seen.
    pub queued: Option<BootNs>,
    /// For a child: when it was accepted, where that was seen.
    pub accepted: Option<BootNs>,
    /// For a child: which thread accepted it.
    pub accepted_by: Option<(ProcessKey, u32)>,
    /// For a listener: what it dropped, once it was sampled.
    pub drops: Option<Box<Drops>>,
    /// A TCP connection's counters, and when they were read.
    pub tcp: Option<(Tcp, BootNs)>,
    /// Of a TCP connection from which nothing has ever been read, though something came.
    pub never_read: Option<NeverRead>,
    /// What was spoken on it, and since when, oldest first: the newest 4.
    pub spoken: Vec<(BootNs, Spoken)>,
    /// Of a unix socket: the other end.
    pub other_end: Option<SocketId>,
    /// Who closed the connection first.
    pub closed_first: Option<Side>,
    /// Descriptors that point to it now.
    pub holders: u32,
    /// When it ended: no descriptor points to it and the protocol is done.
    pub ended: Option<BootNs>,
    /// Revision of its last change.
    pub rev: u64,
}

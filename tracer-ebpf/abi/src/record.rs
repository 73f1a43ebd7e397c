//! The records themselves.

use crate::layout::record;

/// Bytes kept of a file's own name (the last part of its path, or the name of an anonymous inode).
pub const NAME_LEN: usize = 24;
/// Bytes kept of a path.
pub const PATH_LEN: usize = 256;
/// Bytes kept of a socket address in the caller's memory (`sockaddr_storage` is 128).
pub const SOCKADDR_LEN: usize = 128;
/// Bytes of a unix socket's name (`sun_path`, unix(7)).
pub const UNIX_PATH_LEN: usize = 108;
/// Changes of state that travel with the call that made them; further ones are records of their own.
pub const CHANGES_LEN: usize = 4;

/// The slot was read and holds a file.
pub const SLOT_PRESENT: u32 = 1;
/// The slot's close-on-exec bit was set when it was read.
pub const SLOT_CLOEXEC: u32 = 2;
/// The open file has `O_NONBLOCK` set.
pub const SLOT_NONBLOCK: u32 = 4;
/// `SO_REUSEADDR` is set (socket(7)).
pub const OPTION_REUSEADDR: u8 = 1;
/// `SO_REUSEPORT` is set.
pub const OPTION_REUSEPORT: u8 = 2;
/// `IPV6_V6ONLY` is set (ipv6(7)).
pub const OPTION_V6ONLY: u8 = 4;
/// `SO_LINGER` is on.
pub const OPTION_LINGER: u8 = 8;
/// Slots in one [`Table`] record: the bits of a word.
pub const TABLE_SLOTS: usize = 64;
/// A fork's child shares its parent's descriptor table (`CLONE_FILES`, clone(2)).
pub const FORK_SHARES_FILES: u32 = 1;

/// A passed descriptor is a socket's: a [`Sock`](crate::Sock) follows.
pub const PASSED_SOCK: u32 = 1;
/// The socket has a name: a [`UnixName`](crate::UnixName) follows.
pub const PASSED_LOCAL: u32 = 2;
/// Its peer has a name: another [`UnixName`](crate::UnixName) follows.
pub const PASSED_PEER: u32 = 4;
/// The `cpu_seq` of a record without a number: a part of what the next one of its task tells.
pub const UNNUMBERED: u64 = u64::MAX;

/// The process that a descriptor was given to is followed.
pub const TARGET_FOLLOWED: u32 = 1;
/// The process that gave it is.
pub const CALLER_FOLLOWED: u32 = 2;

/// Kind of a record. An integer newtype, so that an unknown kind is a value and not undefined behaviour.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub u16);

impl Kind {
    /// [`Call`](crate::Call).
    pub const CALL: Self = Self(1);
    /// [`CallSock`](crate::CallSock).
    pub const CALL_SOCK: Self = Self(2);
    /// [`CallAddr`](crate::CallAddr).
    pub const CALL_ADDR: Self = Self(3);
    /// [`CallPath`](crate::CallPath).
    pub const CALL_PATH: Self = Self(4);
    /// [`CallPair`](crate::CallPair).
    pub const CALL_PAIR: Self = Self(5);
    /// [`CallStates`](crate::CallStates).
    pub const CALL_STATES: Self = Self(6);
    /// [`CallFds`](crate::CallFds).
    pub const CALL_FDS: Self = Self(7);
    /// [`CallGiven`](crate::CallGiven).
    pub const CALL_GIVEN: Self = Self(8);
    /// [`Fork`](crate::Fork).
    pub const FORK: Self = Self(16);
    /// [`Exec`](crate::Exec).
    pub const EXEC: Self = Self(17);
    /// [`Exit`](crate::Exit).
    pub const EXIT: Self = Self(18);
    /// [`Table`](crate::Table).
    pub const TABLE: Self = Self(19);
    /// [`Thread`](crate::Thread).
    pub const THREAD: Self = Self(20);
    /// [`State`](crate::State).
    pub const STATE: Self = Self(32);
    /// [`Queued`](crate::Queued).
    pub const QUEUED: Self = Self(33);
    /// [`Found`](crate::Found).
    pub const FOUND: Self = Self(48);
    /// [`RingCall`](crate::RingCall).
    pub const RING_CALL: Self = Self(64);
    /// [`RingAddr`](crate::RingAddr).
    pub const RING_ADDR: Self = Self(65);
    /// [`RingPath`](crate::RingPath).
    pub const RING_PATH: Self = Self(66);
    /// [`RingSlot`](crate::RingSlot).
    pub const RING_SLOT: Self = Self(67);
}

record! {
    /// Head of every record.
    pub struct Header {
        /// A [`Kind`].
        pub kind: u16,
        /// Length of the whole record in bytes.
        pub len: u16,
        /// CPU that wrote it.
        pub cpu: u32,
        /// Number of the record among those attempted on this CPU, given before room is reserved: a number that
        /// is missing is a record that was lost. [`UNNUMBERED`] for a part.
        pub cpu_seq: u64,
        /// When it happened (for a call: when it returned).
        pub ts: u64,
        /// Thread group.
        pub pid: u32,
        /// Thread; 0 where the event has no thread of its own (softirq).
        pub tid: u32,
        /// Start of the thread group's leader: with `pid` the identity of the process.
        pub start: u64,
        /// Address of the task's descriptor table; 0 where it has none or the event has no thread.
        pub files: u64,
    }
}

record! {
    /// An open file, read from the kernel.
    pub struct FileRef {
        /// Address of the open file description: its identity while it lives.
        pub file: u64,
        /// Inode number.
        pub ino: u64,
        /// Device of the inode, as the kernel encodes it (major << 20 | minor).
        pub dev: u32,
        /// Type and permissions (`st_mode`, inode(7)).
        pub mode: u32,
    }
}

record! {
    /// A slot of a descriptor table.
    pub struct Slot {
        /// Descriptor number; -1 for none.
        pub fd: i32,
        /// `SLOT_*` flags.
        pub flags: u32,
        /// What it holds.
        pub file: FileRef,
        /// The file's own name, cut at the end, padded with zero bytes.
        pub name: [u8; NAME_LEN],
    }
}

record! {
    /// A protocol's socket, read from the kernel.
    pub struct Sock {
        /// Address of the kernel's socket: its identity while it lives; 0 for none.
        pub sk: u64,
        /// Inode number of its network namespace.
        pub netns: u32,
        /// Address family.
        pub family: u16,
        /// Type.
        pub ty: u16,
        /// Protocol.
        pub protocol: u16,
        /// Local port, host byte order.
        pub local_port: u16,
        /// Peer's port, host byte order.
        pub peer_port: u16,
        /// State, numbered as TCP's (`enum` in include/net/tcp_states.h), which every family uses.
        pub state: u16,
        /// Local address; IPv4 in the first four bytes. Others: netlink has its port id and
        /// its groups (a bit each; of the peer the group's number) as words, packet its interface as a word and its protocol,
        /// vsock a `sockaddr_vm`.
        pub local: [u8; 16],
        /// Peer's address.
        pub peer: [u8; 16],
        /// Accept queue: length.
        pub queue_len: u32,
        /// Accept queue: limit.
        pub queue_limit: u32,
        /// `OPTION_*` bits.
        pub options: u8,
        /// `TCP_DEFER_ACCEPT`, as retransmissions; 0: off. Not read of a connection, where it has no effect.
        pub defer_accept: u8,
        /// `TCP_FASTOPEN`: most connections that wait for their handshake's end, 65535: or more. Not read of a connection.
        pub fastopen: u16,
        /// `SO_LINGER`: seconds.
        pub linger_s: u32,
    }
}

record! {
    /// The name of a unix socket.
    pub struct UnixName {
        /// Bytes used; 0: unnamed. The first byte of an abstract name is 0.
        pub len: u32,
        /// The name.
        pub path: [u8; UNIX_PATH_LEN],
    }
}

record! {
    /// A system call that returned, or (as a value of the map of calls in flight) that is still running.
    pub struct Call {
        /// Head; `ts` is when it returned.
        pub header: Header,
        /// When it began; 0 where that was not seen.
        pub enter: u64,
        /// Return value.
        pub ret: i64,
        /// First four arguments, as 32-bit integers; for `FIONBIO` the third is what it points to.
        pub args: [u32; 4],
        /// Number of the system call.
        pub nr: u32,
        /// A [`Class`](crate::Class).
        pub class: u32,
        /// The slot that the first descriptor argument named, read at entry; for `dup2` and `dup3` the slot that is
        /// replaced.
        pub subject: Slot,
        /// The slot that the call filled or changed, read at exit.
        pub result: Slot,
    }
}

record! {
    /// A call about a socket without names to carry (no unix name, no caller's address).
    pub struct CallSock {
        /// The call.
        pub call: Call,
        /// The socket after the call: for an accept the child, else the socket that the call is about.
        pub sock: Sock,
        /// For an accept: the listener's address.
        pub listener: u64,
        /// For an accept: when the child entered the queue; 0 where that was not seen.
        pub queued: u64,
        /// For an accept: the listener's queue after the call.
        pub queue_len: u32,
        /// For an accept: its limit.
        pub queue_limit: u32,
    }
}

record! {
    /// A call about a socket with names.
    pub struct CallAddr {
        /// The call and its socket.
        pub base: CallSock,
        /// Local name of a unix socket.
        pub local: UnixName,
        /// Peer's name of a unix socket.
        pub peer: UnixName,
        /// The address or option in the caller's memory; empty where the call has none.
        pub asked: Asked,
    }
}

record! {
    /// A call with a path.
    pub struct CallPath {
        /// The call.
        pub call: Call,
        /// Bytes used of `path`.
        pub path_len: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
        /// The path in the caller's memory, copied at exit.
        pub path: [u8; PATH_LEN],
    }
}

record! {
    /// A call that fills two slots; the first is [`Call::result`].
    pub struct CallPair {
        /// The call.
        pub call: Call,
        /// The second slot.
        pub second: Slot,
        /// The first slot's socket, if it is one.
        pub first_sock: Sock,
        /// The second slot's socket, if it is one.
        pub second_sock: Sock,
    }
}

record! {
    /// One change of a socket's state.
    pub struct Change {
        /// When it happened.
        pub ts: u64,
        /// Pending error of the socket (`sk_err`).
        pub error: u32,
        /// State before.
        pub from: u16,
        /// State after.
        pub to: u16,
    }
}

record! {
    /// A call during which its own socket changed its state: a close or a shutdown.
    pub struct CallStates {
        /// The call.
        pub call: Call,
        /// The socket, as it was before the first change.
        pub sock: Sock,
        /// How many of `changes` there are.
        pub count: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
        /// The changes, oldest first.
        pub changes: [Change; CHANGES_LEN],
    }
}

record! {
    /// A call that passes descriptors: this head, and `count` times [`Passed`] with what its flags say.
    pub struct CallFds {
        /// The call.
        pub call: Call,
        /// How many descriptors follow.
        pub count: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
    }
}

record! {
    /// A descriptor that a call passes.
    pub struct Passed {
        /// Which message of the call it is in, from 0.
        pub message: u32,
        /// `PASSED_*` flags: what follows.
        pub flags: u32,
        /// Received: the slot that was filled, read at exit. Sent: the slot that was sent, read at entry.
        pub slot: Slot,
    }
}

record! {
    /// Whose table a call puts a descriptor into; also value of the map of such calls in flight, by thread.
    pub struct Target {
        /// Thread group; 0 where the request was not found.
        pub pid: u32,
        /// `TARGET_FOLLOWED`, `CALLER_FOLLOWED`.
        pub flags: u32,
        /// Start of its leader.
        pub start: u64,
        /// Address of its descriptor table.
        pub files: u64,
    }
}

record! {
    /// A call that gives a descriptor to another process.
    pub struct CallGiven {
        /// The call: `subject` is the caller's slot that it gives, read at entry, `result` the target's slot that was
        /// filled, read at exit.
        pub call: Call,
        /// To whom.
        pub target: Target,
        /// The socket that was given, if it is one.
        pub sock: Sock,
        /// Local name of a unix socket.
        pub local: UnixName,
        /// Peer's name of a unix socket.
        pub peer: UnixName,
    }
}

record! {
    /// A new process (not a new thread), told before it runs.
    pub struct Fork {
        /// Head; the task is the parent.
        pub header: Header,
        /// Child's thread group.
        pub child_pid: u32,
        /// `FORK_*` flags.
        pub flags: u32,
        /// Child's start.
        pub child_start: u64,
        /// Address of the child's descriptor table.
        pub child_files: u64,
        /// Number of the system call.
        pub nr: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
        /// When the call began; 0 where that was not seen.
        pub enter: u64,
        /// Name.
        pub comm: [u8; 16],
    }
}

record! {
    /// A process that executes another program, told after close-on-exec descriptors were closed.
    pub struct Exec {
        /// Head.
        pub header: Header,
        /// Thread id of the caller before the call.
        pub old_tid: u32,
        /// Number of the system call.
        pub nr: u32,
        /// When the call began; 0 where that was not seen.
        pub enter: u64,
        /// New name.
        pub comm: [u8; 16],
        /// Bytes used of `path`.
        pub path_len: u32,
        /// Set where the process is followed from this moment on: its table is not known yet.
        pub newly_followed: u32,
        /// Path that is executed.
        pub path: [u8; PATH_LEN],
    }
}

record! {
    /// The last thread of a process ends; its descriptors are closed right after.
    pub struct Exit {
        /// Head.
        pub header: Header,
        /// Wait status (`wait(2)`).
        pub code: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
    }
}

record! {
    /// Slots of a descriptor table that only one task has, and that was made from a shared one: what other tasks did to that
    /// one meanwhile is not known by their calls. Told before the record of the call that made the table, at the same moment;
    /// the first slots in any case, more where any of them holds a file.
    pub struct Table {
        /// Head, without a number; the task and the table are the ones that the slots belong to.
        pub header: Header,
        /// Number of the first slot.
        pub first: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
        /// Close-on-exec, a bit a slot.
        pub cloexec: u64,
        /// Address of the open file in each slot; 0 for none.
        pub files: [u64; TABLE_SLOTS],
    }
}

record! {
    /// A thread whose table is not its leader's begins or ends.
    pub struct Thread {
        /// Head; the task and the table are the thread's.
        pub header: Header,
        /// Tasks that have the table, this one included.
        pub users: u32,
        /// Set where it begins.
        pub begins: u32,
    }
}

record! {
    /// A followed TCP socket changed its state.
    pub struct State {
        /// Head; process and start are the owner's, the thread is 0 unless the change happened in its own call.
        pub header: Header,
        /// Pending error of the socket (`sk_err`).
        pub error: u32,
        /// State before.
        pub from: u16,
        /// State after.
        pub to: u16,
        /// The socket.
        pub sock: Sock,
        /// The change right before, which waited for this one; its time is 0 where there is none.
        pub before: Change,
    }
}

record! {
    /// A connection is complete and waits in a followed listener's accept queue.
    pub struct Queued {
        /// Head; process and start are the listener's owner's.
        pub header: Header,
        /// Address of the listener's socket.
        pub listener: u64,
        /// Length of its queue, this connection included.
        pub queue_len: u32,
        /// Its limit.
        pub queue_limit: u32,
        /// The connection.
        pub sock: Sock,
    }
}

record! {
    /// One slot of one descriptor table, as the snapshot's iterator found it. The path follows the row.
    pub struct SnapshotRow {
        /// When it was read.
        pub ts: u64,
        /// Thread group.
        pub pid: u32,
        /// Parent's thread group.
        pub parent: u32,
        /// Start of the leader.
        pub start: u64,
        /// Address of the descriptor table.
        pub files: u64,
        /// Name of the leader.
        pub comm: [u8; 16],
        /// Soft limit on descriptors (`RLIMIT_NOFILE`, getrlimit(2)).
        pub fd_limit: u64,
        /// The slot.
        pub slot: Slot,
        /// The socket in it, if it is one.
        pub sock: Sock,
        /// Local name of a unix socket.
        pub local: UnixName,
        /// Peer's name of a unix socket.
        pub peer: UnixName,
        /// Length in bytes of the path that follows the row.
        pub path_len: u32,
        /// Open flags.
        pub open_flags: u32,
    }
}

record! {
    /// A slot that is followed from here on: its earlier life as one row, without a path.
    pub struct Found {
        /// Head.
        pub header: Header,
        /// The slot.
        pub row: SnapshotRow,
    }
}

record! {
    /// Value of the map of followed processes.
    pub struct Follow {
        /// Set where only the process's sockets on the selected port are followed.
        pub sockets_only: u32,
    }
}

record! {
    /// Value of the map of followed sockets.
    pub struct Tracked {
        /// Owner's thread group.
        pub pid: u32,
        /// The state that was told last; 0 for none.
        pub told: u32,
        /// Owner's start.
        pub start: u64,
        /// When it entered an accept queue; 0 where it did not or that was not seen.
        pub queued: u64,
        /// A change that waits to be told with the next one; its time is 0 where there is none.
        pub waits: Change,
        /// The socket as it was last read: the addresses of a connection do not change.
        pub sock: Sock,
    }
}

record! {
    /// Value of the map of calls in flight, by thread.
    pub struct InFlight {
        /// The call as it stands: no `ret`, `header.ts` and `header.cpu_seq` are 0.
        pub call: Call,
        /// Pointer argument that is read at exit (path, pair of descriptors, message header).
        pub pointer: u64,
        /// Address of the socket that the call is about; 0 for none.
        pub sk: u64,
        /// Set once the call has returned and is being told: what its socket does now is not its any more.
        pub returned: u32,
        /// How many of `changes` there are.
        pub count: u32,
        /// What the socket did during the call.
        pub changes: [Change; CHANGES_LEN],
        /// The socket before the first change; as an earlier call left it where there is none.
        pub sock: Sock,
        /// For `fork` and `execve` and their kin: set where other tasks had the caller's table when the call began.
        pub shared: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
    }
}

record! {
    /// Value of the map of addresses and options that calls in flight were given, by thread.
    pub struct Asked {
        /// Bytes used of `bytes`.
        pub len: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
        /// The address, or the value of `setsockopt`, in the caller's memory, copied at entry.
        pub bytes: [u8; SOCKADDR_LEN],
    }
}

//! Records of system calls, and what is kept while one runs.

use crate::{
    layout::record,
    queue::Tcp,
    record::{Header, Slot, Sock, UnixName},
    socket::Change,
};

/// Bytes kept of a path.
pub const PATH_LEN: usize = 256;
/// Bytes kept of a socket address in the caller's memory (`sockaddr_storage` is 128).
pub const SOCKADDR_LEN: usize = 128;
/// Changes of state that travel with the call that made them; further ones are records of their own.
pub const CHANGES_LEN: usize = 4;

/// A passed descriptor is a socket's: a [`Sock`](crate::Sock) follows.
pub const PASSED_SOCK: u32 = 1;
/// The socket has a name: a [`UnixName`](crate::UnixName) follows.
pub const PASSED_LOCAL: u32 = 2;
/// Its peer has a name: another [`UnixName`](crate::UnixName) follows.
pub const PASSED_PEER: u32 = 4;

/// The process that a descriptor was given to is followed.
pub const TARGET_FOLLOWED: u32 = 1;
/// The process that gave it is.
pub const CALLER_FOLLOWED: u32 = 2;

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
        /// For an accept: when the thread began, boot clock: its number may have been another's.
        pub thread_start: u64,
        /// For an accept: how often the thread has gone to sleep so far (`nvcsw`, include/linux/sched.h).
        pub sleeps: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
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
        /// What the connection came to, where the last change ended it.
        pub tcp: Tcp,
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
        /// What the connection came to, where the last of `changes` ended it.
        pub tcp: Tcp,
        /// For `fork`, `execve`, `close_range` and their kin: set where other tasks had the caller's table when the call began.
        pub shared: u32,
        /// For `io_uring_setup`: set where the ring it made has no number. What the call returns is then the place of the
        /// ring among those that the thread has registered (`io_ring_add_registered_file`, io_uring/tctx.c).
        pub registered: u32,
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

//! What every record begins with, and the parts that several have.

use crate::layout::record;

/// Bytes kept of a file's own name (the last part of its path, or the name of an anonymous inode).
pub const NAME_LEN: usize = 24;
/// Bytes of a unix socket's name (`sun_path`, unix(7)).
pub const UNIX_PATH_LEN: usize = 108;

/// The slot was read and holds a file.
pub const SLOT_PRESENT: u32 = 1;
/// The slot's close-on-exec bit was set when it was read.
pub const SLOT_CLOEXEC: u32 = 2;
/// The open file has `O_NONBLOCK` set.
pub const SLOT_NONBLOCK: u32 = 4;
/// The open file is a POSIX message queue (mq_overview(7)); told by snapshots, where its name does not tell.
pub const SLOT_MQUEUE: u32 = 8;
/// `SO_REUSEADDR` is set (socket(7)).
pub const OPTION_REUSEADDR: u8 = 1;
/// `SO_REUSEPORT` is set.
pub const OPTION_REUSEPORT: u8 = 2;
/// `IPV6_V6ONLY` is set (ipv6(7)).
pub const OPTION_V6ONLY: u8 = 4;
/// `SO_LINGER` is on.
pub const OPTION_LINGER: u8 = 8;

/// The `cpu_seq` of a record without a number: a part of what the next one of its task tells.
pub const UNNUMBERED: u64 = u64::MAX;

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
    /// [`Cgroup`](crate::Cgroup).
    pub const CGROUP: Self = Self(21);
    /// [`State`](crate::State).
    pub const STATE: Self = Self(32);
    /// [`Queued`](crate::Queued).
    pub const QUEUED: Self = Self(33);
    /// [`Overflow`](crate::Overflow).
    pub const OVERFLOW: Self = Self(34);
    /// [`Retransmit`](crate::Retransmit).
    pub const RETRANSMIT: Self = Self(35);
    /// [`Slept`](crate::Slept).
    pub const SLEPT: Self = Self(36);
    /// [`Spoken`](crate::Spoken).
    pub const SPOKEN: Self = Self(37);
    /// [`Stack`](crate::Stack).
    pub const STACK: Self = Self(38);
    /// [`Queued`](crate::Queued), of a connection that was in the queue before its listener was followed.
    pub const WAITING: Self = Self(39);
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
    /// [`RingPair`](crate::RingPair).
    pub const RING_PAIR: Self = Self(68);
    /// [`RingFds`](crate::RingFds).
    pub const RING_FDS: Self = Self(69);
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
        /// vsock a `sockaddr_vm`, unix of the peer the address of its socket in the first eight bytes.
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

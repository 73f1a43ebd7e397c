//! What a traced system call does to descriptors: the kernel programs decide by this class, never by number, so that
//! one object serves every architecture's numbering.

use crate::layout::record;

/// Length of the table that maps a system call's number to its [`Entry`].
pub const SYSCALL_TABLE_LEN: u32 = 512;

/// What a system call does to descriptors. An integer newtype, since a Rust enum read from a map would be undefined
/// for a value that it does not list.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(pub u16);

impl Class {
    /// Not traced.
    pub const NONE: Self = Self(0);
    /// `socket`: a new descriptor with a socket.
    pub const SOCKET: Self = Self(1);
    /// `socketpair`, `pipe`, `pipe2`: two new descriptors, their numbers in the caller's memory.
    pub const PAIR: Self = Self(2);
    /// `bind`: a socket and an address.
    pub const BIND: Self = Self(3);
    /// `listen`.
    pub const LISTEN: Self = Self(4);
    /// `accept`, `accept4`: a new descriptor out of a listener's queue.
    pub const ACCEPT: Self = Self(5);
    /// `connect`: a socket and an address.
    pub const CONNECT: Self = Self(6);
    /// `shutdown`.
    pub const SHUTDOWN: Self = Self(7);
    /// `close`.
    pub const CLOSE: Self = Self(8);
    /// `close_range`.
    pub const CLOSE_RANGE: Self = Self(9);
    /// `dup`: a new descriptor for the file that the first argument names.
    pub const DUP: Self = Self(10);
    /// `dup2`, `dup3`: the same at a number that the caller chose, which is emptied first.
    pub const DUP2: Self = Self(11);
    /// `fcntl`: traced for `F_DUPFD`, `F_DUPFD_CLOEXEC` and `F_SETFD`, and for `F_SETFL` where it changes `O_NONBLOCK` of a
    /// socket.
    pub const FCNTL: Self = Self(12);
    /// `open` and its kin: a new descriptor for a path.
    pub const OPEN: Self = Self(13);
    /// Any other call whose result is a new descriptor.
    pub const ANON: Self = Self(14);
    /// `fork`, `vfork`: told by the scheduler's tracepoint; only a failure is told by the call.
    pub const FORK: Self = Self(15);
    /// `execve`, `execveat`: likewise.
    pub const EXEC: Self = Self(16);
    /// `recvmsg`: traced where control data carried descriptors in (`SCM_RIGHTS`, `SCM_PIDFD`, unix(7)).
    pub const RECVMSG: Self = Self(17);
    /// `ioctl`: traced for `FIOCLEX` and `FIONCLEX`, for `FIONBIO` where it changes `O_NONBLOCK` of a socket, and for the
    /// requests whose result is a new descriptor. Those that write its number to a structure are not known: what they make
    /// is found by a check of the table. Also for `SECCOMP_IOCTL_NOTIF_ADDFD`, which fills a slot of another process's
    /// table.
    pub const IOCTL: Self = Self(18);
    /// `unshare`: traced for `CLONE_FILES`.
    pub const UNSHARE: Self = Self(19);
    /// `sendmsg`: traced where control data carries descriptors out (`SCM_RIGHTS`, unix(7)).
    pub const SENDMSG: Self = Self(20);
    /// `clone`: like `fork`; with `CLONE_PIDFD` a success is told too, by the descriptor that it made in the caller's
    /// table.
    pub const CLONE: Self = Self(21);
    /// `clone3`: the same with its arguments in the caller's memory.
    pub const CLONE3: Self = Self(22);
    /// `lseek`: traced for sockets, which it fails on.
    pub const LSEEK: Self = Self(23);
    /// `bpf`: traced for the commands whose result is a new descriptor.
    pub const BPF: Self = Self(24);
    /// `seccomp`: traced for `SECCOMP_FILTER_FLAG_NEW_LISTENER`, whose result is a new descriptor.
    pub const SECCOMP: Self = Self(25);
    /// `landlock_create_ruleset`: a new descriptor; with a flag it answers a question instead, and is not traced.
    pub const RULESET: Self = Self(26);
    /// `getsockopt`: traced for `SO_PEERPIDFD`, which makes a descriptor whose number it writes to the caller's memory.
    pub const GETSOCKOPT: Self = Self(27);
    /// `recvmmsg`: like `recvmsg`, for a vector of messages.
    pub const RECVMMSG: Self = Self(28);
    /// `sendmmsg`: like `sendmsg`, for a vector of messages.
    pub const SENDMMSG: Self = Self(29);
    /// `read`: traced for fanotify groups, whose events install descriptors (fanotify(7)). Before the programs have seen such a
    /// group, its row of the table of calls is [`Self::RECEIVE`].
    pub const READ: Self = Self(30);
    /// `readv`: likewise.
    pub const READV: Self = Self(31);
    /// `sendto`: traced where it gives a datagram socket of the internet protocols its port (`inet_send_prepare`,
    /// net/ipv4/af_inet.c). `sendmsg`, `sendmmsg`, `write` and `writev` that do are of this class too.
    pub const SENDTO: Self = Self(39);
    /// `setsockopt`: traced for the options that explain behaviour (`option`, the third argument, at `level`, the second).
    pub const SETSOCKOPT: Self = Self(40);
    /// `IORING_OP_MSG_RING`: traced for `IORING_MSG_SEND_FD`, which copies an entry of the ring's file table to another
    /// ring's.
    pub const MSG_RING: Self = Self(41);
    /// `write`, `writev`: traced where they fail on a datagram socket for want of a destination, as `sendto` is without an
    /// address: the first that fails so has given the socket its port.
    pub const WRITE: Self = Self(42);
    /// `recvfrom`: makes no event. Of what receives only the end is looked at, and only where it finds the other end of a unix
    /// connection gone.
    pub const RECEIVE: Self = Self(43);
}

impl Class {
    /// Whether its calls only receive, as far as the programs look, before these have seen a file that they matter for.
    #[must_use]
    pub const fn sleeps(self) -> bool {
        matches!(self, Self::READ | Self::READV)
    }

    /// Whether its calls receive what comes through a socket.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::RECEIVE | Self::READ | Self::READV | Self::RECVMSG | Self::RECVMMSG)
    }
}

/// How many calls there are of classes that sleep.
pub const SLEEPING_LEN: u32 = 2;

record! {
    /// A row of the system call table that the programs set themselves, once they have seen a file that it matters for.
    pub struct Sleeping {
        /// The call's number.
        pub number: u32,
        /// Its row.
        pub entry: Entry,
    }
}

record! {
    /// One row of the system call table: what to do with a number.
    pub struct Entry {
        /// A [`Class`].
        pub class: u16,
        /// Which argument points to the path, the pair of descriptors or the message header; 0 where none does.
        pub pointer_arg: u16,
    }
}

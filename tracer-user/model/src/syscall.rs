//! The system calls that are traced: name and what each does to descriptors.

use core::fmt;
use serde::{Deserialize, Serialize};
use tracer_abi::Class;

macro_rules! syscalls {
    ($($variant:ident $name:literal $class:ident $(pointer $pointer:literal)?,)*) => {
        /// A traced system call. Recordings store the place in this list: add at the end, remove nothing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[expect(
            missing_docs,
            reason = "each variant is the call of section 2 of the manual, or the operation of an io_uring, that `name` gives"
        )]
        pub enum Syscall { $($variant,)* }

        impl Syscall {
            /// Every traced call.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Name as in section 2 of the manual and as strace prints it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What the call does to descriptors.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }

            /// Which argument points to a path, a pair of descriptors or a message header; 0 where none does.
            #[must_use]
            pub const fn pointer_arg(self) -> u16 {
                match self { $(Self::$variant => 0 $(+ $pointer)?,)* }
            }
        }
    };
}

syscalls! {
    Socket "socket" SOCKET,
    Socketpair "socketpair" PAIR pointer 3,
    Bind "bind" BIND,
    Listen "listen" LISTEN,
    Accept "accept" ACCEPT,
    Accept4 "accept4" ACCEPT,
    Connect "connect" CONNECT,
    Shutdown "shutdown" SHUTDOWN,
    Close "close" CLOSE,
    CloseRange "close_range" CLOSE_RANGE,
    Dup "dup" DUP,
    Dup2 "dup2" DUP2,
    Dup3 "dup3" DUP2,
    Fcntl "fcntl" FCNTL,
    Ioctl "ioctl" IOCTL,
    Open "open" OPEN pointer 0,
    Creat "creat" OPEN pointer 0,
    Openat "openat" OPEN pointer 1,
    Openat2 "openat2" OPEN pointer 1,
    OpenByHandleAt "open_by_handle_at" ANON,
    OpenTree "open_tree" OPEN pointer 1,
    Fsopen "fsopen" ANON,
    Fsmount "fsmount" ANON,
    Fspick "fspick" OPEN pointer 1,
    Pipe "pipe" PAIR pointer 0,
    Pipe2 "pipe2" PAIR pointer 0,
    Eventfd "eventfd" ANON,
    Eventfd2 "eventfd2" ANON,
    EpollCreate "epoll_create" ANON,
    EpollCreate1 "epoll_create1" ANON,
    TimerfdCreate "timerfd_create" ANON,
    Signalfd "signalfd" ANON,
    Signalfd4 "signalfd4" ANON,
    InotifyInit "inotify_init" ANON,
    InotifyInit1 "inotify_init1" ANON,
    FanotifyInit "fanotify_init" ANON,
    MemfdCreate "memfd_create" ANON,
    MemfdSecret "memfd_secret" ANON,
    PidfdOpen "pidfd_open" ANON,
    PidfdGetfd "pidfd_getfd" ANON,
    Userfaultfd "userfaultfd" ANON,
    PerfEventOpen "perf_event_open" ANON,
    IoUringSetup "io_uring_setup" ANON,
    MqOpen "mq_open" OPEN pointer 0,
    Recvmsg "recvmsg" RECVMSG pointer 1,
    Fork "fork" FORK,
    Vfork "vfork" FORK,
    Clone "clone" CLONE pointer 2,
    Clone3 "clone3" CLONE3 pointer 0,
    Execve "execve" EXEC pointer 0,
    Execveat "execveat" EXEC pointer 1,
    Unshare "unshare" UNSHARE,
    LandlockCreateRuleset "landlock_create_ruleset" RULESET,
    Recvmmsg "recvmmsg" RECVMMSG pointer 1,
    Sendmsg "sendmsg" SENDMSG pointer 1,
    Sendmmsg "sendmmsg" SENDMMSG pointer 1,
    Lseek "lseek" LSEEK,
    Bpf "bpf" BPF,
    Seccomp "seccomp" SECCOMP,
    OpenTreeAttr "open_tree_attr" OPEN pointer 1,
    Getsockopt "getsockopt" GETSOCKOPT pointer 3,
    RingSocket "IORING_OP_SOCKET" SOCKET,
    RingBind "IORING_OP_BIND" BIND,
    RingListen "IORING_OP_LISTEN" LISTEN,
    RingAccept "IORING_OP_ACCEPT" ACCEPT,
    RingConnect "IORING_OP_CONNECT" CONNECT,
    RingShutdown "IORING_OP_SHUTDOWN" SHUTDOWN,
    RingClose "IORING_OP_CLOSE" CLOSE,
    RingOpenat "IORING_OP_OPENAT" OPEN,
    RingOpenat2 "IORING_OP_OPENAT2" OPEN,
    RingFixedFdInstall "IORING_OP_FIXED_FD_INSTALL" DUP,
    Read "read" READ pointer 1,
    Readv "readv" READV pointer 1,
    Setsockopt "setsockopt" SETSOCKOPT,
    RingSendmsg "IORING_OP_SENDMSG" SENDMSG,
    RingRecvmsg "IORING_OP_RECVMSG" RECVMSG,
    RingMsgRing "IORING_OP_MSG_RING" MSG_RING,
    RingPipe "IORING_OP_PIPE" PAIR,
    Sendto "sendto" SENDTO,
    Write "write" WRITE,
    Writev "writev" WRITE,
    Recvfrom "recvfrom" RECEIVE,
}

impl Syscall {
    /// The call of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|call| call.name() == name)
    }
}

impl Syscall {
    /// The operation of an io_uring with that number (`enum io_uring_op`, include/uapi/linux/io_uring.h).
    #[must_use]
    pub const fn operation(number: u32) -> Option<Self> {
        Some(match number {
            9 => Self::RingSendmsg,
            10 => Self::RingRecvmsg,
            13 => Self::RingAccept,
            16 => Self::RingConnect,
            18 => Self::RingOpenat,
            19 => Self::RingClose,
            28 => Self::RingOpenat2,
            34 => Self::RingShutdown,
            40 => Self::RingMsgRing,
            45 => Self::RingSocket,
            54 => Self::RingFixedFdInstall,
            56 => Self::RingBind,
            57 => Self::RingListen,
            62 => Self::RingPipe,
            _ => return None,
        })
    }
}

impl fmt::Display for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The running machine's numbering of the traced calls.
#[derive(Clone, Debug, Default)]
pub struct Numbering {
    by_number: Vec<Option<Syscall>>,
    /// Names of all calls, also of those that are not traced.
    names: Vec<Option<&'static str>>,
}

impl Numbering {
    /// Builds the table from (number, call) pairs; a number of [`tracer_abi::SYSCALL_TABLE_LEN`] or more is left out.
    pub fn new(pairs: impl IntoIterator<Item = (u32, Syscall)>) -> Self {
        let mut by_number = vec![None; tracer_abi::SYSCALL_TABLE_LEN as usize];
        for (number, call) in pairs {
            if let Some(place) = usize::try_from(number).ok().and_then(|index| by_number.get_mut(index)) {
                *place = Some(call);
            }
        }
        Self { by_number, names: Vec::new() }
    }

    /// The same with the names of all calls by number.
    #[must_use]
    pub fn with_names(self, name: impl FnMut(u32) -> Option<&'static str>) -> Self {
        Self { names: (0..tracer_abi::SYSCALL_TABLE_LEN).map(name).collect(), ..self }
    }

    /// Name of the call with that number, traced or not; the number itself where it has none.
    #[must_use]
    pub fn name(&self, number: u32) -> Option<String> {
        let known = self.names.get(usize::try_from(number).ok()?).copied().flatten();
        Some(known.map_or_else(|| number.to_string(), str::to_owned))
    }

    /// The call with that number.
    #[must_use]
    pub fn call(&self, number: u32) -> Option<Syscall> {
        self.by_number.get(usize::try_from(number).ok()?).copied().flatten()
    }

    /// Every (number, call).
    pub fn iter(&self) -> impl Iterator<Item = (u32, Syscall)> + '_ {
        (0..).zip(&self.by_number).filter_map(|(number, call)| Some((number, (*call)?)))
    }
}

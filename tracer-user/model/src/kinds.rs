//! What a file is, from its mode, its name and the call that made it; and which event a call is.

use crate::{
    entity::Access,
    event::{EventKind, FileKind},
    input::{Call, FileRef},
    syscall::Syscall,
};
use tracer_abi::Class;

/// `F_DUPFD` (include/uapi/asm-generic/fcntl.h).
const F_DUPFD: u32 = 0;
/// `F_DUPFD_CLOEXEC` (include/uapi/linux/fcntl.h).
const F_DUPFD_CLOEXEC: u32 = 1030;
/// `FIONCLEX`, `FIOCLEX` (ioctl_tty(2)).
const FIONCLEX: u32 = 0x5450;
const FIOCLEX: u32 = 0x5451;
/// `F_SETFL` (include/uapi/asm-generic/fcntl.h).
const F_SETFL: u32 = 4;
/// `FIONBIO` (include/uapi/asm-generic/ioctls.h).
const FIONBIO: u32 = 0x5421;
/// `SECCOMP_IOCTL_NOTIF_ADDFD` without the size that it carries (`EA_IOCTL`, kernel/seccomp.c).
const ADDFD: u32 = 0x2103;
/// `SHUT_RD` (shutdown(2)).
pub(crate) const SHUT_RD: u32 = 0;
/// `CLOSE_RANGE_UNSHARE` (`include/uapi/linux/close_range.h`).
pub(crate) const CLOSE_RANGE_UNSHARE: u32 = 2;
/// `CLOSE_RANGE_CLOEXEC` (`include/uapi/linux/close_range.h`).
pub(crate) const CLOSE_RANGE_CLOEXEC: u32 = 4;

impl Call {
    /// The kind of event that the call is.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        event_kind(self)
    }
}

/// How the file may be used that a call opened or made at that place among its results, as far as its arguments tell.
/// Those of openat2(2) and of a ring's operations lie in memory that is not read.
pub(crate) fn access(call: &Call, place: usize) -> Option<Access> {
    let [_, second, third, _] = call.args;
    match call.call {
        Syscall::Pipe | Syscall::Pipe2 => Some(if place == 0 { Access::Read } else { Access::Write }),
        Syscall::Open | Syscall::MqOpen => Access::from_flags(second),
        Syscall::Openat => Access::from_flags(third),
        Syscall::Creat => Some(Access::Write),
        Syscall::MemfdCreate => Some(Access::Both),
        _ => None,
    }
}

/// The event of a call: the base name of what it does.
pub(crate) fn event_kind(call: &Call) -> EventKind {
    let [_, request, flags, _] = call.args;
    match call.call {
        Syscall::Socket | Syscall::RingSocket => EventKind::Socket,
        Syscall::Socketpair => EventKind::Socketpair,
        // A send that gave its socket a port; of one that passes descriptors no socket is told.
        Syscall::Sendmsg | Syscall::Sendmmsg if !call.socks.is_empty() => EventKind::Bind,
        Syscall::Bind | Syscall::RingBind | Syscall::Sendto | Syscall::Write | Syscall::Writev => {
            EventKind::Bind
        }
        Syscall::Listen | Syscall::RingListen => EventKind::Listen,
        Syscall::Accept | Syscall::Accept4 | Syscall::RingAccept => EventKind::Accept,
        Syscall::Connect | Syscall::RingConnect => EventKind::Connect,
        Syscall::Shutdown | Syscall::RingShutdown => EventKind::Shutdown,
        Syscall::CloseRange if flags & CLOSE_RANGE_CLOEXEC != 0 => EventKind::Setfd,
        Syscall::Close | Syscall::CloseRange | Syscall::RingClose => EventKind::Close,
        Syscall::Dup | Syscall::Dup2 | Syscall::Dup3 | Syscall::RingFixedFdInstall => EventKind::Dup,
        Syscall::Fcntl if matches!(request, F_DUPFD | F_DUPFD_CLOEXEC) => EventKind::Dup,
        Syscall::Fcntl if request == F_SETFL => EventKind::Setfl,
        Syscall::Ioctl if request == FIONBIO => EventKind::Setfl,
        Syscall::Setsockopt => EventKind::Setsockopt,
        Syscall::Fcntl => EventKind::Setfd,
        Syscall::Ioctl if matches!(request, FIOCLEX | FIONCLEX) => EventKind::Setfd,
        Syscall::Ioctl if request & 0xffff == ADDFD => EventKind::Pass,
        // What is left of ioctl(2) are the requests that make a descriptor.
        Syscall::Ioctl
        | Syscall::Open
        | Syscall::Creat
        | Syscall::Openat
        | Syscall::Openat2
        | Syscall::OpenByHandleAt
        | Syscall::OpenTree
        | Syscall::OpenTreeAttr
        | Syscall::Fsopen
        | Syscall::Fsmount
        | Syscall::Fspick
        | Syscall::RingOpenat
        | Syscall::RingOpenat2 => EventKind::Open,
        Syscall::Pipe | Syscall::Pipe2 | Syscall::RingPipe => EventKind::Pipe,
        Syscall::Eventfd | Syscall::Eventfd2 => EventKind::Eventfd,
        Syscall::EpollCreate | Syscall::EpollCreate1 => EventKind::Epoll,
        Syscall::TimerfdCreate => EventKind::Timerfd,
        Syscall::Signalfd | Syscall::Signalfd4 => EventKind::Signalfd,
        Syscall::InotifyInit | Syscall::InotifyInit1 => EventKind::Inotify,
        Syscall::FanotifyInit => EventKind::Fanotify,
        Syscall::MemfdCreate | Syscall::MemfdSecret => EventKind::Memfd,
        Syscall::PidfdOpen | Syscall::Getsockopt => EventKind::Pidfd,
        Syscall::PidfdGetfd
        | Syscall::Recvmsg
        | Syscall::Recvmmsg
        | Syscall::Recvfrom
        | Syscall::Read
        | Syscall::Readv
        | Syscall::Sendmsg
        | Syscall::Sendmmsg
        | Syscall::RingRecvmsg
        | Syscall::RingSendmsg
        | Syscall::RingMsgRing => EventKind::Pass,
        Syscall::Lseek => EventKind::Lseek,
        Syscall::Bpf => EventKind::Bpf,
        Syscall::Seccomp => EventKind::Seccomp,
        Syscall::Userfaultfd => EventKind::Userfaultfd,
        Syscall::PerfEventOpen => EventKind::PerfEvent,
        Syscall::IoUringSetup => EventKind::IoUring,
        Syscall::MqOpen => EventKind::Mqueue,
        // A success of `clone` is told by the fork; what the call itself tells is the descriptor of `CLONE_PIDFD`.
        Syscall::Clone | Syscall::Clone3 if !call.results.is_empty() => EventKind::Pidfd,
        Syscall::Fork | Syscall::Vfork | Syscall::Clone | Syscall::Clone3 => EventKind::Fork,
        Syscall::Execve | Syscall::Execveat => EventKind::Exec,
        Syscall::Unshare => EventKind::Unshare,
        Syscall::LandlockCreateRuleset => EventKind::Landlock,
    }
}

/// Kind of the file that a call made. The call decides where it can make one kind only; newer kernels give anonymous
/// inodes the mode of a regular file.
pub(crate) fn made_by(call: Syscall, event: EventKind, file: &FileRef, name: &[u8]) -> FileKind {
    match event {
        EventKind::Socket | EventKind::Socketpair | EventKind::Accept => FileKind::Socket,
        EventKind::Pipe => FileKind::Pipe,
        EventKind::Eventfd => FileKind::Eventfd,
        EventKind::Epoll => FileKind::Epoll,
        EventKind::Timerfd => FileKind::Timerfd,
        EventKind::Signalfd => FileKind::Signalfd,
        EventKind::Inotify => FileKind::Inotify,
        EventKind::Fanotify => FileKind::Fanotify,
        EventKind::Memfd => FileKind::Memfd,
        EventKind::Pidfd => FileKind::Pidfd,
        EventKind::Userfaultfd => FileKind::Userfaultfd,
        EventKind::PerfEvent => FileKind::PerfEvent,
        EventKind::IoUring => FileKind::IoUring,
        EventKind::Mqueue => FileKind::Mqueue,
        EventKind::Landlock | EventKind::Seccomp => FileKind::Anonymous,
        EventKind::Bpf => FileKind::Bpf,
        // A path may end in any name, so only the mode counts; `fspick` and the calls without a path make anonymous
        // inodes.
        EventKind::Open if call.class() == Class::OPEN && call != Syscall::Fspick => {
            by_mode(file.mode, name).unwrap_or(FileKind::Unknown)
        }
        _ => by_name(file, name),
    }
}

/// Kind of a file of unknown making, by its own name: the last part of a path or an anonymous inode's name.
pub(crate) fn by_name(file: &FileRef, name: &[u8]) -> FileKind {
    match by_mode(file.mode, name) {
        None | Some(FileKind::File) if name.starts_with(b"memfd:") => FileKind::Memfd,
        None | Some(FileKind::File) if name.starts_with(b"[") || anonymous(name) != FileKind::Anonymous => {
            anonymous(name)
        }
        Some(kind) => kind,
        // Only anonymous inodes have a mode without a type (`anon_inode_init`, fs/anon_inodes.c).
        None if file.mode != 0 => FileKind::Anonymous,
        None => FileKind::Unknown,
    }
}

/// Before the name of a message queue that a snapshot found.
const MQUEUE: &[u8] = b"mqueue:";

/// Kind of a file as a snapshot names it: a whole path, or what `/proc/PID/fd` shows (proc(5)).
pub(crate) fn by_link(file: &FileRef, link: &[u8]) -> FileKind {
    if let Some(name) = link.strip_prefix(b"anon_inode:") {
        return anonymous(name);
    }
    if link.starts_with(MQUEUE) {
        return FileKind::Mqueue;
    }
    let unlinked = link.ends_with(b" (deleted)");
    if unlinked && (link.starts_with(b"/memfd:") || link.starts_with(b"/secretmem")) {
        return FileKind::Memfd;
    }
    if link.starts_with(b"/") {
        return by_mode(file.mode, link).unwrap_or(FileKind::Unknown);
    }
    by_name(file, link)
}

/// The name a descriptor shows for a link: sockets and pipes have none of their own.
pub(crate) fn shown_name(kind: FileKind, name: &[u8]) -> &[u8] {
    match kind {
        FileKind::Socket | FileKind::Pipe => b"",
        FileKind::Mqueue => name.strip_prefix(MQUEUE).unwrap_or(name),
        _ => name.strip_prefix(b"anon_inode:").unwrap_or(name),
    }
}

/// Kind by the type bits of a mode (inode(7)); a pipe's own name is empty or `pipe:[inode]`, a FIFO has one.
fn by_mode(mode: u32, name: &[u8]) -> Option<FileKind> {
    Some(match mode & 0o170_000 {
        0o010_000 if name.is_empty() || name.starts_with(b"pipe:") => FileKind::Pipe,
        0o010_000 => FileKind::Fifo,
        0o020_000 => FileKind::CharDevice,
        0o040_000 => FileKind::Directory,
        0o060_000 => FileKind::BlockDevice,
        0o100_000 => FileKind::File,
        0o120_000 => FileKind::Symlink,
        0o140_000 => FileKind::Socket,
        _ => return None,
    })
}

/// Kind by an anonymous inode's name, the first argument of the kernel's `anon_inode_getfd` and its kin.
fn anonymous(name: &[u8]) -> FileKind {
    match name {
        b"[eventpoll]" => FileKind::Epoll,
        b"[timerfd]" => FileKind::Timerfd,
        b"[signalfd]" => FileKind::Signalfd,
        b"inotify" | b"[inotify]" => FileKind::Inotify,
        b"[fanotify]" => FileKind::Fanotify,
        b"[io_uring]" => FileKind::IoUring,
        b"[pidfd]" => FileKind::Pidfd,
        b"[userfaultfd]" => FileKind::Userfaultfd,
        b"[perf_event]" => FileKind::PerfEvent,
        b"btf" => FileKind::Bpf,
        _ if name.starts_with(b"bpf-") || name.starts_with(b"bpf_") => FileKind::Bpf,
        _ if name.starts_with(b"[eventfd") => FileKind::Eventfd,
        _ => FileKind::Anonymous,
    }
}

//! Which uses of a traced call move descriptors. Every such call of every followed process pays for these questions, so
//! the cheap ones come first.

use super::{addfd, call::Arguments, fanotify};
use crate::{
    file,
    kread::user,
    task::{Current, Scope},
};
use tracer_abi::{Class, Entry};

/// `F_DUPFD`, `F_SETFD`, `F_SETFL`, `F_DUPFD_CLOEXEC` (fcntl(2)).
const F_DUPFD: u32 = 0;
pub(super) const F_SETFD: u32 = 2;
pub(super) const F_SETFL: u32 = 4;
const F_DUPFD_CLOEXEC: u32 = 1030;
/// `FIONBIO` (include/uapi/asm-generic/ioctls.h).
pub(super) const FIONBIO: u32 = 0x5421;
/// `FIONCLEX`, `FIOCLEX` (ioctl_tty(2)).
pub(super) const FIONCLEX: u32 = 0x5450;
pub(super) const FIOCLEX: u32 = 0x5451;
/// `CLONE_FILES` (unshare(2)).
const CLONE_FILES: u32 = 0x400;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER` (seccomp(2)).
const NEW_LISTENER: u32 = 8;
/// Levels of options, and the options that explain behaviour (socket(7), tcp(7), ipv6(7)).
pub(super) const SOL_SOCKET: u32 = 1;
const SO_REUSEADDR: u32 = 2;
pub(super) const SO_LINGER: u32 = 13;
const SO_REUSEPORT: u32 = 15;
const SOL_TCP: u32 = 6;
const TCP_DEFER_ACCEPT: u32 = 9;
const TCP_FASTOPEN: u32 = 23;
const SOL_IPV6: u32 = 41;
const IPV6_V6ONLY: u32 = 26;
/// `SO_PEERPIDFD` (unix(7)).
const SO_PEERPIDFD: u32 = 77;
/// Bytes of a `cmsghdr` with one descriptor (cmsg(3)): less control data cannot pass any.
pub(super) const CMSG_MIN: u64 = 20;

/// Commands of bpf(2) whose result is a new descriptor, as bits (`enum bpf_cmd`, include/uapi/linux/bpf.h):
/// `BPF_MAP_CREATE`, `BPF_PROG_LOAD`, `BPF_OBJ_GET`, `BPF_PROG_GET_FD_BY_ID`, `BPF_MAP_GET_FD_BY_ID`,
/// `BPF_RAW_TRACEPOINT_OPEN`, `BPF_BTF_LOAD`, `BPF_BTF_GET_FD_BY_ID`, `BPF_LINK_CREATE`, `BPF_LINK_GET_FD_BY_ID`,
/// `BPF_ENABLE_STATS`, `BPF_ITER_CREATE`, `BPF_TOKEN_CREATE`.
const BPF_MAKES: u64 = 1
    | 1 << 5
    | 1 << 7
    | 1 << 13
    | 1 << 14
    | 1 << 17
    | 1 << 18
    | 1 << 19
    | 1 << 28
    | 1 << 30
    | 1 << 32
    | 1 << 33
    | 1 << 36;

/// Whether the arguments alone leave room for a use that moves descriptors.
#[inline(always)]
pub(super) fn by_arguments(entry: Entry, arguments: &Arguments) -> bool {
    let Arguments([first, second, third, _]) = arguments;
    let addfd = addfd::is_request(entry, arguments);
    match Class(entry.class) {
        Class::FCNTL => matches!(*second as u32, F_DUPFD | F_SETFD | F_SETFL | F_DUPFD_CLOEXEC),
        Class::IOCTL => {
            matches!(*second as u32, FIONCLEX | FIOCLEX | FIONBIO)
                || makes_descriptor(*second as u32)
                || addfd
        }
        Class::UNSHARE => *first as u32 & CLONE_FILES != 0,
        Class::BPF => (*first as u32) < 64 && BPF_MAKES >> (*first as u32 & 63) & 1 == 1,
        Class::SECCOMP => *second as u32 & NEW_LISTENER != 0,
        Class::RULESET => *third as u32 == 0,
        Class::SETSOCKOPT => matches!(
            (*second as u32, *third as u32),
            (SOL_SOCKET, SO_REUSEADDR | SO_LINGER | SO_REUSEPORT)
                | (SOL_TCP, TCP_DEFER_ACCEPT | TCP_FASTOPEN)
                | (SOL_IPV6, IPV6_V6ONLY)
        ),
        Class::GETSOCKOPT => *second as u32 == SOL_SOCKET && *third as u32 == SO_PEERPIDFD,
        _ => true,
    }
}

/// Whether an fcntl(2) makes a descriptor.
#[inline(always)]
pub(super) const fn duplicates(Arguments([_, second, ..]): &Arguments) -> bool {
    matches!(*second as u32, F_DUPFD | F_DUPFD_CLOEXEC)
}

/// Whether the scope, the caller's memory and the file that the call names leave room for it.
#[inline(always)]
pub(super) fn by_objects(
    entry: Entry,
    Arguments([first, second, ..]): &Arguments,
    scope: Scope,
    task: Current,
) -> bool {
    match Class(entry.class) {
        // Only unix sockets pass descriptors; whoever sends over others pays for one read.
        Class::RECVMSG => {
            scope == Scope::Whole && has_control(*second) && file::is_unix_socket(task, *first as i32)
        }
        Class::RECVMMSG => scope == Scope::Whole && file::is_unix_socket(task, *first as i32),
        Class::SENDTO => scope == Scope::Whole && file::is_unbound(task, *first as i32),
        Class::SENDMSG => {
            let fd = *first as i32;
            scope == Scope::Whole
                && (has_control(*second) && file::is_unix_socket(task, fd)
                    || has_name(*second) && file::is_unbound(task, fd))
        }
        Class::SENDMMSG => {
            scope == Scope::Whole
                && (file::is_unix_socket(task, *first as i32) || file::is_unbound(task, *first as i32))
        }
        Class::LSEEK => file::is_socket(task, *first as i32),
        Class::READ | Class::READV => scope == Scope::Whole && fanotify::is_group(task, *first as i32),
        Class::OPEN
        | Class::ANON
        | Class::PAIR
        | Class::CLOSE_RANGE
        | Class::FORK
        | Class::CLONE
        | Class::CLONE3
        | Class::EXEC
        | Class::BPF
        | Class::SECCOMP
        | Class::RULESET
        | Class::GETSOCKOPT => scope == Scope::Whole,
        _ => true,
    }
}

/// Whether a call sets or clears `O_NONBLOCK`.
#[inline(always)]
pub(super) fn sets_nonblock(entry: Entry, Arguments([_, second, ..]): &Arguments) -> bool {
    entry.class == Class::FCNTL.0 && *second as u32 == F_SETFL
        || entry.class == Class::IOCTL.0 && *second as u32 == FIONBIO
}

/// Whether a message has room for a descriptor in its control data: `msg_control` and `msg_controllen` of
/// `struct user_msghdr` (include/linux/socket.h).
#[inline(always)]
fn has_control(message: u64) -> bool {
    user::<[u64; 2]>(message + 32).is_some_and(|[control, len]| control != 0 && len >= CMSG_MIN)
}

/// Whether a message is for an address: `msg_name` of the same.
#[inline(always)]
fn has_name(message: u64) -> bool {
    user::<u64>(message).is_some_and(|name| name != 0)
}

/// Whether a request of ioctl(2) returns a new descriptor. Of the many requests of drivers, the ones that are known.
#[inline(always)]
pub(super) const fn makes_descriptor(request: u32) -> bool {
    matches!(
        request,
        // `NS_GET_USERNS`, `NS_GET_PARENT`, `NS_MNT_GET_NEXT`, `NS_MNT_GET_PREV` (include/uapi/linux/nsfs.h).
        0xb701 | 0xb702 | 0x8010_b70b | 0x8010_b70c
        // `PIDFD_GET_CGROUP_NAMESPACE` to `PIDFD_GET_UTS_NAMESPACE` (include/uapi/linux/pidfd.h).
        | 0xff01
            ..=0xff0a
        // `TIOCGPTPEER` (ioctl_tty(2)).
        | 0x5441
        // `SIOCGSKNS` (include/uapi/linux/sockios.h), `TUNGETDEVNETNS` (`include/uapi/linux/if_tun.h`).
        | 0x894c | 0x54e3
        // `USERFAULTFD_IOC_NEW` (ioctl_userfaultfd(2)).
        | 0xaa00
        // `KVM_CREATE_VM`, `KVM_CREATE_VCPU`, `KVM_GET_STATS_FD`, `KVM_CREATE_GUEST_MEMFD` (include/uapi/linux/kvm.h).
        | 0xae01 | 0xae41 | 0xaece | 0xc040_aed4
        // `VFIO_GROUP_GET_DEVICE_FD` (include/uapi/linux/vfio.h).
        | 0x3b6a
        // `UDMABUF_CREATE`, `UDMABUF_CREATE_LIST` (include/uapi/linux/udmabuf.h).
        | 0x4018_7542 | 0x4008_7543
        // `NTSYNC_IOC_CREATE_SEM`, `NTSYNC_IOC_CREATE_MUTEX`, `NTSYNC_IOC_CREATE_EVENT` (include/uapi/linux/ntsync.h).
        | 0x4008_4e80 | 0x4008_4e84 | 0x4008_4e87
    )
}

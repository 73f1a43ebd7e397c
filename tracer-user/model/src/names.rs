//! The kernel's own names for its numbers.

use crate::{address::family, event::SocketKind, input::Options};
use std::borrow::Cow;

/// TCP states as the kernel numbers them (`include/net/tcp_states.h`); other families use the same numbers.
pub mod state {
    /// `TCP_ESTABLISHED`.
    pub const ESTABLISHED: u16 = 1;
    /// `TCP_SYN_SENT`.
    pub const SYN_SENT: u16 = 2;
    /// `TCP_SYN_RECV`.
    pub const SYN_RECV: u16 = 3;
    /// `TCP_FIN_WAIT1`.
    pub const FIN_WAIT1: u16 = 4;
    /// `TCP_FIN_WAIT2`.
    pub const FIN_WAIT2: u16 = 5;
    /// `TCP_TIME_WAIT`.
    pub const TIME_WAIT: u16 = 6;
    /// `TCP_CLOSE`.
    pub const CLOSE: u16 = 7;
    /// `TCP_CLOSE_WAIT`.
    pub const CLOSE_WAIT: u16 = 8;
    /// `TCP_LAST_ACK`.
    pub const LAST_ACK: u16 = 9;
    /// `TCP_LISTEN`.
    pub const LISTEN: u16 = 10;
    /// `TCP_CLOSING`.
    pub const CLOSING: u16 = 11;
    /// `TCP_NEW_SYN_RECV`.
    pub const NEW_SYN_RECV: u16 = 12;
}

/// Name of a state; `None` for a number that the kernel does not use. TCP's (and those of the protocols that have them
/// all) as the kernel names them, without `TCP_`. UDP, unix, netlink and the like use three of the numbers for what is no
/// state of TCP; these have the names that ss(8) shows.
#[must_use]
pub fn state_name(kind: Option<SocketKind>, state: u16) -> Option<&'static str> {
    Some(match state {
        state::ESTABLISHED if kind.is_some_and(is_simple) => "ESTAB",
        state::CLOSE if kind.is_some_and(is_simple) => "UNCONN",
        state::ESTABLISHED => "ESTABLISHED",
        state::SYN_SENT => "SYN_SENT",
        state::SYN_RECV => "SYN_RECV",
        state::FIN_WAIT1 => "FIN_WAIT1",
        state::FIN_WAIT2 => "FIN_WAIT2",
        state::TIME_WAIT => "TIME_WAIT",
        state::CLOSE => "CLOSE",
        state::CLOSE_WAIT => "CLOSE_WAIT",
        state::LAST_ACK => "LAST_ACK",
        state::LISTEN => "LISTEN",
        state::CLOSING => "CLOSING",
        state::NEW_SYN_RECV => "NEW_SYN_RECV",
        _ => return None,
    })
}

/// Whether a socket is unconnected, connected or listening, and nothing else.
fn is_simple(kind: SocketKind) -> bool {
    match kind.family {
        family::UNIX | family::NETLINK | family::PACKET => true,
        family::INET | family::INET6 => matches!(kind.ty, DGRAM | RAW),
        _ => false,
    }
}

/// `SOCK_DGRAM`, `SOCK_RAW` (socket(2)).
pub(crate) const DGRAM: u16 = 2;
const RAW: u16 = 3;

/// Name of an address family, lower case without `AF_`; an unknown one is shown by number.
#[must_use]
pub fn family_name(family: u16) -> Cow<'static, str> {
    match family {
        family::UNSPEC => "unspec".into(),
        family::UNIX => "unix".into(),
        family::INET => "inet".into(),
        family::INET6 => "inet6".into(),
        family::NETLINK => "netlink".into(),
        family::PACKET => "packet".into(),
        family::VSOCK => "vsock".into(),
        other => other.to_string().into(),
    }
}

/// Name of a socket type, lower case without `SOCK_` (socket(2)); an unknown one is shown by number.
#[must_use]
pub fn type_name(ty: u16) -> Cow<'static, str> {
    match ty {
        1 => "stream".into(),
        2 => "dgram".into(),
        3 => "raw".into(),
        4 => "rdm".into(),
        5 => "seqpacket".into(),
        other => other.to_string().into(),
    }
}

/// Name of a protocol of an IP family, lower case without `IPPROTO_`, or of netlink's, as ss(8) shows it; `None` where the
/// family has no protocols to tell apart (unix(7), vsock(7)) or has them in its addresses (packet(7)).
#[must_use]
pub fn protocol_name(family: u16, protocol: u16) -> Option<Cow<'static, str>> {
    Some(match (family, protocol) {
        (family::UNIX | family::PACKET | family::VSOCK, _) => return None,
        (family::NETLINK, number) => match NETLINK.iter().find(|(known, _)| *known == number) {
            Some((_, name)) => (*name).into(),
            None => number.to_string().into(),
        },
        (family::INET | family::INET6, 1) => "icmp".into(),
        (family::INET | family::INET6, 6) => "tcp".into(),
        (family::INET | family::INET6, 17) => "udp".into(),
        (family::INET | family::INET6, 58) => "icmpv6".into(),
        (family::INET | family::INET6, 132) => "sctp".into(),
        (family::INET | family::INET6, 255) => "raw".into(),
        (family::INET | family::INET6, 262) => "mptcp".into(),
        (_, other) => other.to_string().into(),
    })
}

/// Protocols of netlink (include/uapi/linux/netlink.h), by the names of iproute2's `nl_protos`.
const NETLINK: &[(u16, &str)] = &[
    (0, "rtnl"),
    (1, "unused"),
    (2, "usersock"),
    (3, "fw"),
    (4, "tcpdiag"),
    (5, "nflog"),
    (6, "xfrm"),
    (7, "selinux"),
    (8, "iscsi"),
    (9, "audit"),
    (10, "fiblookup"),
    (11, "connector"),
    (12, "nft"),
    (13, "ip6fw"),
    (14, "dec-rt"),
    (15, "uevent"),
    (16, "genl"),
    (18, "scsi-trans"),
    (19, "ecryptfs"),
    (20, "rdma"),
    (21, "crypto"),
];

/// (level, option) of `SO_LINGER` (socket(7)).
pub(crate) const SO_LINGER: (u32, u32) = (1, 13);

/// Name of a level of options, as strace prints it.
#[must_use]
pub fn level_name(level: u32) -> Cow<'static, str> {
    match level {
        1 => "SOL_SOCKET".into(),
        6 => "SOL_TCP".into(),
        41 => "SOL_IPV6".into(),
        other => other.to_string().into(),
    }
}

/// Name of an option of a level (socket(7), tcp(7), ipv6(7)).
#[must_use]
pub fn option_name(level: u32, option: u32) -> Cow<'static, str> {
    match (level, option) {
        (1, 2) => "SO_REUSEADDR".into(),
        SO_LINGER => "SO_LINGER".into(),
        (1, 15) => "SO_REUSEPORT".into(),
        (6, 9) => "TCP_DEFER_ACCEPT".into(),
        (6, 23) => "TCP_FASTOPEN".into(),
        (41, 26) => "IPV6_V6ONLY".into(),
        (_, other) => other.to_string().into(),
    }
}

/// Value of an option of that level and number; for `SO_LINGER` its seconds, -1: off.
pub(crate) fn option_value(options: &Options, level: u32, option: u32) -> Option<i64> {
    Some(match (level, option) {
        (1, 2) => options.reuseaddr.into(),
        SO_LINGER => options.linger_s.map_or(-1, i64::from),
        (1, 15) => options.reuseport.into(),
        (6, 9) => options.defer_accept_s.into(),
        (6, 23) => options.fastopen.into(),
        (41, 26) => options.v6only.into(),
        _ => return None,
    })
}

/// The options that are set, each as its name or `NAME=VALUE`.
#[must_use]
pub fn options(options: &Options) -> Vec<String> {
    let flag = |is: bool, name: &str| is.then(|| name.to_owned());
    let number = |value: Option<u32>, name: &str| value.map(|value| format!("{name}={value}"));
    let positive = |value: u32| (value > 0).then_some(value);
    [
        flag(options.reuseaddr, "SO_REUSEADDR"),
        flag(options.reuseport, "SO_REUSEPORT"),
        flag(options.v6only, "IPV6_V6ONLY"),
        number(options.linger_s, "SO_LINGER"),
        number(positive(options.defer_accept_s), "TCP_DEFER_ACCEPT"),
        number(positive(options.fastopen.into()), "TCP_FASTOPEN"),
        flag(options.nonblock, "O_NONBLOCK"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

//! The kernel's own names for its numbers.

use crate::address::family;
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

/// Name of a state, without `TCP_`; `None` for a number that the kernel does not use.
#[must_use]
pub const fn state_name(state: u16) -> Option<&'static str> {
    Some(match state {
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

/// Name of an address family, lower case without `AF_`; an unknown one is shown by number.
#[must_use]
pub fn family_name(family: u16) -> Cow<'static, str> {
    match family {
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

/// Name of a protocol of an IP family, lower case without `IPPROTO_`; `None` where the family has no protocols to
/// tell apart (unix(7)).
#[must_use]
pub fn protocol_name(family: u16, protocol: u16) -> Option<Cow<'static, str>> {
    if family == family::UNIX {
        return None;
    }
    Some(match (family, protocol) {
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

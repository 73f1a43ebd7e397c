//! What a record has of a socket: addresses and states in the terms of its family.

use super::first;
use crate::{
    address::{Address, family, unix_name},
    input::{Options, Sock, Tcp},
    names::state,
};
use core::net::{Ipv4Addr, Ipv6Addr};
use tracer_abi::{Field, OPTION_LINGER, OPTION_REUSEADDR, OPTION_REUSEPORT, OPTION_V6ONLY};

pub(super) fn sock(record: &tracer_abi::Sock) -> Option<Sock> {
    (record.sk != 0).then(|| Sock {
        sk: record.sk,
        netns: record.netns,
        family: record.family,
        ty: record.ty,
        protocol: record.protocol,
        state: state(record),
        local: address(record.family, &record.local, record.local_port),
        peer: peer(record),
        queue_len: record.queue_len,
        queue_limit: record.queue_limit,
        peer_sk: peer_sk(record),
        options: Options {
            reuseaddr: record.options & OPTION_REUSEADDR != 0,
            reuseport: record.options & OPTION_REUSEPORT != 0,
            v6only: record.options & OPTION_V6ONLY != 0,
            linger_s: (record.options & OPTION_LINGER != 0).then_some(record.linger_s),
            defer_accept_s: defer_accept_s(record.defer_accept),
            fastopen: record.fastopen,
            nonblock: false,
        },
    })
}

/// Kernel address of a unix socket's other end.
fn peer_sk(record: &tracer_abi::Sock) -> u64 {
    if record.family == family::UNIX { u64::read(&record.peer).unwrap_or(0) } else { 0 }
}

/// A connection's counters; none where all are zero.
pub(super) fn tcp(record: &tracer_abi::Tcp) -> Option<Tcp> {
    let tcp = Tcp {
        acked: record.acked,
        received: record.received,
        rtt_us: record.srtt_us8 / 8,
        retransmits: record.retransmits,
    };
    (tcp != Tcp::default()).then_some(tcp)
}

/// The state in the numbers that the other families use: netlink has two of its own (`NETLINK_UNCONNECTED`,
/// `NETLINK_CONNECTED`, net/netlink/af_netlink.c).
pub(super) fn state(record: &tracer_abi::Sock) -> u16 {
    match (record.family, record.state) {
        (family::NETLINK, 1) => state::ESTABLISHED,
        (family::NETLINK, _) => state::CLOSE,
        (_, state) => state,
    }
}

/// Seconds that a number of retransmissions takes, the first after one and none after more than 120
/// (`retrans_to_secs`, net/ipv4/tcp.c).
pub(super) fn defer_accept_s(retransmissions: u8) -> u32 {
    (0..retransmissions)
        .fold(0, |seconds, step| seconds + 1_u32.checked_shl(step.into()).map_or(120, |s| s.min(120)))
}

/// A netlink socket sends to one group, which is told by its number (`netlink_group_mask`, net/netlink/af_netlink.c).
pub(super) fn peer(record: &tracer_abi::Sock) -> Address {
    match address(record.family, &record.peer, record.peer_port) {
        Address::Netlink { portid, groups: group } => {
            let groups = group.checked_sub(1).and_then(|bit| 1_u32.checked_shl(bit)).unwrap_or(0);
            Address::Netlink { portid, groups }
        }
        // Without a port there is no peer (`inet_getname`, net/ipv4/af_inet.c): after a refused connection the kernel keeps
        // the address alone.
        Address::Inet(_, 0) if record.ty != SOCK_RAW => Address::Inet(Ipv4Addr::UNSPECIFIED, 0),
        Address::Inet6(_, 0) if record.ty != SOCK_RAW => Address::Inet6(Ipv6Addr::UNSPECIFIED, 0),
        address => address,
    }
}

/// `SOCK_RAW` (socket(2)).
const SOCK_RAW: u16 = 3;

pub(super) fn address(number: u16, bytes: &[u8; 16], port: u16) -> Address {
    let word = |index: usize| u32::read(bytes.get(index * 4..).unwrap_or_default()).unwrap_or(0);
    match number {
        family::INET => {
            let [a, b, c, d, ..] = *bytes;
            Address::Inet(Ipv4Addr::new(a, b, c, d), port)
        }
        family::INET6 => Address::Inet6((*bytes).into(), port),
        family::UNIX => Address::Unix(Vec::new()),
        family::NETLINK => Address::Netlink { portid: word(0), groups: word(1) },
        family::PACKET => {
            let protocol =
                bytes.get(4..).and_then(<[u8]>::first_chunk).map(|bytes| u16::from_be_bytes(*bytes));
            Address::Packet { interface: word(0), protocol: protocol.unwrap_or(0) }
        }
        // A `sockaddr_vm`, which begins with its family: where that is another, this is none.
        family::VSOCK if bytes.starts_with(&family::VSOCK.to_ne_bytes()) => {
            Address::Vsock { cid: word(2), port: word(1) }
        }
        _ => Address::Other(number, Vec::new()),
    }
}

pub(super) fn name_unix(sock: &mut Sock, local: &tracer_abi::UnixName, peer: &tracer_abi::UnixName) {
    if sock.family == family::UNIX {
        sock.local = Address::Unix(unix_name(first(&local.path, local.len)));
        sock.peer = Address::Unix(unix_name(first(&peer.path, peer.len)));
    }
}

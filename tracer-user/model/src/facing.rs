//! The two ends of a connection on this host: what they have in common.

use crate::{address::Address, entity::Socket};
use core::net::IpAddr;

/// Namespace and protocol of a connection, and its two addresses, one side's first. An address of IPv4 in IPv6 is that of IPv4
/// (ipv6(7)): a listener for both versions has its children so, whose clients have IPv4's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    netns: u32,
    protocol: u16,
    local: (IpAddr, u16),
    peer: (IpAddr, u16),
}

impl Ends {
    /// Of a socket, its own side first; `None` where it is no end of a connection of the internet's families.
    #[must_use]
    pub fn of(socket: &Socket) -> Option<Self> {
        let (local, peer) = (canonical(&socket.local)?, canonical(&socket.peer)?);
        Some(Self { netns: socket.netns, protocol: socket.kind.protocol, local, peer })
    }

    /// The same, as the other end has it.
    #[must_use]
    pub const fn facing(self) -> Self {
        Self { local: self.peer, peer: self.local, ..self }
    }
}

fn canonical(address: &Address) -> Option<(IpAddr, u16)> {
    match address {
        Address::Inet(ip, port) if *port != 0 => Some((IpAddr::V4(*ip), *port)),
        Address::Inet6(ip, port) if *port != 0 => Some((IpAddr::V6(*ip).to_canonical(), *port)),
        _ => None,
    }
}

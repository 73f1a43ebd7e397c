//! Socket addresses as every family has them.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use serde::{Deserialize, Serialize};

/// Address families that are shown by name (`AF_*`, `address_families(7)`).
pub mod family {
    /// `AF_UNSPEC`: none; a connect to it dissolves a connection (connect(2)).
    pub const UNSPEC: u16 = 0;
    /// `AF_UNIX`.
    pub const UNIX: u16 = 1;
    /// `AF_INET`.
    pub const INET: u16 = 2;
    /// `AF_INET6`.
    pub const INET6: u16 = 10;
    /// `AF_NETLINK`.
    pub const NETLINK: u16 = 16;
    /// `AF_PACKET`.
    pub const PACKET: u16 = 17;
    /// `AF_VSOCK`.
    pub const VSOCK: u16 = 40;
}

/// A socket address. Its text form is the contract's: `1.2.3.4:80`, `[::1]:80`, `unix:/run/x.sock`, `unix:@name`,
/// `unix:` (unnamed), `netlink:PORTID` or `netlink:PORTID,groups=0x11`, `packet:PROTOCOL@INTERFACE` (`*` for any),
/// `vsock:CID:PORT` (`*` for any), `unspec`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// IPv4 (ip(7)).
    Inet(Ipv4Addr, u16),
    /// IPv6 (ipv6(7)).
    Inet6(Ipv6Addr, u16),
    /// unix(7): the bytes of `sun_path`; empty: unnamed; first byte 0: abstract.
    Unix(Vec<u8>),
    /// netlink(7).
    Netlink {
        /// The kernel's is 0.
        portid: u32,
        /// Multicast groups, a bit each.
        groups: u32,
    },
    /// packet(7).
    Packet {
        /// Index of the interface; 0: every one.
        interface: u32,
        /// Link-layer protocol (`ETH_P_*`), host byte order; 0: none.
        protocol: u16,
    },
    /// vsock(7); `u32::MAX` stands for any.
    Vsock {
        /// Context id.
        cid: u32,
        /// Port.
        port: u32,
    },
    /// A family that has no form here: its number and its bytes after the family.
    Other(u16, Vec<u8>),
}

impl Address {
    /// Port, where the family has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Inet(_, port) | Self::Inet6(_, port) => Some(*port),
            Self::Unix(_)
            | Self::Netlink { .. }
            | Self::Packet { .. }
            | Self::Vsock { .. }
            | Self::Other(..) => None,
        }
    }

    /// Whether the address says "any" (`0.0.0.0`, `::`) with port 0, or nothing at all.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        match self {
            Self::Inet(ip, port) => ip.is_unspecified() && *port == 0,
            Self::Inet6(ip, port) => ip.is_unspecified() && *port == 0,
            Self::Unix(name) => name.is_empty(),
            Self::Netlink { portid, groups } => *portid == 0 && *groups == 0,
            Self::Packet { interface, protocol } => *interface == 0 && *protocol == 0,
            Self::Vsock { cid, port } => *cid == ANY && *port == ANY,
            Self::Other(_, bytes) => bytes.is_empty(),
        }
    }

    /// The unspecified address in place of an internet address; what has no such stays as it is.
    #[must_use]
    pub fn unspecified(&self) -> Self {
        match self {
            Self::Inet(..) => Self::Inet(Ipv4Addr::UNSPECIFIED, 0),
            Self::Inet6(..) => Self::Inet6(Ipv6Addr::UNSPECIFIED, 0),
            other => other.clone(),
        }
    }

    /// Reads a `sockaddr` as a caller passes it (`bind(2)`, `connect(2)`); `None` where not even the family fits.
    #[must_use]
    pub fn from_sockaddr(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<2>()?;
        let family = u16::from_ne_bytes(*head);
        Some(match family {
            family::INET => match rest.first_chunk::<6>() {
                Some(&[p1, p2, a, b, c, d]) => {
                    Self::Inet(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([p1, p2]))
                }
                None => Self::Other(family, rest.to_vec()),
            },
            family::INET6 => {
                match (rest.first_chunk::<2>(), rest.get(6..22).and_then(<[u8]>::first_chunk::<16>)) {
                    (Some(port), Some(ip)) => Self::Inet6(Ipv6Addr::from(*ip), u16::from_be_bytes(*port)),
                    _ => Self::Other(family, rest.to_vec()),
                }
            }
            family::UNIX => Self::Unix(unix_name(rest)),
            // `struct sockaddr_nl`, `sockaddr_ll`, `sockaddr_vm`: two bytes are unused in the first and the last.
            family::NETLINK => match (word(rest, 2), word(rest, 6)) {
                (Some(portid), Some(groups)) => Self::Netlink { portid, groups },
                _ => Self::Other(family, rest.to_vec()),
            },
            family::PACKET => match (rest.first_chunk::<2>(), word(rest, 2)) {
                (Some(protocol), Some(interface)) => {
                    Self::Packet { interface, protocol: u16::from_be_bytes(*protocol) }
                }
                _ => Self::Other(family, rest.to_vec()),
            },
            family::VSOCK => match (word(rest, 2), word(rest, 6)) {
                (Some(port), Some(cid)) => Self::Vsock { cid, port },
                _ => Self::Other(family, rest.to_vec()),
            },
            _ => Self::Other(family, rest.to_vec()),
        })
    }
}

/// `VMADDR_CID_ANY`, `VMADDR_PORT_ANY` (vsock(7)).
const ANY: u32 = u32::MAX;

/// A word of the machine's byte order.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// The name in a `sun_path`: a path ends at its first zero byte, an abstract name is as long as it says (unix(7)).
#[must_use]
pub fn unix_name(path: &[u8]) -> Vec<u8> {
    if path.first() == Some(&0) {
        return path.to_vec();
    }
    path.iter().copied().take_while(|byte| *byte != 0).collect()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(ip, port) => write!(f, "{ip}:{port}"),
            Self::Inet6(ip, port) => write!(f, "[{ip}]:{port}"),
            Self::Unix(name) => match name.split_first() {
                None => write!(f, "unix:"),
                Some((0, rest)) => write!(f, "unix:@{}", String::from_utf8_lossy(rest)),
                Some(_) => write!(f, "unix:{}", String::from_utf8_lossy(name)),
            },
            Self::Netlink { portid, groups: 0 } => write!(f, "netlink:{portid}"),
            Self::Netlink { portid, groups } => write!(f, "netlink:{portid},groups={groups:#x}"),
            Self::Packet { interface, protocol } => {
                // `ETH_P_ALL` is every protocol (include/uapi/linux/if_ether.h).
                match protocol {
                    3 => write!(f, "packet:*@")?,
                    number => write!(f, "packet:{number:#06x}@")?,
                }
                if *interface == 0 { write!(f, "*") } else { write!(f, "{interface}") }
            }
            Self::Vsock { cid, port } => {
                write!(f, "vsock:{}:{}", OrAny(*cid), OrAny(*port))
            }
            Self::Other(family::UNSPEC, _) => write!(f, "unspec"),
            Self::Other(family, bytes) => {
                write!(f, "family-{family}:")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// A number of vsock's.
struct OrAny(u32);

impl fmt::Display for OrAny {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == ANY { write!(f, "*") } else { write!(f, "{}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    fn text(bytes: &[u8]) -> Option<String> {
        Address::from_sockaddr(bytes).map(|address| address.to_string())
    }

    #[test]
    fn sockaddrs_read_as_the_manual_lays_them_out() {
        assert_eq!(text(&[2, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0]).as_deref(), Some("127.0.0.1:8080"));
        let mut v6 = vec![10, 0, 0, 80, 0, 0, 0, 0];
        v6.extend([0; 15]);
        v6.push(1);
        assert_eq!(text(&v6).as_deref(), Some("[::1]:80"));
        assert_eq!(text(b"\x01\0/run/x\0garbage").as_deref(), Some("unix:/run/x"));
        assert_eq!(text(b"\x01\0\0name").as_deref(), Some("unix:@name"));
        assert_eq!(text(b"\x01\0").as_deref(), Some("unix:"));
        assert_eq!(text(b"\x10\0\0\0\x05\0\0\0\x11\0\0\0").as_deref(), Some("netlink:5,groups=0x11"));
        assert_eq!(text(b"\x10\0\0\0\x05\0\0\0\0\0\0\0").as_deref(), Some("netlink:5"));
        let ll = b"\x11\0\x08\x06\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(text(ll).as_deref(), Some("packet:0x0806@2"));
        assert_eq!(text(b"\x11\0\0\x03\0\0\0\0").as_deref(), Some("packet:*@*"));
        let vm = b"\x28\0\0\0\x39\x30\0\0\xff\xff\xff\xff\0\0\0\0";
        assert_eq!(text(vm).as_deref(), Some("vsock:*:12345"));
        assert_eq!(text(b"\0\0\0\0").as_deref(), Some("unspec"));
        // A name of zeros is a name (unix(7), "abstract").
        assert_eq!(Address::from_sockaddr(b"\x01\0\0\0"), Some(Address::Unix(vec![0, 0])));
        assert_eq!(text(b"\x63\0\x01\x02").as_deref(), Some("family-99:0102"));
    }

    #[test]
    fn short_addresses_do_not_panic() {
        for len in 0..8 {
            let _ = text(&[2, 0, 1, 2, 3, 4, 5, 6][..len]);
            let _ = text(&[10, 0, 1, 2, 3, 4, 5, 6][..len]);
        }
    }
}

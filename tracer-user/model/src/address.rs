//! Socket addresses as every family has them.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use serde::{Deserialize, Serialize};

/// Address families that are shown by name (`AF_*`, `address_families(7)`).
pub mod family {
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
/// `unix:` (unnamed).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// IPv4 (ip(7)).
    Inet(Ipv4Addr, u16),
    /// IPv6 (ipv6(7)).
    Inet6(Ipv6Addr, u16),
    /// unix(7): the bytes of `sun_path`; empty: unnamed; first byte 0: abstract.
    Unix(Vec<u8>),
    /// A family that has no form here: its number and its bytes after the family.
    Other(u16, Vec<u8>),
}

impl Address {
    /// Port, where the family has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Inet(_, port) | Self::Inet6(_, port) => Some(*port),
            Self::Unix(_) | Self::Other(..) => None,
        }
    }

    /// Whether the address says "any" (`0.0.0.0`, `::`) with port 0, or nothing at all.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        match self {
            Self::Inet(ip, port) => ip.is_unspecified() && *port == 0,
            Self::Inet6(ip, port) => ip.is_unspecified() && *port == 0,
            Self::Unix(name) => name.is_empty(),
            Self::Other(_, bytes) => bytes.is_empty(),
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
            _ => Self::Other(family, rest.to_vec()),
        })
    }
}

/// The name in a `sun_path`: a path ends at its first zero byte, an abstract name is as long as it says (unix(7)).
#[must_use]
pub fn unix_name(path: &[u8]) -> Vec<u8> {
    if path.first() == Some(&0) {
        return if path.iter().all(|byte| *byte == 0) { Vec::new() } else { path.to_vec() };
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
            Self::Other(family, bytes) => {
                write!(f, "family-{family}:")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
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

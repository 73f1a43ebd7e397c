//! What is spoken on a connection, as its first bytes tell: no field of these has room for them.

use crate::{
    layout::record,
    record::{Header, Sock},
};

/// An application protocol. An integer newtype, so that an unknown one is a value and not undefined behaviour.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol(pub u8);

impl Protocol {
    /// The first bytes are none of those below, or were not seen.
    pub const UNKNOWN: Self = Self(0);
    /// HTTP/1.0 or HTTP/1.1 (RFC 9112).
    pub const HTTP1: Self = Self(1);
    /// HTTP/2 without TLS (RFC 9113).
    pub const HTTP2: Self = Self(2);
    /// WebSocket (RFC 6455): an HTTP/1 connection was switched to it.
    pub const WEBSOCKET: Self = Self(3);
    /// TLS (RFC 8446).
    pub const TLS: Self = Self(4);
    /// Redis (RESP).
    pub const REDIS: Self = Self(5);
    /// PostgreSQL (frontend/backend protocol 3).
    pub const POSTGRESQL: Self = Self(6);
}

/// What a call does with the bytes of a connection.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier(pub u32);

impl Carrier {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `accept`, `accept4`: a connection begins, the peer speaks first.
    pub const ACCEPT: Self = Self(1);
    /// `connect`: a connection begins, the caller speaks first.
    pub const CONNECT: Self = Self(2);
    /// `read`: a buffer is filled.
    pub const READ: Self = Self(3);
    /// `write`: a buffer is sent.
    pub const WRITE: Self = Self(4);
    /// `readv`, `preadv2`: a vector of buffers.
    pub const READV: Self = Self(5);
    /// `writev`, `pwritev2`.
    pub const WRITEV: Self = Self(6);
    /// `recvfrom`: a buffer and flags.
    pub const RECVFROM: Self = Self(7);
    /// `sendto`.
    pub const SENDTO: Self = Self(8);
    /// `recvmsg`: a message header and flags.
    pub const RECVMSG: Self = Self(9);
    /// `sendmsg`.
    pub const SENDMSG: Self = Self(10);
    /// `recvmmsg`: a vector of messages; the first is looked at.
    pub const RECVMMSG: Self = Self(11);
    /// `sendmmsg`.
    pub const SENDMMSG: Self = Self(12);
    /// `sendfile`: the bytes are in no memory of the caller.
    pub const SENDFILE: Self = Self(13);
    /// `splice`: likewise, in either direction.
    pub const SPLICE: Self = Self(14);
}

/// The caller accepted the connection: the peer's bytes say what is spoken.
pub const PEEKED_ACCEPTED: u8 = 1;

record! {
    /// Value of the map of connections of which it is not known what is spoken, or of which an answer in HTTP/1 may
    /// switch it. The key is the socket's address.
    pub struct Peeked {
        /// Inode number of the socket's file: another socket may have the address by now.
        pub ino: u64,
        /// Bytes that the side that connected has said.
        pub said: u64,
        /// Bytes until the next field of a ClientHello that is looked at.
        pub skip: u32,
        /// Bytes left of its extensions.
        pub extent: u32,
        /// State of the automaton, see [`Phrase`].
        pub state: u8,
        /// What is looked at, numbered by whoever looks.
        pub stage: u8,
        /// Bytes that the automaton has seen.
        pub seen: u8,
        /// `PEEKED_*` flags.
        pub flags: u8,
        /// Keeps the structure free of padding.
        pub reserved: u32,
    }
}

record! {
    /// Value of the map of calls in flight whose bytes are looked at when they return, by thread.
    pub struct Peeking {
        /// The socket.
        pub sk: u64,
        /// Set where the call receives.
        pub incoming: u32,
        /// The descriptor that the call named.
        pub fd: i32,
    }
}

record! {
    /// A state of the automaton that reads first bytes: user space makes them, the programs follow them.
    pub struct Phrase {
        /// The state after each byte.
        pub next: [u8; 256],
        /// The state where no further byte will be looked at.
        pub cut: u8,
        /// Keep the structure free of padding.
        pub reserved: [u8; 7],
    }
}

/// Bytes kept of a server's name.
pub const SNI_LEN: usize = 64;

/// The protocol was concluded: what would prove it is not within the bytes that are looked at.
pub const SPOKEN_INFERRED: u32 = 1;
/// `sni` is the beginning of a name.
pub const SPOKEN_SNI_CUT: u32 = 2;

record! {
    /// It is known what is spoken on a connection, or that it will not be.
    pub struct Spoken {
        /// Head: the thread whose call carried the bytes.
        pub header: Header,
        /// The connection.
        pub sock: Sock,
        /// The descriptor that the call named.
        pub fd: i32,
        /// A [`Protocol`].
        pub protocol: u32,
        /// `SPOKEN_*` flags.
        pub flags: u32,
        /// Bytes used of `sni`.
        pub sni_len: u32,
        /// Server name of a ClientHello (RFC 6066, section 3).
        pub sni: [u8; SNI_LEN],
    }
}

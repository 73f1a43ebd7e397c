//! Accept queues and connections: what is sampled of a listener, what waits in its queue, what was dropped, what a
//! connection came to, and what a thread that accepts did meanwhile.

use crate::{
    layout::record,
    record::{Header, Sock},
};

/// The key of the network namespace of a listener is its owner's too: `/proc/PID/net` shows it.
pub const LISTENER_NETNS_OWN: u32 = 1;
/// What was in the queue before the listener was followed has been told.
pub const LISTENER_LISTED: u32 = 2;

record! {
    /// A connection's counters, as getsockopt(2) with `TCP_INFO` gives them (tcp(7)); zeros of what is no connection.
    pub struct Tcp {
        /// Bytes that the peer acknowledged (`tcpi_bytes_acked`): a SYN and a FIN count as one each.
        pub acked: u64,
        /// Bytes that were received in order (`tcpi_bytes_received`); a FIN counts as one.
        pub received: u64,
        /// Smoothed round trip time, microseconds times eight (`srtt_us`, include/linux/tcp.h).
        pub srtt_us8: u32,
        /// Segments that were sent again (`tcpi_total_retrans`).
        pub retransmits: u32,
    }
}

record! {
    /// Value of the map of followed listeners. The key is what its connections have of it: of TCP the address of the
    /// listener's socket, of a unix socket that of its name, which the kernel shares among them (`unix_stream_connect`,
    /// net/unix/af_unix.c).
    pub struct Listener {
        /// Address of its socket.
        pub sk: u64,
        /// Start of its owner.
        pub start: u64,
        /// Owner's thread group.
        pub pid: u32,
        /// `LISTENER_*` flags.
        pub flags: u32,
    }
}

record! {
    /// A followed listener as it was read once.
    pub struct ListenerRow {
        /// When it was read.
        pub ts: u64,
        /// Start of its owner.
        pub start: u64,
        /// The owner's thread group.
        pub pid: u32,
        /// `LISTENER_*` flags.
        pub flags: u32,
        /// Packets that the listener dropped since it was made (`sk_drops`); 0 for a unix socket, which drops none.
        pub drops: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
        /// The socket.
        pub sock: Sock,
    }
}

record! {
    /// Value of the map of threads that accept, by thread.
    pub struct Acceptor {
        /// Start of its process.
        pub start: u64,
        /// Its thread group.
        pub pid: u32,
        /// State in which it left the processor; 0 where it could have run on.
        pub state: u32,
        /// When; 0 where it has not left it since it is known.
        pub off: u64,
        /// When it was woken; 0 where it was not.
        pub woken: u64,
        /// Number of the call that it was in; -1 for none.
        pub call: i64,
    }
}

record! {
    /// A thread that accepts runs again, told as a part: without a number.
    pub struct Slept {
        /// Head; `ts` is when it runs again.
        pub header: Header,
        /// When it left the processor.
        pub off: u64,
        /// When it was woken; 0 where it was not, or that was not seen.
        pub woken: u64,
        /// Number of the call that it was in; -1 for none.
        pub call: i64,
        /// State in which it left; 0 where it could have run on.
        pub state: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
    }
}

record! {
    /// A client on this machine sent its SYN again: to a port that a followed listener has.
    pub struct Retransmit {
        /// Head; process and start are the client's where it is followed, otherwise the listener's owner's.
        pub header: Header,
        /// The client's socket.
        pub sock: Sock,
    }
}

record! {
    /// A handshake's last segment met a full queue of a followed listener.
    pub struct Overflow {
        /// Head; process and start are the listener's owner's.
        pub header: Header,
        /// Length of the queue.
        pub queue_len: u32,
        /// Its limit.
        pub queue_limit: u32,
        /// The listener, with the addresses that the segment had.
        pub sock: Sock,
    }
}

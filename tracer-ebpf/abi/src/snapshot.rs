//! What a snapshot finds.

use crate::{
    layout::record,
    process::Place,
    queue::Tcp,
    record::{Header, Slot, Sock, UnixName},
};

record! {
    /// One slot of one descriptor table, as the snapshot's iterator found it. The path follows the row.
    pub struct SnapshotRow {
        /// When it was read.
        pub ts: u64,
        /// Thread group.
        pub pid: u32,
        /// Parent's thread group.
        pub parent: u32,
        /// Start of the leader.
        pub start: u64,
        /// Address of the descriptor table.
        pub files: u64,
        /// Name of the leader.
        pub comm: [u8; 16],
        /// Soft limit on descriptors (`RLIMIT_NOFILE`, getrlimit(2)).
        pub fd_limit: u64,
        /// Where the process lives.
        pub place: Place,
        /// The slot.
        pub slot: Slot,
        /// The socket in it, if it is one.
        pub sock: Sock,
        /// Local name of a unix socket.
        pub local: UnixName,
        /// Peer's name of a unix socket.
        pub peer: UnixName,
        /// Length in bytes of the path that follows the row.
        pub path_len: u32,
        /// Open flags.
        pub open_flags: u32,
        /// The counters of a TCP connection.
        pub tcp: Tcp,
        /// What a TCP connection received and nobody has read: bytes, and one for a FIN.
        pub unread: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
    }
}

record! {
    /// A slot that is followed from here on: its earlier life as one row, without a path.
    pub struct Found {
        /// Head.
        pub header: Header,
        /// The slot.
        pub row: SnapshotRow,
    }
}

//! A one-time look at sockets beyond what is followed, to explain an error: what is wanted, and what the iterators write.

use crate::{Sock, UnixName, layout::record};

record! {
    /// Which sockets a look is for.
    pub struct LookWanted {
        /// When the look gives up.
        pub deadline: u64,
        /// Local port of the internet sockets that are wanted; 0: none.
        pub port: u32,
        /// Length of the name of the unix sockets that are wanted; 0: none.
        pub name_len: u32,
    }
}

record! {
    /// A socket that was found.
    pub struct LookFound {
        /// Thread group that holds it; 0: no descriptor was looked for.
        pub pid: u32,
        /// Number of the descriptor.
        pub fd: i32,
        /// Start of the holder's leader.
        pub start: u64,
        /// Name of the holder's leader.
        pub comm: [u8; 16],
        /// Inode number; 0 where it was not read.
        pub ino: u64,
        /// The socket.
        pub sock: Sock,
        /// Local name of a unix socket.
        pub local: UnixName,
    }
}

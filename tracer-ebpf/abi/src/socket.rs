//! Records of what sockets do by themselves, and what is kept of a followed one.

use crate::{
    layout::record,
    queue::Tcp,
    record::{Header, Sock},
};

record! {
    /// One change of a socket's state.
    pub struct Change {
        /// When it happened.
        pub ts: u64,
        /// Pending error of the socket (`sk_err`).
        pub error: u32,
        /// State before.
        pub from: u16,
        /// State after.
        pub to: u16,
    }
}

record! {
    /// A followed TCP socket changed its state; or a call of a followed process found the other end of a unix socket gone.
    pub struct State {
        /// Head; process and start are the owner's, the thread is 0 unless the change happened in its own call.
        pub header: Header,
        /// Pending error of the socket (`sk_err`); of a unix socket, the call's error.
        pub error: u32,
        /// State before.
        pub from: u16,
        /// State after; the same where a unix connection stays and was found broken.
        pub to: u16,
        /// The socket. Of a unix connection that was found broken: without the other end, where that is closed.
        pub sock: Sock,
        /// The change right before, which waited for this one; its time is 0 where there is none.
        pub before: Change,
        /// What the connection came to, where this ends it.
        pub tcp: Tcp,
    }
}

record! {
    /// A connection is complete and waits in a followed listener's accept queue.
    pub struct Queued {
        /// Head; process and start are the listener's owner's, and no thread of it did this.
        pub header: Header,
        /// Address of the listener's socket.
        pub listener: u64,
        /// Length of its queue, this connection included.
        pub queue_len: u32,
        /// Its limit.
        pub queue_limit: u32,
        /// The connection.
        pub sock: Sock,
    }
}

record! {
    /// Value of the map of followed sockets.
    pub struct Tracked {
        /// Owner's thread group.
        pub pid: u32,
        /// The state that was told last; 0 for none.
        pub told: u32,
        /// Owner's start.
        pub start: u64,
        /// When it entered an accept queue; 0 where it did not or that was not seen.
        pub queued: u64,
        /// Inode number, where it came to be followed before its first change of state, and may never change it: nothing tells
        /// when another socket is at its address. Otherwise 0.
        pub ino: u64,
        /// A change that waits to be told with the next one; its time is 0 where there is none.
        pub waits: Change,
        /// The socket as it was last read: the addresses of a connection do not change.
        pub sock: Sock,
    }
}

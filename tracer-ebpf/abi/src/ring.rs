//! Operations of an io_uring that move descriptors or change sockets.

use crate::{
    Class,
    call::{Call, CallAddr, CallFds, CallPair, CallPath, CallSock, PATH_LEN},
    layout::record,
    record::{Header, Slot, Sock},
};

/// Set in [`Call::nr`] where it is the number of an operation, not of a system call.
pub const RING_OPERATION: u32 = 1 << 31;

/// The subject is an entry of the ring's file table: its number is an index there.
pub const RING_SUBJECT_DIRECT: u32 = 1;
/// The result is one.
pub const RING_RESULT_DIRECT: u32 = 2;
/// The operation was submitted with `IOSQE_CQE_SKIP_SUCCESS`: nothing tells when and whether it succeeds.
pub const RING_UNCONFIRMED: u32 = 4;
/// Which operation the completion belongs to was concluded: several in flight have the same ring and mark, or the
/// operation was submitted before it could be seen.
pub const RING_DOUBTFUL: u32 = 8;
/// The completion did not name its request, which was found by ring and mark: what it made must not have been there before.
pub const RING_BY_MARK: u32 = 16;

/// Any free entry of the ring's file table (`IORING_FILE_INDEX_ALLOC`, include/uapi/linux/io_uring.h).
pub const RING_ANY_SLOT: u32 = u32::MAX;

impl Class {
    /// What an operation does to descriptors, by its number (`enum io_uring_op`, include/uapi/linux/io_uring.h).
    #[must_use]
    pub const fn of_operation(opcode: u8) -> Self {
        match opcode {
            9 => Self::SENDMSG,
            10 => Self::RECVMSG,
            13 => Self::ACCEPT,
            16 => Self::CONNECT,
            18 | 28 => Self::OPEN,
            19 => Self::CLOSE,
            34 => Self::SHUTDOWN,
            40 => Self::MSG_RING,
            45 => Self::SOCKET,
            54 => Self::DUP,
            56 => Self::BIND,
            57 => Self::LISTEN,
            62 => Self::PAIR,
            _ => Self::NONE,
        }
    }
}

record! {
    /// Which request of which ring.
    pub struct RingRef {
        /// Address of the ring: its identity while it lives.
        pub ring: u64,
        /// What the program marked the request with.
        pub user_data: u64,
        /// Address of the ring whose file table the result goes to, where that is another one; 0: it is this one.
        pub target: u64,
        /// `RING_*` flags.
        pub flags: u32,
        /// Entry of that ring's file table that the result goes to, from 1 on; 0: it gets a number,
        /// [`RING_ANY_SLOT`]: the first free one.
        pub slot: u32,
    }
}

record! {
    /// An operation that completed, or that was submitted and will not tell when it does.
    pub struct RingCall {
        /// As of a system call.
        pub base: CallSock,
        /// The request.
        pub request: RingRef,
    }
}

record! {
    /// The same with names.
    pub struct RingAddr {
        /// As of a system call.
        pub base: CallAddr,
        /// The request.
        pub request: RingRef,
    }
}

record! {
    /// The same with a path.
    pub struct RingPath {
        /// As of a system call.
        pub base: CallPath,
        /// The request.
        pub request: RingRef,
    }
}

record! {
    /// The same with two new descriptors.
    pub struct RingPair {
        /// As of a system call.
        pub base: CallPair,
        /// The request.
        pub request: RingRef,
    }
}

record! {
    /// An operation that passes descriptors: this head, and what follows a [`CallFds`].
    pub struct RingFds {
        /// As of a system call.
        pub base: CallFds,
        /// The request.
        pub request: RingRef,
    }
}

/// The list of a ring's file table begins: [`RingSlot::slot`] is the ring's own descriptor.
pub const RING_LIST_BEGINS: u32 = 0;
/// One entry of it.
pub const RING_LIST_ENTRY: u32 = 1;
/// It ends: entries that are not in it are empty.
pub const RING_LIST_ENDS: u32 = 2;
/// Entries of a ring's file table that are listed.
pub const RING_LIST_LEN: u32 = 4096;

record! {
    /// The file table of a ring, as it was found or as it was changed, without numbers: a record when the list begins, one for each entry that
    /// is not empty, and one when it ends.
    pub struct RingSlot {
        /// Head.
        pub header: Header,
        /// Address of the ring.
        pub ring: u64,
        /// `RING_LIST_*`.
        pub part: u32,
        /// Set where a snapshot found it.
        pub found: u32,
        /// The entry, its index in place of a number.
        pub slot: Slot,
        /// The socket in it, if it is one.
        pub sock: Sock,
    }
}

record! {
    /// Value of the map of requests in flight, by address.
    pub struct RingFlight {
        /// The operation as it stands.
        pub call: Call,
        /// Address of the socket that it is about; 0 for none.
        pub sk: u64,
        /// The request.
        pub request: RingRef,
        /// Address in the caller's memory of its message header or of the pair of numbers that it writes.
        pub pointer: u64,
        /// The request that had its mark before it, as [`RingMarked::request`]; 0 for none.
        pub before: u64,
        /// Bytes used of `text`.
        pub text_len: u32,
        /// Set where the operation completes more than once, or may, as far as the kernel tells.
        pub multishot: u32,
        /// The path or the address that it was given.
        pub text: [u8; PATH_LEN],
    }
}

record! {
    /// Key of the index of requests in flight.
    pub struct RingMark {
        /// Address of the ring.
        pub ring: u64,
        /// What the program marked the request with.
        pub user_data: u64,
    }
}

record! {
    /// Value of that index.
    pub struct RingMarked {
        /// Address of a request with that mark: the newest that completes more than once, if there is one.
        pub request: u64,
        /// How many traced requests in flight have it.
        pub count: u64,
    }
}

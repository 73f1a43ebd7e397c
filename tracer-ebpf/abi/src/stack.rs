//! The user stack of a call that made a descriptor.

use crate::{layout::record, record::Header};

/// Return addresses that are kept of a chain of frame pointers, the innermost first.
pub const STACK_FRAMES: usize = 40;
/// Words of the stack that are kept, from its top on: the frames of functions without a frame pointer, as those of the C
/// library, lie there.
pub const STACK_WORDS: usize = 96;

record! {
    /// What frame pointers lead to.
    pub struct Chain {
        /// The first of them; 0 for none.
        pub from: u64,
        /// How many of `backs` there are.
        pub count: u64,
        /// Return addresses.
        pub backs: [u64; STACK_FRAMES],
    }
}

record! {
    /// From where a descriptor was made, told as a part, before its call.
    pub struct Stack {
        /// Head; `ts` is before the call's.
        pub header: Header,
        /// The descriptors that the call made; -1 for none.
        pub fds: [i32; 2],
        /// Where the caller goes on.
        pub ip: u64,
        /// Its stack pointer.
        pub sp: u64,
        /// What the register for frame pointers leads to.
        pub chain: Chain,
        /// What the first of `words` leads to that may be a frame pointer: functions that use the register for something else
        /// keep their caller's there.
        pub kept: Chain,
        /// What lies at the stack pointer; 0 in place of what cannot be an address.
        pub words: [u64; STACK_WORDS],
    }
}

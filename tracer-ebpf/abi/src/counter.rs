//! Per-CPU counters that the kernel programs keep, apart from those that user space keeps.

/// Index into the per-CPU counter array.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(pub u32);

impl Counter {
    /// Records attempted: the number that the next record on this CPU gets as `cpu_seq`.
    pub const SEQ: Self = Self(0);
    /// Records for which the ring buffer had no room.
    pub const RING_FULL: Self = Self(1);
    /// Calls whose entry could not be kept because the table of calls in flight was full.
    pub const IN_FLIGHT_FULL: Self = Self(2);
    /// Sockets that could not be followed because the table of followed sockets was full.
    pub const SOCKETS_FULL: Self = Self(3);
    /// Processes that could not be followed because the table of followed processes was full.
    pub const PROCESSES_FULL: Self = Self(4);
    /// System calls of followed processes made through the 32-bit entry, which are not decoded.
    pub const COMPAT_CALLS: Self = Self(5);
    /// Calls that passed more descriptors than are read of one call.
    pub const PASSED_BEYOND: Self = Self(6);
    /// Operations of io_urings that could not be kept because the table of requests in flight was full.
    pub const REQUESTS_FULL: Self = Self(7);
    /// Descriptor tables that have more slots than are read of one.
    pub const TABLE_BEYOND: Self = Self(8);
    /// Records that were written without a number.
    pub const PARTS: Self = Self(9);
    /// Entries of a ring's file table beyond those that are listed.
    pub const DIRECT_BEYOND: Self = Self(10);
    /// How many counters there are.
    pub const COUNT: u32 = 11;
}

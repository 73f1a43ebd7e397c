//! What user space wrote into the object before it was loaded. The section is frozen, so the verifier takes every value
//! for a known constant.

use tracer_abi::{Config, Offsets};

#[unsafe(no_mangle)]
static OFFSETS: Offsets = Offsets::absent();

#[unsafe(no_mangle)]
static CONFIG: Config = Config {
    select: 0,
    own_pid: 0,
    cgroup_id: 0,
    cgroup_level: 0,
    port: 0,
    orphans_end: 0,
    overflow_reason: 0,
    sched: 0,
    hz: 0,
    opener_pid: 0,
    reserved: 0,
    comm: [0; 16],
};

/// The running kernel's offsets.
#[inline(always)]
pub(crate) fn offsets_address() -> *const Offsets {
    &raw const OFFSETS
}

/// The user's selection.
#[inline(always)]
pub(crate) fn config_address() -> *const Config {
    &raw const CONFIG
}

/// Reads one offset.
macro_rules! offset {
    ($field:ident) => {
        // SAFETY: the pointer is to a static. The read is volatile because user space replaced the value that the
        // compiler saw.
        unsafe { core::ptr::read_volatile(&raw const (*$crate::globals::offsets_address()).$field) }
    };
}

/// Reads one field of the selection.
macro_rules! config {
    ($field:ident) => {
        // SAFETY: as for offsets.
        unsafe { core::ptr::read_volatile(&raw const (*$crate::globals::config_address()).$field) }
    };
}

pub(crate) use {config, offset};

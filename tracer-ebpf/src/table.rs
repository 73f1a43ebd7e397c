//! Whole descriptor tables, read while nobody else can change them.
//!
//! A table that is made from a shared one (fork, `unshare(CLONE_FILES)`, `close_range` with `CLOSE_RANGE_UNSHARE`, execve) holds
//! what the other had at one moment between two calls of other tasks. It is read before the task that has it alone
//! goes on.
//!
//! What close_range(2) leaves of a shared table is read too: a number that another task fills meanwhile may be filled before
//! the call comes to it or after, and no call tells which.

use crate::{
    emit, file,
    globals::offset,
    kread::{Block, field, pointer, zero},
    maps::count,
};
use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_kernel};
use core::ffi::c_void;
use tracer_abi::{Counter, Header, Kind, TABLE_SLOTS, Table};

/// Words of slots that are walked at most: 262,144 slots. What is beyond is counted and found by a snapshot.
const MAX_WORDS: u32 = 4096;

/// Whether more than one task has the table at `files`.
#[inline(always)]
pub(crate) fn is_shared(files: u64) -> bool {
    users(files) > 1
}

/// How many tasks have the table at `files`.
#[inline(always)]
pub(crate) fn users(files: u64) -> u32 {
    field(files, offset!(files_count)).unwrap_or(0)
}

/// Where a walk through a table stands.
struct Walk {
    header: Header,
    /// The table that it was made from.
    from: u64,
    /// Where it ends, and the first word.
    end: u32,
    first: u32,
    /// The arrays of files and bits.
    files: u64,
    cloexec: u64,
    open: u64,
}

/// Tells the table of a task: `header` is the task's, with the moment at which the table was made, `from` the address of the
/// one that it had before.
#[inline(always)]
pub(crate) fn tell(header: &Header, from: u64) {
    tell_range(header, from, 0, u32::MAX);
}

/// Tells the slots with numbers in `first..=last`, and those that share a word of bits with them.
#[inline(never)]
pub(crate) fn tell_range(header: &Header, from: u64, first: u32, last: u32) {
    let Some(address) = pointer(header.files, offset!(files_fdt)) else { return };
    let fdt = Block::<{ file::FDTABLE }>::read(address);
    let capacity: u32 = fdt.get(address, offset!(fdt_max)).unwrap_or(0);
    let mut walk = Walk {
        header: *header,
        from,
        end: if last < capacity { last + 1 } else { capacity },
        first: first / TABLE_SLOTS as u32,
        files: fdt.get(address, offset!(fdt_fd)).unwrap_or(0),
        cloexec: fdt.get(address, offset!(fdt_cloexec)).unwrap_or(0),
        open: fdt.get(address, offset!(fdt_open)).unwrap_or(0),
    };
    if capacity > MAX_WORDS * TABLE_SLOTS as u32 {
        count(Counter::TABLE_BEYOND);
    }
    // SAFETY: the callback has the signature that the helper asks for, and `walk` outlives the call.
    unsafe { bpf_loop(MAX_WORDS, tell_word as *const () as *mut c_void, (&raw mut walk).cast(), 0) };
}

/// One step: tells the slots of one word of bits. 1 ends the walk.
extern "C" fn tell_word(step: u32, walk: *mut Walk) -> i64 {
    // SAFETY: the helper passes the pointer that `tell` gave it.
    let walk = unsafe { &mut *walk };
    let word = walk.first + step;
    let first = word * TABLE_SLOTS as u32;
    if first >= walk.end {
        return 1;
    }
    let place = u64::from(word) * 8;
    let open: u64 = field(walk.open + place, 0).unwrap_or(0);
    if open == 0 && step != 0 {
        return 0;
    }
    let cloexec = field(walk.cloexec + place, 0).unwrap_or(0);
    let files = walk.files + u64::from(first) * 8;
    emit::part::<Table>(Kind::TABLE, &walk.header, |record| {
        // SAFETY: the ring buffer gave room for a whole record. Arrays have whole words of slots (`alloc_fdtable`,
        // fs/file.c); the helper checks the address itself and writes zeros where it fails.
        unsafe {
            (*record).first = first;
            (*record).reserved = 0;
            (*record).from = walk.from;
            (*record).cloexec = cloexec;
            let to = (&raw mut (*record).files).cast::<u8>();
            if bpf_probe_read_kernel(to.cast(), (TABLE_SLOTS * 8) as u32, files as *const _) != 0 {
                zero(to, TABLE_SLOTS * 8);
            }
        }
    });
    0
}

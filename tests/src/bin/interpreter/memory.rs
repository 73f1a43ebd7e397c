//! The log while a program runs: memory that all its processes share, so that writing it makes no call that is traced.

use anyhow::{Result, ensure};
use core::sync::atomic::{AtomicU32, Ordering};
use std::{fs::OpenOptions, os::fd::AsRawFd as _, path::Path};
use tracer_tests::program::{MAX_ACTORS, MAX_FDS};

/// Entries of one program, and descriptors in them.
const ENTRIES: usize = 4096;
const SLOTS: usize = 1 << 16;
/// Longer than any step takes on a slow and busy machine, seconds.
const PATIENCE_S: i64 = 10;

#[repr(C)]
struct Head {
    /// Steps that are done.
    done: AtomicU32,
    /// Actors that have logged their last table.
    finished: AtomicU32,
    /// Actors that have begun.
    begun: [AtomicU32; MAX_ACTORS],
    entries: AtomicU32,
    slots: AtomicU32,
    /// An actor waited in vain: its number + 1.
    stuck: AtomicU32,
}

#[repr(C)]
struct Layout {
    head: Head,
    entries: [Raw; ENTRIES],
    slots: [RawSlot; SLOTS],
}

/// A path or a `sockaddr`; a length of -1 is none.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Text {
    pub(crate) len: i32,
    pub(crate) bytes: [u8; 128],
}

impl Text {
    pub(crate) const NONE: Self = Self { len: -1, bytes: [0; 128] };

    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut text = Self::NONE;
        let len = bytes.len().min(text.bytes.len());
        text.bytes[..len].copy_from_slice(&bytes[..len]);
        text.len = i32::try_from(len).unwrap_or(-1);
        text
    }

    pub(crate) fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..usize::try_from(self.len).ok()?)
    }
}

/// Some of the slots.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Span {
    first: u32,
    /// -1: none were asked for.
    len: i32,
}

impl Span {
    pub(crate) const NONE: Self = Self { first: 0, len: -1 };
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct RawSlot {
    pub(crate) fd: i32,
    pub(crate) cloexec: i32,
    pub(crate) ino: u64,
    pub(crate) dev: u64,
    pub(crate) mode: u32,
}

/// An entry as [`tracer_tests::log::Entry`] has it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Raw {
    pub(crate) pid: i32,
    pub(crate) tid: i32,
    pub(crate) actor: u32,
    /// Number of the call; -1: none.
    pub(crate) number: i32,
    pub(crate) args: [i64; 4],
    pub(crate) ret: i64,
    pub(crate) alone: bool,
    pub(crate) asked: Text,
    pub(crate) local: Text,
    pub(crate) peer: Text,
    pub(crate) numbers_len: u32,
    pub(crate) numbers: [i32; 32],
    pub(crate) made: Span,
    pub(crate) table: Span,
}

/// The shared memory, mapped.
#[derive(Clone, Copy)]
pub(crate) struct Memory(*mut Layout);

// SAFETY: what several threads write are atomics; an entry or a slot is written by who reserved it alone.
unsafe impl Send for Memory {}
// SAFETY: likewise.
unsafe impl Sync for Memory {}

impl Memory {
    /// Maps the file, which is made or made longer where it has to be.
    pub(crate) fn map(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len(u64::try_from(size_of::<Layout>())?)?;
        // SAFETY: the file is as long as the mapping, and nothing makes it shorter.
        let place = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                size_of::<Layout>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        let mapped = place != libc::MAP_FAILED;
        ensure!(mapped, "cannot map {}: {}", path.display(), std::io::Error::last_os_error());
        Ok(Self(place.cast()))
    }

    fn head(&self) -> &'static Head {
        // SAFETY: it is mapped for as long as the process runs; any bytes are atomics.
        unsafe { &(*self.0).head }
    }

    /// Empties the log.
    pub(crate) fn reset(self) {
        let head = self.head();
        let begun = head.begun.iter();
        for counter in
            [&head.done, &head.finished, &head.entries, &head.slots, &head.stuck].into_iter().chain(begun)
        {
            counter.store(0, Ordering::SeqCst);
        }
    }

    /// Room for an entry; the program ends where there is none.
    pub(crate) fn entry(self, entry: &Raw) -> &'static mut Raw {
        let at = self.head().entries.fetch_add(1, Ordering::SeqCst) as usize;
        if at >= ENTRIES {
            self.give_up(entry.actor as usize);
        }
        // SAFETY: the place lies in the mapping and is reserved for the caller.
        unsafe {
            let place = &raw mut (*self.0).entries[at];
            place.write(*entry);
            &mut *place
        }
    }

    /// Keeps descriptors, no more than a table of a program has.
    pub(crate) fn keep(self, slots: impl Iterator<Item = RawSlot>) -> Span {
        let mut kept = [RawSlot { fd: -1, cloexec: 0, ino: 0, dev: 0, mode: 0 }; MAX_FDS];
        let mut len = 0;
        for (place, slot) in kept.iter_mut().zip(slots) {
            *place = slot;
            len += 1;
        }
        let first = self.head().slots.fetch_add(len, Ordering::SeqCst);
        for (at, slot) in (first as usize..).zip(&kept[..len as usize]) {
            if at >= SLOTS {
                self.give_up(0);
            }
            // SAFETY: as in `entry`.
            unsafe { (&raw mut (*self.0).slots[at]).write(*slot) };
        }
        Span { first, len: i32::try_from(len).unwrap_or(-1) }
    }

    pub(crate) fn slots(&self, span: Span) -> Option<&[RawSlot]> {
        let len = usize::try_from(span.len).ok()?;
        let first = span.first as usize;
        // SAFETY: the program has ended: nothing writes any longer, and what was reserved was written.
        unsafe { (*self.0).slots.get(first..first + len) }
    }

    pub(crate) fn entries(&self) -> &[Raw] {
        let len = self.head().entries.load(Ordering::SeqCst) as usize;
        // SAFETY: as in `slots`.
        unsafe { &(&(*self.0).entries)[..len.min(ENTRIES)] }
    }

    /// Waits until so many steps are done.
    pub(crate) fn await_done(self, steps: usize, actor: usize) {
        self.wait(&self.head().done, steps, actor);
    }

    pub(crate) fn step_done(self) {
        Self::raise(&self.head().done);
    }

    pub(crate) fn begin(self, actor: usize) {
        if let Some(begun) = self.head().begun.get(actor) {
            Self::raise(begun);
        }
    }

    pub(crate) fn await_begin(self, of: usize, actor: usize) {
        if let Some(begun) = self.head().begun.get(of) {
            self.wait(begun, 1, actor);
        }
    }

    /// One more has logged its last table; waits for all.
    pub(crate) fn finish(self, all: usize, actor: usize) {
        Self::raise(&self.head().finished);
        self.wait(&self.head().finished, all, actor);
    }

    /// The actor that waited in vain.
    pub(crate) fn stuck(self) -> Option<u32> {
        self.head().stuck.load(Ordering::SeqCst).checked_sub(1)
    }

    fn raise(counter: &AtomicU32) {
        counter.fetch_add(1, Ordering::SeqCst);
        // SAFETY: FUTEX_WAKE (futex(2)) reads nothing.
        unsafe { libc::syscall(libc::SYS_futex, counter.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
    }

    fn wait(self, counter: &AtomicU32, wanted: usize, actor: usize) {
        let start = now_s();
        loop {
            let seen = counter.load(Ordering::SeqCst);
            if seen as usize >= wanted {
                return;
            }
            if now_s() - start > PATIENCE_S {
                self.give_up(actor);
            }
            let timeout = libc::timespec { tv_sec: 1, tv_nsec: 0 };
            // SAFETY: FUTEX_WAIT reads the counter and the timeout, which outlive the call.
            unsafe {
                libc::syscall(libc::SYS_futex, counter.as_ptr(), libc::FUTEX_WAIT, seen, &raw const timeout)
            };
        }
    }

    fn give_up(self, actor: usize) -> ! {
        let stuck = u32::try_from(actor + 1).unwrap_or(u32::MAX);
        let _ = self.head().stuck.compare_exchange(0, stuck, Ordering::SeqCst, Ordering::SeqCst);
        // SAFETY: it ends the process.
        unsafe { libc::_exit(99) }
    }
}

fn now_s() -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec
}

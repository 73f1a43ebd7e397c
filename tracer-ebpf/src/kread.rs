//! Reads of kernel and user memory, all through helpers that cannot fault.

use aya_ebpf::helpers::{
    bpf_probe_read_kernel, bpf_probe_read_user,
    generated::{
        bpf_probe_read_kernel as raw_read_kernel, bpf_probe_read_kernel_str,
        bpf_probe_read_user as raw_read_user,
    },
};
use tracer_abi::Offsets;

/// Reads the field of type `T` at `offset` of the kernel object at `base`. `None` where the object is null, the kernel
/// has no such field, or the read fails.
#[inline(always)]
pub(crate) fn field<T>(base: u64, offset: u32) -> Option<T> {
    if base == 0 || offset == Offsets::ABSENT {
        return None;
    }
    // SAFETY: the helper checks the address itself and returns an error where it is not readable; `T` is an integer or
    // an array of bytes for every caller, valid for any bits.
    unsafe { bpf_probe_read_kernel((base + u64::from(offset)) as *const T) }.ok()
}

/// Reads a pointer; `None` where it is null.
#[inline(always)]
pub(crate) fn pointer(base: u64, offset: u32) -> Option<u64> {
    field::<u64>(base, offset).filter(|address| *address != 0)
}

/// The first `N` bytes of a kernel object: one read for many fields.
#[repr(C, align(8))]
pub(crate) struct Block<const N: usize> {
    bytes: [u8; N],
}

impl<const N: usize> Block<N> {
    /// Reads them; zeros where the object is null or cannot be read.
    #[inline(always)]
    pub(crate) fn read(base: u64) -> Self {
        let mut block = core::mem::MaybeUninit::<Self>::uninit();
        // SAFETY: the helper writes all `N` bytes, zeros where the read fails.
        unsafe {
            raw_read_kernel(block.as_mut_ptr().cast(), N as u32, base as *const _);
            block.assume_init()
        }
    }

    /// Reads them into a block that lies elsewhere than on the stack.
    #[inline(always)]
    pub(crate) fn fill(&mut self, base: u64) {
        copy_kernel(self.bytes.as_mut_ptr(), N, base);
    }

    /// The field of type `T` at `offset` of the object at `base`, which the block was read from. One that lies behind the
    /// block on this kernel is read by itself. The verifier knows the offset, and walks one of the two ways.
    #[inline(always)]
    pub(crate) fn get<T>(&self, base: u64, offset: u32) -> Option<T> {
        if offset as usize > N - size_of::<T>() {
            return field(base, offset);
        }
        // SAFETY: the field is inside the block, and as aligned there as in the object, since the block is aligned to a
        // word; `T` is an integer or an array of integers for every caller, valid for any bits.
        Some(unsafe { self.bytes.as_ptr().add(offset as usize).cast::<T>().read() })
    }
}

/// Copies a zero-terminated kernel string to `to`, cut at its end.
#[inline(always)]
pub(crate) fn string(to: *mut u8, len: usize, from: u64) -> i64 {
    // SAFETY: `to` is valid for `len` bytes: every caller passes a field of a record and its own length.
    unsafe { bpf_probe_read_kernel_str(to.cast(), len as u32, from as *const _) }
}

/// Zeroes `len` bytes at `to`: a read that fails leaves zeros, and address 0 always fails. Written by the compiler, it
/// would be a loop of single bytes, which the verifier walks.
#[inline(always)]
pub(crate) fn zero(to: *mut u8, len: usize) {
    // SAFETY: `to` is valid for `len` bytes: every caller passes a field of a record and its own length.
    unsafe { raw_read_kernel(to.cast(), len as u32, core::ptr::null()) };
}

/// Zeroes a record of whole words, one after the other: without the call of a helper, and without the loop of single bytes
/// that the compiler makes of zeros side by side.
#[inline(always)]
pub(crate) fn clear<T: Copy>(to: *mut T) {
    const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8, "no whole words") };
    let mut at = 0;
    while at < size_of::<T>() / 8 {
        // SAFETY: `to` is valid for a `T`, which is that many words. Volatile, so that they stay words.
        unsafe { to.cast::<u64>().add(at).write_volatile(0) };
        at += 1;
    }
}

/// Copies `len` bytes of a kernel object to `to`; zeros where they cannot be read.
#[inline(always)]
pub(crate) fn copy_kernel(to: *mut u8, len: usize, from: u64) {
    // SAFETY: `to` is valid for `len` bytes: every caller passes a field of a record and its own length. The helper checks
    // the address, and writes zeros where it fails.
    unsafe { raw_read_kernel(to.cast(), len as u32, from as *const _) };
}

/// Copies a record between maps, the stack and the ring buffer, by words where it is made of them: the helper that reads
/// kernel memory checks each. Written by the compiler, it would be a loop of single bytes.
#[inline(always)]
pub(crate) fn copy<T: Copy>(to: *mut T, from: *const T) {
    if !size_of::<T>().is_multiple_of(8) || align_of::<T>() != 8 {
        copy_kernel(to.cast(), size_of::<T>(), from as u64);
        return;
    }
    let mut at = 0;
    while at < size_of::<T>() / 8 {
        // SAFETY: `to` and `from` are valid for a `T`: every caller passes places of that type. Volatile, so that they
        // stay words.
        unsafe { to.cast::<u64>().add(at).write_volatile(from.cast::<u64>().add(at).read_volatile()) };
        at += 1;
    }
}

/// Copies `len` bytes of a kernel object to `to`. The caller has bounded `len` by the size of what `to` points to.
#[inline(always)]
pub(crate) fn kernel_bytes(to: *mut u8, len: u32, from: u64) -> bool {
    // SAFETY: the verifier checks that `to` has room for the largest value that `len` can have.
    unsafe { raw_read_kernel(to.cast(), len, from as *const _) == 0 }
}

/// Reads a `T` of the caller's memory.
#[inline(always)]
pub(crate) fn user<T>(address: u64) -> Option<T> {
    // SAFETY: as for `field`.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}

/// Copies `len` bytes of the caller's memory to `to`. The caller has bounded `len` by the size of what `to` points to.
#[inline(always)]
pub(crate) fn user_bytes(to: *mut u8, len: u32, from: u64) -> bool {
    // SAFETY: the verifier checks that `to` has room for the largest value that `len` can have.
    unsafe { raw_read_user(to.cast(), len, from as *const _) == 0 }
}

/// The same value, of which the compiler knows nothing: it then compares and passes one and the same register. Otherwise
/// it may compare a copy, and older verifiers (Linux 6.1) do not learn the bound of what is passed.
#[inline(always)]
pub(crate) fn opaque(mut value: u64) -> u64 {
    // An instruction, not an empty text, which would give two lines to the instruction behind it.
    // SAFETY: a register is moved to itself.
    unsafe {
        core::arch::asm!("{0} = {0}", inout(reg) value, options(pure, nomem, nostack, preserves_flags));
    }
    value
}

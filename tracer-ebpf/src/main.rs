//! The kernel programs of sockreel.
//!
//! They run on BTF tracepoints and on one iterator, so they need neither tracefs nor kprobes. What they state as fact
//! is read from kernel objects; the caller's memory fills `asked` and paths, and holds numbers of descriptors that the table
//! then confirms. One file a family of probes.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![expect(internal_features, reason = "the only way to an atomic add on this target, see `maps`")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the kernel passes narrow values in 64-bit registers; a checked conversion costs instructions and proves \
              nothing to the verifier"
)]
#![expect(
    clippy::cast_ptr_alignment,
    reason = "fields of kernel objects lie where the kernel's compiler aligned them, at offsets that only the loader knows"
)]
#![expect(
    clippy::inline_always,
    reason = "a call is a function of its own to the verifier, which then forgets what it knew of the arguments"
)]
#![expect(
    clippy::needless_pass_by_value,
    clippy::needless_borrows_for_generic_args,
    reason = "aya's macros give the context by value; a map's value given by value would be copied to a stack of 512 \
              bytes"
)]

mod cgroup;
mod emit;
mod file;
mod globals;
mod kread;
mod maps;
mod probes;
mod sock;
mod table;
mod task;

/// The verifier refuses a program from which this loop can be reached, so no panic can hide in a loaded program.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

// Some helpers (`bpf_probe_read_kernel`, `bpf_d_path`, ...) are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

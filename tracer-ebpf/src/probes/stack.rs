//! From where descriptors are made, where that is asked for: what the caller's frame pointers lead to, and what lies at the top of
//! its stack, where functions without one (as those of the C library) have their return addresses.
//!
//! A program of its own: without it no call costs anything. It is attached before the one that tells the call.

use super::{
    call::{Arguments, pointer_argument, regs, traced},
    wanted,
};
use crate::{
    emit,
    kread::{user, user_bytes, zero},
    task::{self, Current, Scope},
};
use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_abi::{Chain, Class, Entry, Kind, STACK_FRAMES, STACK_WORDS, Stack};

/// Words that are read at a time: a stack may end before the last of them.
const WORDS: usize = 16;
/// Words among which a kept frame pointer is looked for.
const LOOKED_THROUGH: usize = 48;
/// User space ends here (`TASK_SIZE_MAX`, arch/x86/include/asm/page_64_types.h), and nothing is mapped below this
/// (`vm.mmap_min_addr`).
const ADDRESSES: core::ops::Range<u64> = 1 << 16..1 << 47;
/// A frame is no longer than that.
const FRAME: u64 = 1 << 20;

/// `TP_PROTO(struct pt_regs *regs, long ret)`, include/trace/events/syscalls.h.
#[btf_tracepoint(function = "sys_exit")]
fn stack_exit(ctx: BtfTracePointContext) -> i32 {
    let registers = ctx.arg::<*const u64>(0);
    // SAFETY: as in `Arguments::of`.
    let number = unsafe { *registers.add(regs::ORIG_AX) };
    let Some(entry) = traced(number) else { return 0 };
    let ret: i64 = ctx.arg(1);
    if ret < 0 || task::scope((bpf_get_current_pid_tgid() >> 32) as u32) == Scope::None {
        return 0;
    }
    let Some(fds) = made(entry, &Arguments::of(registers), ret) else { return 0 };
    if task::in_compat_call() {
        return 0;
    }
    // SAFETY: as above.
    let [ip, sp, bp] = unsafe { [regs::IP, regs::SP, regs::BP].map(|place| *registers.add(place)) };
    emit::part::<Stack>(Kind::STACK, &emit::current_header(Current::read()), |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        let record = unsafe { &mut *record };
        (record.fds, record.ip, record.sp) = (fds, ip, sp);
        follow(&mut record.chain, bp);
        keep_words(&mut record.words, sp);
        let kept = first_pointer(&record.words, sp);
        follow(&mut record.kept, kept);
    });
    0
}

/// The descriptors that a call made; `None` where it made none, or is not one whose result they are.
#[inline(always)]
fn made(entry: Entry, arguments: &Arguments, ret: i64) -> Option<[i32; 2]> {
    match Class(entry.class) {
        Class::PAIR => user::<[i32; 2]>(pointer_argument(entry, arguments)),
        Class::SOCKET
        | Class::ACCEPT
        | Class::DUP
        | Class::DUP2
        | Class::ANON
        | Class::OPEN
        | Class::BPF
        | Class::SECCOMP
        | Class::RULESET
            if wanted::by_arguments(entry, arguments) =>
        {
            Some([ret as i32, -1])
        }
        Class::FCNTL if wanted::duplicates(arguments) => Some([ret as i32, -1]),
        Class::IOCTL if wanted::makes_descriptor(arguments.0[1] as u32) => Some([ret as i32, -1]),
        _ => None,
    }
}

/// Copies the top of the stack, and of it only what can be an address: data stays where it is.
#[inline(always)]
fn keep_words(words: &mut [u64; STACK_WORDS], sp: u64) {
    for place in 0..STACK_WORDS / WORDS {
        // SAFETY: the place is inside the array.
        let to = unsafe { words.as_mut_ptr().add(place * WORDS).cast() };
        // Zeros where the stack has ended.
        user_bytes(to, (WORDS * 8) as u32, sp + (place * WORDS * 8) as u64);
    }
    for word in words {
        if !ADDRESSES.contains(word) {
            *word = 0;
        }
    }
}

/// The first word that points to what may be a frame; 0 for none.
#[inline(always)]
fn first_pointer(words: &[u64; STACK_WORDS], sp: u64) -> u64 {
    for word in &words[..LOOKED_THROUGH] {
        if within(*word, sp)
            && let Some([next, back]) = user::<[u64; 2]>(*word)
            && within(next, *word)
            && ADDRESSES.contains(&back)
            && !within(back, sp)
        {
            return *word;
        }
    }
    0
}

/// Whether an address can be that of the frame after one at `below`: stacks grow down.
#[inline(always)]
fn within(address: u64, below: u64) -> bool {
    address.wrapping_sub(below).wrapping_sub(1) < FRAME
}

/// Follows frame pointers: each points to the next, above which is a return address.
#[inline(never)]
fn follow(chain: &mut Chain, from: u64) {
    zero((&raw mut chain.backs).cast(), STACK_FRAMES * 8);
    (chain.from, chain.count) = (from, 0);
    let mut at = from;
    for place in 0..STACK_FRAMES {
        let Some([next, back]) = user::<[u64; 2]>(at) else { return };
        if !ADDRESSES.contains(&back) {
            return;
        }
        chain.backs[place] = back;
        chain.count = place as u64 + 1;
        if !within(next, at) {
            return;
        }
        at = next;
    }
}

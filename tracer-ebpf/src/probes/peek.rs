//! What is spoken on connections, where that is asked for.
//!
//! A connection is listened to from the accept(2) or connect(2) that made it. When a call returns that moved bytes of it, some
//! of them are looked at in the caller's memory ([`tracer_spoken`]: 64 at most), and a state is kept, no byte. Once it is
//! known what is spoken, that is told and the connection is forgotten, but for HTTP/1, whose answers may switch it.
//!
//! These are programs of their own: without them no call that only moves bytes costs anything.

use super::call::{Arguments, regs};
use crate::{
    emit, file,
    kread::{copy, opaque, user, user_bytes, zero},
    maps::{CARRIERS, LOOKING, PEEKED, PEEKING, PHRASES, count},
    sock,
    task::{self, Current, Scope},
};
use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_loop},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use core::ffi::c_void;
use tracer_abi::{
    Carrier, Counter, Kind, Peeked, Peeking, Protocol, SNI_LEN, SPOKEN_INFERRED, SPOKEN_SNI_CUT, Sock, Spoken,
};
use tracer_spoken::{
    Bytes, CHUNK, Cursor, Heard, LOOK, STEPS, VERDICT, begin, counts, hear, hears, overheard,
};

/// `EINPROGRESS` (errno(3)), as a call returns it.
const IN_PROGRESS: i64 = -115;
/// `MSG_OOB`, `MSG_PEEK`, `MSG_TRUNC`, `MSG_ERRQUEUE` (recv(2)).
const MSG_OOB: u64 = 1;
const MSG_PEEK: u64 = 2;
const MSG_TRUNC: u64 = 0x20;
const MSG_ERRQUEUE: u64 = 0x2000;
/// Places of `msg_iov` in a `struct user_msghdr`, and of `msg_len` in a `struct mmsghdr` (include/linux/socket.h).
const MSG_IOV: u64 = 16;
const MSG_LEN: u64 = 56;
/// Bytes of a `struct iovec`.
const IOVEC: u64 = 16;
/// Parts of a call's memory that are looked at, at most.
const PARTS: u32 = 4;
/// How often the place of bytes in their stream is read, at most: segments that arrive meanwhile may come between its parts.
const TRIES: u32 = 3;

/// A look at a call.
#[repr(C)]
pub(crate) struct Looking {
    /// The connection.
    peeked: Peeked,
    /// The part of the call's memory that is looked at.
    cursor: Cursor,
    /// Bytes of the call that are in other parts.
    bytes: u64,
    /// The next part; how many will be taken.
    vector: u64,
    parts: u32,
    /// What is told: a [`Protocol`], `SPOKEN_*` flags, and the server's name in the caller's memory.
    tells: u32,
    protocol: u32,
    flags: u32,
    name_len: u32,
    name: u64,
    /// Nothing more is looked at on this connection.
    done: u32,
}

/// `TP_PROTO(struct pt_regs *regs, long id)`, include/trace/events/syscalls.h.
#[btf_tracepoint(function = "sys_enter")]
fn peek_enter(ctx: BtfTracePointContext) -> i32 {
    let Some(carrier) = carrier(ctx.arg(1)) else { return 0 };
    if matches!(carrier, Carrier::ACCEPT | Carrier::CONNECT) {
        return 0;
    }
    let pid_tgid = bpf_get_current_pid_tgid();
    if task::scope((pid_tgid >> 32) as u32) == Scope::None || task::in_compat_call() {
        return 0;
    }
    let Arguments([first, _, third, _]) = Arguments::of(ctx.arg::<*const u64>(0));
    let tid = pid_tgid as u32;
    let receives = matches!(
        carrier,
        Carrier::READ
            | Carrier::READV
            | Carrier::RECVFROM
            | Carrier::RECVMSG
            | Carrier::RECVMMSG
            | Carrier::SPLICE
    );
    if !keep(tid, first as i32, receives) && carrier == Carrier::SPLICE {
        keep(tid, third as i32, false);
    }
    0
}

/// Keeps which connection a call is about, if it is one whose bytes in that direction are listened to. By the call's end the
/// number may name another.
#[inline(always)]
fn keep(tid: u32, fd: i32, incoming: bool) -> bool {
    let file = file::current(Current::read(), fd);
    let sk = file::socket_of(file);
    let Some(peeked) = PEEKED.get_ptr(sk) else { return false };
    // SAFETY: the map gave a valid pointer.
    let peeked = unsafe { &*peeked };
    if peeked.ino != file::ino(file) || !hears(peeked, incoming) {
        return false;
    }
    if PEEKING.insert(tid, Peeking { sk, incoming: incoming.into(), fd }, 0).is_err() {
        count(Counter::IN_FLIGHT_FULL);
    }
    true
}

/// `TP_PROTO(struct pt_regs *regs, long ret)`, include/trace/events/syscalls.h.
#[btf_tracepoint(function = "sys_exit")]
fn peek_exit(ctx: BtfTracePointContext) -> i32 {
    let regs = ctx.arg::<*const u64>(0);
    // SAFETY: as in `Arguments::of`.
    let Some(carrier) = carrier(unsafe { *regs.add(regs::ORIG_AX) }) else { return 0 };
    let ret: i64 = ctx.arg(1);
    let arguments = Arguments::of(regs);
    let pid_tgid = bpf_get_current_pid_tgid();
    if matches!(carrier, Carrier::ACCEPT | Carrier::CONNECT) {
        let scope = task::scope((pid_tgid >> 32) as u32);
        if scope == Scope::None || task::in_compat_call() {
            return 0;
        }
        if carrier == Carrier::ACCEPT && ret >= 0 {
            listen_to(ret as i32, true, scope);
        } else if carrier == Carrier::CONNECT && (ret == 0 || ret == IN_PROGRESS) {
            listen_to(arguments.0[0] as i32, false, scope);
        }
        return 0;
    }
    let tid = pid_tgid as u32;
    let Some(place) = PEEKING.get_ptr(tid) else { return 0 };
    // SAFETY: the map gave a valid pointer; only this thread changes the entry.
    let peeking = unsafe { *place };
    let _ = PEEKING.remove(tid);
    if ret > 0 && !task::in_compat_call() {
        look(carrier, &arguments, &peeking, ret as u64);
    }
    0
}

/// What a call with that number does with bytes; `None` where it moves none.
#[inline(always)]
fn carrier(number: u64) -> Option<Carrier> {
    CARRIERS.get(number as u32).copied().filter(|carrier| *carrier != Carrier::NONE)
}

/// A connection begins.
#[inline(never)]
fn listen_to(fd: i32, accepted: bool, scope: Scope) {
    let file = file::current(Current::read(), fd);
    let sk = file::socket_of(file);
    if !sock::is_stream(sk) {
        return;
    }
    if scope == Scope::Sockets {
        let mut sock = core::mem::MaybeUninit::<Sock>::uninit();
        // SAFETY: `read` writes every byte, zeros first.
        let sock = unsafe {
            sock::read(sk, &mut *sock.as_mut_ptr());
            sock.assume_init_ref()
        };
        if !sock::port_selected(sock) {
            return;
        }
    }
    let _ = PEEKED.insert(sk, begin(file::ino(file), accepted), 0);
}

/// Looks at a call that moved bytes.
#[inline(always)]
fn look(carrier: Carrier, arguments: &Arguments, peeking: &Peeking, ret: u64) {
    let Arguments([_, second, third, fourth]) = *arguments;
    let incoming = peeking.incoming != 0;
    let flags = match carrier {
        Carrier::RECVMSG | Carrier::SENDMSG => third,
        Carrier::RECVFROM | Carrier::SENDTO | Carrier::RECVMMSG | Carrier::SENDMMSG => fourth,
        _ => 0,
    };
    if flags & (MSG_OOB | MSG_ERRQUEUE) != 0 || incoming && flags & MSG_PEEK != 0 {
        // Bytes beside the stream, or bytes that will come again.
        return;
    }
    let Some(place) = LOOKING.get_ptr_mut(0) else { return };
    // SAFETY: the map gave this CPU's value, which only this program uses, and nothing interrupts it that does.
    let looking = unsafe { &mut *place };
    let Some(known) = PEEKED.get_ptr(peeking.sk) else { return };
    copy(&raw mut looking.peeked, known);
    if !hears(&looking.peeked, incoming) {
        // Another thread was faster.
        return;
    }
    let several = matches!(carrier, Carrier::RECVMMSG | Carrier::SENDMMSG);
    looking.bytes = ret;
    if several {
        // A number of messages, of which the first is looked at.
        looking.bytes = u64::from(user::<u32>(second + MSG_LEN).unwrap_or(0));
    }
    (looking.cursor.left, looking.cursor.len, looking.cursor.more) = (LOOK, 0, 0);
    (looking.tells, looking.protocol, looking.flags, looking.name_len, looking.name) = (0, 0, 0, 0, 0);
    (looking.parts, looking.done) = (PARTS, 0);
    let nowhere = matches!(carrier, Carrier::SENDFILE | Carrier::SPLICE)
        || incoming && flags & MSG_TRUNC != 0
        || several && ret > 1;
    looking.peeked.said += looking.bytes;
    if nowhere || !is_next(peeking.sk, incoming, &looking.peeked) {
        let heard = overheard(&mut looking.peeked);
        note(looking, &heard);
    } else {
        match carrier {
            Carrier::READV | Carrier::WRITEV => looking.vector = second,
            Carrier::RECVMSG | Carrier::SENDMSG | Carrier::RECVMMSG | Carrier::SENDMMSG => {
                looking.vector = user::<u64>(second + MSG_IOV).unwrap_or(0);
            }
            _ => {
                (looking.cursor.at, looking.cursor.len) = (second, looking.bytes);
                looking.bytes = 0;
            }
        }
        // SAFETY: the callback has the signature that the helper calls.
        unsafe { bpf_loop(PARTS + STEPS, step as *const () as *mut c_void, core::ptr::null_mut(), 0) };
    }
    conclude(looking, peeking);
}

/// Whether the bytes that a call moved are those that follow what was seen so far. What an io_uring moved, no call tells; TCP
/// counts it.
#[inline(always)]
fn is_next(sk: u64, incoming: bool, peeked: &Peeked) -> bool {
    if !counts(peeked) || !sock::is_tcp(sk) {
        return true;
    }
    for _ in 0..TRIES {
        if sock::position(sk, incoming) == peeked.said {
            return true;
        }
    }
    false
}

/// One step through a call's memory.
extern "C" fn step(_step: u32, _context: *mut c_void) -> i64 {
    let Some(place) = LOOKING.get_ptr_mut(0) else { return 1 };
    // SAFETY: as in `look`.
    let looking = unsafe { &mut *place };
    if looking.cursor.len == 0 && !next_part(looking) {
        return 1;
    }
    let Some(heard) = hear(&mut looking.peeked, &mut looking.cursor, &mut Caller) else { return 0 };
    note(looking, &heard);
    i64::from(heard.enough)
}

/// Goes on to the next part of a call's memory; there may be empty ones.
#[inline(always)]
fn next_part(looking: &mut Looking) -> bool {
    if looking.bytes == 0 || looking.parts == 0 {
        return false;
    }
    let Some([base, len]) = user::<[u64; 2]>(looking.vector) else { return false };
    looking.vector += IOVEC;
    looking.parts -= 1;
    let here = if len < looking.bytes { len } else { looking.bytes };
    looking.bytes -= here;
    (looking.cursor.at, looking.cursor.len) = (base, here);
    looking.cursor.more = u32::from(looking.parts == 0 && looking.bytes > 0);
    true
}

/// Notes what was heard.
#[inline(always)]
fn note(looking: &mut Looking, heard: &Heard) {
    if let Some(Protocol(protocol)) = heard.told {
        looking.tells = 1;
        looking.protocol = protocol.into();
    }
    let (inferred, cut) = (u32::from(heard.inferred), u32::from(heard.named.cut));
    looking.flags = (inferred * SPOKEN_INFERRED) | (cut * SPOKEN_SNI_CUT);
    looking.name = heard.named.at;
    looking.name_len = heard.named.len;
    looking.done = heard.done.into();
}

/// Tells what is spoken, and keeps how far it has come or forgets the connection.
#[inline(always)]
fn conclude(looking: &Looking, peeking: &Peeking) {
    if looking.done != 0 {
        let _ = PEEKED.remove(peeking.sk);
    } else if let Some(known) = PEEKED.get_ptr_mut(peeking.sk) {
        copy(known, &raw const looking.peeked);
    }
    if looking.tells == 0 {
        return;
    }
    let header = emit::current_header(Current::read());
    emit::record::<Spoken>(Kind::SPOKEN, &header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            sock::read(peeking.sk, &mut (*record).sock);
            (*record).fd = peeking.fd;
            (*record).protocol = looking.protocol;
            (*record).flags = looking.flags;
            (*record).sni_len = 0;
            zero((&raw mut (*record).sni).cast(), SNI_LEN);
            let len = looking.name_len;
            if len > 0
                && len <= SNI_LEN as u32
                && user_bytes((&raw mut (*record).sni).cast(), within(len, SNI_LEN as u32), looking.name)
            {
                (*record).sni_len = len;
            }
        }
    });
}

/// A length from 1 to `most`, a power of two, in a form that every verifier sees the bounds of: a mask, which the compiler does
/// not know to be without effect.
#[inline(always)]
fn within(len: u32, most: u32) -> u32 {
    (opaque(u64::from(len) - 1) as u32 & (most - 1)) + 1
}

/// The caller's memory.
struct Caller;

impl Bytes for Caller {
    #[inline(always)]
    fn chunk(&mut self, at: u64, len: u32) -> Option<[u8; 8]> {
        let mut chunk = [0_u8; CHUNK as usize];
        if len == 0 || len > CHUNK {
            return None;
        }
        user_bytes(chunk.as_mut_ptr(), within(len, CHUNK), at).then_some(chunk)
    }

    #[inline(always)]
    fn next(&self, state: u8, byte: u8) -> u8 {
        // SAFETY: the map gave a valid pointer.
        PHRASES.get_ptr(u32::from(state)).map_or(VERDICT, |row| unsafe {
            (&raw const (*row).next).cast::<u8>().add(usize::from(byte)).read()
        })
    }

    #[inline(always)]
    fn cut(&self, state: u8) -> u8 {
        // SAFETY: likewise.
        PHRASES.get_ptr(u32::from(state)).map_or(VERDICT, |row| unsafe { (*row).cut })
    }
}

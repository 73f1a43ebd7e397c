//! From the bytes of a kernel record to an [`Input`]. Total: any bytes give an input or an error, never a panic.

mod calls;
mod looks;
mod processes;
mod rings;
mod snapshots;
mod sockets;
mod spoken;

pub use calls::in_flight;
pub use looks::look_found;
pub use snapshots::{listener, row};

use crate::{
    ids::{BootNs, ProcessKey},
    input::{
        Body, Exit, FileRef, Held, Input, Origin, Overflow, Queued, Retransmit, Slept, Slot, Sock, State,
        Table, Task, Thread, Waiting,
    },
    names::state,
    syscall::Numbering,
};
use calls::{call, call_addr, call_fds, call_given, call_pair, call_path, call_sock};
use core::fmt;
use processes::{cgroup, exec, fork};
use rings::{operation, ring_part};
use snapshots::slot_row;
use sockets::{sock, tcp};
use spoken::heard;
use tracer_abi::{Change, Field, Header, Kind, SLOT_CLOEXEC, SLOT_NONBLOCK, SLOT_PRESENT, UNNUMBERED};

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// It is shorter than its kind needs.
    Short,
    /// A kind that this version does not know.
    UnknownKind(u16),
    /// A system call whose number is not traced.
    UnknownCall(u32),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "the record is too short"),
            Self::UnknownKind(kind) => write!(f, "unknown kind of record {kind}"),
            Self::UnknownCall(number) => write!(f, "system call {number} is not traced"),
        }
    }
}

/// Reads one record of the ring buffer and gives what it tells to `each`, oldest first: most tell one thing.
pub fn record(bytes: &[u8], numbering: &Numbering, mut each: impl FnMut(Input)) -> Result<(), DecodeError> {
    let header: Header = read(bytes)?;
    let origin = numbered(&header);
    let mut tell = |ts, body| each(Input { ts: BootNs(ts), origin, late: false, body });
    let body = match Kind(header.kind) {
        Kind::CALL => Body::Call(Box::new(call(&read(bytes)?, numbering)?)),
        Kind::CALL_SOCK => Body::Call(Box::new(call_sock(&read(bytes)?, numbering)?)),
        Kind::CALL_ADDR => Body::Call(Box::new(call_addr(&read(bytes)?, numbering)?)),
        Kind::CALL_PATH => Body::Call(Box::new(call_path(&read(bytes)?, numbering)?)),
        Kind::CALL_PAIR => Body::Call(Box::new(call_pair(&read(bytes)?, numbering)?)),
        Kind::RING_CALL => {
            let record: tracer_abi::RingCall = read(bytes)?;
            Body::Call(Box::new(operation(call_sock(&record.base, numbering)?, &record.request)))
        }
        Kind::RING_ADDR => {
            let record: tracer_abi::RingAddr = read(bytes)?;
            let call = call_addr(&record.base, numbering)?;
            Body::Call(Box::new(operation(call, &record.request)))
        }
        Kind::RING_PATH => {
            let record: tracer_abi::RingPath = read(bytes)?;
            let call = call_path(&record.base, numbering)?;
            Body::Call(Box::new(operation(call, &record.request)))
        }
        Kind::RING_PAIR => {
            let record: tracer_abi::RingPair = read(bytes)?;
            Body::Call(Box::new(operation(call_pair(&record.base, numbering)?, &record.request)))
        }
        Kind::RING_FDS => {
            let record: tracer_abi::RingFds = read(bytes)?;
            let rest = bytes.get(tracer_abi::RingFds::SIZE..).unwrap_or_default();
            Body::Call(Box::new(operation(call_fds(&record.base, rest, numbering)?, &record.request)))
        }
        Kind::RING_SLOT => Body::Ring(Box::new(ring_part(&read(bytes)?, &header))),
        Kind::CALL_STATES => {
            let record: tracer_abi::CallStates = read(bytes)?;
            let mut call = call(&record.call, numbering)?;
            let mut sock = sock(&record.sock).ok_or(DecodeError::Short)?;
            let count = usize::try_from(record.count).unwrap_or(usize::MAX);
            for change in record.changes.iter().take(count) {
                sock.state = change.to;
                let (task, sock) = (call.task, sock.clone());
                let Change { from, to, error, .. } = *change;
                let tcp = tcp(&record.tcp).filter(|_| to == state::CLOSE);
                tell(change.ts, Body::State(State { task, from, to, error, sock, tcp }));
            }
            call.socks = vec![sock];
            Body::Call(Box::new(call))
        }
        Kind::CALL_FDS => {
            let record: tracer_abi::CallFds = read(bytes)?;
            let rest = bytes.get(tracer_abi::CallFds::SIZE..).unwrap_or_default();
            Body::Call(Box::new(call_fds(&record, rest, numbering)?))
        }
        Kind::CALL_GIVEN => {
            let record: tracer_abi::CallGiven = read(bytes)?;
            let (call, given) = call_given(&record, numbering)?;
            if let Some(given) = given {
                tell(header.ts, Body::Given(Box::new(given)));
            }
            let Some(call) = call else { return Ok(()) };
            Body::Call(Box::new(call))
        }
        Kind::FORK => Body::Fork(fork(&read(bytes)?, numbering)),
        Kind::EXEC => Body::Exec(exec(&read(bytes)?, numbering)),
        Kind::EXIT => {
            let record: tracer_abi::Exit = read(bytes)?;
            Body::Exit(Exit { task: task(&header), code: record.code })
        }
        Kind::TABLE => {
            let record: tracer_abi::Table = read(bytes)?;
            let first = i32::try_from(record.first).map_err(|_| DecodeError::Short)?;
            let slots = (first..=i32::MAX).zip(record.files).zip(0_u32..);
            let held = slots.filter(|((_, file), _)| *file != 0).map(|((fd, file), bit)| Held {
                fd,
                file,
                cloexec: record.cloexec >> bit & 1 == 1,
            });
            Body::Table(Table { task: task(&header), from: record.from, first, slots: held.collect() })
        }
        Kind::THREAD => {
            let record: tracer_abi::Thread = read(bytes)?;
            Body::Thread(Thread { task: task(&header), users: record.users, begins: record.begins != 0 })
        }
        Kind::CGROUP => Body::Cgroup(cgroup(&read(bytes)?)),
        Kind::STATE => {
            let record: tracer_abi::State = read(bytes)?;
            let mut sock = sock(&record.sock).ok_or(DecodeError::Short)?;
            let Change { ts, error, from, to } = record.before;
            if ts != 0 {
                let sock = Sock { state: to, ..sock.clone() };
                tell(ts, Body::State(State { task: task(&header), from, to, error, sock, tcp: None }));
            }
            // The tracepoint runs before the new state is stored (`inet_sk_state_store`, net/ipv4/af_inet.c).
            sock.state = record.to;
            Body::State(State {
                task: task(&header),
                from: record.from,
                to: record.to,
                error: record.error,
                sock,
                tcp: tcp(&record.tcp),
            })
        }
        Kind::QUEUED => {
            let record: tracer_abi::Queued = read(bytes)?;
            Body::Queued(Queued {
                task: task(&header),
                listener: record.listener,
                queue_len: record.queue_len,
                queue_limit: record.queue_limit,
                sock: sock(&record.sock).ok_or(DecodeError::Short)?,
            })
        }
        Kind::WAITING => {
            let record: tracer_abi::Queued = read(bytes)?;
            Body::Waiting(Box::new(Waiting {
                task: task(&header),
                listener: record.listener,
                sock: sock(&record.sock).ok_or(DecodeError::Short)?,
            }))
        }
        Kind::OVERFLOW => {
            let record: tracer_abi::Overflow = read(bytes)?;
            Body::Overflow(Box::new(Overflow {
                task: task(&header),
                queue_len: record.queue_len,
                queue_limit: record.queue_limit,
                sock: sock(&record.sock).ok_or(DecodeError::Short)?,
            }))
        }
        Kind::RETRANSMIT => {
            let record: tracer_abi::Retransmit = read(bytes)?;
            let sock = sock(&record.sock).ok_or(DecodeError::Short)?;
            Body::Retransmit(Box::new(Retransmit { task: task(&header), sock }))
        }
        Kind::SLEPT => {
            let record: tracer_abi::Slept = read(bytes)?;
            Body::Slept(Box::new(Slept {
                task: task(&header),
                off: BootNs(record.off),
                woken: moment(record.woken),
                state: record.state,
                call: u32::try_from(record.call).ok().and_then(|number| numbering.name(number)),
            }))
        }
        Kind::SPOKEN => Body::Spoken(Box::new(heard(&read(bytes)?)?)),
        Kind::FOUND => {
            let record: tracer_abi::Found = read(bytes)?;
            Body::Row(Box::new(slot_row(&record.row, until_zero(&record.row.slot.name))?))
        }
        Kind(unknown) => return Err(DecodeError::UnknownKind(unknown)),
    };
    tell(header.ts, body);
    Ok(())
}

/// A stack, as it came: what is in it is told when its addresses have been looked up.
#[must_use]
pub fn stack(bytes: &[u8]) -> Option<Box<tracer_abi::Stack>> {
    let header: Header = read(bytes).ok()?;
    (Kind(header.kind) == Kind::STACK).then(|| read(bytes).ok().map(Box::new))?
}

/// CPU and number of a record; `None` where it has no number, or no head.
#[must_use]
pub fn origin(bytes: &[u8]) -> Option<Origin> {
    numbered(&read(bytes).ok()?)
}

fn numbered(header: &Header) -> Option<Origin> {
    (header.cpu_seq != UNNUMBERED).then_some(Origin { cpu: header.cpu, cpu_seq: header.cpu_seq })
}

fn read<T: Field>(bytes: &[u8]) -> Result<T, DecodeError> {
    T::read(bytes).ok_or(DecodeError::Short)
}

fn task(header: &Header) -> Task {
    Task {
        process: ProcessKey { pid: header.pid, start_ns: header.start },
        tid: header.tid,
        files: header.files,
    }
}

/// 0 stands for "not seen".
fn moment(ns: u64) -> Option<BootNs> {
    (ns != 0).then_some(BootNs(ns))
}

/// A slot that was read; a negative number stands for none.
fn slot(record: &tracer_abi::Slot) -> Option<Slot> {
    (record.fd >= 0).then(|| Slot {
        fd: record.fd,
        file: (record.flags & SLOT_PRESENT != 0).then_some(FileRef {
            file: record.file.file,
            ino: record.file.ino,
            dev: record.file.dev,
            mode: record.file.mode,
        }),
        cloexec: record.flags & SLOT_CLOEXEC != 0,
        nonblock: record.flags & SLOT_NONBLOCK != 0,
        name: until_zero(&record.name),
    })
}

/// The first `len` bytes, or all where there are fewer.
fn first(bytes: &[u8], len: u32) -> &[u8] {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(..len).unwrap_or_default()
}

fn until_zero(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().take_while(|byte| *byte != 0).collect()
}

#[cfg(test)]
mod tests;

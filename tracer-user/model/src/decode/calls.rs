//! Records of calls.

use super::{
    DecodeError, first, moment, read, slot,
    sockets::{name_unix, sock},
    task,
};
use crate::{
    address::{Address, unix_name},
    ids::{BootNs, ProcessKey},
    input::{Call, Given, Sleeps, Slot, Task},
    names,
    syscall::{Numbering, Syscall},
};
use tracer_abi::{
    CALLER_FOLLOWED, CallFds, CallPair, Class, Field, InFlight, PASSED_LOCAL, PASSED_PEER, PASSED_SOCK,
    Passed, RING_OPERATION,
};

/// A call that is still running, as the map of calls in flight has it.
pub fn in_flight(
    flight: &InFlight,
    address: Option<&tracer_abi::Asked>,
    numbering: &Numbering,
) -> Result<Call, DecodeError> {
    let mut call = call(&flight.call, numbering)?;
    call.ret = None;
    call.asked = address.and_then(asked);
    call.listener = (call.call.class() == Class::ACCEPT && flight.sk != 0).then_some(flight.sk);
    Ok(call)
}

pub(super) fn call(record: &tracer_abi::Call, numbering: &Numbering) -> Result<Call, DecodeError> {
    let operation = record.nr & RING_OPERATION != 0;
    let name =
        if operation { Syscall::operation(record.nr & !RING_OPERATION) } else { numbering.call(record.nr) };
    let name = name.ok_or(DecodeError::UnknownCall(record.nr))?;
    Ok(Call {
        task: task(&record.header),
        call: name,
        enter: moment(record.enter),
        ret: Some(record.ret),
        args: record.args,
        subject: slot(&record.subject),
        results: slot(&record.result).into_iter().collect(),
        socks: Vec::new(),
        listener: None,
        queued: None,
        queue: None,
        sleeps: None,
        asked: None,
        asked_value: None,
        path: None,
        request: None,
    })
}

pub(super) fn call_sock(record: &tracer_abi::CallSock, numbering: &Numbering) -> Result<Call, DecodeError> {
    let mut call = call(&record.call, numbering)?;
    call.socks = sock(&record.sock).into_iter().collect();
    if record.listener != 0 {
        call.listener = Some(record.listener);
        call.queued = moment(record.queued);
        call.queue = Some((record.queue_len, record.queue_limit));
        call.sleeps = Some(Sleeps { thread_start: BootNs(record.thread_start), count: record.sleeps });
    }
    Ok(call)
}

/// A call that makes two descriptors.
pub(super) fn call_pair(record: &CallPair, numbering: &Numbering) -> Result<Call, DecodeError> {
    let mut call = call(&record.call, numbering)?;
    call.results.extend(slot(&record.second));
    call.socks = [&record.first_sock, &record.second_sock].into_iter().filter_map(sock).collect();
    Ok(call)
}

/// A call that passes descriptors: those of the messages that it got done, or where it failed all that it tried.
pub(super) fn call_fds(head: &CallFds, mut rest: &[u8], numbering: &Numbering) -> Result<Call, DecodeError> {
    let mut call = call(&head.call, numbering)?;
    let messages = match (call.call, call.ret) {
        (Syscall::Sendmmsg, Some(sent @ 0..)) => u32::try_from(sent).unwrap_or(u32::MAX),
        _ => u32::MAX,
    };
    for _ in 0..head.count {
        let passed: Passed = take(&mut rest)?;
        let mut found = None;
        if passed.flags & PASSED_SOCK != 0 {
            found = sock(&take(&mut rest)?);
        }
        for (flag, peer) in [(PASSED_LOCAL, false), (PASSED_PEER, true)] {
            if passed.flags & flag == 0 {
                continue;
            }
            let name: tracer_abi::UnixName = take(&mut rest)?;
            let name = Address::Unix(unix_name(first(&name.path, name.len)));
            match &mut found {
                Some(sock) if peer => sock.peer = name,
                Some(sock) => sock.local = name,
                None => {}
            }
        }
        if passed.message < messages {
            call.results.extend(slot(&passed.slot));
            call.socks.extend(found);
        }
    }
    Ok(call)
}

/// A call that gives a descriptor to another process, where the caller is followed; and what that process got, where it
/// is.
pub(super) fn call_given(
    record: &tracer_abi::CallGiven,
    numbering: &Numbering,
) -> Result<(Option<Call>, Option<Given>), DecodeError> {
    let mut call = call(&record.call, numbering)?;
    let filled = std::mem::take(&mut call.results).pop();
    let sent = call.subject.as_ref().and_then(|slot| slot.file);
    // The target may have emptied the slot again before the call returned.
    let confirmed = filled.map(|slot| Slot { file: slot.file.filter(|file| Some(*file) == sent), ..slot });
    let target = &record.target;
    let mut sock = sock(&record.sock);
    if let Some(sock) = &mut sock {
        name_unix(sock, &record.local, &record.peer);
    }
    let given = confirmed.map(|slot| Given {
        task: Task {
            process: ProcessKey { pid: target.pid, start_ns: target.start },
            tid: 0,
            files: target.files,
        },
        slot,
        sock,
    });
    Ok(((target.flags & CALLER_FOLLOWED != 0).then_some(call), given))
}

pub(super) fn call_addr(record: &tracer_abi::CallAddr, numbering: &Numbering) -> Result<Call, DecodeError> {
    let mut call = call_sock(&record.base, numbering)?;
    for sock in &mut call.socks {
        name_unix(sock, &record.local, &record.peer);
    }
    if call.call == Syscall::Setsockopt {
        call.asked_value = option_value(&call.args, first(&record.asked.bytes, record.asked.len));
    } else {
        call.asked = asked(&record.asked);
    }
    Ok(call)
}

pub(super) fn call_path(record: &tracer_abi::CallPath, numbering: &Numbering) -> Result<Call, DecodeError> {
    let mut call = call(&record.call, numbering)?;
    call.path = Some(first(&record.path, record.path_len).to_vec());
    Ok(call)
}

/// The value in the caller's memory: an int, or a `struct linger` (socket(7)).
pub(super) fn option_value(args: &[u32; 4], bytes: &[u8]) -> Option<i32> {
    let (first, rest) = bytes.split_first_chunk()?;
    let first = i32::from_ne_bytes(*first);
    if (args[1], args[2]) != names::SO_LINGER {
        return Some(first);
    }
    let seconds = i32::from_ne_bytes(*rest.first_chunk()?);
    Some(if first == 0 { -1 } else { seconds })
}

pub(super) fn asked(record: &tracer_abi::Asked) -> Option<Address> {
    Address::from_sockaddr(first(&record.bytes, record.len))
}

/// Reads a structure and goes on behind it.
fn take<T: Field>(rest: &mut &[u8]) -> Result<T, DecodeError> {
    let value = read(rest)?;
    *rest = rest.get(T::SIZE..).unwrap_or_default();
    Ok(value)
}

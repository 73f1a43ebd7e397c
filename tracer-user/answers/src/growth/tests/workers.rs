//! Several workers that accept from one listener: what one of them has seen holds for all.

use super::{SECOND, T0, call, row};
use crate::{leaks::leaks, tallies::Tallies, view::View};
use std::net::Ipv4Addr;
use tracer_model::{
    address::Address,
    ids::{BootNs, ProcessKey},
    input::{Body, Call, FileRef, Input, Options, Reason, Row, Slot, Sock, Task},
    session::{Limits, Session},
    syscall::Syscall,
};

/// `TCP_ESTABLISHED` and `TCP_LISTEN` (include/net/tcp_states.h).
const ESTABLISHED: u16 = 1;
const LISTEN: u16 = 10;

/// A worker, and what it has.
fn worker(pid: u32) -> Task {
    Task { process: ProcessKey { pid, start_ns: 1 }, tid: pid, files: 0x100 * u64::from(pid) }
}

fn starts(pid: u32) -> Body {
    let Body::Row(row) = row() else { unreachable!("a row is one") };
    let Task { process, files, .. } = worker(pid);
    Body::Row(Box::new(Row { process, files, slot: socket_slot(3, 1), sock: Some(sock(1, LISTEN)), ..*row }))
}

fn sock(number: u64, state: u16) -> Sock {
    Sock {
        sk: 0x5000 + number,
        netns: 1,
        family: 2,
        ty: 1,
        protocol: 6,
        state,
        local: Address::Inet(Ipv4Addr::LOCALHOST, 80),
        peer: Address::Inet(Ipv4Addr::UNSPECIFIED, 0),
        queue_len: 0,
        queue_limit: 128,
        peer_sk: 0,
        options: Options::default(),
    }
}

fn socket_slot(fd: i32, number: u64) -> Slot {
    let file = FileRef { file: 0x9000 + number, ino: 0x9000 + number, dev: 9, mode: 0o140_777 };
    Slot { fd, file: Some(file), cloexec: false, nonblock: false, name: Vec::new() }
}

fn calls(at: u64, pid: u32, kind: Syscall, fd: i32, number: u64) -> (u64, Body) {
    let accepts = kind == Syscall::Accept4;
    let slot = socket_slot(fd, number);
    let body = if accepts {
        call(at, pid, kind, fd.into(), Some(socket_slot(3, 1)), vec![slot])
    } else {
        call(at, pid, kind, 0, Some(slot), Vec::new())
    };
    let Body::Call(of_one) = body else { unreachable!("a call is one") };
    let socks = if accepts { vec![sock(number, ESTABLISHED)] } else { Vec::new() };
    let listener = accepts.then_some(0x5001);
    (at, Body::Call(Box::new(Call { task: worker(pid), socks, listener, ..*of_one })))
}

/// How many kinds are told as growing of worker 8, which begins at the tenth second, at the twentieth: each second it accepts a
/// short connection and one that it keeps. Worker 7 accepts until the tenth second what lives for so long.
fn told(life: u64) -> usize {
    let mut inputs = vec![(T0, Body::Anchor { epoch_minus_boot_ns: 0 })];
    let begin = [Body::SnapshotBegin(Reason::Start), starts(7), starts(8), Body::SnapshotEnd(Reason::Start)];
    inputs.extend(begin.map(|body| (T0, body)));
    for second in 0..20 {
        let (at, fd, number) =
            (T0 + second * SECOND + 1_000, 10 + i32::try_from(second).unwrap(), 100 + second);
        if second < 10 {
            inputs.push(calls(at, 7, Syscall::Accept4, fd, number));
            inputs.push(calls(at + life, 7, Syscall::Close, fd, number));
        } else {
            inputs.push(calls(at, 8, Syscall::Accept4, fd, number));
            inputs.push(calls(at + 1_000, 8, Syscall::Accept4, 99, 1_000 + number));
            inputs.push(calls(at + 1_000_000, 8, Syscall::Close, 99, 1_000 + number));
        }
    }
    let end = T0 + 20 * SECOND;
    inputs.retain(|(at, _)| *at <= end);
    inputs.push((end, Body::Anchor { epoch_minus_boot_ns: 0 }));
    inputs.sort_by_key(|(at, _)| *at);
    let (mut session, mut tallies) = (Session::new(Limits::default()), Tallies::default());
    for (ts, body) in inputs {
        for event in session.ingest(&Input { ts: BootNs(ts), origin: None, late: false, body }) {
            tallies.take(event);
        }
    }
    let told = leaks(&View::new(&session, BootNs(end), &tallies), &[]);
    told.growing.iter().filter(|growth| growth.process.key.pid == 8).count()
}

#[test]
fn a_worker_that_has_just_begun_keeps_connections_for_as_long_as_others_do() {
    // What others kept for three seconds may yet be closed; where they kept nothing for long, it is left behind.
    assert_eq!(told(3 * SECOND), 0);
    assert_eq!(told(SECOND / 10), 1);
}

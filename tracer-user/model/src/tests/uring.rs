//! Operations of io_urings: completions, entries of a ring's file table, what is never confirmed.

use super::make::{Bench, Making, call, file, input, ip, listener, named, slot, socket_file, task, tcp};
use crate::{
    entity::Closed,
    event::{EventKind, Via},
    input::{Body, Input, ListPart, Request, RingPart, Slot},
    syscall::Syscall,
};

/// An operation of the ring at 0x9000.
fn operation(ts: u64, name: Syscall, ret: i64) -> Making {
    let mut made = call(ts, name, ret);
    made.call.request = Some(Request {
        ring: 0x9000,
        user_data: 7,
        subject_direct: false,
        result_direct: false,
        unconfirmed: false,
        doubtful: false,
        by_mark: false,
        target: None,
    });
    made
}

fn with(mut made: Making, change: impl FnOnce(&mut Request)) -> Making {
    change(made.call.request.as_mut().unwrap());
    made
}

#[test]
fn an_operation_does_what_the_call_does() {
    let mut bench = Bench::new();
    let event = bench.call(operation(100, Syscall::RingSocket, 4).result(slot(4, socket_file(1))));
    assert_eq!((event.kind, event.via, event.new_fd), (EventKind::Socket, Via::IoUring, Some(4)));
    assert_eq!(event.call.map(Syscall::name), Some("IORING_OP_SOCKET"));
    assert_eq!(bench.open(1), [(4, 1)]);
    let event = bench.call(operation(200, Syscall::RingClose, 0).args(&[4]).subject(slot(4, socket_file(1))));
    assert_eq!((event.kind, event.fd, event.ret), (EventKind::Close, Some(4), Some(0)));
    assert_eq!(bench.open(1), []);
}

#[test]
fn a_close_without_completion_empties_the_slot_and_says_so() {
    let mut bench = Bench::new();
    bench.opens(100, 4, 1);
    let close = operation(200, Syscall::RingClose, 0).args(&[4]).subject(slot(4, file(1)));
    let event = bench.call(with(close, |request| request.unconfirmed = true).running());
    assert_eq!((event.unconfirmed, event.pending, event.ret, event.dur_ns), (true, false, None, None));
    assert_eq!(bench.open(1), []);
    assert_eq!(bench.descriptor(1).closed.map(|(at, how)| (at.0, how)), Some((190, Closed::Close)));
}

#[test]
fn a_ring_is_not_closed_by_an_operation_nor_what_was_not_tried() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 1);
    let close = operation(200, Syscall::RingClose, 0).args(&[3]).subject(named(3, file(1), "[io_uring]"));
    bench.call(with(close, |request| request.unconfirmed = true).running());
    assert_eq!(bench.open(1), [(3, 1)]);
    bench.call(operation(300, Syscall::RingClose, -125).args(&[3]).subject(slot(3, file(1))));
    assert_eq!(bench.open(1), [(3, 1)]);
}

#[test]
fn entries_of_the_file_table_have_no_number() {
    let mut bench = Bench::new();
    let made = operation(100, Syscall::RingSocket, 0).result(slot(4, socket_file(1)));
    let event = bench.call(with(made, |request| request.result_direct = true));
    assert_eq!((event.new_fd, event.new_direct, event.ret), (None, Some(4), Some(0)));
    assert_eq!(bench.open(1), [], "the process's own table has nothing of it");
    // The same number in the process's table is another descriptor.
    bench.opens(150, 4, 2);
    let close = operation(200, Syscall::RingClose, 0).args(&[4]).subject(slot(4, socket_file(1)));
    let event = bench.call(with(close, |request| request.subject_direct = true));
    assert_eq!((event.fd, event.direct), (None, Some(4)));
    assert_eq!(bench.open(1), [(4, 2)]);
    assert!(bench.descriptor(1).closed.is_some());
}

#[test]
fn a_completion_without_its_request_that_made_nothing_new_is_another_operations() {
    let mut bench = Bench::new();
    let accept = |ts, fd, inode| {
        let accept =
            operation(ts, Syscall::RingAccept, i64::from(fd)).args(&[3]).result(slot(fd, socket_file(inode)));
        with(accept, |request| (request.by_mark, request.doubtful) = (true, true)).sock(tcp(
            inode,
            1,
            ip(1, 80),
            ip(2, 900),
        ))
    };
    bench.call(
        operation(100, Syscall::RingListen, 0)
            .args(&[3, 9])
            .subject(slot(3, socket_file(1)))
            .sock(listener(1, 80)),
    );
    let event = bench.call(accept(200, 5, 2));
    assert_eq!((event.new_fd, event.doubtful), (Some(5), true));
    assert_eq!(bench.tell(&accept(300, 5, 2).input()), []);
}

#[test]
fn many_operations_of_one_thread_run_at_once() {
    let mut bench = Bench::new();
    let late = bench.call(operation(900, Syscall::RingAccept, -125).enter(100).args(&[3]));
    let early = bench.call(operation(950, Syscall::RingAccept, -125).enter(50).args(&[3]));
    assert_eq!((late.call_id, early.call_id), (None, None));
    assert_eq!((late.dur_ns, early.dur_ns), (Some(800), Some(900)));
}

fn part(ts: u64, found: bool, part: ListPart) -> Input {
    input(ts, Body::Ring(Box::new(RingPart { task: task(1), ring: 0x9000, found, part })))
}

#[test]
fn a_list_fills_and_empties_entries_and_tells_what_was_not_known() {
    let mut bench = Bench::new();
    bench.opens(50, 3, 9);
    let ring = named(3, file(9), "[io_uring]");
    let list = |ts, found, entries: &[Slot]| {
        let mut inputs = vec![part(ts, found, ListPart::Begins(Some(ring.clone())))];
        inputs.extend(entries.iter().map(|entry| part(ts, found, ListPart::Entry(entry.clone(), None))));
        inputs.push(part(ts, found, ListPart::Ends));
        inputs
    };
    let tell = |bench: &mut Bench, inputs: Vec<Input>| -> Vec<_> {
        let events = inputs.iter().flat_map(|input| bench.tell(input)).collect::<Vec<_>>();
        events.iter().map(|event| (event.kind, event.via, event.ring, event.direct, event.fd)).collect()
    };
    let (one, two) = (slot(0, file(1)), slot(5, file(2)));
    assert_eq!(
        tell(&mut bench, list(100, true, &[one.clone(), two.clone()])),
        [
            (EventKind::Snapshot, Via::Snapshot, Some(3), Some(0), None),
            (EventKind::Snapshot, Via::Snapshot, Some(3), Some(5), None),
        ]
    );
    assert_eq!(tell(&mut bench, list(200, true, &[one.clone(), two.clone()])), [], "nothing changed");
    assert_eq!(
        tell(&mut bench, list(300, false, &[slot(1, file(4)), two])),
        [
            (EventKind::Register, Via::IoUring, Some(3), Some(1), None),
            (EventKind::Close, Via::IoUring, Some(3), Some(0), None),
        ]
    );
}

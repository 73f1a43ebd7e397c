//! Operations of io_urings: completions, entries of a ring's file table, what is never confirmed.

use super::make::{
    Bench, CLOSE, ESTABLISHED, LISTEN, Making, SYN_SENT, call, file, input, ip, listener, named, row, slot,
    socket_file, task, tcp, unset,
};
use crate::{
    entity::Closed,
    event::{Direction, Event, EventKind, Via},
    ids::SocketId,
    input::{Body, Input, ListPart, Reason, Request, RingPart, Slot, Sock},
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
    assert_eq!(bench.descriptor(1).closed.map(|(at, how)| (at.0, how)), Some((190, Closed::Unconfirmed)));
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

#[test]
fn a_pipe_without_numbers_fills_two_entries() {
    let mut bench = Bench::new();
    let pipe = operation(100, Syscall::RingPipe, 0).result(slot(2, file(1))).result(slot(3, file(2)));
    let event = bench.call(with(pipe, |request| request.result_direct = true));
    assert_eq!(
        (event.kind, event.fds, event.directs, event.new_direct),
        (EventKind::Pipe, vec![], vec![2, 3], None)
    );
    assert_eq!(bench.open(1), []);
    let event =
        bench.call(operation(200, Syscall::RingPipe, 0).result(slot(4, file(3))).result(slot(5, file(4))));
    assert_eq!((event.fds, event.directs), (vec![4, 5], vec![]));
    assert_eq!(bench.open(1), [(4, 3), (5, 4)]);
}

#[test]
fn descriptors_of_a_message_are_the_processs_whatever_the_socket_is() {
    let mut bench = Bench::new();
    bench.opens(50, 7, 1);
    // The socket is an entry of the ring's file table.
    let over = |ts, name, ret| {
        let made = operation(ts, name, ret).args(&[2]).subject(slot(2, socket_file(9)));
        with(made, |request| request.subject_direct = true)
    };
    let event = bench.call(over(100, Syscall::RingSendmsg, 1).result(slot(7, file(1))));
    assert_eq!((event.kind, event.direction, event.direct), (EventKind::Pass, Some(Direction::Out), Some(2)));
    assert_eq!((event.fd, event.fds, event.ino), (None, vec![7], Some(1)));
    let event = bench.call(over(200, Syscall::RingRecvmsg, 1).result(slot(8, file(2))));
    assert_eq!((event.direction, event.direct, event.fds), (Some(Direction::In), Some(2), vec![8]));
    assert_eq!(bench.open(1), [(7, 1), (8, 2)]);
}

#[test]
fn an_entry_is_copied_to_another_ring() {
    let mut bench = Bench::new();
    for (ts, number, ring) in [(50, 3, 0x9000), (60, 4, 0x9900)] {
        bench.opens(ts, number, u64::try_from(number).unwrap());
        let own = named(number, file(u64::try_from(number).unwrap()), "[io_uring]");
        for part in [ListPart::Begins(Some(own)), ListPart::Ends] {
            bench
                .tell(&input(ts, Body::Ring(Box::new(RingPart { task: task(1), ring, found: false, part }))));
        }
    }
    let made = operation(100, Syscall::RingSocket, 0).result(slot(5, socket_file(9)));
    bench.call(with(made, |request| request.result_direct = true));
    let copied = operation(200, Syscall::RingMsgRing, 0)
        .args(&[5])
        .subject(slot(5, socket_file(9)))
        .result(slot(1, socket_file(9)));
    let event = bench.call(with(copied, |request| {
        (request.subject_direct, request.result_direct, request.target) = (true, true, Some(0x9900));
    }));
    assert_eq!((event.kind, event.ring, event.direct), (EventKind::Pass, Some(3), Some(5)));
    assert_eq!((event.new_ring, event.new_direct, event.new_fd), (Some(4), Some(1), None));
    let process = bench.session.process_by_pid(1).unwrap();
    let held: Vec<_> = bench.session.ring_tables_at(process, crate::ids::BootNs(300)).into_iter().collect();
    let held: Vec<_> = held
        .iter()
        .map(|(ring, entries)| (*ring, entries.iter().map(|entry| (entry.fd, entry.ino)).collect::<Vec<_>>()))
        .collect();
    assert_eq!(held, [(Some(3), vec![(5, 9)]), (Some(4), vec![(1, 9)])]);
}

#[test]
fn a_later_look_at_the_table_confirms_a_close_that_told_nothing() {
    let mut bench = Bench::new();
    bench.opens(100, 4, 1);
    bench.opens(110, 5, 2);
    for (ts, fd, inode) in [(200, 4_i32, 1), (210, 5, 2)] {
        let close =
            operation(ts, Syscall::RingClose, 0).args(&[fd.cast_unsigned()]).subject(slot(fd, file(inode)));
        bench.call(with(close, |request| request.unconfirmed = true).running());
    }
    assert_eq!(bench.descriptor(1).closed.map(|(_, how)| how), Some(Closed::Unconfirmed));
    // One is closed, the other is there still.
    let rows = |ts| [(ts, row(1, slot(3, file(3)), None)), (ts, row(1, slot(5, file(2)), None))];
    let events = bench.snapshot(1_000, Reason::Check, &rows(1_050));
    let confirmed: Vec<_> = events.iter().filter(|event| event.confirmed).collect();
    let [event] = confirmed.as_slice() else { panic!("{confirmed:?}") };
    assert_eq!((event.kind, event.fd, event.ino, event.ret), (EventKind::Close, Some(4), Some(1), None));
    assert_eq!(event.call, Some(Syscall::RingClose));
    assert_eq!(bench.descriptor(1).closed.map(|(at, how)| (at.0, how)), Some((190, Closed::Close)));
    assert!(bench.open(1).contains(&(5, 2)));
    let again = bench.snapshot(2_000, Reason::Check, &rows(2_050));
    assert!(again.iter().all(|event| !event.confirmed), "{again:?}");
}

/// A socket at 4 that was made by the call before.
fn made(bench: &mut Bench) {
    let sock = tcp(1, CLOSE, unset(), unset());
    bench.call(operation(100, Syscall::RingSocket, 4).result(slot(4, socket_file(1))).sock(sock));
}

fn silently(bench: &mut Bench, ts: u64, call: Syscall, args: &[u32]) -> Event {
    let sock = tcp(1, CLOSE, unset(), unset());
    let made = operation(ts, call, 0).args(args).subject(slot(4, socket_file(1))).sock(sock);
    bench.call(with(made, |request| request.unconfirmed = true).running())
}

/// What a check at `ts` that finds `sock` at 4 confirms: kinds of events.
fn confirmed(bench: &mut Bench, ts: u64, sock: Sock) -> Vec<EventKind> {
    let events = bench.snapshot(ts, Reason::Check, &[(ts + 50, row(1, slot(4, socket_file(1)), Some(sock)))]);
    events.iter().filter(|event| event.confirmed).map(|event| event.kind).collect()
}

#[test]
fn a_check_confirms_what_a_socket_shows() {
    let mut bench = Bench::new();
    made(&mut bench);
    silently(&mut bench, 200, Syscall::RingBind, &[4]);
    silently(&mut bench, 210, Syscall::RingListen, &[4, 9]);
    assert_eq!(bench.socket(SocketId(1)).backlog, None);
    assert_eq!(
        confirmed(&mut bench, 1_000, tcp(1, LISTEN, ip(1, 80), unset())),
        [EventKind::Bind, EventKind::Listen]
    );
    assert_eq!(bench.socket(SocketId(1)).backlog, Some(9));
    assert_eq!(confirmed(&mut bench, 2_000, tcp(1, LISTEN, ip(1, 80), unset())), []);
}

#[test]
fn a_check_does_not_confirm_what_did_not_happen() {
    let mut bench = Bench::new();
    made(&mut bench);
    silently(&mut bench, 200, Syscall::RingBind, &[4]);
    assert_eq!(confirmed(&mut bench, 1_000, tcp(1, CLOSE, unset(), unset())), []);
    // A connect may be under way for long.
    silently(&mut bench, 1_200, Syscall::RingConnect, &[4]);
    assert_eq!(confirmed(&mut bench, 2_000, tcp(1, SYN_SENT, ip(1, 5000), ip(1, 80))), []);
    assert_eq!(
        confirmed(&mut bench, 3_000, tcp(1, ESTABLISHED, ip(1, 5000), ip(1, 80))),
        [EventKind::Connect]
    );
}

#[test]
fn what_another_operation_may_have_done_is_not_confirmed() {
    let mut bench = Bench::new();
    made(&mut bench);
    silently(&mut bench, 200, Syscall::RingBind, &[4]);
    let sock = tcp(1, CLOSE, ip(1, 80), unset());
    let subject = slot(4, socket_file(1));
    bench.call(operation(300, Syscall::RingBind, -22).args(&[4]).subject(subject).sock(sock.clone()));
    assert_eq!(confirmed(&mut bench, 1_000, sock.clone()), []);
    // What it shows already.
    silently(&mut bench, 1_200, Syscall::RingBind, &[4]);
    assert_eq!(confirmed(&mut bench, 2_000, sock), []);
}

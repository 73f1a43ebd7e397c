//! Sockets: identity, lives, listeners and children, who closed first.

use super::make::{
    Bench, CLOSE, CLOSE_WAIT, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, LISTEN, SYN_RECV, SYN_SENT,
    accept, call, child, input, ip, key, listener, slot, socket_file, task, tcp, udp, unset,
};
use crate::{
    address::Address,
    entity::Phase,
    event::{EventKind, Side, Via},
    ids::{BootNs, ProcessKey},
    input::{Body, Sock, State, Task},
    syscall::Syscall,
};

#[test]
fn a_listener_is_created_bound_and_listening() {
    let mut bench = Bench::new();
    let event =
        bench.call(call(100, Syscall::Socket, 3).args(&[2, 1, 0]).result(slot(3, socket_file(1))).sock(tcp(
            1,
            CLOSE,
            unset(),
            unset(),
        )));
    let id = event.socket.unwrap();
    assert_eq!((event.new_fd, event.local, event.peer), (Some(3), None, None));
    let bind = call(200, Syscall::Bind, 0).args(&[3]).subject(slot(3, socket_file(1))).asked(ip(1, 0));
    let event = bench.call(bind.sock(tcp(1, CLOSE, ip(1, 8080), unset())));
    assert_eq!((event.fd, event.local, event.asked), (Some(3), Some(ip(1, 8080)), Some(ip(1, 0))));
    // listen(2): the kernel tells the state inside the call, before the call returns.
    let events = bench.state_in(295, 1, (CLOSE, LISTEN), 0, listener(1, 8080));
    assert_eq!((events[0].from, events[0].to, events[0].via), (Some(CLOSE), Some(LISTEN), Via::Syscall));
    let listen = call(300, Syscall::Listen, 0).args(&[3, 511]).subject(slot(3, socket_file(1)));
    let event = bench.call(listen.sock(listener(1, 8080)));
    assert_eq!((event.backlog, event.queue_len, event.queue_limit), (Some(511), Some(0), Some(128)));
    assert_eq!(event.socket, Some(id));
    assert_eq!(
        bench.steps(id),
        [
            (100, Phase::Created, Some(CLOSE)),
            (200, Phase::Bound, Some(CLOSE)),
            (295, Phase::Listening, Some(LISTEN))
        ]
    );
    let socket = bench.socket(id);
    assert_eq!((socket.backlog, socket.holders), (Some(511), 1));
    assert_eq!(bench.queue(id), Some((0, 128, BootNs(300))));
}

#[test]
fn a_listener_that_listens_again_has_another_limit_from_then_on() {
    let mut bench = Bench::new();
    let with_limit = |queue_limit| Sock { queue_limit, ..listener(1, 8080) };
    let mut id = None;
    for (at, limit) in [(100, 8), (200, 8), (300, 2), (400, 16)] {
        let listen = call(at, Syscall::Listen, 0).args(&[3, limit]).subject(slot(3, socket_file(1)));
        id = bench.call(listen.sock(with_limit(limit))).socket;
    }
    let queue = bench.socket(id.unwrap()).queue.as_deref().unwrap();
    assert_eq!((queue.limit, queue.read), (16, BootNs(400)));
    assert_eq!(queue.former, [(BootNs(300), 8), (BootNs(400), 2)]);
    // Whoever listens again and again does not make it grow.
    for at in 401..500 {
        let listen = call(at, Syscall::Listen, 0).args(&[3, 5]).subject(slot(3, socket_file(1)));
        bench.call(listen.sock(with_limit(u32::try_from(at).unwrap())));
    }
    let queue = bench.socket(id.unwrap()).queue.as_deref().unwrap();
    assert_eq!((queue.former.len(), queue.former.first()), (32, Some(&(BootNs(468), 467))));
}

#[test]
fn a_state_told_after_its_call_makes_no_second_step() {
    let mut bench = Bench::new();
    let id = bench.makes_listener(100, 3, 1);
    let events = bench.state_in(138, 1, (CLOSE, LISTEN), 0, listener(1, 80));
    assert_eq!(events.len(), 1);
    assert_eq!(
        bench.steps(id),
        [
            (100, Phase::Created, Some(CLOSE)),
            (120, Phase::Bound, Some(CLOSE)),
            (138, Phase::Listening, Some(LISTEN))
        ]
    );
}

#[test]
fn a_failed_bind_has_only_what_was_asked() {
    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    let bind = call(200, Syscall::Bind, -98).args(&[3]).subject(slot(3, socket_file(1))).asked(ip(1, 80));
    let event = bench.call(bind.sock(tcp(1, CLOSE, unset(), unset())));
    assert_eq!((event.error, event.asked, event.local), (Some(98), Some(ip(1, 80)), None));
    assert_eq!(event.socket, Some(id));
    assert_eq!(bench.steps(id).len(), 1);
}

#[test]
fn an_accepted_child_knows_its_listener_and_its_wait() {
    let mut bench = Bench::new();
    let from = bench.makes_listener(100, 3, 1);
    let making = accept(1000, 7, 20, 1).accept(1, Some(400), (2, 128));
    let event = bench.call(making);
    assert_eq!(
        (event.kind, event.fd, event.new_fd, event.ret),
        (EventKind::Accept, Some(3), Some(7), Some(7))
    );
    assert_eq!((event.local, event.peer), (Some(ip(1, 80)), Some(ip(9, 50_020))));
    assert_eq!((event.listener, event.wait_ns, event.dur_ns), (Some(from), Some(600), Some(10)));
    assert_eq!((event.queue_len, event.queue_limit, event.cloexec), (Some(2), Some(128), Some(true)));
    let id = event.socket.unwrap();
    assert_eq!(
        bench.steps(id),
        [(400, Phase::Queued, Some(ESTABLISHED)), (1000, Phase::Connected, Some(ESTABLISHED))]
    );
    let socket = bench.socket(id);
    assert_eq!((socket.queued, socket.accepted), (Some(BootNs(400)), Some(BootNs(1000))));
    assert_eq!((socket.listener, socket.inferred), (Some(from), false));
    assert_eq!((bench.socket(from).children, bench.queue(from)), (1, Some((2, 128, BootNs(1000)))));
}

#[test]
fn a_child_is_queued_then_accepted_and_counted_once() {
    let mut bench = Bench::new();
    let from = bench.makes_listener(100, 3, 1);
    let event = bench.queued(500, 1, Sock { state: SYN_RECV, ..child(20) }, 1);
    assert_eq!((event.kind, event.via, event.tid), (EventKind::Queued, Via::Kernel, 0));
    assert_eq!((event.process, event.listener), (key(1), Some(from)));
    assert_eq!((event.queue_len, event.queue_limit, event.peer), (Some(1), Some(128), Some(ip(9, 50_020))));
    let id = event.socket.unwrap();
    bench.state(510, (SYN_RECV, ESTABLISHED), 0, child(20));
    let event = bench.accepts(1000, 7, 20, 1);
    assert_eq!((event.socket, event.wait_ns), (Some(id), Some(500)));
    assert_eq!(bench.socket(from).children, 1);
    assert_eq!(
        bench.steps(id),
        [
            (500, Phase::Queued, Some(SYN_RECV)),
            (510, Phase::Queued, Some(ESTABLISHED)),
            (1000, Phase::Connected, Some(ESTABLISHED))
        ]
    );
}

#[test]
fn a_state_before_the_queue_makes_the_same_child() {
    let mut bench = Bench::new();
    let from = bench.makes_listener(100, 3, 1);
    let id = bench.state(490, (SYN_RECV, ESTABLISHED), 0, child(20))[0].socket.unwrap();
    let event = bench.queued(500, 1, child(20), 1);
    assert_eq!((event.socket, event.listener), (Some(id), Some(from)));
    assert_eq!(bench.steps(id), [(490, Phase::Queued, Some(ESTABLISHED))]);
    assert_eq!(bench.session.sockets().count(), 2);
}

#[test]
fn a_queued_input_after_the_accept_is_of_the_same_child() {
    let mut bench = Bench::new();
    let from = bench.makes_listener(100, 3, 1);
    let id = bench.accepts(1000, 7, 20, 1).socket;
    let event = bench.queued(900, 1, child(20), 1);
    assert_eq!((event.socket, bench.socket(from).children), (id, 1));
    assert_eq!(bench.socket(id.unwrap()).queued, Some(BootNs(900)));
}

#[test]
fn a_child_that_is_closed_before_accept_ends() {
    let mut bench = Bench::new();
    let from = bench.makes_listener(100, 3, 1);
    let id = bench.queued(500, 1, child(20), 1).socket.unwrap();
    bench.state(600, (ESTABLISHED, CLOSE), 104, child(20));
    assert_eq!(bench.socket(id).ended, Some(BootNs(600)));
    assert_eq!(bench.socket(id).closed_first, Some(Side::Peer));
    // Its address comes back as another child.
    let next = bench.queued(700, 1, child(20), 1).socket.unwrap();
    assert_ne!(next, id);
    assert_eq!(bench.socket(from).children, 2);
}

#[test]
fn a_failed_accept_names_the_listener() {
    let mut bench = Bench::new();
    let from = bench.makes_listener(100, 3, 1);
    let event = bench.call(call(500, Syscall::Accept4, -11).args(&[3]).subject(slot(3, socket_file(1))));
    assert_eq!((event.ret, event.error), (Some(-11), Some(11)));
    assert_eq!((event.socket, event.listener, event.fd, event.new_fd), (None, Some(from), Some(3), None));
}

#[test]
fn a_connect_in_any_order_of_telling() {
    let steps = [
        (100, Phase::Created, Some(CLOSE)),
        (205, Phase::Connecting, Some(SYN_SENT)),
        (207, Phase::Connected, Some(ESTABLISHED)),
    ];
    let connected = tcp(1, ESTABLISHED, ip(1, 40_000), ip(9, 80));
    let connect = call(210, Syscall::Connect, 0)
        .enter(200)
        .args(&[3])
        .subject(slot(3, socket_file(1)))
        .sock(connected.clone())
        .asked(ip(9, 80));
    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    bench.state_in(205, 1, (CLOSE, SYN_SENT), 0, connected.clone());
    bench.state(207, (SYN_SENT, ESTABLISHED), 0, connected.clone());
    let event = bench.call(connect.clone());
    assert_eq!((event.local, event.peer), (Some(ip(1, 40_000)), Some(ip(9, 80))));
    assert_eq!((event.socket, bench.steps(id)), (Some(id), steps.to_vec()));

    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    bench.call(connect);
    bench.state_in(205, 1, (CLOSE, SYN_SENT), 0, connected.clone());
    bench.state(207, (SYN_SENT, ESTABLISHED), 0, connected);
    assert_eq!(bench.steps(id), steps);
}

#[test]
fn a_peer_that_closes_before_connect_returns_leaves_it_half_closed() {
    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    let sock = tcp(1, CLOSE_WAIT, ip(1, 40_000), ip(9, 80));
    bench.state_in(205, 1, (CLOSE, SYN_SENT), 0, sock.clone());
    bench.state(206, (SYN_SENT, ESTABLISHED), 0, sock.clone());
    bench.state(207, (ESTABLISHED, CLOSE_WAIT), 0, sock.clone());
    let connect = call(210, Syscall::Connect, 0).enter(200).args(&[3]).subject(slot(3, socket_file(1)));
    bench.call(connect.sock(sock));
    assert_eq!(bench.steps(id).last(), Some(&(207, Phase::HalfClosed, Some(CLOSE_WAIT))));
}

#[test]
fn a_refused_connect_is_closed_with_its_error() {
    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    let sock = tcp(1, CLOSE, ip(1, 0), ip(9, 80));
    bench.state_in(205, 1, (CLOSE, SYN_SENT), 0, tcp(1, SYN_SENT, ip(1, 40_000), ip(9, 80)));
    let events = bench.state(207, (SYN_SENT, CLOSE), 111, sock.clone());
    assert_eq!((events[0].error, events[0].closed_first), (Some(111), None));
    let connect = call(210, Syscall::Connect, -111).enter(200).args(&[3]).subject(slot(3, socket_file(1)));
    let event = bench.call(connect.sock(sock).asked(ip(9, 80)));
    assert_eq!((event.error, event.local, event.peer, event.asked), (Some(111), None, None, Some(ip(9, 80))));
    let last = bench.socket(id).steps.last().unwrap();
    assert_eq!((last.phase, last.error, last.ts), (Phase::Closed, Some(111), BootNs(207)));
    assert_eq!(bench.socket(id).steps.len(), 3);
    assert_eq!((bench.socket(id).closed_first, bench.socket(id).ended), (None, None));
}

#[test]
fn a_socket_that_listens_after_a_refused_connect_has_no_peer() {
    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    bench.state_in(205, 1, (CLOSE, SYN_SENT), 0, tcp(1, SYN_SENT, ip(1, 40_000), ip(9, 80)));
    bench.state(207, (SYN_SENT, CLOSE), 111, tcp(1, CLOSE, ip(1, 0), ip(9, 80)));
    assert_eq!(bench.socket(id).peer, ip(9, 80));
    // The kernel's socket forgets the port alone.
    let listening = tcp(1, LISTEN, ip(0, 40_001), ip(9, 0));
    let listen = call(310, Syscall::Listen, 0).enter(300).args(&[3, 5]).subject(slot(3, socket_file(1)));
    let event = bench.call(listen.sock(listening));
    assert_eq!((event.socket, event.peer), (Some(id), None));
    assert_eq!(bench.socket(id).peer, unset());
}

#[test]
fn a_non_blocking_connect_gets_its_verdict_later() {
    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    let sock = tcp(1, SYN_SENT, ip(1, 40_000), ip(9, 80));
    let connect = call(210, Syscall::Connect, -115).enter(200).args(&[3]).subject(slot(3, socket_file(1)));
    let event = bench.call(connect.sock(sock.clone()));
    assert_eq!((event.error, event.local), (Some(115), Some(ip(1, 40_000))));
    assert_eq!(bench.steps(id).last(), Some(&(210, Phase::Connecting, Some(SYN_SENT))));
    let events = bench.state(5000, (SYN_SENT, CLOSE), 110, sock);
    assert_eq!((events[0].error, events[0].via, events[0].tid), (Some(110), Via::Kernel, 0));
    assert_eq!(bench.steps(id).last(), Some(&(5000, Phase::Closed, Some(CLOSE))));
}

#[test]
fn a_blocking_connect_is_connecting_while_it_runs() {
    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    let sock = tcp(1, SYN_SENT, ip(1, 40_000), ip(9, 80));
    let connect = call(1000, Syscall::Connect, 0).enter(200).args(&[3]).subject(slot(3, socket_file(1)));
    let event = bench.call(connect.clone().running().sock(sock));
    assert_eq!((event.pending, event.socket), (true, Some(id)));
    assert_eq!(bench.steps(id).last(), Some(&(1000, Phase::Connecting, Some(SYN_SENT))));
    let mut done = connect.sock(tcp(1, ESTABLISHED, ip(1, 40_000), ip(9, 80)));
    done.ts = 2000;
    bench.call(done);
    assert_eq!(bench.steps(id).last(), Some(&(2000, Phase::Connected, Some(ESTABLISHED))));
}

#[test]
fn udp_connects_dissolves_and_ends_with_its_descriptor() {
    let mut bench = Bench::new();
    let event = bench.call(call(100, Syscall::Socket, 3).result(slot(3, socket_file(1))).sock(udp(
        1,
        CLOSE,
        unset(),
        unset(),
    )));
    let id = event.socket.unwrap();
    let connect = call(200, Syscall::Connect, 0).args(&[3]).subject(slot(3, socket_file(1)));
    let event = bench.call(connect.sock(udp(1, ESTABLISHED, ip(1, 40_000), ip(9, 53))));
    assert_eq!(event.peer, Some(ip(9, 53)));
    let connect = call(300, Syscall::Connect, 0).args(&[3]).subject(slot(3, socket_file(1)));
    bench.call(connect.asked(Address::Other(0, Vec::new())).sock(udp(1, CLOSE, ip(1, 40_000), unset())));
    let event = bench.closes(400, 3, socket_file(1));
    assert_eq!((event.socket, event.peer, event.local), (Some(id), None, Some(ip(1, 40_000))));
    assert_eq!(
        bench.steps(id),
        [
            (100, Phase::Created, Some(CLOSE)),
            (200, Phase::Connected, Some(ESTABLISHED)),
            (300, Phase::Closed, Some(CLOSE))
        ]
    );
    assert_eq!(bench.socket(id).ended, Some(BootNs(390)));
}

#[test]
fn the_peer_closes_first() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    let id = bench.accepts(1000, 7, 20, 1).socket.unwrap();
    let events = bench.state(2000, (ESTABLISHED, CLOSE_WAIT), 0, child(20));
    assert_eq!(events[0].closed_first, Some(Side::Peer));
    assert_eq!(bench.steps(id).last().unwrap().1, Phase::HalfClosed);
    // close(2): LAST_ACK inside the call, told before it.
    let events = bench.state_in(3005, 1, (CLOSE_WAIT, LAST_ACK), 0, child(20));
    assert_eq!(events[0].closed_first, None);
    let event = bench.call(
        call(3010, Syscall::Close, 0)
            .enter(3000)
            .args(&[7])
            .subject(slot(7, socket_file(20)))
            .sock(child(20)),
    );
    assert_eq!(
        (event.socket, event.closed_first, event.peer),
        (Some(id), Some(Side::Peer), Some(ip(9, 50_020)))
    );
    assert_eq!(bench.socket(id).ended, None);
    // The kernel has given the port back by the time it tells CLOSE.
    let gone = tcp(20, CLOSE, ip(1, 0), ip(9, 50_020));
    let events = bench.state(4000, (LAST_ACK, CLOSE), 0, gone);
    assert_eq!((events[0].closed_first, events[0].local.clone()), (Some(Side::Peer), Some(ip(1, 80))));
    assert_eq!(bench.socket(id).ended, Some(BootNs(4000)));
    assert_eq!(
        bench.steps(id)[1..],
        [
            (2000, Phase::HalfClosed, Some(CLOSE_WAIT)),
            (3005, Phase::Closing, Some(LAST_ACK)),
            (4000, Phase::Closed, Some(CLOSE))
        ]
    );
}

#[test]
fn we_close_first() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    let id = bench.accepts(1000, 7, 20, 1).socket.unwrap();
    let events = bench.state_in(2005, 1, (ESTABLISHED, FIN_WAIT1), 0, child(20));
    assert_eq!(events[0].closed_first, Some(Side::Local));
    let event = bench.closes(2010, 7, socket_file(20));
    assert_eq!(event.closed_first, Some(Side::Local));
    bench.state(2100, (FIN_WAIT1, FIN_WAIT2), 0, child(20));
    bench.state(2200, (FIN_WAIT2, CLOSE), 0, child(20));
    assert_eq!(
        bench.steps(id)[1..],
        [
            (2005, Phase::Closing, Some(FIN_WAIT1)),
            (2100, Phase::Closing, Some(FIN_WAIT2)),
            (2200, Phase::Closed, Some(CLOSE))
        ]
    );
    assert_eq!(bench.socket(id).ended, Some(BootNs(2200)));
}

#[test]
fn a_shutdown_leaves_a_connection_half_closed_until_the_close() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    let id = bench.accepts(1000, 7, 20, 1).socket.unwrap();
    bench.state_in(2005, 1, (ESTABLISHED, FIN_WAIT1), 0, child(20));
    let shutdown = call(2010, Syscall::Shutdown, 0).args(&[7, 1]).subject(slot(7, socket_file(20)));
    let event = bench.call(shutdown.sock(Sock { state: FIN_WAIT1, ..child(20) }));
    assert_eq!((event.kind, event.how, event.socket), (EventKind::Shutdown, Some(1), Some(id)));
    bench.state(2100, (FIN_WAIT1, FIN_WAIT2), 0, child(20));
    assert_eq!(bench.steps(id).last(), Some(&(2100, Phase::HalfClosed, Some(FIN_WAIT2))));
    bench.closes(3000, 7, socket_file(20));
    assert_eq!(
        bench.steps(id)[1..],
        [
            (2005, Phase::HalfClosed, Some(FIN_WAIT1)),
            (2100, Phase::HalfClosed, Some(FIN_WAIT2)),
            (2990, Phase::Closing, Some(FIN_WAIT2))
        ]
    );
}

#[test]
fn a_reset_decides_who_closed_first_by_its_error() {
    for (error, side) in
        [(104, Some(Side::Peer)), (0, Some(Side::Local)), (103, Some(Side::Local)), (110, None)]
    {
        let mut bench = Bench::new();
        bench.makes_listener(100, 3, 1);
        let id = bench.accepts(1000, 7, 20, 1).socket.unwrap();
        let events = bench.state(2000, (ESTABLISHED, CLOSE), error, child(20));
        assert_eq!((events[0].closed_first, bench.socket(id).closed_first), (side, side));
        assert_eq!(events[0].error, Some(error).filter(|error| *error != 0));
        assert_eq!(bench.socket(id).ended, None);
        bench.closes(3000, 7, socket_file(20));
        assert_eq!(bench.socket(id).ended, Some(BootNs(2990)));
    }
}

#[test]
fn a_reset_inside_the_close_ends_with_the_kernels_time() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    let id = bench.accepts(1000, 7, 20, 1).socket.unwrap();
    bench.state_in(2005, 1, (ESTABLISHED, CLOSE), 0, child(20));
    bench.closes(2010, 7, socket_file(20));
    assert_eq!(bench.socket(id).ended, Some(BootNs(2005)));
    assert_eq!(bench.steps(id).last(), Some(&(2005, Phase::Closed, Some(CLOSE))));
}

#[test]
fn a_state_that_does_not_change_is_not_told() {
    let mut bench = Bench::new();
    bench.makes_tcp(100, 3, 1);
    assert_eq!(bench.state(200, (CLOSE, CLOSE), 0, tcp(1, CLOSE, unset(), unset())), []);
}

#[test]
fn a_socket_lives_while_any_descriptor_points_to_it() {
    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    let dup = call(200, Syscall::Dup, 4).args(&[3]).result(slot(4, socket_file(1)));
    let event = bench.call(dup.sock(tcp(1, CLOSE, unset(), unset())));
    assert_eq!((event.socket, bench.socket(id).holders), (Some(id), 2));
    bench.closes(300, 3, socket_file(1));
    assert_eq!((bench.socket(id).holders, bench.socket(id).ended), (1, None));
    bench.closes(400, 4, socket_file(1));
    assert_eq!((bench.socket(id).holders, bench.socket(id).ended), (0, Some(BootNs(390))));
    assert_eq!(bench.steps(id).last(), Some(&(390, Phase::Closed, Some(CLOSE))));
}

#[test]
fn an_address_with_another_inode_is_another_socket() {
    let mut bench = Bench::new();
    let first = bench.makes_tcp(100, 3, 1);
    let again = call(200, Syscall::Socket, 4).result(slot(4, socket_file(2)));
    let second = bench.call(again.sock(tcp(1, CLOSE, unset(), unset()))).socket.unwrap();
    assert_ne!(first, second);
    assert_eq!(bench.socket(first).ended, Some(BootNs(200)));
    assert_eq!(bench.socket(second).ino, 2);
}

#[test]
fn a_netlink_socket_shows_no_state() {
    let mut bench = Bench::new();
    let sock = Sock {
        family: 16,
        ty: 3,
        protocol: 0,
        ..tcp(1, 0, Address::Other(16, vec![]), Address::Other(16, vec![]))
    };
    let id =
        bench.call(call(100, Syscall::Socket, 3).result(slot(3, socket_file(1))).sock(sock)).socket.unwrap();
    assert_eq!(bench.steps(id), [(100, Phase::Created, None)]);
}

#[test]
fn a_state_of_no_process_is_told_all_the_same() {
    let mut bench = Bench::new();
    let none = Task { process: ProcessKey::default(), tid: 0, files: 0 };
    let state = State { task: none, from: ESTABLISHED, to: CLOSE_WAIT, error: 0, sock: child(20), tcp: None };
    let event = bench.one(&input(100, Body::State(state)));
    assert_eq!((event.process, event.comm.as_str()), (ProcessKey::default(), ""));
    assert_eq!(bench.session.processes().count(), 0);
    assert_eq!(task(1).process, key(1));
}

#[test]
fn steps_keep_the_first_and_the_newest() {
    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    for round in 0..200_u64 {
        let at = 1000 + round * 10;
        bench.state(at, (CLOSE, SYN_SENT), 0, tcp(1, SYN_SENT, ip(1, 9), ip(9, 9)));
        bench.state(at + 5, (SYN_SENT, CLOSE), 111, tcp(1, CLOSE, ip(1, 9), ip(9, 9)));
    }
    let steps = bench.steps(id);
    assert_eq!(steps.len(), 64);
    assert_eq!((steps[0].0, steps[1].0, steps[63].0), (100, 1000, 2995));
}

#[test]
fn ended_sockets_are_evicted_oldest_first() {
    let limits = crate::session::Limits { kept_sockets: 2, ..crate::session::Limits::default() };
    let mut bench = Bench::with(limits);
    let stays = bench.makes_listener(100, 3, 1);
    let mut ids = Vec::new();
    for n in 10..15 {
        ids.push(bench.makes_tcp(n * 100, 4, n));
        bench.closes(n * 100 + 50, 4, socket_file(n));
    }
    let kept: Vec<_> = bench.session.sockets().map(|socket| socket.id).collect();
    assert_eq!(kept, [stays, ids[3], ids[4]]);
    assert_eq!(bench.session.changes_since(1, 100).evicted_sockets, ids[..3]);
}

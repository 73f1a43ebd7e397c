//! A socket that is used again: one socket, several rounds.

use super::make::{
    Bench, CLOSE, ESTABLISHED, LISTEN, SYN_SENT, call, ip, listener, slot, socket_file, tcp, udp, unset,
};
use crate::{address::Address, entity::Phase, event::EventKind, ids::SocketId, syscall::Syscall};

/// A socket's life: phase, and the last part of the port of a peer that it had before.
fn rounds(bench: &Bench, id: SocketId) -> Vec<(Phase, Option<u16>)> {
    let peer = |peer: &Address| peer.port();
    bench.socket(id).steps.iter().map(|step| (step.phase, step.peer.as_deref().and_then(peer))).collect()
}

fn connect(bench: &mut Bench, ts: u64, ret: i64, asked: Address, sock: crate::input::Sock) {
    let connect = call(ts, Syscall::Connect, ret).args(&[3]).subject(slot(3, socket_file(1)));
    bench.call(connect.sock(sock).asked(asked));
}

#[test]
fn a_refused_connection_is_tried_at_another_peer() {
    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    let refused = |state| tcp(1, state, ip(1, 40_000), ip(1, 81));
    bench.state_in(200, 1, (CLOSE, SYN_SENT), 0, refused(SYN_SENT));
    bench.state(210, (SYN_SENT, CLOSE), 111, refused(CLOSE));
    connect(&mut bench, 220, -111, ip(1, 81), tcp(1, CLOSE, unset(), unset()));
    let second = |state| tcp(1, state, ip(1, 40_001), ip(1, 82));
    // The kernel forgets the error of the first a moment later.
    let begins = bench.state_in(300, 1, (CLOSE, SYN_SENT), 104, second(SYN_SENT));
    assert!(begins.iter().all(|event| event.error.is_none()));
    bench.state(310, (SYN_SENT, ESTABLISHED), 0, second(ESTABLISHED));
    connect(&mut bench, 320, 0, ip(1, 82), second(ESTABLISHED));
    let life = [
        (Phase::Created, None),
        (Phase::Connecting, Some(81)),
        (Phase::Closed, None),
        (Phase::Connecting, None),
        (Phase::Connected, None),
    ];
    assert_eq!(rounds(&bench, id), life);
    assert_eq!(bench.socket(id).peer, ip(1, 82));
    assert_eq!(bench.session.sockets().count(), 1);
}

#[test]
fn a_datagram_socket_is_connected_to_one_peer_after_another_and_to_none() {
    let mut bench = Bench::new();
    let making = call(100, Syscall::Socket, 3).result(slot(3, socket_file(1)));
    let id = bench.call(making.sock(udp(1, CLOSE, unset(), unset()))).socket.unwrap();
    connect(&mut bench, 200, 0, ip(1, 81), udp(1, ESTABLISHED, ip(1, 40_000), ip(1, 81)));
    connect(&mut bench, 210, 0, ip(1, 81), udp(1, ESTABLISHED, ip(1, 40_000), ip(1, 81)));
    connect(&mut bench, 220, 0, ip(1, 82), udp(1, ESTABLISHED, ip(1, 40_000), ip(1, 82)));
    connect(&mut bench, 230, 0, Address::Other(0, vec![0; 14]), udp(1, CLOSE, unset(), unset()));
    assert_eq!((&bench.socket(id).local, &bench.socket(id).peer), (&unset(), &unset()));
    connect(&mut bench, 240, 0, ip(1, 83), udp(1, ESTABLISHED, ip(1, 40_001), ip(1, 83)));
    let life = [
        (Phase::Created, None),
        (Phase::Connected, Some(81)),
        (Phase::Connected, Some(82)),
        (Phase::Closed, None),
        (Phase::Connected, None),
    ];
    assert_eq!(rounds(&bench, id), life);
    assert_eq!(bench.session.sockets().count(), 1);
}

#[test]
fn a_listener_that_was_shut_down_listens_again() {
    let mut bench = Bench::new();
    let id = bench.makes_listener(100, 3, 1);
    let closed = || tcp(1, CLOSE, ip(1, 80), unset());
    bench.state_in(200, 1, (LISTEN, CLOSE), 0, closed());
    bench.call(call(205, Syscall::Shutdown, 0).args(&[3, 2]).subject(slot(3, socket_file(1))).sock(closed()));
    bench.state_in(300, 1, (CLOSE, LISTEN), 0, listener(1, 80));
    let again = call(305, Syscall::Listen, 0).args(&[3, 5]).subject(slot(3, socket_file(1)));
    bench.call(again.sock(listener(1, 80)));
    let phases: Vec<_> = rounds(&bench, id).into_iter().map(|(phase, _)| phase).collect();
    assert_eq!(phases, [Phase::Created, Phase::Bound, Phase::Listening, Phase::Closed, Phase::Listening]);
    assert_eq!((bench.socket(id).backlog, bench.socket(id).ended), (Some(5), None));
    assert_eq!(bench.session.sockets().count(), 1);
}

#[test]
fn who_refused_a_connection_is_no_peer_of_the_listener_that_the_socket_becomes() {
    let mut bench = Bench::new();
    let id = bench.makes_tcp(100, 3, 1);
    let refused = |state| tcp(1, state, ip(1, 40_000), ip(1, 81));
    bench.state_in(200, 1, (CLOSE, SYN_SENT), 0, refused(SYN_SENT));
    bench.state(210, (SYN_SENT, CLOSE), 111, refused(CLOSE));
    connect(&mut bench, 220, -111, ip(1, 81), tcp(1, CLOSE, unset(), unset()));
    assert_eq!(bench.socket(id).peer, ip(1, 81));
    bench.state_in(300, 1, (CLOSE, LISTEN), 0, listener(1, 80));
    bench.call(
        call(305, Syscall::Listen, 0).args(&[3, 5]).subject(slot(3, socket_file(1))).sock(listener(1, 80)),
    );
    assert_eq!(bench.socket(id).peer, unset());
    let life = [
        (Phase::Created, None),
        (Phase::Connecting, Some(81)),
        (Phase::Closed, None),
        (Phase::Listening, None),
    ];
    assert_eq!(rounds(&bench, id), life);
}

#[test]
fn a_send_that_gives_its_socket_a_port_binds_it_though_it_failed() {
    for (ret, syscall) in [(5, Syscall::Sendto), (-90, Syscall::Sendmsg)] {
        let mut bench = Bench::new();
        let made = call(100, Syscall::Socket, 3).args(&[2, 2, 0]).result(slot(3, socket_file(1)));
        let id = bench.call(made.sock(udp(1, CLOSE, unset(), unset()))).socket.unwrap();
        let sent = call(200, syscall, ret).args(&[3]).subject(slot(3, socket_file(1)));
        let event = bench.call(sent.sock(udp(1, CLOSE, ip(0, 40_000), unset())));
        assert_eq!(
            (event.kind, event.fd, event.ret, event.local),
            (EventKind::Bind, Some(3), Some(ret), Some(ip(0, 40_000)))
        );
        let steps = bench.steps(id);
        assert_eq!(
            steps.iter().map(|(at, phase, _)| (*at, *phase)).collect::<Vec<_>>(),
            [(100, Phase::Created), (200, Phase::Bound)]
        );
    }
}

//! Unix sockets: the kernel tells no states of theirs, but for the connection that a send takes away.

use super::make::{
    Bench, CLOSE, ESTABLISHED, LISTEN, accept, call, input, named, row, slot, socket_file, task, unix,
};
use crate::{
    address::Address,
    entity::Phase,
    event::EventKind,
    explain::Cause,
    ids::BootNs,
    input::{Body, Reason, Sock, State},
    syscall::Syscall,
};

#[test]
fn unix_sockets_have_their_lives_without_being_told() {
    let mut bench = Bench::new();
    let event = bench
        .call(call(100, Syscall::Socket, 3).result(named(3, socket_file(1), "UNIX")).sock(unix(1, CLOSE)));
    let id = event.socket.unwrap();
    assert_eq!((event.local, bench.descriptor(1).name.as_slice()), (None, &b""[..]));
    let path = Address::Unix(b"/run/x".to_vec());
    let there = Sock { local: path.clone(), ..unix(1, LISTEN) };
    for (at, which) in [(200, Syscall::Bind), (300, Syscall::Listen)] {
        let sock = Sock { state: if at == 200 { CLOSE } else { LISTEN }, ..there.clone() };
        bench.call(call(at, which, 0).args(&[3, 5]).subject(slot(3, socket_file(1))).sock(sock));
    }
    let accepted = accept(400, 4, 2, 1);
    let mut accepted = accepted;
    accepted.call.socks = vec![Sock { local: path.clone(), ..unix(2, ESTABLISHED) }];
    let event = bench.call(accepted);
    assert_eq!(event.listener, Some(id));
    assert_eq!((event.local, event.peer), (Some(path), Some(Address::Unix(Vec::new()))));
    assert_eq!(
        bench.steps(id),
        [
            (100, Phase::Created, Some(CLOSE)),
            (200, Phase::Bound, Some(CLOSE)),
            (300, Phase::Listening, Some(LISTEN))
        ]
    );
    let shutdown = call(500, Syscall::Shutdown, 0).args(&[4, 1]).subject(slot(4, socket_file(2)));
    let child = bench.call(shutdown.sock(unix(2, ESTABLISHED))).socket.unwrap();
    assert_eq!(bench.steps(child).last().unwrap().1, Phase::HalfClosed);
    bench.closes(600, 4, socket_file(2));
    assert_eq!(bench.socket(child).ended, Some(BootNs(590)));
}

#[test]
fn a_send_that_finds_the_other_end_gone_takes_the_connection_away() {
    let mut bench = Bench::new();
    let datagram = |n: u64, state: u16| Sock { ty: 2, ..unix(n, state) };
    let end = |n: u64, other: u64| Sock { peer_sk: 0x5000 + other, ..datagram(n, ESTABLISHED) };
    let change = |ts, n| {
        let told = State { task: task(1), from: 1, to: 7, error: 111, sock: datagram(n, 7), tcp: None };
        input(ts, Body::State(told))
    };
    // Of one that is not known to have been connected nothing is told: nobody had the name that it sent to.
    assert_eq!(bench.session.ingest(&change(150, 9)).len(), 0);
    let pair = call(200, Syscall::Socketpair, 0)
        .result(slot(5, socket_file(15)))
        .result(slot(6, socket_file(16)))
        .sock(end(1, 2))
        .sock(end(2, 1));
    bench.call(pair);
    bench.closes(300, 6, socket_file(16));
    let events = bench.session.ingest(&change(400, 1)).to_vec();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.kind, event.error, event.closed_first), (EventKind::State, Some(111), None));
    let explain = event.explain.as_ref().unwrap();
    assert_eq!((explain.cause, explain.ago_ns), (Cause::PeerGone, Some(110)));
    let id = event.socket.unwrap();
    let last = bench.socket(id).steps.last().unwrap();
    assert_eq!((last.phase, last.state, last.error), (Phase::Closed, Some(7), Some(111)));
    assert_eq!(bench.socket(id).ended, None);
    // And once only.
    assert_eq!(bench.session.ingest(&change(500, 1)).len(), 0);
}

#[test]
fn a_check_finds_the_connection_that_a_send_took_from_a_pair_of_datagram_sockets() {
    let mut bench = Bench::new();
    let datagram = |n, state| Sock { ty: 2, ..unix(n, state) };
    let pair =
        call(200, Syscall::Socketpair, 0).result(slot(5, socket_file(15))).result(slot(6, socket_file(16)));
    bench.call(pair.sock(datagram(1, 1)).sock(datagram(2, 1)));
    bench.closes(300, 6, socket_file(16));
    let rows = [(400, row(1, slot(5, socket_file(15)), Some(datagram(1, 7))))];
    bench.snapshot(400, Reason::Check, &rows);
    let left = bench.session.sockets().next().unwrap();
    let steps: Vec<_> = left.steps.iter().map(|step| (step.ts.0, step.phase, step.state)).collect();
    assert_eq!(steps, [(200, Phase::Connected, Some(1)), (400, Phase::Closed, Some(7))]);
    assert_eq!(bench.open(1), [(5, 15)]);
}

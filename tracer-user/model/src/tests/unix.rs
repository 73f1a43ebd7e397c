//! Unix sockets: the kernel tells no states of theirs, but for the connection that a send takes away, or that a call finds broken.

use super::make::{
    Bench, CLOSE, ESTABLISHED, LISTEN, accept, arg, call, input, ip, named, row, slot, socket_file, task,
    tcp, unix,
};
use crate::{
    address::Address,
    entity::Phase,
    event::{Event, EventKind, Via},
    explain::{Cause, Explain, Unseen},
    ids::BootNs,
    input::{Body, Queued, Reason, Sock, State, Task},
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

const EPIPE: u32 = 32;
const ECONNRESET: u32 = 104;

/// A connected end of unix, and its other end; 0 where that is closed.
fn end(n: u64, other: u64) -> Sock {
    Sock { peer_sk: if other == 0 { 0 } else { 0x5000 + other }, ..unix(n, ESTABLISHED) }
}

/// A pair of stream sockets: descriptor 5 is number 1, descriptor 6 number 2.
fn pair(bench: &mut Bench) -> Event {
    let pair =
        call(200, Syscall::Socketpair, 0).result(slot(5, socket_file(15))).result(slot(6, socket_file(16)));
    bench.call(pair.sock(end(1, 2)).sock(end(2, 1)))
}

fn shuts(bench: &mut Bench, ts: u64, (fd, n): (i32, u64), how: u32) -> Event {
    let shutdown = call(ts, Syscall::Shutdown, 0).args(&[arg(fd), how]);
    bench.call(shutdown.subject(slot(fd, socket_file(n))))
}

/// A call of process 1 fails on the first of the two.
fn fails(bench: &mut Bench, ts: u64, error: u32, other: u64) -> Vec<Event> {
    bench.state_in(ts, 1, (ESTABLISHED, ESTABLISHED), error, end(1, other))
}

fn explained(event: &Event) -> &Explain {
    event.explain.as_deref().unwrap()
}

/// Cause, how long ago, events, and the process and descriptor that did it.
type Why<'a> = (Cause, Option<u64>, &'a [u64], Option<(u32, i32)>);

fn why(event: &Event) -> Why<'_> {
    let explain = explained(event);
    let holder = explain.sockets.first().and_then(|party| party.holders.first());
    (explain.cause, explain.ago_ns, &explain.events, holder.map(|holder| (holder.process.pid, holder.fd)))
}

#[test]
fn the_first_call_that_finds_the_peer_closed_is_told_for_each_error() {
    let mut bench = Bench::new();
    let made = pair(&mut bench);
    let closed = bench.closes(300, 6, socket_file(16));
    let steps = bench.steps(made.socket.unwrap());
    let events = fails(&mut bench, 400, ECONNRESET, 0);
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((event.kind, event.via, event.tid), (EventKind::State, Via::Syscall, 1));
    assert_eq!((event.from, event.to, event.error), (None, Some(ESTABLISHED), Some(ECONNRESET)));
    let rests = [closed.seq];
    assert_eq!(why(event), (Cause::PeerReset, Some(110), &rests[..], Some((1, 6))));
    let events = fails(&mut bench, 450, EPIPE, 0);
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(why(event), (Cause::PeerGone, Some(160), &rests[..], Some((1, 6))));
    assert_eq!(explained(event).unseen, []);
    assert!(!explained(event).again);
    // Whoever goes on writing is told nothing new.
    assert_eq!(fails(&mut bench, 500, EPIPE, 0), []);
    assert_eq!(fails(&mut bench, 510, ECONNRESET, 0), []);
    // The kernel's state stays, and so does what is known of the socket.
    assert_eq!(bench.steps(made.socket.unwrap()), steps);
    // No other error of a call, and no other family.
    assert_eq!(fails(&mut bench, 520, 11, 0), []);
    let inet = tcp(9, ESTABLISHED, ip(1, 1), ip(1, 2));
    assert_eq!(bench.state_in(530, 1, (ESTABLISHED, ESTABLISHED), EPIPE, inet), []);
}

#[test]
fn of_what_ended_a_direction_the_first_explains() {
    // Who shut down what first; the peer closed at 290.
    let own = |bench: &mut Bench, ts, how| shuts(bench, ts, (5, 15), how).seq;
    let peer = |bench: &mut Bench, ts, how| shuts(bench, ts, (6, 16), how).seq;
    let mut bench = Bench::new();
    pair(&mut bench);
    let rests = [own(&mut bench, 250, 1)];
    bench.closes(300, 6, socket_file(16));
    let events = fails(&mut bench, 400, EPIPE, 0);
    assert_eq!(why(&events[0]), (Cause::ShutDown, Some(150), &rests[..], Some((1, 5))));

    let mut bench = Bench::new();
    pair(&mut bench);
    let closed = bench.closes(300, 6, socket_file(16));
    own(&mut bench, 350, 2);
    let rests = [closed.seq];
    let events = fails(&mut bench, 400, EPIPE, 0);
    assert_eq!(why(&events[0]), (Cause::PeerGone, Some(110), &rests[..], Some((1, 6))));

    let mut bench = Bench::new();
    pair(&mut bench);
    // What is not read is nothing to who writes, and what the peer does not write neither.
    own(&mut bench, 240, 0);
    peer(&mut bench, 250, 1);
    let rests = [peer(&mut bench, 260, 2)];
    own(&mut bench, 270, 1);
    let events = fails(&mut bench, 400, EPIPE, 2);
    assert_eq!(why(&events[0]), (Cause::PeerShutDown, Some(140), &rests[..], Some((1, 6))));
}

#[test]
fn what_was_not_seen_of_a_broken_connection_is_not_made_up() {
    // The peer is open: one of the two was shut down before tracing began.
    let mut bench = Bench::new();
    pair(&mut bench);
    let events = fails(&mut bench, 400, EPIPE, 2);
    assert_eq!(why(&events[0]), (Cause::ShutDown, None, &[][..], None));

    // The peer is closed, and nobody is known to have done it.
    let mut bench = Bench::new();
    let events = fails(&mut bench, 400, EPIPE, 0);
    assert_eq!(why(&events[0]), (Cause::PeerGone, None, &[][..], None));
    assert_eq!(explained(&events[0]).unseen, [Unseen::Peer]);
}

#[test]
fn a_listener_that_is_closed_resets_who_waits_in_its_queue() {
    let mut bench = Bench::new();
    let name = Address::Unix(b"/run/x".to_vec());
    let listener = Sock { local: name.clone(), queue_limit: 1, ..unix(3, LISTEN) };
    bench.call(call(100, Syscall::Socket, 3).result(slot(3, socket_file(13))).sock(unix(3, CLOSE)));
    let listen = call(110, Syscall::Listen, 0).args(&[3, 1]).subject(slot(3, socket_file(13)));
    bench.call(listen.sock(listener));
    bench.call(call(120, Syscall::Socket, 5).result(slot(5, socket_file(15))).sock(unix(1, CLOSE)));
    let task = Task { tid: 0, ..task(1) };
    let sock = Sock { local: name, ..end(2, 1) };
    let queued = Queued { task, listener: 0x5003, queue_len: 1, queue_limit: 1, sock };
    bench.one(&input(200, Body::Queued(queued)));
    let connect = call(210, Syscall::Connect, 0).args(&[5]).subject(slot(5, socket_file(15)));
    bench.call(connect.sock(end(1, 2)));
    let closed = bench.closes(300, 3, socket_file(13));
    let events = fails(&mut bench, 400, ECONNRESET, 0);
    assert_eq!(why(&events[0]), (Cause::PeerReset, Some(100), &[closed.seq][..], Some((1, 3))));
    assert_eq!(explained(&events[0]).sockets[0].state, LISTEN);
}

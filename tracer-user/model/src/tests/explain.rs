//! Explanations: each error by inputs made by hand, the cause and what it rests on.

use super::make::{
    Bench, CLOSE, ESTABLISHED, LISTEN, arg, call, child, input, ip, key, listener, slot, socket_file, task,
    tcp, unset,
};
use crate::{
    address::Address,
    event::Event,
    explain::{Cause, Explain, Relation, Unseen},
    ids::ProcessKey,
    input::{Body, HeldSock, Looked, Options, Sock},
    syscall::Syscall,
};

const EADDRINUSE: i64 = 98;
const ECONNREFUSED: i64 = 111;

/// Process 1 fails to bind socket `n` at `fd` to `asked`.
fn fails_to_bind(
    bench: &mut Bench,
    ts: u64,
    (fd, n): (i32, u64),
    asked: Address,
    options: Options,
) -> Explain {
    let sock = Sock { options, ..tcp(n, CLOSE, unset(), unset()) };
    let bind = call(ts, Syscall::Bind, -EADDRINUSE).args(&[arg(fd)]).subject(slot(fd, socket_file(n)));
    *bench.call(bind.sock(sock).asked(asked)).explain.expect("no explanation")
}

/// Process 1 is refused a connection of socket `n` at `fd` to `asked`.
fn is_refused(bench: &mut Bench, ts: u64, (fd, n): (i32, u64), asked: Address) -> Explain {
    let connect =
        call(ts, Syscall::Connect, -ECONNREFUSED).args(&[arg(fd)]).subject(slot(fd, socket_file(n)));
    *bench.call(connect.sock(tcp(n, CLOSE, unset(), unset())).asked(asked)).explain.expect("no explanation")
}

/// A look of process 1's thread at `ts` that found those sockets of process 5, descriptor 7.
fn looks(bench: &mut Bench, ts: u64, held: &[Sock], leftovers: &[Sock]) {
    looks_of(bench, ts, 1, held, leftovers);
}

/// The same with the start of that process.
fn looks_of(bench: &mut Bench, ts: u64, start_ns: u64, held: &[Sock], leftovers: &[Sock]) {
    let held = held.iter().map(|sock| HeldSock {
        process: ProcessKey { pid: 5, start_ns },
        comm: b"redis".to_vec(),
        fd: 7,
        ino: 99,
        sock: sock.clone(),
    });
    let looked = Looked {
        task: task(1),
        netns: 77,
        held: held.collect(),
        leftovers: leftovers.to_vec(),
        whole: true,
        first_port: None,
        files: Some((10, 12)),
    };
    assert_eq!(bench.tell(&input(ts, Body::Looked(Box::new(looked)))), []);
}

#[test]
fn a_followed_listener_is_in_the_way_and_what_was_not_looked_at_is_said() {
    let mut bench = Bench::new();
    let held = bench.makes_listener(100, 3, 1);
    bench.makes_tcp(200, 4, 2);
    let reuse = Options { reuseaddr: true, ..Options::default() };
    let explain = fails_to_bind(&mut bench, 300, (4, 2), ip(1, 80), reuse);
    assert_eq!(explain.cause, Cause::AddressHeld);
    assert_eq!(explain.options, Some(reuse));
    let [party] = &explain.sockets[..] else { panic!("{explain:?}") };
    assert_eq!((party.socket, party.relation, party.state), (Some(held), Some(Relation::Same), LISTEN));
    assert_eq!(
        party.holders.iter().map(|holder| (holder.process, holder.fd)).collect::<Vec<_>>(),
        [(key(1), 3)]
    );
    // The event of the listen.
    assert_eq!(explain.events, [3]);
    assert_eq!(explain.unseen, [Unseen::Unfollowed]);
}

#[test]
fn what_shares_an_address_is_not_in_the_way() {
    let reuse = Options { reuseaddr: true, ..Options::default() };
    let port = Options { reuseport: true, ..Options::default() };
    // (own, other, state of the other, whether it is in the way): `inet_csk_bind_conflict`.
    for (own, other, state, is) in [
        (Options::default(), Options::default(), CLOSE, true),
        (reuse, Options::default(), CLOSE, true),
        (reuse, reuse, CLOSE, false),
        (reuse, reuse, LISTEN, true),
        (reuse, reuse, ESTABLISHED, false),
        // In the way only if another user made it.
        (port, port, LISTEN, true),
    ] {
        let mut bench = Bench::new();
        bench.makes_tcp(100, 4, 2);
        let held = Sock { options: other, ..tcp(8, state, ip(1, 80), unset()) };
        looks(&mut bench, 200, &[held], &[]);
        let explain = fails_to_bind(&mut bench, 200, (4, 2), ip(1, 80), own);
        let cause = if is { Cause::AddressHeld } else { Cause::AddressUnknown };
        assert_eq!(explain.cause, cause, "{own:?} {other:?} {state}");
        assert_eq!(explain.unseen, []);
    }
}

#[test]
fn connections_that_nobody_holds_are_in_the_way_unless_both_sides_allow_it() {
    let mut bench = Bench::new();
    bench.makes_tcp(100, 4, 2);
    let left = tcp(8, 6, ip(1, 80), ip(9, 4000));
    looks(&mut bench, 200, &[], &[left.clone(), tcp(9, 6, ip(2, 80), ip(9, 4001))]);
    let explain = fails_to_bind(&mut bench, 200, (4, 2), ip(1, 80), Options::default());
    assert_eq!((explain.cause, explain.sockets.len()), (Cause::AddressLeftOver, 1));
    assert_eq!(explain.sockets[0].peer, Some(ip(9, 4000)));
    let reuse = Options { reuseaddr: true, ..Options::default() };
    looks(&mut bench, 1_000_000_000, &[], &[Sock { options: reuse, ..left }]);
    let explain = fails_to_bind(&mut bench, 1_000_000_000, (4, 2), ip(1, 80), reuse);
    assert_eq!(explain.cause, Cause::AddressUnknown);
}

#[test]
fn a_look_is_for_the_error_that_follows_it_and_not_for_a_later_one() {
    let mut bench = Bench::new();
    bench.makes_tcp(100, 4, 2);
    looks(&mut bench, 200, &[listener(8, 80)], &[]);
    let explain = is_refused(&mut bench, 201, (4, 2), ip(1, 80));
    assert_eq!((explain.cause, &explain.unseen[..]), (Cause::NobodyListens, &[Unseen::Unfollowed][..]));
}

#[test]
fn a_process_that_came_after_the_error_holds_nothing() {
    for (ts, cause) in [(200, Cause::Listens), (20, Cause::NobodyListens)] {
        let mut bench = Bench::new();
        bench.makes_tcp(10, 4, 2);
        looks_of(&mut bench, ts, 50, &[listener(8, 80)], &[]);
        assert_eq!(is_refused(&mut bench, ts, (4, 2), ip(1, 80)).cause, cause);
    }
}

#[test]
fn a_closed_listener_is_remembered_longer_than_its_socket() {
    let mut bench = Bench::with(crate::session::Limits {
        kept_events: 100,
        kept_descriptors: 1,
        kept_sockets: 1,
        kept_processes: 1,
    });
    bench.makes_listener(100, 3, 1);
    let close = call(200, Syscall::Close, 0).args(&[3]).subject(slot(3, socket_file(1)));
    let closed = bench.call(close.sock(listener(1, 80)));
    for n in 10..200 {
        bench.makes_tcp(300 + n, 5, n);
        bench.closes(300 + n, 5, socket_file(n));
    }
    bench.makes_tcp(1_000, 4, 2);
    let explain = is_refused(&mut bench, 3_000_000_200, (4, 2), ip(1, 80));
    assert_eq!((explain.cause, explain.ago_ns), (Cause::ListenerClosed, Some(3_000_000_000)));
    assert_eq!(explain.events, [closed.seq]);
    assert_eq!(explain.sockets[0].holders[0].process, key(1));
    // Another address of the same port was never listened on.
    let explain = is_refused(&mut bench, 3_000_000_300, (4, 2), ip(2, 80));
    assert_eq!(explain.cause, Cause::NobodyListens);
}

#[test]
fn other_families_addresses_and_namespaces() {
    let any6 = |n, v6only| {
        let options = Options { v6only, ..Options::default() };
        Sock { family: 10, options, ..tcp(n, LISTEN, Address::Inet6([0; 8].into(), 80), unset()) }
    };
    for (found, asked, cause) in [
        (any6(8, true), ip(1, 80), Cause::OtherFamily),
        (any6(8, false), ip(1, 80), Cause::Listens),
        (tcp(8, LISTEN, ip(2, 80), unset()), ip(1, 80), Cause::OtherAddress),
        (Sock { netns: 78, ..listener(8, 80) }, ip(1, 80), Cause::OtherNamespace),
        (listener(8, 80), Address::Inet([192, 0, 2, 1].into(), 80), Cause::Remote),
    ] {
        let mut bench = Bench::new();
        bench.makes_tcp(100, 4, 2);
        looks(&mut bench, 200, std::slice::from_ref(&found), &[]);
        let explain = is_refused(&mut bench, 200, (4, 2), asked);
        assert_eq!(explain.cause, cause, "{found:?}");
    }
}

#[test]
fn a_spin_is_counted_and_told_in_full_every_tenth_of_a_second() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 0, 1);
    let fails = |bench: &mut Bench, ts| -> Event {
        bench.call(call(ts, Syscall::Accept4, -24).args(&[0]).subject(slot(0, socket_file(1))).accept(
            1,
            None,
            (3, 5),
        ))
    };
    let mut in_full = Vec::new();
    for turn in 0..300_u64 {
        let event = fails(&mut bench, 1_000 + turn * 1_000_000);
        let explain = *event.explain.expect("no explanation");
        assert_eq!(explain.cause, Cause::TableFull);
        assert_eq!(explain.spin.map_or(1, |spin| spin.count), turn + 1);
        if explain.again {
            assert_eq!(Some(&explain.events[..]), in_full.last().map(std::slice::from_ref));
        } else {
            in_full.push(event.seq);
            let fill = explain.fill.expect("no table");
            assert_eq!((fill.limit, fill.inferred, fill.used), (Some(1), true, 1));
        }
    }
    assert_eq!(in_full, [4, 104, 204]);
    // After a pause it begins anew.
    let explain = fails(&mut bench, 5_000_000_000).explain.expect("no explanation");
    assert_eq!(explain.spin, None);
}

#[test]
fn a_limit_of_instances_or_of_memory_is_not_the_tables_or_the_machines() {
    let mut bench = Bench::new();
    bench.makes_tcp(100, 0, 2);
    // inotify(7): max_user_instances; pipe(2): pipe-user-pages-hard, while 10 of 12 files are open.
    let event = bench.call(call(200, Syscall::InotifyInit1, -24));
    assert_eq!((event.error, event.explain), (Some(24), None));
    looks(&mut bench, 300, &[], &[]);
    let event = bench.call(call(300, Syscall::Pipe2, -23));
    assert_eq!((event.error, event.explain), (Some(23), None));
    // Whatever else can be short, these two need a number.
    let event = bench.call(call(400, Syscall::EpollCreate1, -24));
    assert_eq!(event.explain.map(|explain| explain.cause), Some(Cause::TableFull));
}

#[test]
fn the_machines_limit_is_what_the_look_read() {
    let mut bench = Bench::new();
    bench.makes_tcp(100, 4, 2);
    looks(&mut bench, 200, &[], &[]);
    let event = bench.call(call(200, Syscall::Openat, -23).path("/f"));
    let explain = event.explain.expect("no explanation");
    assert_eq!(explain.cause, Cause::SystemFull);
    assert_eq!(explain.fill.map(|fill| (fill.used, fill.limit)), Some((10, Some(12))));
}

#[test]
fn an_aborted_accept_is_about_the_connection_that_was_reset_in_the_queue() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    bench.queued(200, 1, child(5), 1);
    bench.state(300, (ESTABLISHED, CLOSE), 104, child(5));
    let accept = call(400, Syscall::Accept, -103).args(&[3]).subject(slot(3, socket_file(1)));
    let explain = bench.call(accept.accept(1, None, (0, 5))).explain.expect("no explanation");
    assert_eq!((explain.cause, explain.ago_ns), (Cause::ResetInQueue, Some(100)));
    assert_eq!(explain.sockets[0].peer, Some(child(5).peer));
}

#[test]
fn errors_that_say_nothing_are_left_alone() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    let accept = |ret| call(400, Syscall::Accept, ret).args(&[3]).subject(slot(3, socket_file(1)));
    assert_eq!(bench.call(accept(-11).accept(1, None, (0, 5))).explain, None);
    assert_eq!(bench.call(accept(-22).accept(1, None, (0, 5))).explain, None, "it listens");
    assert_eq!(bench.call(call(500, Syscall::Close, -9).args(&[77])).explain, None);
}

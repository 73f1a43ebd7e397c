//! Accept queues: what waits since before tracing, samples and drops, unix connections, who accepts and what it did meanwhile.

use super::make::{
    Bench, CLOSE, ESTABLISHED, LAST_ACK, LISTEN, Making, accept, arg, call, child, input, ip, key, listener,
    slot, socket_file, task, unix,
};
use crate::{
    address::Address,
    entity::Phase,
    event::{DropCount, EventKind, Split, Via},
    ids::BootNs,
    input::{
        Body, ListenerSample, NamespaceSample, Overflow, Queued, Retransmit, Sampled, Sleeps, Slept, Sock,
        State, Task, Tcp, Waiting,
    },
    syscall::Syscall,
};

/// A sample at `ts` of the listener at port 80 with `drops`, its namespace's counters read exactly.
fn sample(ts: u64, drops: u32, (overflows, all): (u64, u64)) -> Body {
    let sock = Sock { queue_len: 2, queue_limit: 1, ..listener(1, 80) };
    Body::Sampled(Box::new(Sampled {
        period_ns: 1_000,
        sched: true,
        peek: false,
        stacks: None,
        listeners: vec![ListenerSample { ts: BootNs(ts), process: key(1), sock, drops: Some(drops) }],
        namespaces: vec![NamespaceSample { netns: 77, overflows: (overflows, overflows), drops: (all, all) }],
    }))
}

#[test]
fn drops_are_told_as_they_grow_and_those_that_met_a_full_queue_are_bounded_by_the_namespace() {
    let mut bench = Bench::new();
    let id = bench.makes_listener(100, 3, 1);
    assert!(
        bench.tell(&input(200, sample(200, 7, (40, 50)))).is_empty(),
        "the first sample is where it starts"
    );
    assert!(bench.tell(&input(1_200, sample(1_200, 7, (40, 50)))).is_empty());
    let told = bench.one(&input(2_200, sample(2_200, 12, (45, 55))));
    assert_eq!((told.kind, told.via, told.process), (EventKind::Overflow, Via::Kernel, key(1)));
    assert_eq!(
        (told.socket, told.listener, told.queue_len, told.queue_limit),
        (Some(id), Some(id), Some(2), Some(1))
    );
    let drops = DropCount { new: 5, total: 5, queue_full: Some((5, 5)), period_ns: 1_000 };
    assert_eq!(told.drops, Some(drops));
    assert_eq!(bench.queue(id), Some((2, 1, BootNs(2_200))));
    // Another listener of the namespace dropped ten, eight connections met a full queue: here or there.
    let told = bench.one(&input(3_200, sample(3_200, 15, (53, 68))));
    let drops = DropCount { new: 3, total: 8, queue_full: Some((3, 8)), period_ns: 1_000 };
    assert_eq!(told.drops, Some(drops));
    assert_eq!(bench.socket(id).drops.as_ref().and_then(|drops| drops.host_overflows()), Some(13));
}

#[test]
fn a_drop_counter_that_wraps_around_goes_on() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    bench.tell(&input(200, sample(200, u32::MAX, (0, 0))));
    let told = bench.one(&input(1_200, sample(1_200, 1, (2, 2))));
    assert_eq!(told.drops.map(|drops| drops.new), Some(2));
}

#[test]
fn a_segment_that_counts_twice_is_one_refused_connection() {
    let mut bench = Bench::new();
    let id = bench.makes_listener(100, 3, 1);
    bench.tell(&input(200, sample(200, 0, (0, 0))));
    let sock = Sock { peer: ip(9, 50_020), ..listener(1, 80) };
    let overflow = Overflow { task: Task { tid: 0, ..task(1) }, queue_len: 2, queue_limit: 1, sock };
    let told = bench.one(&input(300, Body::Overflow(Box::new(overflow))));
    assert_eq!((told.kind, told.listener, told.peer), (EventKind::Overflow, Some(id), Some(ip(9, 50_020))));
    let told = bench.one(&input(1_200, sample(1_200, 2, (1, 1))));
    let drops = DropCount { new: 2, total: 2, queue_full: Some((1, 1)), period_ns: 1_000 };
    assert_eq!(told.drops, Some(drops));
}

#[test]
fn what_waits_since_before_tracing_has_no_start() {
    let mut bench = Bench::new();
    let from = bench.makes_listener(100, 3, 1);
    let waiting = |sock| {
        let task = Task { tid: 0, ..task(1) };
        Body::Waiting(Box::new(Waiting { task, listener: 0x5001, sock }))
    };
    let told = bench.one(&input(300, waiting(child(20))));
    assert_eq!((told.kind, told.via, told.listener), (EventKind::Queued, Via::Snapshot, Some(from)));
    let id = told.socket.unwrap();
    assert_eq!(bench.steps(id), [(300, Phase::Queued, Some(ESTABLISHED))]);
    assert_eq!(bench.socket(id).queued, None);
    // Found again, and what was told as queued: nothing new.
    assert!(bench.tell(&input(400, waiting(child(20)))).is_empty());
    bench.queued(450, 1, child(21), 2);
    assert!(bench.tell(&input(500, waiting(child(21)))).is_empty());
    let accepted = bench.accepts(1_000, 7, 20, 1);
    assert_eq!((accepted.socket, accepted.wait_ns), (Some(id), None));
    assert_eq!(bench.socket(from).children, 2);
}

#[test]
fn a_syn_that_is_sent_again_names_the_only_listener_of_its_port() {
    let mut bench = Bench::new();
    let id = bench.makes_listener(100, 3, 1);
    bench.tell(&input(200, sample(200, 0, (0, 0))));
    let sock = Sock { local: ip(9, 50_020), peer: ip(1, 80), ..child(30) };
    let again = Retransmit { task: Task { tid: 0, ..task(1) }, sock };
    let told = bench.one(&input(300, Body::Retransmit(Box::new(again))));
    assert_eq!((told.kind, told.listener, told.socket), (EventKind::Retransmit, Some(id), None));
    assert_eq!((told.local, told.peer), (Some(ip(9, 50_020)), Some(ip(1, 80))));
}

const NAME: &[u8] = b"/run/x";

fn unix_listener(bench: &mut Bench) -> crate::ids::SocketId {
    let sock = || Sock { local: Address::Unix(NAME.to_vec()), queue_limit: 1, ..unix(1, LISTEN) };
    bench.call(
        call(100, Syscall::Socket, 3)
            .result(slot(3, socket_file(1)))
            .sock(Sock { state: CLOSE, ..unix(1, CLOSE) }),
    );
    let listening = call(110, Syscall::Listen, 0).args(&[3, 1]).subject(slot(3, socket_file(1))).sock(sock());
    bench.call(listening).socket.unwrap()
}

fn unix_queued(ts: u64, sock: Sock) -> Body {
    let task = Task { tid: 0, ..task(1) };
    assert!(ts > 0);
    Body::Queued(Queued { task, listener: 0x5001, queue_len: 1, queue_limit: 1, sock })
}

fn unix_accept(ts: u64, n: u64, peer_sk: u64) -> Making {
    let sock = Sock { local: Address::Unix(NAME.to_vec()), peer_sk, ..unix(n, ESTABLISHED) };
    call(ts, Syscall::Accept, 7)
        .args(&[arg(3)])
        .subject(slot(3, socket_file(1)))
        .result(slot(7, socket_file(n)))
        .sock(sock)
        .accept(1, None, (0, 1))
}

#[test]
fn a_unix_connection_waits_from_its_connect_on_and_both_ends_know_each_other() {
    let mut bench = Bench::new();
    let from = unix_listener(&mut bench);
    let client = Sock { peer_sk: 0x5000 + 20, ..unix(10, ESTABLISHED) };
    let embryo = Sock { peer_sk: 0x5000 + 10, ..unix(20, ESTABLISHED) };
    let told = bench.one(&input(500, unix_queued(500, embryo)));
    assert_eq!((told.listener, told.local), (Some(from), Some(Address::Unix(NAME.to_vec()))));
    let child = told.socket.unwrap();
    bench.call(call(400, Syscall::Socket, 5).by(2).result(slot(5, socket_file(10))).sock(unix(10, CLOSE)));
    let connected = bench
        .call(call(501, Syscall::Connect, 0).by(2).args(&[5]).subject(slot(5, socket_file(10))).sock(client));
    let accepted = bench.call(unix_accept(900, 20, 0x5000 + 10));
    assert_eq!((accepted.socket, accepted.wait_ns), (Some(child), Some(400)));
    let client = connected.socket.unwrap();
    assert_eq!(bench.socket(child).other_end, Some(client));
    assert_eq!(bench.socket(client).other_end, Some(child));
}

#[test]
fn a_name_that_an_end_gets_later_is_the_other_ends_peer() {
    let mut bench = Bench::new();
    let end = |n: u64, other: u64| Sock { peer_sk: 0x5000 + other, ..unix(n, ESTABLISHED) };
    let pair =
        call(100, Syscall::Socketpair, 0).result(slot(5, socket_file(10))).result(slot(6, socket_file(20)));
    bench.call(pair.sock(end(10, 20)).sock(end(20, 10)));
    let name = Address::Unix(b"late".to_vec());
    let bound = Sock { local: name.clone(), ..end(10, 20) };
    let event = bench.call(
        call(200, Syscall::Bind, 0)
            .args(&[5])
            .asked(name.clone())
            .subject(slot(5, socket_file(10)))
            .sock(bound),
    );
    let bound = event.socket.unwrap();
    let other = bench.socket(bound).other_end.unwrap();
    assert_eq!((&bench.socket(bound).local, &bench.socket(other).peer), (&name, &name));
    assert_eq!(bench.socket(bound).peer, Address::Unix(Vec::new()));
}

#[test]
fn a_unix_connection_that_was_accepted_before_its_connect_returned_has_no_wait() {
    let mut bench = Bench::new();
    unix_listener(&mut bench);
    let accepted = bench.call(unix_accept(490, 20, 0x5000 + 10));
    let told =
        bench.one(&input(500, unix_queued(500, Sock { peer_sk: 0x5000 + 10, ..unix(20, ESTABLISHED) })));
    assert_eq!(told.socket, accepted.socket);
    let socket = bench.socket(accepted.socket.unwrap());
    assert_eq!((socket.queued, socket.ended), (None, None));
}

#[test]
fn what_waits_at_a_unix_listener_ends_with_it() {
    let mut bench = Bench::new();
    unix_listener(&mut bench);
    let child = bench.one(&input(500, unix_queued(500, unix(20, ESTABLISHED)))).socket.unwrap();
    bench.closes(800, 3, socket_file(1));
    assert!(bench.socket(child).ended.is_some(), "{:?}", bench.socket(child));
}

#[test]
fn a_connection_keeps_what_it_came_to() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    let id = bench.accepts(500, 7, 20, 1).socket.unwrap();
    let tcp = Tcp { acked: 1_001, received: 7, rtt_us: 24, retransmits: 1 };
    let sock = Sock { state: CLOSE, ..child(20) };
    let end = State { task: task(1), from: LAST_ACK, to: CLOSE, error: 0, sock, tcp: Some(tcp) };
    let told = bench.one(&input(900, Body::State(end)));
    assert_eq!(told.tcp, Some(tcp));
    assert_eq!(bench.socket(id).tcp, Some((tcp, BootNs(900))));
}

/// An accept of connection `n`, queued at `queued`, by a thread that has gone to sleep so often.
fn accepts(ts: u64, n: u64, queued: u64, sleeps: u32) -> Making {
    let mut making = accept(ts, 10 + i32::try_from(n).unwrap(), n, 1).accept(1, Some(queued), (0, 128));
    making.call.sleeps = Some(Sleeps { thread_start: BootNs(50), count: sleeps });
    making
}

fn nothing(ts: u64, error: i64, sleeps: u32) -> Making {
    let mut making = call(ts, Syscall::Accept4, -error).args(&[3]).subject(slot(3, socket_file(1)));
    making = making.accept(1, None, (0, 128));
    making.call.sleeps = Some(Sleeps { thread_start: BootNs(50), count: sleeps });
    making
}

fn slept(off: u64, woken: Option<u64>, state: u32, call: Option<&str>) -> Body {
    let call = call.map(str::to_owned);
    Body::Slept(Box::new(Slept { task: task(1), off: BootNs(off), woken: woken.map(BootNs), state, call }))
}

#[test]
fn a_wait_is_split_into_what_its_thread_did() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    bench.tell(&input(150, sample(150, 0, (0, 0))));
    let first = bench.call(accepts(1_000, 20, 900, 1));
    assert_eq!(first.split, None, "the thread was not seen accepting here before");
    // Asleep in epoll_wait until 2,300, runnable until 2,350; then in a call of its own until 2,700; preempted for 20.
    // One accept had failed before it was queued.
    bench.call(nothing(1_050, 24, 1));
    bench.queued(2_000, 1, child(21), 1);
    bench.tell(&input(2_350, slept(1_100, Some(2_300), 1, Some("epoll_wait"))));
    bench.call(nothing(2_360, 24, 2));
    bench.call(nothing(2_370, 11, 2));
    bench.call(nothing(2_380, 105, 2));
    bench.call(nothing(2_390, 24, 2));
    bench.tell(&input(2_700, slept(2_400, Some(2_690), 2, Some("fsync"))));
    bench.tell(&input(2_740, slept(2_720, None, 0, None)));
    let told = bench.call(accepts(3_000, 21, 2_000, 4));
    let split = Split {
        asleep_ns: 300,
        runnable_ns: 50 + 10 + 20,
        running_ns: 1_000 - 300 - 80 - 290,
        blocked_ns: 290,
        blocked_in: Some("fsync".to_owned()),
        unknown_ns: 0,
        failed: vec![(24, 2), (105, 1)],
    };
    assert_eq!(told.split.as_deref(), Some(&split));
    assert_eq!(told.wait_ns, Some(1_000));
    // What was before a loss is unknown; so is what was before the thread was known.
    bench.loses(3_500, 1);
    let told = bench.call(accepts(4_000, 22, 3_200, 4));
    let split = Split { unknown_ns: 300, running_ns: 500, ..Split::default() };
    assert_eq!(told.split.as_deref(), Some(&split));
}

#[test]
fn whoever_was_woken_for_nothing_slept_before_it_found_nothing() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    assert!(!bench.call(nothing(500, 11, 5)).slept, "what was before its first accept is not known");
    assert!(bench.call(nothing(600, 11, 6)).slept);
    assert!(bench.call(accepts(700, 20, 650, 7)).slept);
    assert!(!bench.call(nothing(710, 11, 7)).slept, "the end of a batch");
    assert!(bench.call(nothing(720, 11, 0)).slept, "the counter wraps around");
}

#[test]
fn a_thread_that_has_the_number_of_one_before_an_exec_is_another() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    bench.tell(&input(150, sample(150, 0, (0, 0))));
    bench.call(accepts(500, 20, 450, 5));
    bench.execs(600, 1);
    let told = bench.call(accepts(700, 21, 550, 0));
    assert!(!told.slept, "what was before its first accept is not known");
    assert_eq!((told.wait_ns, told.split), (Some(150), None));
}

#[test]
fn a_thread_that_has_the_number_of_one_that_ended_is_another() {
    let mut bench = Bench::new();
    bench.makes_listener(100, 3, 1);
    bench.tell(&input(150, sample(150, 0, (0, 0))));
    bench.call(accepts(500, 20, 450, 5));
    let of_another = |mut making: Making| {
        making.call.sleeps = making.call.sleeps.map(|sleeps| Sleeps { thread_start: BootNs(510), ..sleeps });
        making
    };
    let told = bench.call(of_another(accepts(700, 21, 550, 9)));
    assert!(!told.slept, "what was before its first accept is not known");
    assert_eq!((told.wait_ns, told.split), (Some(150), None));
    let told = bench.call(of_another(accepts(900, 22, 800, 10)));
    assert!(told.slept && told.split.is_some(), "from then on it is known");
}

//! Snapshots, repairs and losses.

use super::make::{
    Bench, CLOSE, CLOSE_WAIT, ESTABLISHED, LISTEN, accept, call, child, cloexec, file, input, ip, key,
    listener, named, row, slot, socket_file, task, tcp, told, unset,
};
use crate::{
    address::Address,
    entity::{Closed, Opened, Phase, Standing},
    event::{EventKind, FileKind, Via},
    ids::BootNs,
    input::{Body, Followed, LossCause, Origin, Reason, Row, Sock, Tcp},
    lifecycle,
    syscall::Syscall,
};
use core::net::Ipv6Addr;

/// 300 ms.
const GRACE: u64 = 300_000_000;

fn listener_row(fd: i32, n: u64) -> Row {
    row(1, named(fd, socket_file(n), "socket:[1]"), Some(listener(n, 80)))
}

fn child_row(fd: i32, n: u64) -> Row {
    row(1, named(fd, socket_file(n), "socket:[2]"), Some(child(n)))
}

fn file_row(fd: i32, n: u64) -> Row {
    row(1, named(fd, file(n), "/var/log/f"), None)
}

#[test]
fn rows_become_descriptors_with_their_whole_description() {
    let mut bench = Bench::new();
    let rows = [(150, file_row(2, 7)), (151, listener_row(6, 1)), (152, child_row(4, 20))];
    let events = bench.snapshot(100, Reason::Start, &rows);
    assert_eq!(
        told(&events),
        [(EventKind::Snapshot, Some(2)), (EventKind::Snapshot, Some(4)), (EventKind::Snapshot, Some(6))]
    );
    let [plain, connection, listening] = &events[..] else { panic!("{events:?}") };
    assert_eq!((plain.via, plain.ret, plain.tid), (Via::Snapshot, None, 0));
    assert_eq!((plain.path.as_deref(), plain.file_kind), (Some(&b"/var/log/f"[..]), Some(FileKind::File)));
    assert_eq!((plain.ino, plain.cloexec, plain.comm.as_str()), (Some(7), Some(false), "nginx"));
    assert_eq!(
        (listening.to, listening.queue_len, listening.queue_limit),
        (Some(LISTEN), Some(0), Some(128))
    );
    assert_eq!((listening.inferred, listening.listener), (false, None));
    // The listener's row came after the connection's, and is known all the same.
    assert_eq!((connection.listener, connection.inferred), (listening.socket, true));
    assert_eq!((connection.to, connection.peer.clone()), (Some(ESTABLISHED), Some(ip(9, 50_020))));
    assert_eq!(bench.open(1), [(2, 7), (4, 20), (6, 1)]);
    let found = bench.descriptor(7);
    assert_eq!((found.opened, found.opened_by), (BootNs(150), Opened::Snapshot));
    let process = bench.session.process(key(1)).unwrap();
    assert_eq!((process.parent, process.fd_limit), (Some(1000), Some(1024)));
    assert_eq!(process.standing, Standing::Exact);
    assert_eq!(bench.steps(connection.socket.unwrap()), [(152, Phase::Connected, Some(ESTABLISHED))]);
    assert_eq!(bench.socket(listening.socket.unwrap()).children, 1);
}

#[test]
fn a_listener_is_inferred_only_where_one_fits() {
    let any6 = Address::Inet6(Ipv6Addr::UNSPECIFIED, 80);
    let wild = Sock { family: 10, local: any6, ..listener(2, 80) };
    for (second, fits) in [
        (Sock { sk: 0x5002, ..listener(2, 81) }, true),
        (Sock { netns: 78, ..listener(2, 80) }, true),
        (listener(2, 80), false),
        (wild, false),
    ] {
        let mut bench = Bench::new();
        let other = row(1, slot(7, socket_file(2)), Some(second));
        let rows = [(150, listener_row(6, 1)), (151, other), (152, child_row(8, 20))];
        let events = bench.snapshot(100, Reason::Start, &rows);
        assert_eq!((events[2].fd, events[2].listener.is_some(), events[2].inferred), (Some(8), fits, fits));
    }
}

#[test]
fn a_row_of_a_known_descriptor_is_not_told_but_completes_it() {
    let mut bench = Bench::new();
    bench.call(call(50, Syscall::Openat, 3).path("f").result(slot(3, file(7))));
    let events = bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7))]);
    assert_eq!(events, []);
    assert_eq!(
        (bench.session.descriptors().count(), bench.descriptor(7).name.as_slice()),
        (1, &b"/var/log/f"[..])
    );
    assert_eq!(bench.descriptor(7).opened, BootNs(50));
    assert_eq!(bench.session.process(key(1)).unwrap().comm, "nginx");
}

#[test]
fn a_row_of_a_known_socket_is_the_same_socket() {
    let mut bench = Bench::new();
    let id = bench.makes_tcp(50, 3, 1);
    let sock = tcp(1, CLOSE, unset(), unset());
    let events = bench.snapshot(100, Reason::Start, &[(150, row(2, slot(9, socket_file(1)), Some(sock)))]);
    assert_eq!((events[0].socket, bench.socket(id).holders), (Some(id), 2));
}

#[test]
fn a_close_since_the_row_wins() {
    let mut bench = Bench::new();
    bench.tell(&input(100, Body::SnapshotBegin(Reason::Start)));
    bench.tell(&input(150, Body::Row(Box::new(file_row(3, 7)))));
    bench.tell(&input(151, Body::Row(Box::new(file_row(4, 8)))));
    bench.tell(&input(152, Body::Row(Box::new(row(1, cloexec(slot(5, file(9))), None)))));
    // Begun before the row was read, returned after it.
    let event = bench.call(call(160, Syscall::Close, 0).enter(140).args(&[3]).subject(slot(3, file(7))));
    assert_eq!((event.ino, event.file_kind), (Some(7), Some(FileKind::File)));
    bench.execs(170, 1);
    assert_eq!(
        told(&bench.tell(&input(200, Body::SnapshotEnd(Reason::Start)))),
        [(EventKind::Snapshot, Some(4))]
    );
    assert_eq!(bench.open(1), [(4, 8)]);
}

#[test]
fn a_sweep_since_the_row_wins() {
    let mut bench = Bench::new();
    bench.tell(&input(100, Body::SnapshotBegin(Reason::Start)));
    bench.tell(&input(150, Body::Row(Box::new(file_row(3, 7)))));
    bench.tell(&input(151, Body::Row(Box::new(file_row(9, 8)))));
    bench.call(call(160, Syscall::CloseRange, 0).args(&[3, 8]));
    bench.tell(&input(200, Body::SnapshotEnd(Reason::Start)));
    assert_eq!(bench.open(1), [(9, 8)]);
}

#[test]
fn a_close_before_the_row_does_not_hide_it() {
    let mut bench = Bench::new();
    bench.tell(&input(100, Body::SnapshotBegin(Reason::Start)));
    bench.closes(120, 3, file(7));
    bench.tell(&input(150, Body::Row(Box::new(file_row(3, 7)))));
    bench.tell(&input(200, Body::SnapshotEnd(Reason::Start)));
    assert_eq!(bench.open(1), [(3, 7)]);
}

#[test]
fn a_fill_since_the_row_wins() {
    let mut bench = Bench::new();
    bench.tell(&input(100, Body::SnapshotBegin(Reason::Start)));
    bench.tell(&input(150, Body::Row(Box::new(file_row(3, 7)))));
    bench.opens(180, 3, 8);
    assert_eq!(bench.tell(&input(200, Body::SnapshotEnd(Reason::Start))), []);
    assert_eq!(bench.open(1), [(3, 8)]);
}

#[test]
fn a_row_before_its_call_returns_gives_one_descriptor() {
    // The slot is filled inside the call, and read before the call returns.
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7))]);
    bench.opens(250, 3, 7);
    assert_eq!(bench.session.descriptors().count(), 1);
    assert_eq!(bench.descriptor(7).opened_by, Opened::By(EventKind::Open));
    assert_eq!(bench.open(1), [(3, 7)]);
}

#[test]
fn an_exit_since_the_row_wins() {
    let mut bench = Bench::new();
    bench.tell(&input(100, Body::SnapshotBegin(Reason::Start)));
    bench.tell(&input(150, Body::Row(Box::new(file_row(3, 7)))));
    bench.exits(160, 1);
    assert_eq!(bench.tell(&input(200, Body::SnapshotEnd(Reason::Start))), []);
    assert_eq!(bench.session.descriptors().count(), 0);
}

#[test]
fn a_child_forked_while_its_parent_is_read_inherits_what_is_found() {
    let mut bench = Bench::new();
    bench.tell(&input(100, Body::SnapshotBegin(Reason::Start)));
    bench.tell(&input(150, Body::Row(Box::new(file_row(3, 7)))));
    bench.tell(&input(151, Body::Row(Box::new(file_row(4, 8)))));
    bench.forks(160, 1, 2);
    bench.call(call(170, Syscall::Close, 0).by(2).args(&[4]).subject(slot(4, file(8))));
    bench.forks(180, 2, 3);
    bench.tell(&input(200, Body::SnapshotEnd(Reason::Start)));
    assert_eq!(bench.open(1), [(3, 7), (4, 8)]);
    assert_eq!(bench.open(2), [(3, 7)]);
    assert_eq!(bench.open(3), [(3, 7)]);
    for pid in 1..4 {
        assert_eq!(bench.session.process(key(pid)).unwrap().standing, Standing::Exact);
    }
}

#[test]
fn rows_of_a_table_that_was_left_since_are_outdated() {
    let mut bench = Bench::new();
    bench.opens(50, 3, 7);
    bench.tell(&super::make::fork(60, 1, 2, true));
    bench.tell(&input(100, Body::SnapshotBegin(Reason::Start)));
    let shared = Row { files: task(1).files, ..row(2, slot(3, file(7)), None) };
    bench.tell(&input(150, Body::Row(Box::new(file_row(3, 7)))));
    bench.tell(&input(150, Body::Row(Box::new(shared))));
    bench.tell(&super::make::exec(160, 2));
    assert_eq!(bench.tell(&input(200, Body::SnapshotEnd(Reason::Start))), []);
    assert_ne!(bench.table(1), bench.table(2));
    assert_eq!((bench.open(1), bench.open(2)), (vec![(3, 7)], vec![(3, 7)]));
}

#[test]
fn a_child_accepted_before_its_listener_is_read_finds_it_by_address() {
    let mut bench = Bench::new();
    bench.tell(&input(100, Body::SnapshotBegin(Reason::Start)));
    let id = bench.call(accept(120, 9, 20, 1)).socket.unwrap();
    assert_eq!(bench.socket(id).listener, None);
    bench.tell(&input(150, Body::Row(Box::new(listener_row(3, 1)))));
    let events = bench.tell(&input(200, Body::SnapshotEnd(Reason::Start)));
    assert_eq!((bench.socket(id).listener, bench.socket(id).inferred), (events[0].socket, false));
}

#[test]
fn names_and_modes_tell_the_kind() {
    let anonymous = |name: &str, mode| {
        let file = crate::input::FileRef { mode, ..file(7) };
        let mut bench = Bench::new();
        let events = bench.snapshot(100, Reason::Start, &[(150, row(1, named(3, file, name), None))]);
        (events[0].file_kind.unwrap(), String::from_utf8(bench.descriptor(7).name.clone()).unwrap())
    };
    for (link, name, kind) in [
        ("anon_inode:[eventpoll]", "[eventpoll]", FileKind::Epoll),
        ("anon_inode:[eventfd]", "[eventfd]", FileKind::Eventfd),
        ("anon_inode:[timerfd]", "[timerfd]", FileKind::Timerfd),
        ("anon_inode:[signalfd]", "[signalfd]", FileKind::Signalfd),
        ("anon_inode:inotify", "inotify", FileKind::Inotify),
        ("anon_inode:[fanotify]", "[fanotify]", FileKind::Fanotify),
        ("anon_inode:[io_uring]", "[io_uring]", FileKind::IoUring),
        ("anon_inode:[pidfd]", "[pidfd]", FileKind::Pidfd),
        ("anon_inode:[userfaultfd]", "[userfaultfd]", FileKind::Userfaultfd),
        ("anon_inode:[perf_event]", "[perf_event]", FileKind::PerfEvent),
        ("anon_inode:bpf-map", "bpf-map", FileKind::Bpf),
        ("anon_inode:[landlock-ruleset]", "[landlock-ruleset]", FileKind::Anonymous),
        ("/memfd:x (deleted)", "/memfd:x (deleted)", FileKind::Memfd),
    ] {
        // Older kernels give an anonymous inode no type, newer ones that of a regular file.
        for mode in [0o600, 0o100_600] {
            assert_eq!(anonymous(link, mode), (kind, name.to_owned()), "{link}");
        }
    }
    for (link, mode, kind) in [
        ("pipe:[8]", 0o010_600, FileKind::Pipe),
        ("/run/fifo", 0o010_600, FileKind::Fifo),
        ("/dev/null", 0o020_666, FileKind::CharDevice),
        ("/dev/sda", 0o060_660, FileKind::BlockDevice),
        ("/etc", 0o040_755, FileKind::Directory),
        ("/tmp/[eventpoll]", 0o100_644, FileKind::File),
        ("socket:[9]", 0o140_777, FileKind::Socket),
    ] {
        assert_eq!(anonymous(link, mode).0, kind, "{link}");
    }
}

#[test]
fn what_a_repair_misses_ends_after_the_grace() {
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7)), (151, file_row(4, 8))]);
    bench.loses(1000, 5);
    assert_eq!(bench.snapshot(2000, Reason::Repair, &[(2050, file_row(3, 7))]), []);
    assert_eq!(bench.anchor(2100 + GRACE - 1), []);
    let events = bench.anchor(2100 + GRACE);
    assert_eq!(told(&events), [(EventKind::Repair, Some(4))]);
    assert_eq!((events[0].via, events[0].ino), (Via::Repair, Some(8)));
    assert_eq!(bench.descriptor(8).closed, Some((BootNs(2100 + GRACE), Closed::Repair)));
    assert_eq!(bench.open(1), [(3, 7)]);
    let standing = &bench.session.process(key(1)).unwrap().standing;
    assert_eq!(*standing, Standing::Repaired { count: 1, since: BootNs(2100 + GRACE) });
    // Its close is told after all.
    bench.call(call(400_000_000, Syscall::Close, 0).enter(900).args(&[4]).subject(slot(4, file(8))));
    assert_eq!(bench.descriptor(8).closed, Some((BootNs(900), Closed::Close)));
}

#[test]
fn a_close_on_its_way_makes_no_repair() {
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7)), (151, file_row(4, 8))]);
    bench.loses(1000, 5);
    bench.snapshot(2000, Reason::Repair, &[(2050, file_row(3, 7))]);
    bench.call(call(3000, Syscall::Close, 0).enter(1900).args(&[4]).subject(slot(4, file(8))));
    assert_eq!(bench.anchor(2 * GRACE), []);
    assert_eq!(bench.session.process(key(1)).unwrap().standing, Standing::Exact);
}

#[test]
fn a_repair_adds_what_was_lost_and_says_so() {
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7))]);
    bench.loses(1000, 5);
    let rows = [(2050, file_row(3, 9)), (2051, file_row(4, 8))];
    let events = bench.snapshot(2000, Reason::Repair, &rows);
    assert_eq!(told(&events), [(EventKind::Repair, Some(3)), (EventKind::Repair, Some(4))]);
    assert_eq!(bench.descriptor(7).closed, Some((BootNs(2050), Closed::Repair)));
    assert_eq!(bench.descriptor(8).opened_by, Opened::Repair);
    let standing = |bench: &Bench| bench.session.process(key(1)).unwrap().standing.clone();
    assert_eq!(standing(&bench), Standing::Repaired { count: 2, since: BootNs(2100) });
    // A later loss that needs no repair leaves the number.
    bench.loses(3000, 1);
    assert_eq!(bench.snapshot(4000, Reason::Repair, &rows.map(|(_, row)| (4050, row))), []);
    assert_eq!(standing(&bench), Standing::Repaired { count: 2, since: BootNs(4100) });
}

#[test]
fn a_loss_makes_every_table_doubtful_until_a_repair_began_after_it() {
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7))]);
    let event = bench.loses(1000, 5);
    assert_eq!((event.kind, event.process.pid, event.comm.as_str()), (EventKind::Lost, 0, ""));
    assert_eq!((event.count, event.cause), (Some(5), Some(LossCause::RingFull)));
    assert_eq!(event.origin.map(|origin| origin.cpu), Some(3));
    let standing = |bench: &Bench| bench.session.process(key(1)).unwrap().standing.clone();
    let doubtful = Standing::Doubtful { why: "ring_full", since: BootNs(1000) };
    assert_eq!(standing(&bench), doubtful);
    bench.tell(&input(2000, Body::SnapshotBegin(Reason::Repair)));
    bench.tell(&input(2050, Body::Row(Box::new(file_row(3, 7)))));
    bench.loses(2060, 1);
    bench.tell(&input(2100, Body::SnapshotEnd(Reason::Repair)));
    assert_eq!(standing(&bench), doubtful);
    bench.snapshot(3000, Reason::Repair, &[(3050, file_row(3, 7))]);
    assert_eq!(standing(&bench), Standing::Exact);
    let totals = bench.session.totals();
    assert_eq!((totals.lost, totals.doubtful, totals.lost_by_cause), (6, 0, vec![(LossCause::RingFull, 6)]));
}

#[test]
fn a_loss_stands_at_the_first_missing_number() {
    let mut bench = Bench::new();
    let mut open = call(100, Syscall::Openat, 3).result(slot(3, file(7))).input();
    open.origin = Some(Origin { cpu: 3, cpu_seq: 41 });
    assert_eq!(bench.one(&open).origin, open.origin);
    assert_eq!(bench.loses(200, 2).origin, Some(Origin { cpu: 3, cpu_seq: 42 }));
}

#[test]
fn a_process_without_rows_has_ended_and_a_new_one_is_added() {
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7))]);
    bench.loses(1000, 5);
    let events = bench.snapshot(2000, Reason::Repair, &[(2050, row(2, slot(5, file(8)), None))]);
    assert_eq!(told(&events), [(EventKind::Snapshot, Some(5))]);
    assert_eq!(bench.session.process(key(2)).unwrap().standing, Standing::Exact);
    let events = bench.anchor(2100 + GRACE);
    assert_eq!((told(&events), events[0].fds.as_slice()), (vec![(EventKind::Exit, None)], &[3][..]));
    assert!(events.iter().all(|event| event.via == Via::Repair));
    assert_eq!(bench.session.process(key(1)).unwrap().ended, Some(BootNs(2100 + GRACE)));
    assert_eq!(bench.descriptor(7).closed, Some((BootNs(2100 + GRACE), Closed::Repair)));
}

#[test]
fn a_process_that_acts_after_the_snapshot_has_not_ended() {
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7))]);
    bench.snapshot(2000, Reason::Repair, &[(2050, row(2, slot(5, file(8)), None))]);
    bench.opens(3000, 4, 9);
    bench.anchor(2100 + GRACE);
    assert_eq!(bench.session.process(key(1)).unwrap().ended, None);
}

#[test]
fn an_exit_after_a_repair_ended_the_process_gives_its_status() {
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7))]);
    bench.snapshot(2000, Reason::Repair, &[(2050, row(2, slot(5, file(8)), None))]);
    bench.anchor(2100 + GRACE);
    assert_eq!(told(&bench.exits(400_000_000, 1)), [(EventKind::Exit, None)]);
    let process = bench.session.process(key(1)).unwrap();
    assert_eq!((process.ended, process.status), (Some(BootNs(400_000_000)), Some(0)));
}

#[test]
fn a_row_heals_a_state_that_was_not_told() {
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, child_row(4, 20))]);
    bench.loses(1000, 1);
    let late = row(1, slot(4, socket_file(20)), Some(Sock { state: CLOSE_WAIT, ..child(20) }));
    assert_eq!(bench.snapshot(2000, Reason::Repair, &[(2050, late)]), []);
    let id = bench.descriptor(20).socket.unwrap();
    assert_eq!(bench.steps(id).last(), Some(&(2050, Phase::HalfClosed, Some(CLOSE_WAIT))));
}

#[test]
fn rows_of_a_thread_with_its_own_table_stand_apart() {
    let mut bench = Bench::new();
    bench.opens(50, 3, 7);
    let own = Row { files: 0xe000, ..file_row(3, 9) };
    let events = bench.snapshot(100, Reason::Start, &[(150, own), (151, file_row(3, 7))]);
    assert_eq!(told(&events), [(EventKind::Snapshot, Some(3))]);
    assert_eq!(bench.open(1), [(3, 7)]);
    assert_eq!(task(1).files, 0xf001);
}

#[test]
fn a_close_that_was_lost_is_set_right_by_what_is_followed() {
    let mut bench = Bench::new();
    let list = |ts, since, sockets: &[(u64, u16)]| {
        input(ts, Body::Followed(Followed { since: BootNs(since), sockets: sockets.to_vec() }))
    };
    let connection = tcp(5, ESTABLISHED, ip(1, 80), ip(9, 50_000));
    let socket = bench.queued(100, 1, connection.clone(), 1).socket.unwrap();
    // It changed after reading them began, and it is as it was.
    assert_eq!(bench.tell(&list(120, 90, &[])), []);
    assert_eq!(bench.tell(&list(140, 130, &[(connection.sk, ESTABLISHED)])), []);
    let event = bench.one(&list(160, 150, &[(connection.sk, CLOSE_WAIT)]));
    assert_eq!((event.kind, event.via, event.socket), (EventKind::State, Via::Repair, Some(socket)));
    assert_eq!((event.from, event.to, event.process), (Some(ESTABLISHED), Some(CLOSE_WAIT), key(1)));
    assert_eq!(lifecycle::phase(bench.session.socket(socket).unwrap()), Phase::Queued);
    let event = bench.one(&list(200, 190, &[(connection.sk + 8, ESTABLISHED)]));
    assert_eq!((event.from, event.to), (Some(CLOSE_WAIT), Some(CLOSE)));
    let ended = bench.session.socket(socket).unwrap();
    assert_eq!((ended.ended, lifecycle::phase(ended)), (Some(BootNs(200)), Phase::Closed));
    assert_eq!(bench.tell(&list(220, 210, &[])), []);
}

#[test]
fn a_connection_from_which_nothing_was_ever_read() {
    let mut bench = Bench::new();
    let found = |received, unread| {
        let tcp = (received > 0).then_some(Tcp { received, ..Tcp::default() });
        Row { tcp, unread, ..row(1, slot(5, socket_file(5)), Some(tcp_established())) }
    };
    let mut look = |ts: u64, received, unread| {
        bench.snapshot(ts, Reason::Check, &[(ts + 10, found(received, unread))]);
        let socket = bench.session.sockets().next().unwrap();
        socket.never_read.map(|never| (never.since.0, never.read.0, never.waiting))
    };
    // Nothing came; something waits; more does; one byte of it was read; and so it stays read when all that came waits.
    assert_eq!(look(100, 0, 0), None);
    assert_eq!(look(200, 3, 3), Some((210, 210, 3)));
    assert_eq!(look(300, 7, 7), Some((210, 310, 7)));
    assert_eq!(look(400, 7, 6), None);
    assert_eq!(look(500, 9, 8), None);
}

fn tcp_established() -> Sock {
    tcp(5, ESTABLISHED, ip(1, 80), ip(9, 50_000))
}

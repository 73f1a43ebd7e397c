//! Processes: fork, exec, exit, identity.

use super::make::{
    Bench, CLOSE, call, cloexec, exec, file, fork, input, key, slot, socket_file, task, tcp, told, unset,
};
use crate::{
    entity::{Closed, Opened, Standing},
    event::{self, EventKind, Via},
    ids::{BootNs, ProcessKey},
    input::{Body, Cgroup, Exec, Exit, Fork, Place, Reason},
    syscall::Syscall,
};

#[test]
fn a_child_has_a_copy_of_its_parents_table() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.call(call(110, Syscall::Openat, 5).result(cloexec(slot(5, file(8)))));
    let event = bench.forks(200, 1, 2);
    assert_eq!((event.kind, event.call, event.via), (EventKind::Fork, Some(Syscall::Clone), Via::Syscall));
    assert_eq!((event.process, event.child, event.ret), (key(1), Some(key(2)), Some(2)));
    assert_eq!((event.fds.as_slice(), event.dur_ns), (&[3, 5][..], Some(10)));
    assert_eq!(bench.open(2), [(3, 7), (5, 8)]);
    let both: Vec<_> = bench.session.descriptors().filter(|found| found.ino == 8).collect();
    assert_eq!((both[0].file, both[0].cloexec), (both[1].file, both[1].cloexec));
    assert_eq!((both[1].opened_by, both[1].opened), (Opened::Inherited, BootNs(200)));
    // What one closes, the other keeps.
    bench.call(call(300, Syscall::Close, 0).by(2).args(&[3]).subject(slot(3, file(7))));
    assert_eq!((bench.open(1).len(), bench.open(2).len()), (2, 1));
    let child = bench.session.process(key(2)).unwrap();
    assert_eq!((child.parent, child.comm.as_str(), child.seen), (Some(1), "parent", BootNs(200)));
}

#[test]
fn a_shared_table_is_one_table() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let event = bench.one(&fork(200, 1, 2, true));
    assert_eq!(event.fds, []);
    assert_eq!(bench.table(1), bench.table(2));
    bench.call(call(300, Syscall::Close, 0).by(2).files(task(1).files).args(&[3]).subject(slot(3, file(7))));
    assert_eq!(bench.open(1), []);
    // The table lives on with the other process.
    bench.opens(400, 4, 8);
    assert_eq!(told(&bench.exits(500, 1)), [(EventKind::Exit, None)]);
    assert_eq!(bench.open(2), [(4, 8)]);
    let events = bench.tell(&input(600, Body::Exit(Exit { task: task(2), code: 0 })));
    assert_eq!(told(&events), [(EventKind::Exit, None)]);
    assert_eq!(events[0].fds, [4]);
}

#[test]
fn a_process_whose_last_threads_end_at_once_ends_once() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let events = bench.exits(500, 1);
    assert_eq!(told(&events), [(EventKind::Exit, None)]);
    assert_eq!(events[0].fds, [3]);
    assert_eq!(told(&bench.exits(512, 1)), []);
    let ended = bench.session.process(key(1)).unwrap();
    assert_eq!((ended.ended, ended.status), (Some(BootNs(500)), Some(0)));
}

#[test]
fn an_exec_of_a_shared_table_copies_it_first() {
    let mut bench = Bench::new();
    bench.call(call(100, Syscall::Openat, 3).result(cloexec(slot(3, file(7)))));
    bench.opens(110, 4, 8);
    bench.one(&fork(200, 1, 2, true));
    assert_eq!(bench.one(&exec(300, 2)).fds, [3]);
    assert_eq!(bench.open(1), [(3, 7), (4, 8)]);
    assert_eq!(bench.open(2), [(4, 8)]);
}

#[test]
fn an_exec_ends_close_on_exec_descriptors() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.call(call(110, Syscall::Openat, 4).result(cloexec(slot(4, file(8)))));
    let made = call(120, Syscall::Socket, 5).sock(tcp(9, CLOSE, unset(), unset()));
    bench.call(made.result(cloexec(slot(5, socket_file(9)))));
    let events = bench.execs(200, 1);
    assert_eq!(told(&events), [(EventKind::Exec, None), (EventKind::Close, Some(5))]);
    assert_eq!(events[0].fds, [4, 5]);
    let exec = &events[0];
    assert_eq!(
        (exec.ret, exec.path.as_deref(), exec.comm.as_str()),
        (Some(0), Some(&b"/usr/bin/server"[..]), "server")
    );
    let close = &events[1];
    assert_eq!((close.via, close.ret, close.call, close.ino), (Via::Exec, None, None, Some(9)));
    assert_eq!(bench.open(1), [(3, 7)]);
    assert_eq!(bench.descriptor(8).closed, Some((BootNs(200), Closed::Exec)));
    let process = bench.session.process(key(1)).unwrap();
    assert_eq!((process.comm.as_str(), process.exe.as_deref()), ("server", Some(&b"/usr/bin/server"[..])));
}

#[test]
fn a_failed_exec_and_a_failed_fork_are_events() {
    let mut bench = Bench::new();
    let event = bench.call(call(100, Syscall::Execve, -2).path("/no/such"));
    assert_eq!(
        (event.kind, event.error, event.path.as_deref()),
        (EventKind::Exec, Some(2), Some(&b"/no/such"[..]))
    );
    let event = bench.call(call(200, Syscall::Clone3, -11));
    assert_eq!((event.kind, event.error, event.child), (EventKind::Fork, Some(11), None));
    assert_eq!(event.call, Some(Syscall::Clone3));
}

#[test]
fn an_exit_ends_every_descriptor() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let id = bench.makes_tcp(110, 4, 9);
    let events = bench.tell(&input(200, Body::Exit(Exit { task: task(1), code: 0x100 })));
    assert_eq!(told(&events), [(EventKind::Exit, None), (EventKind::Close, Some(4))]);
    assert_eq!((events[0].status, events[0].via), (Some(0x100), Via::Exit));
    assert_eq!(events[0].fds, [3, 4]);
    assert_eq!((events[1].via, events[1].socket, events[1].ret), (Via::Exit, Some(id), None));
    assert_eq!(bench.descriptor(7).closed, Some((BootNs(200), Closed::Exit)));
    assert_eq!(bench.socket(id).ended, Some(BootNs(200)));
    let process = bench.session.process(key(1)).unwrap();
    assert_eq!((process.ended, process.status), (Some(BootNs(200)), Some(0x100)));
}

#[test]
fn a_pid_that_comes_back_is_another_process() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let mut again = call(900, Syscall::Openat, 3).result(slot(3, file(8)));
    again.call.task.process = ProcessKey { pid: 1, start_ns: 800 };
    again.call.task.files = 0xe000;
    let events = bench.tell(&again.input());
    assert_eq!(told(&events), [(EventKind::Exit, None), (EventKind::Open, None)]);
    assert_eq!(events[0].fds, [3]);
    assert_eq!((events[0].via, events[0].inferred, events[0].status), (Via::Repair, true, None));
    assert_eq!(bench.session.process(key(1)).unwrap().ended, Some(BootNs(900)));
    assert_eq!(bench.session.process_by_pid(1).unwrap().key.start_ns, 800);
    // A late word of the old one does not bring it back, nor end the new one.
    let late = call(905, Syscall::Close, 0).args(&[3]).subject(slot(3, file(7)));
    let _ = bench.call(late);
    assert_eq!(bench.session.process_by_pid(1).unwrap().ended, None);
}

#[test]
fn a_table_address_that_comes_back_is_another_table() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let first = bench.table(1);
    bench.exits(200, 1);
    bench.call(call(300, Syscall::Openat, 3).by(2).files(task(1).files).result(slot(3, file(8))));
    assert_ne!(bench.table(2), first);
    assert_eq!(bench.open(2), [(3, 8)]);
}

#[test]
fn an_unknown_table_address_is_learned() {
    let mut bench = Bench::new();
    bench.call(call(100, Syscall::Openat, 3).files(0).result(slot(3, file(7))));
    let table = bench.table(1);
    bench.opens(200, 4, 8);
    assert_eq!((bench.table(1), bench.open(1)), (table, vec![(3, 7), (4, 8)]));
}

#[test]
fn a_newly_followed_process_is_doubtful_until_it_is_read() {
    let mut bench = Bench::new();
    let exec = Exec {
        task: task(1),
        call: None,
        enter: None,
        place: Place::default(),
        comm: b"redis".to_vec(),
        path: b"/usr/bin/redis".to_vec(),
        newly_followed: true,
    };
    let event = bench.one(&input(100, Body::Exec(exec)));
    assert_eq!((event.ret, event.call, event.via), (None, None, Via::Exec));
    let standing = |bench: &Bench| bench.session.process(key(1)).unwrap().standing.clone();
    assert_eq!(standing(&bench), Standing::Doubtful { why: "unread", since: BootNs(100) });
    assert_eq!(bench.session.totals().doubtful, 1);
    let rows = [(250, super::make::row(1, slot(0, file(1)), None))];
    bench.snapshot(200, Reason::Selected, &rows);
    assert_eq!(standing(&bench), Standing::Exact);
    assert_eq!(bench.session.totals().doubtful, 0);
    // A child begins as certain as its parent.
    bench.forks(400, 1, 2);
    assert_eq!(bench.session.process(key(2)).unwrap().standing, Standing::Exact);
}

#[test]
fn ended_processes_are_evicted_oldest_first() {
    let limits = crate::session::Limits { kept_processes: 2, ..crate::session::Limits::default() };
    let mut bench = Bench::with(limits);
    bench.opens(10, 3, 7);
    for pid in 2..7 {
        bench.forks(u64::from(pid) * 100, 1, pid);
        bench.exits(u64::from(pid) * 100 + 50, pid);
    }
    let kept: Vec<_> = bench.session.processes().map(|process| process.key.pid).collect();
    assert_eq!(kept, [1, 5, 6]);
    assert_eq!(bench.session.process_by_pid(2), None);
    assert_eq!(bench.session.changes_since(1, 100).evicted_processes, [key(2), key(3), key(4)]);
}

#[test]
fn an_exit_during_a_close_is_told_once() {
    let mut bench = Bench::new();
    bench.makes_tcp(100, 3, 1);
    bench.call(call(300, Syscall::Close, 0).enter(150).running().args(&[3]).subject(slot(3, socket_file(1))));
    assert_eq!(told(&bench.exits(400, 1)), [(EventKind::Exit, None)]);
}

#[test]
fn where_a_process_lives_is_told_by_name() {
    let mut bench = Bench::new();
    let place = Place { ns_pid: 1, pid_ns: 77, cgroup: 5 };
    let named = |cgroup: Option<&[u8]>| {
        Some(Box::new(event::Place { ns_pid: 1, pid_ns: 77, cgroup: cgroup.map(Into::into) }))
    };
    let Body::Fork(forked) = fork(200, 1, 2, false).body else { panic!("no fork") };
    let event = bench.one(&input(200, Body::Fork(Fork { ret: 9, place, ..forked })));
    // Its caller sees another number, and the path is not known.
    assert_eq!((event.ret, event.child, event.place), (Some(9), Some(key(2)), named(None)));
    bench.tell(&input(300, Body::Cgroup(Cgroup { id: 5, path: b"/a".to_vec() })));
    let Body::Exec(executed) = exec(300, 2).body else { panic!("no exec") };
    let event = bench.one(&input(300, Body::Exec(Exec { place, ..executed })));
    assert_eq!(event.place, named(Some(b"/a")));
    assert_eq!(bench.session.process(key(2)).unwrap().place, named(Some(b"/a")).map(|place| *place));
}

//! Tables that were read as a whole, and tables of single threads.

use super::make::{
    Bench, arg, call, cloexec, exec, file, fork, input, key, row, slot, socket_file, task, told,
};
use crate::{
    entity::{Closed, Opened, Standing},
    event::{EventKind, Via},
    ids::BootNs,
    input::{Body, Exec, FileRef, Held, Input, LossCause, Reason, Table, Task, Thread},
    syscall::Syscall,
};

/// 1 s.
const WAIT: u64 = 1_000_000_000;
/// Table of the threads here.
const OWN: u64 = 0xe000;

/// The table of a task: number, inode, close-on-exec.
fn read(ts: u64, task: Task, slots: &[(i32, u64, bool)]) -> Input {
    let slots = slots.iter().map(|(fd, n, cloexec)| Held { fd: *fd, file: file(*n).file, cloexec: *cloexec });
    input(ts, Body::Table(Table { task, from: 0, first: 0, slots: slots.collect() }))
}

fn thread(tid: u32) -> Task {
    Task { tid, files: OWN, ..task(1) }
}

fn standing(bench: &Bench, pid: u32) -> Standing {
    bench.session.process(key(pid)).unwrap().standing.clone()
}

fn own_tables(bench: &Bench) -> Vec<Vec<(i32, u64)>> {
    let process = bench.session.process(key(1)).unwrap();
    let tables = process.thread_tables.iter();
    tables
        .map(|table| bench.session.table_at(*table, bench.session.now()))
        .map(|found| found.iter().map(|one| (one.fd, one.ino)).collect())
        .collect()
}

#[test]
fn a_child_holds_what_was_read_and_not_what_its_parent_holds_by_now() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.opens(110, 4, 8);
    bench.opens(120, 5, 9);
    // Another thread closed 4 before the copy was made and is told later, and set close-on-exec of 5.
    assert_eq!(bench.tell(&read(200, task(2), &[(3, 7, false), (5, 9, true)])), []);
    let event = bench.one(&fork(200, 1, 2, false));
    assert_eq!(event.fds, [3, 5]);
    bench.closes(210, 4, file(8));
    assert_eq!((bench.open(1), bench.open(2)), (vec![(3, 7), (5, 9)], vec![(3, 7), (5, 9)]));
    let last = bench.descriptor(9);
    assert_eq!((last.cloexec, last.opened_by, last.opened), (true, Opened::Inherited, BootNs(200)));
}

#[test]
fn a_file_that_is_told_later_is_in_the_child_since_the_fork() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.tell(&read(200, task(2), &[(3, 7, false), (4, 8, true)]));
    bench.one(&fork(200, 1, 2, false));
    assert_eq!(bench.open(2), [(3, 7)]);
    bench.call(call(220, Syscall::Openat, 4).path("/f").result(cloexec(slot(4, file(8)))));
    assert_eq!((bench.open(1), bench.open(2)), (vec![(3, 7), (4, 8)], vec![(3, 7), (4, 8)]));
    let childs = bench.descriptor(8);
    assert_eq!((childs.opened, childs.cloexec, childs.name.as_slice()), (BootNs(200), true, &b"/f"[..]));
    bench.anchor(220 + 2 * WAIT);
    assert_eq!(standing(&bench, 2), standing(&bench, 1));
    assert!(!bench.session.take_repair_wanted());
}

#[test]
fn a_file_whose_last_close_is_told_before_the_fork_is_in_the_child() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let socket = bench.makes_tcp(110, 4, 8);
    let was = bench.descriptor(7).file;
    // Closed by another thread after the copy was made, and told before the fork.
    bench.closes(190, 3, file(7));
    bench.closes(195, 4, socket_file(8));
    assert!(bench.socket(socket).ended.is_some());
    bench.tell(&read(200, task(2), &[(3, 7, false), (4, 8, true)]));
    assert_eq!(bench.one(&fork(200, 1, 2, false)).fds, [3, 4]);
    assert_eq!((bench.open(1), bench.open(2)), (vec![], vec![(3, 7), (4, 8)]));
    assert_eq!((bench.descriptor(7).file, bench.descriptor(8).socket), (was, Some(socket)));
    assert_eq!((bench.socket(socket).ended, bench.socket(socket).holders), (None, 1));
    let close = call(300, Syscall::Close, 0).by(2).args(&[4]).subject(slot(4, socket_file(8)));
    assert_eq!(bench.call(close).socket, Some(socket));
    assert!(bench.socket(socket).ended.is_some());
}

#[test]
fn an_address_that_was_used_again_before_the_copy_is_the_new_file() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.closes(190, 3, file(7));
    // The same address, another file; its call is told after the fork.
    bench.tell(&read(200, task(2), &[(3, 7, false)]));
    bench.one(&fork(200, 1, 2, false));
    let again = FileRef { ino: 70, ..file(7) };
    bench.call(call(210, Syscall::Openat, 3).path("/g").result(slot(3, again)));
    assert_eq!((bench.open(1), bench.open(2)), (vec![(3, 70)], vec![(3, 70)]));
    let both: Vec<_> = bench.session.descriptors().filter(|one| one.closed.is_none()).collect();
    assert_eq!((both[1].file, both[1].opened_by), (both[0].file, Opened::Inherited));
}

#[test]
fn a_child_that_acts_on_such_a_file_makes_it_known() {
    let mut bench = Bench::new();
    bench.tell(&read(200, task(2), &[(4, 8, false), (5, 9, false), (6, 10, false)]));
    bench.one(&fork(200, 1, 2, false));
    bench.one(&fork(205, 2, 3, false));
    bench.call(call(210, Syscall::Close, 0).by(2).args(&[4]).subject(slot(4, file(8))));
    bench.call(call(220, Syscall::CloseRange, 0).by(2).args(&[5, 5]));
    assert_eq!(bench.open(2), []);
    // The child's child has a copy, which waits as well.
    bench.opens(230, 5, 9);
    assert_eq!((bench.open(2), bench.open(3)), (vec![], vec![(4, 8), (5, 9)]));
    assert_eq!(bench.descriptor(8).closed, None);
    bench.opens(240, 6, 10);
    assert_eq!((bench.open(2), bench.open(3)), (vec![(6, 10)], vec![(4, 8), (5, 9), (6, 10)]));
}

#[test]
fn a_file_that_nobody_tells_of_makes_the_table_doubtful_until_it_is_read() {
    let mut bench = Bench::new();
    bench.snapshot(10, Reason::Start, &[(50, row(1, slot(3, file(7)), None))]);
    bench.tell(&read(200, task(2), &[(3, 7, false), (4, 8, false)]));
    bench.one(&fork(200, 1, 2, false));
    assert_eq!(standing(&bench, 2), Standing::Exact);
    bench.anchor(199 + WAIT);
    assert!(!bench.session.take_repair_wanted());
    let doubts = bench.anchor(200 + WAIT);
    assert_eq!(
        doubts.iter().map(|event| (event.kind, event.process, event.cause)).collect::<Vec<_>>(),
        [(EventKind::Lost, key(2), Some(LossCause::UnknownFile))]
    );
    assert_eq!(standing(&bench, 2), Standing::Doubtful { why: "unknown_file", since: BootNs(200 + WAIT) });
    assert_eq!(standing(&bench, 1), Standing::Exact);
    assert!(bench.session.take_repair_wanted());
    assert!(!bench.session.take_repair_wanted());
    let at = 300 + WAIT;
    let rows = [
        (at + 10, row(1, slot(3, file(7)), None)),
        (at + 20, row(2, slot(3, file(7)), None)),
        (at + 30, row(2, slot(4, file(8)), None)),
    ];
    let events = bench.snapshot(at, Reason::Repair, &rows);
    assert_eq!(told(&events), [(EventKind::Repair, Some(4))]);
    assert_eq!(standing(&bench, 2), Standing::Repaired { count: 1, since: BootNs(at + 100) });
    assert_eq!(bench.open(2), [(3, 7), (4, 8)]);
}

#[test]
fn an_unshare_of_a_thread_makes_a_table_of_its_own() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.opens(110, 4, 8);
    bench.tell(&read(200, thread(11), &[(3, 7, false)]));
    let event = bench.call(call(200, Syscall::Unshare, 0).thread(11).files(OWN).args(&[0x400]));
    assert_eq!((event.kind, event.tid), (EventKind::Unshare, 11));
    assert_eq!((bench.open(1), own_tables(&bench)), (vec![(3, 7), (4, 8)], vec![vec![(3, 7)]]));
    // What was never in it leaves no trace.
    assert_eq!(bench.session.descriptors().filter(|one| one.ino == 8).count(), 1);
    bench.call(call(300, Syscall::Openat, 9).thread(11).files(OWN).result(slot(9, file(9))));
    assert_eq!((bench.open(1).len(), own_tables(&bench)), (2, vec![vec![(3, 7), (9, 9)]]));
}

#[test]
fn a_close_range_that_unshares_tells_what_it_closed_and_leaves_the_shared_table_alone() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.opens(110, 4, 8);
    bench.opens(120, 5, 9);
    bench.tell(&read(200, thread(11), &[(3, 7, false)]));
    let event = bench.call(call(200, Syscall::CloseRange, 0).thread(11).files(OWN).args(&[4, u32::MAX, 2]));
    assert_eq!((event.kind, event.fds.as_slice()), (EventKind::Close, &[4, 5][..]));
    assert_eq!((bench.open(1).len(), own_tables(&bench)), (3, vec![vec![(3, 7)]]));
}

#[test]
fn a_thread_that_begins_with_a_copy_has_a_table_until_it_ends() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.tell(&read(200, thread(11), &[(3, 7, false)]));
    let begins = |ts, tid, users| input(ts, Body::Thread(Thread { task: thread(tid), users, begins: true }));
    let ends = |ts, tid, users| input(ts, Body::Thread(Thread { task: thread(tid), users, begins: false }));
    let event = bench.one(&begins(200, 11, 1));
    assert_eq!((event.kind, event.via, event.fds.as_slice()), (EventKind::Unshare, Via::Fork, &[3][..]));
    // Another thread shares it. Both end at the same time, and each still counts the other.
    assert_eq!(bench.one(&begins(210, 12, 2)).fds, [3]);
    bench.closes(220, 3, file(7));
    assert_eq!((bench.open(1), own_tables(&bench)), (vec![], vec![vec![(3, 7)]]));
    assert_eq!(bench.one(&ends(300, 11, 2)).fds, []);
    assert_eq!(own_tables(&bench).len(), 1);
    let event = bench.one(&ends(301, 12, 2));
    assert_eq!((event.kind, event.via, event.fds.as_slice()), (EventKind::Close, Via::Exit, &[3][..]));
    assert_eq!(
        (own_tables(&bench).len(), bench.descriptor(7).closed),
        (0, Some((BootNs(301), Closed::Exit)))
    );
}

#[test]
fn a_leader_that_ends_leaves_the_process_its_threads_table() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.tell(&read(200, thread(11), &[(3, 7, false)]));
    bench.tell(&input(200, Body::Thread(Thread { task: thread(11), users: 1, begins: true })));
    bench.call(call(210, Syscall::Openat, 4).thread(11).files(OWN).result(slot(4, file(8))));
    let event = bench.one(&input(300, Body::Thread(Thread { task: task(1), users: 1, begins: false })));
    assert_eq!(event.fds, [3]);
    assert_eq!((bench.open(1), own_tables(&bench).len()), (vec![(3, 7), (4, 8)], 0));
}

#[test]
fn an_exec_from_among_threads_leaves_what_was_read() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.call(call(110, Syscall::Openat, 4).result(cloexec(slot(4, file(8)))));
    bench.opens(120, 5, 9);
    // A thread that was killed in a call never told that it emptied 5 and filled 6.
    bench.tell(&read(200, task(1), &[(3, 7, false), (6, 7, true)]));
    let event = bench.one(&exec(200, 1));
    assert_eq!(event.fds, [4]);
    assert_eq!(bench.open(1), [(3, 7), (6, 7)]);
    bench.call(call(300, Syscall::Close, 0).args(&[arg(6)]).subject(slot(6, file(7))));
    assert_eq!(bench.open(1), [(3, 7)]);
}

#[test]
fn what_another_thread_opened_during_a_close_range_is_closed_where_the_table_lacks_it_then() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    for (at, fd, n) in [(210, 4, 8), (220, 5, 9), (230, 6, 10)] {
        bench.call(call(at, Syscall::Openat, i64::from(fd)).thread(2).result(slot(fd, file(n))));
    }
    // The call came to 4 after it was filled, and to 5 before; 6 was filled again since.
    bench.tell(&read(300, task(1), &[(5, 9, false), (6, 11, false)]));
    let event = bench.call(call(300, Syscall::CloseRange, 0).enter(200).args(&[3, 9, 0]));
    assert_eq!(event.fds, [3, 4, 6]);
    assert_eq!(bench.open(1), [(5, 9)]);
    assert_eq!(bench.descriptor(8).closed, Some((BootNs(210), Closed::Close)));
    // Whose call returns later was not closed.
    bench.call(call(310, Syscall::Openat, 6).thread(3).enter(250).result(slot(6, file(11))));
    assert_eq!(bench.open(1), [(5, 9), (6, 11)]);
}

#[test]
fn close_on_exec_of_a_range_is_what_the_table_has_then() {
    let mut bench = Bench::new();
    for (at, fd, n) in [(210, 4, 8), (220, 5, 9)] {
        bench.call(call(at, Syscall::Openat, i64::from(fd)).thread(2).result(slot(fd, file(n))));
    }
    bench.tell(&read(300, task(1), &[(4, 8, true), (5, 9, false)]));
    let event = bench.call(call(300, Syscall::CloseRange, 0).enter(200).args(&[3, 9, 4]));
    assert_eq!((event.kind, event.fds), (EventKind::Setfd, vec![4]));
    assert_eq!((bench.descriptor(8).cloexec, bench.descriptor(9).cloexec), (true, false));
}

#[test]
fn what_was_read_of_a_shared_table_is_for_the_call_of_its_thread() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.call(call(210, Syscall::Openat, 4).thread(2).result(slot(4, file(8))));
    bench.tell(&read(300, task(1), &[]));
    // Another thread's call at the same moment takes nothing of it.
    bench.call(call(300, Syscall::Openat, 5).thread(2).result(slot(5, file(9))));
    let event = bench.call(call(300, Syscall::CloseRange, 0).enter(200).args(&[4, 4, 0]));
    assert_eq!(event.fds, [4]);
    assert_eq!(bench.open(1), [(3, 7), (5, 9)]);
}

#[test]
fn a_thread_executes_with_a_copy_of_its_own_table_and_not_of_its_leaders() {
    let mut bench = Bench::new();
    bench.call(call(100, Syscall::Openat, 3).result(cloexec(slot(3, file(7)))));
    bench.opens(110, 4, 8);
    // Another process has the table too, which is why exec makes a copy.
    bench.tell(&fork(150, 1, 2, true));
    bench.tell(&read(200, thread(1), &[(3, 7, true), (4, 8, false)]));
    bench.call(call(200, Syscall::Unshare, 0).args(&[0x400]).files(OWN));
    bench.call(call(250, Syscall::Openat, 5).result(cloexec(slot(5, file(9)))).files(OWN));
    let copy = Task { files: 0xe100, ..task(1) };
    let held = vec![Held { fd: 4, file: file(8).file, cloexec: false }];
    bench.tell(&input(300, Body::Table(Table { task: copy, from: task(1).files, first: 0, slots: held })));
    let Body::Exec(executed) = exec(300, 1).body else { panic!("no exec") };
    let told = bench.tell(&input(300, Body::Exec(Exec { task: copy, ..executed })));
    assert_eq!(told[0].fds, [3]);
    assert_eq!((bench.open(1), bench.open(2)), (vec![(4, 8)], vec![(3, 7), (4, 8)]));
}

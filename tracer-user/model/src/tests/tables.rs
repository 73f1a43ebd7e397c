//! Slots: filled, emptied, displaced, copied.

use super::make::{Bench, arg, call, cloexec, file, key, slot, socket_file, task, tcp, unset};
use crate::{
    entity::{Closed, Opened},
    event::{EventKind, Via},
    ids::BootNs,
    syscall::Syscall,
};

#[test]
fn a_close_empties_the_slot_as_of_its_entry() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let event = bench.closes(200, 3, file(7));
    assert_eq!((event.kind, event.fd, event.ino), (EventKind::Close, Some(3), Some(7)));
    assert_eq!(bench.descriptor(7).closed, Some((BootNs(190), Closed::Close)));
    let table = bench.table(1);
    let held = |at| bench.session.table_at(table, BootNs(at)).len();
    assert_eq!((held(99), held(100), held(189), held(190)), (0, 1, 1, 0));
}

/// The reader of one CPU may be behind those of others for longer than events wait for each other.
#[test]
fn what_comes_late_is_flagged_and_has_happened_when_it_did() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.opens(500, 4, 9);
    for call in [
        call(200, Syscall::Close, 0).args(&[3]).subject(slot(3, file(7))),
        call(300, Syscall::Openat, 3).result(slot(3, file(8))),
    ] {
        let mut input = call.input();
        input.late = true;
        let event = bench.one(&input);
        assert_eq!((event.late, event.ts), (true, input.ts));
    }
    let table = bench.table(1);
    let held = |at| -> Vec<(i32, u64)> {
        let found = bench.session.table_at(table, BootNs(at));
        found.iter().map(|one| (one.fd, one.ino)).collect()
    };
    assert_eq!(held(150), [(3, 7)]);
    assert_eq!(held(250), []);
    assert_eq!(held(400), [(3, 8)]);
    assert_eq!(held(600), [(3, 8), (4, 9)]);
}

#[test]
fn a_close_of_a_bad_number_changes_nothing() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let event = bench.call(call(200, Syscall::Close, -9).args(&[9]));
    assert_eq!((event.error, event.fd, event.ino), (Some(9), Some(9), None));
    let event = bench.call(call(300, Syscall::Close, -9).args(&[3]).subject(slot(3, file(7))));
    assert_eq!(event.error, Some(9));
    assert_eq!(bench.open(1), [(3, 7)]);
}

#[test]
fn an_interrupted_close_has_released_the_descriptor() {
    // close(2), "Dealing with error returns from close()": Linux releases it early, whatever comes after.
    for errno in [4, 5, 28, 122] {
        let mut bench = Bench::new();
        bench.opens(100, 3, 7);
        let event = bench.call(call(200, Syscall::Close, -errno).args(&[3]).subject(slot(3, file(7))));
        assert_eq!(event.error, u32::try_from(errno).ok());
        assert_eq!(bench.open(1), []);
    }
}

#[test]
fn a_lingering_close_does_not_empty_the_slot_that_was_filled_again() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    // Thread 2 opens while thread 1 is still in its close of the same number.
    bench.call(call(300, Syscall::Openat, 3).thread(2).result(slot(3, file(8))));
    assert_eq!(bench.descriptor(7).closed, Some((BootNs(300), Closed::Repair)));
    bench.call(call(900, Syscall::Close, 0).enter(200).args(&[3]).subject(slot(3, file(7))));
    assert_eq!(bench.descriptor(7).closed, Some((BootNs(200), Closed::Close)));
    assert_eq!(bench.open(1), [(3, 8)]);
    assert_eq!(bench.descriptor(8).opened, BootNs(300));
}

#[test]
fn a_displaced_slot_may_turn_out_to_be_replaced_by_dup2() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.opens(110, 4, 8);
    bench.call(call(300, Syscall::Openat, 4).thread(2).result(slot(4, file(9))));
    let late = call(900, Syscall::Dup2, 4).enter(200).args(&[3, 4]).subject(slot(4, file(8)));
    bench.call(late.result(slot(4, file(9))));
    assert_eq!(bench.descriptor(8).closed, Some((BootNs(200), Closed::Replaced)));
    assert_eq!(bench.open(1), [(3, 7), (4, 9)]);
}

#[test]
fn a_close_that_runs_long_empties_at_once_and_its_end_changes_nothing() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let close = call(500, Syscall::Close, 0).enter(200).args(&[3]).subject(slot(3, file(7)));
    let first = bench.call(close.clone().running());
    assert_eq!((first.pending, first.ret, first.call_id), (true, None, Some(1)));
    assert_eq!(bench.open(1), []);
    // The same file comes back to the same slot before the close returns, by dup from elsewhere.
    bench.call(call(600, Syscall::Openat, 3).thread(2).result(slot(3, file(7))));
    let second = bench.call({
        let mut close = close;
        close.ts = 700;
        close
    });
    assert_eq!((second.pending, second.ret, second.call_id, second.ino), (false, Some(0), Some(1), Some(7)));
    assert_eq!(second.dur_ns, Some(500));
    assert_eq!(bench.open(1), [(3, 7)]);
}

#[test]
fn the_same_file_in_the_same_slot_is_one_descriptor() {
    let mut bench = Bench::new();
    let event = bench.opens(100, 3, 7);
    assert_eq!(event.new_fd, Some(3));
    bench.call(call(200, Syscall::Dup2, 3).args(&[5, 3]).subject(slot(3, file(7))).result(slot(3, file(7))));
    assert_eq!(bench.session.descriptors().count(), 1);
    assert_eq!(bench.descriptor(7).opened, BootNs(100));
}

#[test]
fn duplicates_share_the_open_file_until_the_last_is_closed() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let event = bench.call(call(200, Syscall::Dup, 4).args(&[3]).result(slot(4, file(7))));
    assert_eq!(
        (event.kind, event.fd, event.new_fd, event.cloexec),
        (EventKind::Dup, Some(3), Some(4), Some(false))
    );
    let both: Vec<_> =
        bench.session.descriptors().map(|found| (found.fd, found.file, found.opened_by)).collect();
    assert_eq!(both[0].1, both[1].1);
    assert_eq!(both[1].2, Opened::By(EventKind::Dup));
    // The path that open was called with is the duplicate's as well.
    assert_eq!(bench.descriptor(7).name, b"/f");
    bench.closes(300, 3, file(7));
    bench.closes(310, 4, file(7));
    // Same address, same inode, but every descriptor was gone: another open file.
    bench.opens(400, 3, 7);
    assert_ne!(bench.descriptor(7).file, both[0].1);
}

#[test]
fn an_address_with_another_inode_is_another_open_file() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let first = bench.descriptor(7).file;
    let reused = crate::input::FileRef { ino: 8, ..file(7) };
    bench.call(call(200, Syscall::Openat, 4).result(slot(4, reused)));
    assert_ne!(bench.descriptor(8).file, first);
    bench.closes(300, 3, file(7));
    bench.call(call(400, Syscall::Dup, 5).args(&[4]).result(slot(5, reused)));
    let files: Vec<_> =
        bench.session.descriptors().filter(|found| found.ino == 8).map(|found| found.file).collect();
    assert_eq!(files[0], files[1]);
}

#[test]
fn dup2_and_dup3_replace_a_slot_at_entry() {
    for which in [Syscall::Dup2, Syscall::Dup3] {
        let mut bench = Bench::new();
        bench.opens(100, 3, 7);
        bench.opens(110, 4, 8);
        let replace = call(200, which, 4).args(&[3, 4]).subject(slot(4, file(8)));
        let event = bench.call(replace.result(cloexec(slot(4, file(7)))));
        assert_eq!((event.fd, event.new_fd, event.cloexec), (Some(3), Some(4), Some(true)));
        assert_eq!(event.call, Some(which));
        assert_eq!(bench.descriptor(8).closed, Some((BootNs(190), Closed::Replaced)));
        assert_eq!(bench.open(1), [(3, 7), (4, 7)]);
    }
}

#[test]
fn dup2_to_itself_and_a_failed_dup2_change_nothing() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let rev = bench.session.rev();
    let same = call(200, Syscall::Dup2, 3).args(&[3, 3]).subject(slot(3, file(7))).result(slot(3, file(7)));
    let event = bench.call(same);
    assert_eq!((event.fd, event.new_fd, event.ret), (Some(3), Some(3), Some(3)));
    let event = bench.call(call(300, Syscall::Dup2, -9).args(&[99, 3]).subject(slot(3, file(7))));
    assert_eq!((event.error, event.new_fd), (Some(9), None));
    assert_eq!(bench.open(1), [(3, 7)]);
    assert_eq!(bench.session.rev(), rev);
}

#[test]
fn fcntl_duplicates_and_sets_close_on_exec() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    for (command, flag) in [(0, false), (1030, true)] {
        let fd = if flag { 11 } else { 10 };
        let mut result = slot(fd, file(7));
        result.cloexec = flag;
        let event =
            bench.call(call(200, Syscall::Fcntl, i64::from(fd)).args(&[3, command, 10]).result(result));
        assert_eq!((event.kind, event.fd, event.new_fd), (EventKind::Dup, Some(3), Some(fd)));
        assert_eq!(event.cloexec, Some(flag));
    }
    assert_eq!(bench.open(1), [(3, 7), (10, 7), (11, 7)]);
    let event = bench.call(call(300, Syscall::Fcntl, 0).args(&[3, 2, 1]).result(cloexec(slot(3, file(7)))));
    assert_eq!((event.kind, event.fd, event.cloexec), (EventKind::Setfd, Some(3), Some(true)));
    assert_eq!(event.new_fd, None);
    let event = bench.call(call(400, Syscall::Ioctl, 0).args(&[3, 0x5450]).result(slot(3, file(7))));
    assert_eq!((event.kind, event.cloexec), (EventKind::Setfd, Some(false)));
    let event = bench.call(call(500, Syscall::Ioctl, 0).args(&[3, 0x5451]).result(cloexec(slot(3, file(7)))));
    assert_eq!((event.kind, event.cloexec), (EventKind::Setfd, Some(true)));
    assert!(bench.session.table_at(bench.table(1), BootNs(500))[0].cloexec);
}

#[test]
fn close_range_ends_the_open_numbers_in_it() {
    let mut bench = Bench::new();
    for (at, fd) in [(100, 3), (110, 4), (120, 7), (130, 9)] {
        bench.opens(at, fd, u64::try_from(fd).unwrap());
    }
    let event = bench.call(call(200, Syscall::CloseRange, 0).args(&[4, 8, 0]));
    assert_eq!((event.kind, event.fds.as_slice()), (EventKind::Close, &[4, 7][..]));
    assert_eq!(bench.open(1), [(3, 3), (9, 9)]);
    assert_eq!(bench.descriptor(4).closed, Some((BootNs(190), Closed::Close)));
    let event = bench.call(call(300, Syscall::CloseRange, 0).args(&[3, u32::MAX, 4]));
    assert_eq!(
        (event.kind, event.fds.as_slice(), event.cloexec),
        (EventKind::Setfd, &[3, 9][..], Some(true))
    );
    assert!(bench.session.table_at(bench.table(1), BootNs(300)).iter().all(|found| found.cloexec));
    let event = bench.call(call(400, Syscall::CloseRange, -22).args(&[9, 3, 0]));
    assert_eq!((event.error, event.fds.len()), (Some(22), 0));
    let event = bench.call(call(500, Syscall::CloseRange, 0).args(&[3, u32::MAX, 0]));
    assert_eq!(event.fds, [3, 9]);
    assert_eq!(bench.open(1), []);
}

#[test]
fn close_range_unshare_closes_in_a_copy() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.opens(110, 4, 8);
    bench.tell(&super::make::fork(150, 1, 2, true));
    let shared = bench.table(1);
    let event = bench.call(call(200, Syscall::CloseRange, 0).by(2).files(0xe000).args(&[4, 9, 2]));
    assert_eq!(event.fds, [4]);
    assert_eq!(bench.open(1), [(3, 7), (4, 8)]);
    assert_eq!(bench.open(2), [(3, 7)]);
    assert_eq!(bench.table(1), shared);
    assert_ne!(bench.table(2), shared);
}

#[test]
fn what_another_thread_opened_during_a_close_range_stays() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.call(call(250, Syscall::Openat, 4).thread(2).result(slot(4, file(8))));
    let event = bench.call(call(300, Syscall::CloseRange, 0).enter(200).args(&[3, 9, 0]));
    assert_eq!(event.fds, [3]);
    assert_eq!(bench.open(1), [(4, 8)]);
}

#[test]
fn socketpair_and_pipe_fill_two_slots_with_one_line() {
    let mut bench = Bench::new();
    let pipe = |n| crate::input::FileRef { mode: 0o010_600, ..file(n) };
    let event = bench.call(call(100, Syscall::Pipe2, 0).result(slot(3, pipe(5))).result(slot(4, pipe(6))));
    assert_eq!((event.kind, event.fds.as_slice(), event.new_fd), (EventKind::Pipe, &[3, 4][..], None));
    let pair =
        call(200, Syscall::Socketpair, 0).result(slot(5, socket_file(15))).result(slot(6, socket_file(16)));
    let event = bench.call(pair.sock(super::make::unix(1, 1)).sock(super::make::unix(2, 1)));
    assert_eq!((event.kind, event.fds.as_slice()), (EventKind::Socketpair, &[5, 6][..]));
    assert_eq!(bench.session.sockets().count(), 2);
    assert!(bench.session.sockets().all(|socket| socket.steps[0].phase == crate::entity::Phase::Connected));
    assert_eq!(bench.open(1), [(3, 5), (4, 6), (5, 15), (6, 16)]);
}

#[test]
fn a_descriptor_that_was_taken_from_another_process_is_a_pass() {
    let mut bench = Bench::new();
    let event = bench.call(call(200, Syscall::PidfdGetfd, 9).args(&[4, 1]).result(cloexec(slot(9, file(9)))));
    assert_eq!((event.kind, event.fd, event.new_fd), (EventKind::Pass, Some(4), Some(9)));
    assert_eq!(event.direction, Some(crate::event::Direction::In));
    assert_eq!(bench.open(1), [(9, 9)]);
}

#[test]
fn a_slot_that_was_emptied_before_its_call_returned_stays_empty() {
    let mut bench = Bench::new();
    let empty = crate::input::Slot { fd: 3, file: None, cloexec: false, nonblock: false, name: Vec::new() };
    let event = bench.call(call(100, Syscall::Openat, 3).result(empty));
    assert_eq!((event.new_fd, event.ino), (Some(3), None));
    assert_eq!(bench.open(1), []);
}

#[test]
fn a_thread_with_a_table_of_its_own_does_not_disturb_the_others() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.call(call(200, Syscall::Unshare, 0).thread(5).files(0xe000));
    bench.call(call(300, Syscall::Close, 0).thread(5).files(0xe000).args(&[3]).subject(slot(3, file(7))));
    assert_eq!(bench.open(1), [(3, 7)]);
    bench.opens(400, 4, 8);
    assert_eq!(bench.open(1), [(3, 7), (4, 8)]);
    // An exec ends the other threads, and with them their tables.
    bench.call(call(500, Syscall::Openat, 6).thread(5).files(0xe000).result(slot(6, file(6))));
    bench.execs(600, 1);
    assert_eq!(bench.descriptor(6).closed, Some((BootNs(600), Closed::Exit)));
    assert_eq!(bench.open(1), [(3, 7), (4, 8)]);
}

#[test]
fn a_leader_with_a_new_table_leaves_the_old_one_to_the_other_threads() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    let event = bench.call(call(200, Syscall::Unshare, 0).files(0xe000));
    assert_eq!((event.kind, event.via), (EventKind::Unshare, Via::Syscall));
    assert_eq!(bench.open(1), [(3, 7)]);
    bench.call(call(300, Syscall::Close, 0).files(0xe000).args(&[3]).subject(slot(3, file(7))));
    assert_eq!(bench.open(1), []);
    assert_eq!(bench.session.descriptors().filter(|found| found.closed.is_none()).count(), 1);
    let _ = bench.exits(400, 1);
    assert_eq!(bench.session.descriptors().filter(|found| found.closed.is_none()).count(), 0);
}

#[test]
fn closed_descriptors_are_evicted_oldest_first_and_open_ones_never() {
    let limits = crate::session::Limits { kept_descriptors: 2, ..crate::session::Limits::default() };
    let mut bench = Bench::with(limits);
    bench.opens(10, 3, 100);
    for n in 0..5_u64 {
        bench.opens(100 + n * 100, 4, n + 1);
        bench.closes(150 + n * 100, 4, file(n + 1));
    }
    let kept: Vec<_> = bench.session.descriptors().map(|found| found.ino).collect();
    assert_eq!(kept, [100, 4, 5]);
    assert_eq!(bench.session.table_at(bench.table(1), BootNs(410)).len(), 2);
    assert_eq!(bench.session.changes_since(1, 100).evicted_descriptors.len(), 3);
}

#[test]
fn nothing_is_told_of_a_process_that_ended() {
    let mut bench = Bench::new();
    bench.opens(100, 3, 7);
    bench.exits(200, 1);
    let event = bench.call(call(300, Syscall::Socket, 4).result(slot(4, socket_file(4))).sock(tcp(
        4,
        7,
        unset(),
        unset(),
    )));
    assert_eq!((event.new_fd, event.ino), (Some(4), Some(4)));
    assert!(bench.session.table_at(bench.table(1), BootNs(300)).is_empty());
    assert_eq!(bench.session.process(key(1)).unwrap().ended, Some(BootNs(200)));
    assert_eq!(task(1).tid, arg(1));
}

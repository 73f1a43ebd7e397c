//! Events of calls: kinds, errors, durations, calls that run long.

use super::make::{Bench, EPOCH, call, file, named, slot, socket_file};
use crate::{
    event::{EventKind, FileKind, Via},
    ids::BootNs,
    input::Origin,
    syscall::Syscall,
};

#[test]
fn an_event_has_the_marks_of_its_input() {
    let mut bench = Bench::new();
    let mut open = call(1000, Syscall::Openat, 3).thread(9).path("/etc/x").result(slot(3, file(7))).input();
    open.origin = Some(Origin { cpu: 1, cpu_seq: 5 });
    open.late = true;
    let event = bench.one(&open);
    assert_eq!((event.seq, event.ts, event.epoch_ns), (1, BootNs(1000), 1000 + EPOCH.unsigned_abs()));
    assert_eq!((event.tid, event.late, event.origin), (9, true, open.origin));
    assert_eq!((event.call, event.via, event.dur_ns), (Some(Syscall::Openat), Via::Syscall, Some(10)));
    assert_eq!((event.kind, event.new_fd, event.fd), (EventKind::Open, Some(3), None));
    assert_eq!((event.path.as_deref(), event.file_kind), (Some(&b"/etc/x"[..]), Some(FileKind::File)));
    assert_eq!((event.ino, event.cloexec, event.error), (Some(7), Some(false), None));
    assert_eq!(bench.descriptor(7).name, b"/etc/x");
    assert_eq!(bench.opens(1100, 4, 8).seq, 2);
}

#[test]
fn a_failed_call_has_its_error_and_fills_nothing() {
    let mut bench = Bench::new();
    let event = bench.call(call(100, Syscall::Openat, -2).path("/no"));
    assert_eq!((event.ret, event.error, event.new_fd), (Some(-2), Some(2), None));
    // Restarted calls have errors beyond those of errno(3): ERESTARTSYS.
    let event = bench.call(call(200, Syscall::Accept, -512).args(&[3]));
    assert_eq!(event.error, Some(512));
    assert_eq!(bench.open(1), []);
}

#[test]
fn a_call_that_runs_long_gives_two_lines_with_one_number() {
    let mut bench = Bench::new();
    let accept = call(200, Syscall::Accept, -4).enter(50).args(&[3]).subject(slot(3, socket_file(1)));
    let running = bench.call(accept.clone().running());
    assert_eq!(
        (running.pending, running.ret, running.call_id, running.dur_ns),
        (true, None, Some(1), Some(150))
    );
    let mut done = accept.clone();
    done.ts = 900;
    let done = bench.call(done);
    assert_eq!((done.pending, done.ret, done.call_id, done.dur_ns), (false, Some(-4), Some(1), Some(850)));
    // Told as running after it is known to have returned, it is not told again.
    assert_eq!(bench.tell(&accept.running().input()), []);
    // Another call of the thread is another call, another thread's too.
    assert_eq!(bench.call(call(2000, Syscall::Accept, 0).running()).call_id, Some(2));
    assert_eq!(bench.call(call(2000, Syscall::Accept, 0).thread(8).running()).call_id, Some(3));
    assert_eq!(bench.call(call(2100, Syscall::Accept, -4)).call_id, None);
}

#[test]
fn a_call_that_ran_before_tracing_has_no_duration() {
    let mut bench = Bench::new();
    let mut accept = call(500, Syscall::Accept, -4);
    accept.call.enter = None;
    let running = bench.call(accept.clone().running());
    assert_eq!((running.call_id, running.dur_ns), (Some(1), None));
    accept.ts = 600;
    assert_eq!(bench.call(accept.clone()).call_id, Some(1));
    assert_eq!(bench.tell(&accept.running().input()), []);
}

#[test]
fn each_call_has_the_event_and_the_kind_of_its_name() {
    let expected = [
        (Syscall::Eventfd2, EventKind::Eventfd, FileKind::Eventfd),
        (Syscall::EpollCreate1, EventKind::Epoll, FileKind::Epoll),
        (Syscall::TimerfdCreate, EventKind::Timerfd, FileKind::Timerfd),
        (Syscall::Signalfd4, EventKind::Signalfd, FileKind::Signalfd),
        (Syscall::InotifyInit1, EventKind::Inotify, FileKind::Inotify),
        (Syscall::FanotifyInit, EventKind::Fanotify, FileKind::Fanotify),
        (Syscall::MemfdCreate, EventKind::Memfd, FileKind::Memfd),
        (Syscall::PidfdOpen, EventKind::Pidfd, FileKind::Pidfd),
        (Syscall::Userfaultfd, EventKind::Userfaultfd, FileKind::Userfaultfd),
        (Syscall::PerfEventOpen, EventKind::PerfEvent, FileKind::PerfEvent),
        (Syscall::IoUringSetup, EventKind::IoUring, FileKind::IoUring),
        (Syscall::MqOpen, EventKind::Mqueue, FileKind::Mqueue),
        (Syscall::LandlockCreateRuleset, EventKind::Landlock, FileKind::Anonymous),
        (Syscall::Open, EventKind::Open, FileKind::File),
        (Syscall::Creat, EventKind::Open, FileKind::File),
    ];
    let mut bench = Bench::new();
    for (index, (which, kind, file_kind)) in (0_i32..).zip(expected) {
        let fd = 3 + index;
        let n = u64::from(fd.unsigned_abs());
        // A path may be called like an anonymous inode.
        let made = call(1000 + n * 20, which, i64::from(fd)).args(&[u32::MAX]);
        let event = bench.call(made.result(named(fd, file(n), "[eventpoll]")));
        assert_eq!((event.kind, event.file_kind, event.new_fd), (kind, Some(file_kind), Some(fd)), "{which}");
        assert_eq!(bench.descriptor(n).kind, file_kind);
    }
}

#[test]
fn a_ring_without_a_number_fills_no_slot() {
    let mut bench = Bench::new();
    bench.opens(100, 0, 7);
    let event = bench.call(call(200, Syscall::IoUringSetup, 0).args(&[8]));
    assert_eq!((event.kind, event.ret), (EventKind::IoUring, Some(0)));
    assert_eq!((event.new_fd, event.file_kind, event.ino), (None, None, None));
    assert_eq!(bench.descriptor(7).closed, None);
}

#[test]
fn a_received_file_is_known_by_its_name() {
    let mut bench = Bench::new();
    for (name, kind) in [
        ("[eventpoll]", FileKind::Epoll),
        ("memfd:buf", FileKind::Memfd),
        ("inotify", FileKind::Inotify),
        ("x", FileKind::File),
    ] {
        let event = bench.call(call(100, Syscall::Recvmsg, 1).args(&[4]).result(named(5, file(7), name)));
        assert_eq!(event.file_kind, Some(kind));
        bench.closes(200, 5, file(7));
    }
}

#[test]
fn the_name_of_a_process_is_in_its_events_from_its_exec_on() {
    let mut bench = Bench::new();
    assert_eq!(bench.opens(100, 3, 7).comm, "");
    bench.execs(200, 1);
    assert_eq!(bench.opens(300, 4, 8).comm, "server");
}

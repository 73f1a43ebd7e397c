//! Passed descriptors, and those that calls make beside their result.

use super::make::{Bench, call, cloexec, file, named, slot, socket_file, task, unix};
use crate::{
    event::{Direction, EventKind, FileKind, Via},
    ids::BootNs,
    input::{Body, Fork, Given, LossCause, Place, Slot},
    syscall::Syscall,
};

#[test]
fn what_one_call_received_is_one_line() {
    let mut bench = Bench::new();
    let received = call(100, Syscall::Recvmmsg, 2).args(&[5]).result(slot(7, file(7)));
    let event = bench.call(received.result(slot(8, socket_file(8))).sock(unix(1, 1)));
    assert_eq!((event.kind, event.direction, event.fd), (EventKind::Pass, Some(Direction::In), Some(5)));
    assert_eq!((event.ret, event.new_fd, event.fds.as_slice()), (Some(2), None, &[7, 8][..]));
    assert_eq!((event.file_kind, event.socket), (None, None), "two slots have no one description");
    assert_eq!(bench.open(1), [(7, 7), (8, 8)]);
    assert!(bench.descriptor(8).socket.is_some());

    let one = call(200, Syscall::Recvmsg, 1).args(&[5]).result(cloexec(named(9, file(9), "x")));
    let event = bench.call(one);
    assert_eq!((event.new_fd, event.fds.as_slice(), event.cloexec), (Some(9), &[9][..], Some(true)));
    assert_eq!((event.file_kind, event.ino), (Some(FileKind::File), Some(9)));
}

/// The caller's memory said 7 and 8; 8 was closed by another thread, or is none.
#[test]
fn a_number_that_is_not_in_the_table_was_not_received_for_certain() {
    let mut bench = Bench::new();
    bench.opens(50, 6, 6);
    let gone = Slot { file: None, ..slot(8, file(8)) };
    let told =
        bench.tell(&call(100, Syscall::Recvmsg, 1).args(&[5]).result(slot(7, file(7))).result(gone).input());
    let [event, doubt, ..] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((event.new_fd, event.fds.as_slice(), event.ino), (Some(7), &[7][..], Some(7)));
    assert_eq!((doubt.kind, doubt.cause), (EventKind::Lost, Some(LossCause::UnknownFile)));
    assert_eq!(bench.open(1), [(6, 6), (7, 7)]);
    assert!(bench.session.take_repair_wanted());
}

/// While 8 was received, another thread copied 6 over it.
#[test]
fn a_number_that_holds_another_threads_file_was_not_received() {
    let mut bench = Bench::new();
    bench.opens(50, 6, 6);
    bench.call(call(95, Syscall::Dup2, 8).args(&[6, 8]).result(slot(8, file(6))));
    let event = bench.call(call(100, Syscall::Recvmsg, 1).args(&[5]).result(slot(8, file(6))));
    assert_eq!((event.new_fd, event.fds.as_slice(), event.ino), (None, &[][..], None));
    assert_eq!(bench.open(1), [(6, 6), (8, 6)]);

    // One that was there before the call came is another matter: its close may be told later.
    let event = bench.call(call(200, Syscall::Recvmsg, 1).args(&[5]).result(slot(8, file(6))));
    assert_eq!((event.new_fd, event.ino), (Some(8), Some(6)));
}

#[test]
fn what_is_sent_stays_in_its_slot() {
    let mut bench = Bench::new();
    bench.opens(100, 7, 7);
    let event = bench.call(call(200, Syscall::Sendmsg, 1).args(&[5]).result(slot(7, file(7))));
    assert_eq!((event.kind, event.direction, event.fd), (EventKind::Pass, Some(Direction::Out), Some(5)));
    assert_eq!((event.new_fd, event.fds.as_slice(), event.ino), (None, &[7][..], Some(7)));
    let failed = call(300, Syscall::Sendmsg, -9).args(&[5]).result(slot(7, file(7)));
    let event = bench.call(failed);
    assert_eq!((event.error, event.fds.as_slice()), (Some(9), &[7][..]));
    assert_eq!(bench.open(1), [(7, 7)]);
}

#[test]
fn a_received_descriptor_is_the_open_file_that_was_sent() {
    let mut bench = Bench::new();
    bench.opens(100, 7, 7);
    bench.call(call(200, Syscall::Recvmsg, 1).by(2).args(&[4]).result(named(3, file(7), "x")));
    let files: Vec<_> = bench.session.descriptors().map(|descriptor| descriptor.file).collect();
    assert_eq!(files.len(), 2);
    assert_eq!(files[0], files[1]);
}

#[test]
fn a_pidfd_of_clone_is_a_line_beside_its_forks() {
    let mut bench = Bench::new();
    let child = super::make::key(2);
    let fork = Fork {
        task: task(1),
        call: Some(Syscall::Clone3),
        enter: Some(BootNs(90)),
        child,
        ret: 2,
        place: Place::default(),
        child_files: 0xf002,
        shares_files: false,
        comm: b"server".to_vec(),
    };
    let told = bench.tell(&super::make::input(100, Body::Fork(fork)));
    assert_eq!(told.len(), 1);
    let event = bench.call(call(110, Syscall::Clone3, 2).result(cloexec(named(5, file(5), "[pidfd]"))));
    assert_eq!((event.kind, event.via, event.call, event.ret), (EventKind::Pidfd, Via::Fork, None, None));
    assert_eq!((event.new_fd, event.cloexec, event.file_kind), (Some(5), Some(true), Some(FileKind::Pidfd)));
    assert_eq!((bench.open(1), bench.open(2)), (vec![(5, 5)], vec![]));
}

#[test]
fn requests_that_make_a_descriptor_open_it() {
    const NS_GET_USERNS: u32 = 0xb701;
    let mut bench = Bench::new();
    let event = bench.call(call(100, Syscall::Ioctl, 4).args(&[3, NS_GET_USERNS]).result(slot(4, file(4))));
    assert_eq!((event.kind, event.fd, event.new_fd), (EventKind::Open, Some(3), Some(4)));
    let event = bench.call(call(200, Syscall::Getsockopt, 0).args(&[3]).result(cloexec(slot(6, file(6)))));
    assert_eq!((event.kind, event.fd, event.new_fd), (EventKind::Pidfd, Some(3), Some(6)));
    for (index, which, kind) in [(0, Syscall::Bpf, EventKind::Bpf), (1, Syscall::Seccomp, EventKind::Seccomp)]
    {
        let fd = 10 + index;
        let made = call(300, which, i64::from(fd)).result(slot(fd, file(20 + u64::from(fd.unsigned_abs()))));
        let event = bench.call(made);
        assert_eq!((event.kind, event.new_fd), (kind, Some(fd)));
    }
}

#[test]
fn an_lseek_fails_on_a_socket() {
    let mut bench = Bench::new();
    let event = bench
        .call(call(100, Syscall::Lseek, -29).args(&[3]).subject(slot(3, socket_file(3))).sock(unix(1, 1)));
    assert_eq!((event.kind, event.fd, event.error), (EventKind::Lseek, Some(3), Some(29)));
    assert!(event.socket.is_some());
}

#[test]
fn a_descriptor_that_a_supervisor_adds_replaces_what_was_there() {
    const ADDFD: u32 = 0x4018_2103;
    let mut bench = Bench::new();
    bench.opens(100, 7, 7);
    bench.call(call(110, Syscall::Openat, 5).by(2).result(slot(5, file(9))));
    let ioctl = call(200, Syscall::Ioctl, 5).args(&[4, ADDFD]).subject(slot(7, file(7)));
    let event = bench.call(ioctl);
    assert_eq!((event.kind, event.direction, event.fd), (EventKind::Pass, Some(Direction::Out), Some(4)));
    assert_eq!((event.fds.as_slice(), event.ino, event.new_fd), (&[7][..], Some(7), None));

    let mut task = task(2);
    task.tid = 0;
    let given = |slot| super::make::input(200, Body::Given(Box::new(Given { task, slot, sock: None })));
    let told = bench.tell(&given(cloexec(slot(5, file(7)))));
    let [event] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((event.kind, event.via, event.call), (EventKind::Pass, Via::Kernel, None));
    assert_eq!((event.direction, event.new_fd, event.cloexec), (Some(Direction::In), Some(5), Some(true)));
    assert_eq!((bench.open(1), bench.open(2)), (vec![(7, 7)], vec![(5, 7)]));
    assert_eq!(bench.descriptor(9).closed.map(|(_, how)| how), Some(crate::entity::Closed::Replaced));

    // One that was closed again before the supervisor's call returned fills nothing.
    let told = bench.tell(&given(Slot { file: None, ..slot(6, file(7)) }));
    assert_eq!(told[0].new_fd, Some(6));
    assert_eq!(bench.open(2), [(5, 7)]);
}

//! Any input: what no kernel tells is among it.

use super::make::{listener, row};
use crate::{
    address::Address,
    event::{AppProtocol, Spoken},
    ids::{BootNs, ProcessKey, StackId},
    input::{
        Body, Call, Exec, Exit, FileRef, Fork, Heard, Input, ListenerSample, LossCause, Lost, Made,
        NamespaceSample, Origin, Overflow, Place, Queued, Reason, Request, Retransmit, Row, Sampled, Sleeps,
        Slept, Slot, Sock, State, Table, Task, Thread, Waiting,
    },
    stacks::{Cut, Frame, Stack},
    syscall::Syscall,
};
use proptest::prelude::*;

fn any_task() -> impl Strategy<Value = Task> {
    (0..4_u32, 0..2_u64, 0..4_u32, 0..5_u64).prop_map(|(pid, start, tid, files)| Task {
        process: ProcessKey { pid, start_ns: start },
        tid,
        files: files * 0x100,
    })
}

fn any_file() -> impl Strategy<Value = FileRef> {
    let modes = prop_oneof![Just(0o100_644), Just(0o140_777), Just(0o010_600), Just(0), any::<u32>()];
    (0..6_u64, 0..6_u64, 0..2_u32, modes).prop_map(|(file, ino, dev, mode)| FileRef { file, ino, dev, mode })
}

fn any_slot() -> impl Strategy<Value = Slot> {
    let numbers = prop_oneof![8 => 0..6_i32, 1 => any::<i32>()];
    let names = prop_oneof![
        Just(b"[eventpoll]".to_vec()),
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 0..9)
    ];
    (numbers, prop::option::weighted(0.9, any_file()), any::<(bool, bool)>(), names)
        .prop_map(|(fd, file, (cloexec, nonblock), name)| Slot { fd, file, cloexec, nonblock, name })
}

fn any_address() -> impl Strategy<Value = Address> {
    prop_oneof![
        (0..3_u32, 0..3_u16).prop_map(|(ip, port)| Address::Inet(ip.into(), port)),
        (0..3_u128, 0..3_u16).prop_map(|(ip, port)| Address::Inet6(ip.into(), port)),
        prop::collection::vec(any::<u8>(), 0..3).prop_map(Address::Unix),
        (any::<u16>(), prop::collection::vec(any::<u8>(), 0..3))
            .prop_map(|(family, name)| Address::Other(family, name)),
        (0..3_u32, 0..2_u32).prop_map(|(portid, groups)| Address::Netlink { portid, groups }),
    ]
}

fn any_sock() -> impl Strategy<Value = Sock> {
    let kinds = prop_oneof![
        Just((2, 1, 6)),
        Just((10, 1, 6)),
        Just((2, 2, 17)),
        Just((1, 1, 0)),
        Just((16, 3, 0)),
        any::<(u16, u16, u16)>()
    ];
    (0..6_u64, kinds, 0..14_u16, any_address(), any_address(), 0..3_u32).prop_map(
        |(sk, (family, ty, protocol), state, local, peer, queue)| Sock {
            family,
            ty,
            protocol,
            state,
            local,
            peer,
            queue_len: queue,
            sk,
            ..listener(0, 0)
        },
    )
}

fn any_call() -> impl Strategy<Value = Call> {
    let rets = prop_oneof![4 => (0..6_i64).prop_map(Some), 1 => Just(None), 1 => (-600..0_i64).prop_map(Some), 1 => any::<i64>().prop_map(Some)];
    let args = prop_oneof![4 => [0..6_u32, 0..6_u32, 0..8_u32, 0..6_u32], 1 => any::<[u32; 4]>()];
    let calls = prop::sample::select(Syscall::ALL);
    let times = (prop::option::of(0..1000_u64), prop::option::of(0..1000_u64));
    let slots = (prop::option::of(any_slot()), prop::collection::vec(any_slot(), 0..3));
    let socks = (prop::collection::vec(any_sock(), 0..3), prop::option::of(0..6_u64));
    let texts = (prop::option::of(any_address()), prop::option::of(prop::collection::vec(any::<u8>(), 0..6)));
    (any_task(), calls, rets, args, times, slots, socks, texts).prop_map(
        |(task, call, ret, args, (enter, queued), (subject, results), (socks, listener), (asked, path))| {
            Call {
                task,
                call,
                enter: enter.map(BootNs),
                ret,
                args,
                subject,
                results,
                socks,
                listener,
                queued: queued.map(BootNs),
                queue: queued.map(|_| (1, 2)),
                sleeps: queued.map(|_| Sleeps { thread_start: BootNs(2), count: 3 }),
                asked,
                asked_value: ret.map(|_| -1),
                path,
                request: call.name().starts_with("IORING_OP_").then(|| Request {
                    ring: u64::from(args[3] % 3),
                    user_data: 0,
                    subject_direct: args[2] & 1 != 0,
                    result_direct: args[2] & 2 != 0,
                    unconfirmed: ret.is_none(),
                    doubtful: args[2] & 4 != 0,
                    by_mark: args[2] & 8 != 0,
                    target: (args[2] & 16 != 0).then_some(u64::from(args[3] % 4)),
                }),
            }
        },
    )
}

fn any_reason() -> impl Strategy<Value = Reason> {
    prop_oneof![Just(Reason::Start), Just(Reason::Selected), Just(Reason::Repair), Just(Reason::Check)]
}

fn any_held() -> impl Strategy<Value = crate::input::Held> {
    (0..6_i32, 0..6_u64, any::<bool>()).prop_map(|(fd, file, cloexec)| crate::input::Held {
        fd,
        file,
        cloexec,
    })
}

fn any_row() -> impl Strategy<Value = Row> {
    (any_task(), any_slot(), prop::option::of(any_sock())).prop_map(|(task, slot, sock)| Row {
        process: task.process,
        files: task.files,
        ..row(1, slot, sock)
    })
}

fn any_heard() -> impl Strategy<Value = Body> {
    let protocols = prop::sample::select(AppProtocol::ALL);
    (any_task(), any_sock(), -1..5, protocols, any::<(bool, bool)>(), prop::option::of("\\PC{0,20}"))
        .prop_map(|(task, sock, fd, protocol, (inferred, sni_cut), sni)| {
            let spoken = Spoken { protocol, inferred, sni, sni_cut };
            Body::Spoken(Box::new(Heard { task, fd, sock, spoken }))
        })
}

fn any_sampled() -> impl Strategy<Value = Body> {
    let listeners = prop::collection::vec((any_task(), any_sock(), prop::option::of(any::<u32>())), 0..3);
    let namespaces = prop::collection::vec((any::<u64>(), any::<u64>()), 0..2);
    (any::<u64>(), any::<(bool, bool)>(), listeners, namespaces).prop_map(
        |(period_ns, (sched, peek), listeners, namespaces)| {
            let listener = |(task, sock, drops): (Task, Sock, Option<u32>)| ListenerSample {
                ts: BootNs(period_ns),
                process: task.process,
                sock,
                drops,
            };
            let namespace = |(overflows, drops)| NamespaceSample {
                netns: 77,
                overflows: (overflows, drops),
                drops: (drops, overflows),
            };
            Body::Sampled(Box::new(Sampled {
                period_ns,
                sched,
                peek,
                stacks: sched.then_some(period_ns),
                listeners: listeners.into_iter().map(listener).collect(),
                namespaces: namespaces.into_iter().map(namespace).collect(),
            }))
        },
    )
}

fn any_made() -> impl Strategy<Value = Body> {
    let frame = (prop::option::of(Just(b"/usr/bin/x".to_vec())), any::<u64>(), any::<bool>()).prop_map(
        |(file, offset, named)| Frame { file, offset, symbol: named.then(|| ("f".to_owned(), offset)) },
    );
    let cuts =
        prop::sample::select(vec![None, Some(Cut::NoFramePointer), Some(Cut::Long), Some(Cut::Unread)]);
    let stack = (prop::collection::vec(frame, 0..3), cuts).prop_map(|(frames, cut)| Stack { frames, cut });
    let fds = prop::collection::vec(-1..6_i32, 0..3);
    (any_task(), 0..1000_u64, fds, 0..3_u32, prop::option::of(stack)).prop_map(
        |(task, taken, fds, stack, new)| {
            Body::Made(Box::new(Made { task, taken: BootNs(taken), fds, stack: StackId(stack), new }))
        },
    )
}

fn any_slept() -> impl Strategy<Value = Body> {
    let calls = prop_oneof![Just(None), Just(Some("accept4".to_owned())), Just(Some("read".to_owned()))];
    (any_task(), any::<u64>(), prop::option::of(0..1000_u64), any::<u32>(), calls).prop_map(
        |(task, off, woken, state, call)| {
            let woken = woken.map(BootNs);
            Body::Slept(Box::new(Slept { task, off: BootNs(off), woken, state, call }))
        },
    )
}

fn any_body() -> impl Strategy<Value = Body> {
    let name = || prop::collection::vec(any::<u8>(), 0..5);
    let calls = || prop::option::of(prop::sample::select(Syscall::ALL));
    let fork = (any_task(), any_task(), calls(), any::<bool>(), name()).prop_map(
        |(task, child, call, shares_files, comm)| {
            Body::Fork(Fork {
                task,
                call,
                enter: None,
                child: child.process,
                ret: child.process.pid,
                place: Place::default(),
                child_files: child.files,
                shares_files,
                comm,
            })
        },
    );
    let exec = (any_task(), calls(), name(), any::<bool>()).prop_map(|(task, call, comm, newly_followed)| {
        Body::Exec(Exec {
            task,
            call,
            enter: None,
            place: Place::default(),
            path: comm.clone(),
            comm,
            newly_followed,
        })
    });
    let state = (any_task(), 0..14_u16, 0..14_u16, any::<u32>(), any_sock()).prop_map(
        |(task, from, to, error, sock)| Body::State(State { task, from, to, error, sock, tcp: None }),
    );
    let queued = (any_task(), 0..6_u64, any_sock()).prop_map(|(task, listener, sock)| {
        Body::Queued(Queued { task, listener, queue_len: 1, queue_limit: 2, sock })
    });
    prop_oneof![
        1 => any::<i64>().prop_map(|epoch_minus_boot_ns| Body::Anchor { epoch_minus_boot_ns }),
        20 => any_call().prop_map(|call| Body::Call(Box::new(call))),
        3 => fork,
        2 => exec,
        2 => (any_task(), any::<u32>()).prop_map(|(task, code)| Body::Exit(Exit { task, code })),
        4 => state,
        2 => queued,
        2 => any_reason().prop_map(Body::SnapshotBegin),
        8 => any_row().prop_map(|row| Body::Row(Box::new(row))),
        2 => any_reason().prop_map(Body::SnapshotEnd),
        3 => (any_task(), 0..2_i32, prop::collection::vec(any_held(), 0..6))
            .prop_map(|(task, first, slots)| Body::Table(Table { task, from: 0, first, slots })),
        2 => (any_task(), any::<u32>(), any::<bool>())
            .prop_map(|(task, users, begins)| Body::Thread(Thread { task, users, begins })),
        2 => (any_task(), 0..6_u64, any_sock())
            .prop_map(|(task, listener, sock)| Body::Waiting(Box::new(Waiting { task, listener, sock }))),
        2 => any_sampled(),
        1 => (any_task(), any_sock()).prop_map(|(task, sock)| {
            Body::Overflow(Box::new(Overflow { task, queue_len: 2, queue_limit: 1, sock }))
        }),
        1 => (any_task(), any_sock())
            .prop_map(|(task, sock)| Body::Retransmit(Box::new(Retransmit { task, sock }))),
        1 => any_slept(),
        1 => any_heard(),
        2 => any_made(),
        1 => (any::<u64>(), prop::option::of(0..3_u32)).prop_map(|(count, cpu)| {
            Body::Lost(Lost { count, cause: LossCause::Unknown, cpu })
        }),
    ]
}

pub(super) fn any_input() -> impl Strategy<Value = Input> {
    let times = prop_oneof![8 => 0..1000_u64, 1 => 0..1_000_000_000_u64, 1 => any::<u64>()];
    let origins = prop::option::of((0..3_u32, any::<u64>()));
    (times, origins, any::<bool>(), any_body()).prop_map(|(ts, origin, late, body)| Input {
        ts: BootNs(ts),
        origin: origin.map(|(cpu, cpu_seq)| Origin { cpu, cpu_seq }),
        late,
        body,
    })
}

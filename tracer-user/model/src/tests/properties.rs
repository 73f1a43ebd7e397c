//! Properties: agreement with a reference, no panic on any input, changes in any steps.

use super::make::{Bench, arg, call, file, input, key, listener, row, slot, task, udp, unset};
use crate::{
    address::Address,
    entity::{Descriptor, Process, Socket, Standing},
    event::{AppProtocol, Event, Spoken},
    ids::{BootNs, DescriptorId, ProcessKey, SocketId},
    input::{
        Body, Call, Exec, Exit, FileRef, Fork, Heard, Input, ListenerSample, LossCause, Lost,
        NamespaceSample, Origin, Overflow, Place, Queued, Reason, Request, Retransmit, Row, Sampled, Slept,
        Slot, Sock, State, Table, Task, Thread, Waiting,
    },
    session::{Limits, Session},
    syscall::Syscall,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a program may do next; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Act {
    Open(bool),
    Socket(bool),
    Dup(usize),
    Dup2(usize, i32, bool),
    Close(usize),
    CloseRange(i32, i32, bool),
    SetCloexec(usize, bool),
    Fork(bool),
    Exec,
    Exit,
}

fn act() -> impl Strategy<Value = (usize, Act)> {
    let act = prop_oneof![
        4 => any::<bool>().prop_map(Act::Open),
        4 => any::<bool>().prop_map(Act::Socket),
        3 => any::<usize>().prop_map(Act::Dup),
        3 => (any::<usize>(), 0..20_i32, any::<bool>()).prop_map(|(old, new, flag)| Act::Dup2(old, new, flag)),
        4 => any::<usize>().prop_map(Act::Close),
        1 => (0..20_i32, 0..20_i32, any::<bool>()).prop_map(|(a, b, flag)| Act::CloseRange(a, b, flag)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(which, flag)| Act::SetCloexec(which, flag)),
        2 => any::<bool>().prop_map(Act::Fork),
        1 => Just(Act::Exec),
        1 => Just(Act::Exit),
    ];
    (any::<usize>(), act)
}

/// A file of the reference: its inode, and whether it is a socket.
type Held = (u64, bool, bool);

/// Tables as the man pages describe them, kept as plainly as possible: number -> (inode, socket, close-on-exec).
#[derive(Default)]
struct Reference {
    tables: Vec<BTreeMap<i32, Held>>,
    /// Living processes: pid -> table, address of the table.
    processes: BTreeMap<u32, (usize, u64)>,
    last_pid: u32,
    last_file: u64,
    ts: u64,
}

impl Reference {
    fn lowest(&self, table: usize) -> i32 {
        (0..1000).find(|fd| !self.tables[table].contains_key(fd)).unwrap()
    }

    fn slot(fd: i32, (n, is_socket, cloexec): Held) -> Slot {
        let file = if is_socket { super::make::socket_file(n) } else { file(n) };
        Slot { cloexec, ..slot(fd, file) }
    }

    fn nth(&self, table: usize, which: usize) -> Option<(i32, Held)> {
        let table = &self.tables[table];
        table.iter().nth(which % table.len().max(1)).map(|(fd, held)| (*fd, *held))
    }

    fn sock(n: u64) -> Sock {
        udp(n, 7, unset(), unset())
    }

    /// Does what the act says, and tells it as the capture would.
    fn act(&mut self, which: usize, act: &Act) -> Option<Input> {
        self.ts += 100;
        let ts = self.ts;
        let (pid, (table, files)) =
            self.processes.iter().nth(which % self.processes.len().max(1)).map(|(pid, at)| (*pid, *at))?;
        let base = |which, ret| call(ts, which, ret).by(pid).files(files);
        let made = |making: super::make::Making, (fd, held): (i32, Held)| {
            let making = making.result(Self::slot(fd, held));
            if held.1 { making.sock(Self::sock(held.0)) } else { making }
        };
        Some(match act {
            Act::Open(cloexec) | Act::Socket(cloexec) => {
                let is_socket = matches!(act, Act::Socket(_));
                self.last_file += 1;
                let (fd, held) = (self.lowest(table), (self.last_file, is_socket, *cloexec));
                self.tables[table].insert(fd, held);
                let which = if is_socket { Syscall::Socket } else { Syscall::Openat };
                made(base(which, i64::from(fd)), (fd, held)).input()
            }
            Act::Dup(which) => {
                let (old, (n, is_socket, _)) = self.nth(table, *which)?;
                let (fd, held) = (self.lowest(table), (n, is_socket, false));
                self.tables[table].insert(fd, held);
                made(base(Syscall::Dup, i64::from(fd)).args(&[arg(old)]), (fd, held)).input()
            }
            Act::Dup2(which, new, cloexec) => {
                let (old, (n, is_socket, _)) = self.nth(table, *which)?;
                let held = (n, is_socket, *cloexec);
                let mut making = base(Syscall::Dup3, i64::from(*new)).args(&[arg(old), arg(*new)]);
                if old == *new {
                    return Some(
                        call(ts, Syscall::Dup3, -22).by(pid).files(files).args(&[arg(old); 2]).input(),
                    );
                }
                if let Some(replaced) = self.tables[table].insert(*new, held) {
                    making = making.subject(Self::slot(*new, replaced));
                }
                made(making, (*new, held)).input()
            }
            Act::Close(which) => {
                let (fd, held) = self.nth(table, *which)?;
                self.tables[table].remove(&fd);
                base(Syscall::Close, 0).args(&[arg(fd)]).subject(Self::slot(fd, held)).input()
            }
            Act::CloseRange(a, b, flag) => {
                let (first, last) = (*a.min(b), *a.max(b));
                if *flag {
                    self.tables[table].range_mut(first..=last).for_each(|(_, held)| held.2 = true);
                } else {
                    self.tables[table].retain(|fd, _| !(first..=last).contains(fd));
                }
                base(Syscall::CloseRange, 0).args(&[arg(first), arg(last), u32::from(*flag) * 4]).input()
            }
            Act::SetCloexec(which, flag) => {
                let (fd, held) = self.nth(table, *which)?;
                let held = (held.0, held.1, *flag);
                self.tables[table].insert(fd, held);
                base(Syscall::Fcntl, 0)
                    .args(&[arg(fd), 2, u32::from(*flag)])
                    .result(Self::slot(fd, held))
                    .input()
            }
            Act::Fork(shares_files) => {
                self.last_pid += 1;
                let child = self.last_pid;
                let at = if *shares_files {
                    (table, files)
                } else {
                    self.tables.push(self.tables[table].clone());
                    (self.tables.len() - 1, task(child).files)
                };
                self.processes.insert(child, at);
                let fork = Fork {
                    task: Task { files, ..task(pid) },
                    call: Some(Syscall::Clone3),
                    enter: Some(BootNs(ts - 10)),
                    child: key(child),
                    ret: child,
                    place: Place::default(),
                    child_files: at.1,
                    shares_files: *shares_files,
                    comm: b"p".to_vec(),
                };
                input(ts, Body::Fork(fork))
            }
            Act::Exec => {
                let shared = self.processes.values().filter(|(other, _)| *other == table).count() > 1;
                let mut kept = self.tables[table].clone();
                kept.retain(|_, held| !held.2);
                let mut at = (table, files);
                if shared {
                    self.tables.push(kept);
                    at = (self.tables.len() - 1, 0xee_0000 + ts);
                } else {
                    self.tables[table] = kept;
                }
                self.processes.insert(pid, at);
                let exec = Exec {
                    task: Task { files: at.1, ..task(pid) },
                    call: Some(Syscall::Execve),
                    enter: Some(BootNs(ts - 10)),
                    place: Place::default(),
                    comm: b"p".to_vec(),
                    path: b"/p".to_vec(),
                    newly_followed: false,
                };
                input(ts, Body::Exec(exec))
            }
            Act::Exit => {
                if self.processes.len() < 2 {
                    return None;
                }
                self.processes.remove(&pid);
                input(ts, Body::Exit(Exit { task: Task { files, ..task(pid) }, code: 0 }))
            }
        })
    }

    fn rows(&self) -> Vec<(u64, Row)> {
        let mut rows = Vec::new();
        for (pid, (table, files)) in &self.processes {
            for (fd, held) in &self.tables[*table] {
                let sock = held.1.then(|| Self::sock(held.0));
                rows.push((self.ts + 50, Row { files: *files, ..row(*pid, Self::slot(*fd, *held), sock) }));
            }
        }
        rows
    }
}

/// Numbers, inodes and flags of a process's open descriptors.
fn table_of(session: &Session, pid: u32) -> BTreeMap<i32, (u64, bool)> {
    let table = session.process(key(pid)).unwrap().table;
    let found = session.table_at(table, session.now());
    found.iter().map(|descriptor| (descriptor.fd, (descriptor.ino, descriptor.cloexec))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn tables_agree_with_the_reference_and_need_no_repair(acts in prop::collection::vec(act(), 1..80)) {
        let mut bench = Bench::new();
        let mut reference = Reference { last_pid: 1, ts: 1000, last_file: 1, ..Reference::default() };
        reference.tables.push(BTreeMap::from([(0, (1, false, false))]));
        reference.processes.insert(1, (0, task(1).files));
        bench.snapshot(1000, Reason::Start, &reference.rows());
        reference.ts = 2000;
        for (which, act) in &acts {
            let Some(input) = reference.act(*which, act) else { continue };
            bench.tell(&input);
            for (pid, (table, _)) in &reference.processes {
                let expected: BTreeMap<_, _> =
                    reference.tables[*table].iter().map(|(fd, held)| (*fd, (held.0, held.2))).collect();
                prop_assert_eq!(table_of(&bench.session, *pid), expected, "process {} after {:?}", pid, act);
            }
        }
        let holders: usize = reference
            .processes.values().map(|(table, _)| *table).collect::<std::collections::BTreeSet<_>>()
            .iter().map(|table| reference.tables[*table].values().filter(|held| held.1).count()).sum();
        let counted: u32 = bench.session.sockets().filter(|socket| socket.ended.is_none()).map(|socket| socket.holders).sum();
        prop_assert_eq!(usize::try_from(counted).unwrap(), holders);
        reference.ts += 1000;
        prop_assert_eq!(bench.snapshot(reference.ts, Reason::Repair, &reference.rows()), Vec::<Event>::new());
        prop_assert_eq!(bench.anchor(reference.ts + 1_000_000_000), Vec::<Event>::new());
        for pid in reference.processes.keys() {
            prop_assert_eq!(&bench.session.process(key(*pid)).unwrap().standing, &Standing::Exact);
        }
    }

    #[test]
    fn no_input_panics_and_everything_told_is_kept(inputs in prop::collection::vec(any_input(), 1..120)) {
        let mut session = Session::new(small());
        let mut told = Vec::new();
        for input in &inputs {
            told.extend_from_slice(session.ingest(input));
            let _ = session.totals();
        }
        for (seq, event) in (1..).zip(&told) {
            prop_assert_eq!(event.seq, seq);
            let bytes = postcard::to_allocvec(event).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<Event>(&bytes).unwrap(), event);
        }
        let first = session.history().first_seq();
        let kept: Vec<Event> = session.history().events(0).collect();
        prop_assert_eq!(&kept[..], &told[usize::try_from(first - 1).unwrap()..]);
        let closed = session.descriptors().filter(|descriptor| descriptor.closed.is_some()).count();
        prop_assert!(closed <= small().kept_descriptors);
        prop_assert!(session.sockets().filter(|socket| socket.ended.is_some()).count() <= small().kept_sockets);
        prop_assert!(session.sockets().all(|socket| !socket.steps.is_empty() && socket.steps.len() <= 64));
        prop_assert!(session.sockets().all(|socket| socket.steps.is_sorted_by_key(|step| step.ts)));
        prop_assert!(session.descriptors().all(|found| found.closed.is_none_or(|(at, _)| at >= found.opened)));
    }

    #[test]
    fn changes_in_any_steps_end_in_the_same_state(
        inputs in prop::collection::vec(any_input(), 1..120),
        steps in prop::collection::vec((0..12_usize, 1..20_usize), 1..40),
    ) {
        let mut session = Session::new(small());
        let mut reader = Reader::default();
        let mut left = inputs.iter();
        for (count, limit) in steps {
            for input in left.by_ref().take(count) {
                session.ingest(input);
            }
            reader.read(&session, limit);
        }
        for input in left {
            session.ingest(input);
        }
        while reader.read(&session, 7) {}
        let mut whole = Reader::default();
        while whole.read(&session, usize::MAX) {}
        prop_assert_eq!(&reader, &whole);
        prop_assert_eq!(whole.processes.len(), session.processes().count());
        prop_assert_eq!(whole.descriptors.len(), session.descriptors().count());
        prop_assert_eq!(whole.sockets.len(), session.sockets().count());
    }
}

fn small() -> Limits {
    Limits { kept_events: 50, kept_descriptors: 5, kept_sockets: 5, kept_processes: 2 }
}

/// A reader who keeps what changes tell.
#[derive(Debug, Default, PartialEq)]
struct Reader {
    rev: u64,
    processes: BTreeMap<ProcessKey, Process>,
    descriptors: BTreeMap<DescriptorId, Descriptor>,
    sockets: BTreeMap<SocketId, Socket>,
}

impl Reader {
    fn read(&mut self, session: &Session, limit: usize) -> bool {
        let changes = session.changes_since(self.rev, limit);
        let entities = changes.processes.len() + changes.descriptors.len() + changes.sockets.len();
        assert!(entities <= limit);
        self.processes.extend(changes.processes.iter().map(|found| (found.key, (*found).clone())));
        self.descriptors.extend(changes.descriptors.iter().map(|found| (found.id, (*found).clone())));
        self.sockets.extend(changes.sockets.iter().map(|found| (found.id, (*found).clone())));
        self.processes.retain(|id, _| !changes.evicted_processes.contains(id));
        self.descriptors.retain(|id, _| !changes.evicted_descriptors.contains(id));
        self.sockets.retain(|id, _| !changes.evicted_sockets.contains(id));
        self.rev = changes.to;
        changes.more
    }
}

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
                sleeps: queued.map(|_| 3),
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
                listeners: listeners.into_iter().map(listener).collect(),
                namespaces: namespaces.into_iter().map(namespace).collect(),
            }))
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
        1 => (any::<u64>(), prop::option::of(0..3_u32)).prop_map(|(count, cpu)| {
            Body::Lost(Lost { count, cause: LossCause::Unknown, cpu })
        }),
    ]
}

fn any_input() -> impl Strategy<Value = Input> {
    let times = prop_oneof![8 => 0..1000_u64, 1 => 0..1_000_000_000_u64, 1 => any::<u64>()];
    let origins = prop::option::of((0..3_u32, any::<u64>()));
    (times, origins, any::<bool>(), any_body()).prop_map(|(ts, origin, late, body)| Input {
        ts: BootNs(ts),
        origin: origin.map(|(cpu, cpu_seq)| Origin { cpu, cpu_seq }),
        late,
        body,
    })
}

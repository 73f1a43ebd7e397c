//! Properties: agreement with a reference, no panic on any input, changes in any steps.

use super::any::any_input;
use super::make::{Bench, arg, call, file, input, key, row, slot, task, udp, unset};
use crate::{
    entity::{Descriptor, Process, Socket, Standing},
    event::Event,
    ids::{BootNs, DescriptorId, ProcessKey, SocketId},
    input::{Body, Exec, Exit, Fork, Input, Place, Reason, Row, Slot, Sock, Task},
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

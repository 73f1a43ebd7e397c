//! Inputs by hand. Every process `n` has start `n * 10` and its table at `0xf000 + n`.

use crate::{
    address::Address,
    entity::Phase,
    event::{Event, EventKind, Trust},
    ids::{BootNs, ProcessKey, SocketId, TableId},
    input::{
        Body, Call, Exec, Exit, FileRef, Fork, Input, LossCause, Lost, Options, Place, Queued, Reason, Row,
        Slot, Sock, State, Task,
    },
    session::{Limits, Session},
    syscall::Syscall,
};
use core::net::Ipv4Addr;

pub(super) const EPOCH: i64 = 1_000_000;
pub(super) const LISTEN: u16 = 10;
pub(super) const ESTABLISHED: u16 = 1;
pub(super) const SYN_SENT: u16 = 2;
pub(super) const SYN_RECV: u16 = 3;
pub(super) const FIN_WAIT1: u16 = 4;
pub(super) const FIN_WAIT2: u16 = 5;
pub(super) const CLOSE: u16 = 7;
pub(super) const CLOSE_WAIT: u16 = 8;
pub(super) const LAST_ACK: u16 = 9;

pub(super) fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid, start_ns: u64::from(pid) * 10 }
}

pub(super) fn task(pid: u32) -> Task {
    Task { process: key(pid), tid: pid, files: 0xf000 + u64::from(pid) }
}

/// A regular file with inode `n`.
pub(super) fn file(n: u64) -> FileRef {
    FileRef { file: 0xa000 + n, ino: n, dev: 8, mode: 0o100_644 }
}

/// A socket's file with inode `n`.
pub(super) fn socket_file(n: u64) -> FileRef {
    FileRef { mode: 0o140_777, dev: 9, ..file(n) }
}

pub(super) fn slot(fd: i32, file: FileRef) -> Slot {
    Slot { fd, file: Some(file), cloexec: false, nonblock: false, name: Vec::new() }
}

pub(super) fn named(fd: i32, file: FileRef, name: &str) -> Slot {
    Slot { name: name.as_bytes().to_vec(), ..slot(fd, file) }
}

pub(super) fn cloexec(slot: Slot) -> Slot {
    Slot { cloexec: true, ..slot }
}

pub(super) fn ip(last: u8, port: u16) -> Address {
    Address::Inet(Ipv4Addr::new(127, 0, 0, last), port)
}

pub(super) fn unset() -> Address {
    Address::Inet(Ipv4Addr::UNSPECIFIED, 0)
}

/// A TCP socket at kernel address `0x5000 + n`.
pub(super) fn tcp(n: u64, state: u16, local: Address, peer: Address) -> Sock {
    Sock {
        sk: 0x5000 + n,
        netns: 77,
        family: 2,
        ty: 1,
        protocol: 6,
        state,
        local,
        peer,
        queue_len: 0,
        queue_limit: 0,
        peer_sk: 0,
        options: Options::default(),
    }
}

pub(super) fn udp(n: u64, state: u16, local: Address, peer: Address) -> Sock {
    Sock { ty: 2, protocol: 17, ..tcp(n, state, local, peer) }
}

/// An unnamed unix stream socket.
pub(super) fn unix(n: u64, state: u16) -> Sock {
    Sock { family: 1, protocol: 0, ..tcp(n, state, Address::Unix(Vec::new()), Address::Unix(Vec::new())) }
}

pub(super) fn listener(n: u64, port: u16) -> Sock {
    Sock { queue_limit: 128, ..tcp(n, LISTEN, ip(1, port), unset()) }
}

pub(super) fn input(ts: u64, body: Body) -> Input {
    Input { ts: BootNs(ts), origin: None, late: false, body }
}

/// A call in the making: by process 1, running for 10 ns.
#[derive(Clone)]
pub(super) struct Making {
    pub(super) ts: u64,
    pub(super) call: Call,
}

/// A call that returned `ret` at `ts`.
pub(super) fn call(ts: u64, call: Syscall, ret: i64) -> Making {
    let call = Call {
        task: task(1),
        call,
        enter: Some(BootNs(ts.saturating_sub(10))),
        ret: Some(ret),
        args: [0; 4],
        subject: None,
        results: Vec::new(),
        socks: Vec::new(),
        listener: None,
        queued: None,
        queue: None,
        sleeps: None,
        asked: None,
        asked_value: None,
        path: None,
        request: None,
    };
    Making { ts, call }
}

impl Making {
    pub(super) fn by(mut self, pid: u32) -> Self {
        self.call.task = task(pid);
        self
    }

    pub(super) fn thread(mut self, tid: u32) -> Self {
        self.call.task.tid = tid;
        self
    }

    pub(super) fn files(mut self, files: u64) -> Self {
        self.call.task.files = files;
        self
    }

    pub(super) fn enter(mut self, ts: u64) -> Self {
        self.call.enter = Some(BootNs(ts));
        self
    }

    pub(super) fn running(mut self) -> Self {
        self.call.ret = None;
        self
    }

    pub(super) fn args(mut self, args: &[u32]) -> Self {
        for (place, arg) in self.call.args.iter_mut().zip(args) {
            *place = *arg;
        }
        self
    }

    pub(super) fn subject(mut self, slot: Slot) -> Self {
        self.call.subject = Some(slot);
        self
    }

    pub(super) fn result(mut self, slot: Slot) -> Self {
        self.call.results.push(slot);
        self
    }

    pub(super) fn sock(mut self, sock: Sock) -> Self {
        self.call.socks.push(sock);
        self
    }

    pub(super) fn asked(mut self, address: Address) -> Self {
        self.call.asked = Some(address);
        self
    }

    pub(super) fn path(mut self, path: &str) -> Self {
        self.call.path = Some(path.as_bytes().to_vec());
        self
    }

    pub(super) fn accept(mut self, listener: u64, queued: Option<u64>, queue: (u32, u32)) -> Self {
        self.call.listener = Some(0x5000 + listener);
        self.call.queued = queued.map(BootNs);
        self.call.queue = Some(queue);
        self
    }

    pub(super) fn input(self) -> Input {
        input(self.ts, Body::Call(Box::new(self.call)))
    }
}

/// A session under test.
pub(super) struct Bench {
    pub(super) session: Session,
    /// What was told of standings: pid, and how it stands since when on the boot clock. The other events leave it out.
    pub(super) standings: Vec<(u32, Trust, Option<u64>)>,
}

impl Bench {
    /// A session at time 0 with one anchor.
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        let mut bench = Self { session: Session::new(limits), standings: Vec::new() };
        bench.tell(&input(0, Body::Anchor { epoch_minus_boot_ns: EPOCH }));
        bench
    }

    pub(super) fn tell(&mut self, input: &Input) -> Vec<Event> {
        let events = self.session.ingest(input).iter();
        let (stands, others): (Vec<_>, Vec<_>) = events.partition(|event| event.kind == EventKind::Standing);
        let boot = |epoch_ns: u64| epoch_ns - EPOCH.unsigned_abs();
        self.standings.extend(stands.into_iter().filter_map(|event| {
            let stands = event.stands.as_ref()?;
            Some((event.process.pid, stands.trust, stands.since_epoch_ns.map(boot)))
        }));
        others.into_iter().cloned().collect()
    }

    /// The one event of an input.
    pub(super) fn one(&mut self, input: &Input) -> Event {
        let mut events = self.tell(input);
        assert_eq!(events.len(), 1, "{input:?} gave {events:#?}");
        events.remove(0)
    }

    pub(super) fn call(&mut self, making: Making) -> Event {
        self.one(&making.input())
    }

    pub(super) fn anchor(&mut self, ts: u64) -> Vec<Event> {
        self.tell(&input(ts, Body::Anchor { epoch_minus_boot_ns: EPOCH }))
    }

    /// Process 1 opens inode `n` at `fd`.
    pub(super) fn opens(&mut self, ts: u64, fd: i32, n: u64) -> Event {
        self.call(call(ts, Syscall::Openat, i64::from(fd)).path("/f").result(slot(fd, file(n))))
    }

    pub(super) fn closes(&mut self, ts: u64, fd: i32, file: FileRef) -> Event {
        self.call(call(ts, Syscall::Close, 0).args(&[arg(fd)]).subject(slot(fd, file)))
    }

    /// Process 1 makes TCP socket and inode `n` at `fd`.
    pub(super) fn makes_tcp(&mut self, ts: u64, fd: i32, n: u64) -> SocketId {
        let event =
            self.call(call(ts, Syscall::Socket, i64::from(fd)).result(slot(fd, socket_file(n))).sock(tcp(
                n,
                CLOSE,
                unset(),
                unset(),
            )));
        event.socket.unwrap()
    }

    /// Process 1 makes listener `n` at `fd`, port 80.
    pub(super) fn makes_listener(&mut self, ts: u64, fd: i32, n: u64) -> SocketId {
        let id = self.makes_tcp(ts, fd, n);
        self.call(
            call(ts + 20, Syscall::Bind, 0)
                .args(&[arg(fd)])
                .subject(slot(fd, socket_file(n)))
                .sock(tcp(n, CLOSE, ip(1, 80), unset()))
                .asked(ip(1, 80)),
        );
        self.call(
            call(ts + 40, Syscall::Listen, 0)
                .args(&[arg(fd), 511])
                .subject(slot(fd, socket_file(n)))
                .sock(listener(n, 80)),
        );
        id
    }

    /// Process 1 accepts child `n` at `fd` from listener `from` at descriptor 3.
    pub(super) fn accepts(&mut self, ts: u64, fd: i32, n: u64, from: u64) -> Event {
        self.call(accept(ts, fd, n, from))
    }

    pub(super) fn state(&mut self, ts: u64, (from, to): (u16, u16), error: u32, sock: Sock) -> Vec<Event> {
        self.state_in(ts, 0, (from, to), error, sock)
    }

    /// A change of state within a call of thread `tid`.
    pub(super) fn state_in(
        &mut self,
        ts: u64,
        tid: u32,
        (from, to): (u16, u16),
        error: u32,
        sock: Sock,
    ) -> Vec<Event> {
        let task = Task { tid, ..task(1) };
        let sock = Sock { state: to, ..sock };
        self.tell(&input(ts, Body::State(State { task, from, to, error, sock, tcp: None })))
    }

    pub(super) fn queued(&mut self, ts: u64, from: u64, sock: Sock, len: u32) -> Event {
        let task = Task { tid: 0, ..task(1) };
        let queued = Queued { task, listener: 0x5000 + from, queue_len: len, queue_limit: 128, sock };
        self.one(&input(ts, Body::Queued(queued)))
    }

    pub(super) fn forks(&mut self, ts: u64, parent: u32, child: u32) -> Event {
        self.one(&fork(ts, parent, child, false))
    }

    pub(super) fn exits(&mut self, ts: u64, pid: u32) -> Vec<Event> {
        self.tell(&input(ts, Body::Exit(Exit { task: task(pid), code: 0 })))
    }

    pub(super) fn execs(&mut self, ts: u64, pid: u32) -> Vec<Event> {
        self.tell(&exec(ts, pid))
    }

    pub(super) fn loses(&mut self, ts: u64, count: u64) -> Event {
        self.one(&input(ts, Body::Lost(Lost { count, cause: LossCause::RingFull, cpu: Some(3) })))
    }

    /// A snapshot from `ts` to `ts + 100`, rows at the times they say.
    pub(super) fn snapshot(&mut self, ts: u64, reason: Reason, rows: &[(u64, Row)]) -> Vec<Event> {
        self.tell(&input(ts, Body::SnapshotBegin(reason)));
        for (at, row) in rows {
            self.tell(&input(*at, Body::Row(Box::new(row.clone()))));
        }
        self.tell(&input(ts + 100, Body::SnapshotEnd(reason)))
    }

    pub(super) fn table(&self, pid: u32) -> TableId {
        self.session.process(key(pid)).unwrap().table
    }

    /// The open descriptors of a process now: number, inode.
    pub(super) fn open(&self, pid: u32) -> Vec<(i32, u64)> {
        let found = self.session.table_at(self.table(pid), self.session.now());
        found.iter().map(|descriptor| (descriptor.fd, descriptor.ino)).collect()
    }

    /// The newest descriptor with that inode.
    pub(super) fn descriptor(&self, ino: u64) -> &crate::entity::Descriptor {
        self.session.descriptors().filter(|descriptor| descriptor.ino == ino).last().unwrap()
    }

    pub(super) fn socket(&self, id: SocketId) -> &crate::entity::Socket {
        self.session.socket(id).unwrap()
    }

    /// An accept queue: length, limit, and when they were read.
    pub(super) fn queue(&self, id: SocketId) -> Option<(u32, u32, BootNs)> {
        self.socket(id).queue.as_ref().map(|queue| (queue.len, queue.limit, queue.read))
    }

    /// A socket's life: time, phase, state.
    pub(super) fn steps(&self, id: SocketId) -> Vec<(u64, Phase, Option<u16>)> {
        self.socket(id).steps.iter().map(|step| (step.ts.0, step.phase, step.state)).collect()
    }
}

pub(super) fn accept(ts: u64, fd: i32, n: u64, from: u64) -> Making {
    call(ts, Syscall::Accept4, i64::from(fd))
        .args(&[3])
        .subject(slot(3, socket_file(from)))
        .result(cloexec(slot(fd, socket_file(n))))
        .sock(child(n))
        .accept(from, None, (0, 128))
}

/// A connection from port `50000 + n` to port 80.
pub(super) fn child(n: u64) -> Sock {
    tcp(n, ESTABLISHED, ip(1, 80), ip(9, 50_000 + u16::try_from(n).unwrap()))
}

pub(super) fn arg(fd: i32) -> u32 {
    fd.cast_unsigned()
}

pub(super) fn fork(ts: u64, parent: u32, child: u32, shares_files: bool) -> Input {
    let files = if shares_files { task(parent).files } else { task(child).files };
    input(
        ts,
        Body::Fork(Fork {
            task: task(parent),
            call: Some(Syscall::Clone),
            enter: Some(BootNs(ts - 10)),
            child: key(child),
            ret: child,
            place: Place::default(),
            child_files: files,
            shares_files,
            comm: b"parent".to_vec(),
        }),
    )
}

pub(super) fn exec(ts: u64, pid: u32) -> Input {
    input(
        ts,
        Body::Exec(Exec {
            task: task(pid),
            call: Some(Syscall::Execve),
            enter: Some(BootNs(ts - 10)),
            place: Place::default(),
            comm: b"server".to_vec(),
            path: b"/usr/bin/server".to_vec(),
            newly_followed: false,
        }),
    )
}

pub(super) fn row(pid: u32, slot: Slot, sock: Option<Sock>) -> Row {
    Row {
        process: key(pid),
        parent: 1000,
        files: task(pid).files,
        comm: b"nginx".to_vec(),
        fd_limit: 1024,
        place: Place::default(),
        slot,
        sock,
        open_flags: 0,
        tcp: None,
        unread: 0,
    }
}

/// Kinds and descriptor numbers of events.
pub(super) fn told(events: &[Event]) -> Vec<(EventKind, Option<i32>)> {
    events.iter().map(|event| (event.kind, event.fd)).collect()
}

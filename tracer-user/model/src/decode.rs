//! From the bytes of a kernel record to an [`Input`]. Total: any bytes give an input or an error, never a panic.

use crate::{
    address::{Address, family, unix_name},
    ids::{BootNs, ProcessKey},
    input::{
        Body, Call, Exec, Exit, FileRef, Fork, Given, Held, Input, ListPart, Options, Origin, Queued,
        RingPart, Row, Slot, Sock, State, Table, Task, Thread,
    },
    names::{self, state},
    syscall::{Numbering, Syscall},
    uring,
};
use core::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};
use tracer_abi::{
    CALLER_FOLLOWED, CallFds, Change, Class, FORK_SHARES_FILES, Field, Header, InFlight, Kind, OPTION_LINGER,
    OPTION_REUSEADDR, OPTION_REUSEPORT, OPTION_V6ONLY, PASSED_LOCAL, PASSED_PEER, PASSED_SOCK, Passed,
    RING_LIST_BEGINS, RING_LIST_ENTRY, RING_OPERATION, RingSlot, SLOT_CLOEXEC, SLOT_NONBLOCK, SLOT_PRESENT,
    SnapshotRow, UNNUMBERED,
};

/// `O_NONBLOCK` (open(2)).
const O_NONBLOCK: u32 = 0o4000;

/// Why a record could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// It is shorter than its kind needs.
    Short,
    /// A kind that this version does not know.
    UnknownKind(u16),
    /// A system call whose number is not traced.
    UnknownCall(u32),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "the record is too short"),
            Self::UnknownKind(kind) => write!(f, "unknown kind of record {kind}"),
            Self::UnknownCall(number) => write!(f, "system call {number} is not traced"),
        }
    }
}

/// Reads one record of the ring buffer and gives what it tells to `each`, oldest first: most tell one thing.
pub fn record(bytes: &[u8], numbering: &Numbering, mut each: impl FnMut(Input)) -> Result<(), DecodeError> {
    let header: Header = read(bytes)?;
    let origin = numbered(&header);
    let mut tell = |ts, body| each(Input { ts: BootNs(ts), origin, late: false, body });
    let body = match Kind(header.kind) {
        Kind::CALL => Body::Call(Box::new(call(&read(bytes)?, numbering)?)),
        Kind::CALL_SOCK => Body::Call(Box::new(call_sock(&read(bytes)?, numbering)?)),
        Kind::CALL_ADDR => Body::Call(Box::new(call_addr(&read(bytes)?, numbering)?)),
        Kind::CALL_PATH => Body::Call(Box::new(call_path(&read(bytes)?, numbering)?)),
        Kind::CALL_PAIR => {
            let record: tracer_abi::CallPair = read(bytes)?;
            let mut call = call(&record.call, numbering)?;
            call.results.extend(slot(&record.second));
            call.socks = [&record.first_sock, &record.second_sock].into_iter().filter_map(sock).collect();
            Body::Call(Box::new(call))
        }
        Kind::RING_CALL => {
            let record: tracer_abi::RingCall = read(bytes)?;
            Body::Call(Box::new(uring::operation(call_sock(&record.base, numbering)?, &record.request)))
        }
        Kind::RING_ADDR => {
            let record: tracer_abi::RingAddr = read(bytes)?;
            let call = call_addr(&record.base, numbering)?;
            Body::Call(Box::new(uring::operation(call, &record.request)))
        }
        Kind::RING_PATH => {
            let record: tracer_abi::RingPath = read(bytes)?;
            let call = call_path(&record.base, numbering)?;
            Body::Call(Box::new(uring::operation(call, &record.request)))
        }
        Kind::RING_SLOT => Body::Ring(Box::new(ring_part(&read(bytes)?, &header))),
        Kind::CALL_STATES => {
            let record: tracer_abi::CallStates = read(bytes)?;
            let mut call = call(&record.call, numbering)?;
            let mut sock = sock(&record.sock).ok_or(DecodeError::Short)?;
            let count = usize::try_from(record.count).unwrap_or(usize::MAX);
            for change in record.changes.iter().take(count) {
                sock.state = change.to;
                let (task, sock) = (call.task, sock.clone());
                let Change { from, to, error, .. } = *change;
                tell(change.ts, Body::State(State { task, from, to, error, sock }));
            }
            call.socks = vec![sock];
            Body::Call(Box::new(call))
        }
        Kind::CALL_FDS => Body::Call(Box::new(call_fds(bytes, numbering)?)),
        Kind::CALL_GIVEN => {
            let record: tracer_abi::CallGiven = read(bytes)?;
            let (call, given) = call_given(&record, numbering)?;
            if let Some(given) = given {
                tell(header.ts, Body::Given(Box::new(given)));
            }
            let Some(call) = call else { return Ok(()) };
            Body::Call(Box::new(call))
        }
        Kind::FORK => {
            let record: tracer_abi::Fork = read(bytes)?;
            Body::Fork(Fork {
                task: task(&header),
                call: numbering.call(record.nr).filter(|call| makes_processes(call.class())),
                enter: moment(record.enter),
                child: ProcessKey { pid: record.child_pid, start_ns: record.child_start },
                child_files: record.child_files,
                shares_files: record.flags & FORK_SHARES_FILES != 0,
                comm: until_zero(&record.comm),
            })
        }
        Kind::EXEC => {
            let record: tracer_abi::Exec = read(bytes)?;
            Body::Exec(Exec {
                task: task(&header),
                call: numbering.call(record.nr).filter(|call| call.class() == Class::EXEC),
                enter: moment(record.enter),
                comm: until_zero(&record.comm),
                path: first(&record.path, record.path_len).to_vec(),
                newly_followed: record.newly_followed != 0,
            })
        }
        Kind::EXIT => {
            let record: tracer_abi::Exit = read(bytes)?;
            Body::Exit(Exit { task: task(&header), code: record.code })
        }
        Kind::TABLE => {
            let record: tracer_abi::Table = read(bytes)?;
            let first = i32::try_from(record.first).map_err(|_| DecodeError::Short)?;
            let slots = (first..=i32::MAX).zip(record.files).zip(0_u32..);
            let held = slots.filter(|((_, file), _)| *file != 0).map(|((fd, file), bit)| Held {
                fd,
                file,
                cloexec: record.cloexec >> bit & 1 == 1,
            });
            Body::Table(Table { task: task(&header), first, slots: held.collect() })
        }
        Kind::THREAD => {
            let record: tracer_abi::Thread = read(bytes)?;
            Body::Thread(Thread { task: task(&header), users: record.users, begins: record.begins != 0 })
        }
        Kind::STATE => {
            let record: tracer_abi::State = read(bytes)?;
            let mut sock = sock(&record.sock).ok_or(DecodeError::Short)?;
            let Change { ts, error, from, to } = record.before;
            if ts != 0 {
                let sock = Sock { state: to, ..sock.clone() };
                tell(ts, Body::State(State { task: task(&header), from, to, error, sock }));
            }
            // The tracepoint runs before the new state is stored (`inet_sk_state_store`, net/ipv4/af_inet.c).
            sock.state = record.to;
            Body::State(State {
                task: task(&header),
                from: record.from,
                to: record.to,
                error: record.error,
                sock,
            })
        }
        Kind::QUEUED => {
            let record: tracer_abi::Queued = read(bytes)?;
            Body::Queued(Queued {
                task: task(&header),
                listener: record.listener,
                queue_len: record.queue_len,
                queue_limit: record.queue_limit,
                sock: sock(&record.sock).ok_or(DecodeError::Short)?,
            })
        }
        Kind::FOUND => {
            let record: tracer_abi::Found = read(bytes)?;
            Body::Row(Box::new(slot_row(&record.row, until_zero(&record.row.slot.name))?))
        }
        Kind(unknown) => return Err(DecodeError::UnknownKind(unknown)),
    };
    tell(header.ts, body);
    Ok(())
}

/// CPU and number of a record; `None` where it has no number, or no head.
#[must_use]
pub fn origin(bytes: &[u8]) -> Option<Origin> {
    numbered(&read(bytes).ok()?)
}

fn numbered(header: &Header) -> Option<Origin> {
    (header.cpu_seq != UNNUMBERED).then_some(Origin { cpu: header.cpu, cpu_seq: header.cpu_seq })
}

/// Reads one row of the snapshot and says how many bytes it took.
pub fn row(bytes: &[u8]) -> Result<(Input, usize), DecodeError> {
    let record: SnapshotRow = read(bytes)?;
    let end = SnapshotRow::SIZE + usize::try_from(record.path_len).map_err(|_| DecodeError::Short)?;
    let path = bytes.get(SnapshotRow::SIZE..end).ok_or(DecodeError::Short)?;
    let body = Body::Row(Box::new(slot_row(&record, path.to_vec())?));
    Ok((Input { ts: BootNs(record.ts), origin: None, late: false, body }, end))
}

fn slot_row(record: &SnapshotRow, name: Vec<u8>) -> Result<Row, DecodeError> {
    let slot = slot(&record.slot).ok_or(DecodeError::Short)?;
    let mut sock = sock(&record.sock);
    if let Some(sock) = &mut sock {
        name_unix(sock, &record.local, &record.peer);
    }
    Ok(Row {
        process: ProcessKey { pid: record.pid, start_ns: record.start },
        parent: record.parent,
        files: record.files,
        comm: until_zero(&record.comm),
        fd_limit: record.fd_limit,
        slot: Slot { name, nonblock: record.open_flags & O_NONBLOCK != 0, ..slot },
        sock,
        open_flags: record.open_flags,
    })
}

/// A call that is still running, as the map of calls in flight has it.
pub fn in_flight(
    flight: &InFlight,
    address: Option<&tracer_abi::Asked>,
    numbering: &Numbering,
) -> Result<Call, DecodeError> {
    let mut call = call(&flight.call, numbering)?;
    call.ret = None;
    call.asked = address.and_then(asked);
    call.listener = (call.call.class() == Class::ACCEPT && flight.sk != 0).then_some(flight.sk);
    Ok(call)
}

fn read<T: Field>(bytes: &[u8]) -> Result<T, DecodeError> {
    T::read(bytes).ok_or(DecodeError::Short)
}

fn call(record: &tracer_abi::Call, numbering: &Numbering) -> Result<Call, DecodeError> {
    let operation = record.nr & RING_OPERATION != 0;
    let name =
        if operation { Syscall::operation(record.nr & !RING_OPERATION) } else { numbering.call(record.nr) };
    let name = name.ok_or(DecodeError::UnknownCall(record.nr))?;
    Ok(Call {
        task: task(&record.header),
        call: name,
        enter: moment(record.enter),
        ret: Some(record.ret),
        args: record.args,
        subject: slot(&record.subject),
        results: slot(&record.result).into_iter().collect(),
        socks: Vec::new(),
        listener: None,
        queued: None,
        queue: None,
        asked: None,
        asked_value: None,
        path: None,
        request: None,
    })
}

fn call_sock(record: &tracer_abi::CallSock, numbering: &Numbering) -> Result<Call, DecodeError> {
    let mut call = call(&record.call, numbering)?;
    call.socks = sock(&record.sock).into_iter().collect();
    if record.listener != 0 {
        call.listener = Some(record.listener);
        call.queued = moment(record.queued);
        call.queue = Some((record.queue_len, record.queue_limit));
    }
    Ok(call)
}

/// A call that passes descriptors: those of the messages that it got done, or where it failed all that it tried.
fn call_fds(bytes: &[u8], numbering: &Numbering) -> Result<Call, DecodeError> {
    let head: CallFds = read(bytes)?;
    let mut call = call(&head.call, numbering)?;
    let messages = match (call.call, call.ret) {
        (Syscall::Sendmmsg, Some(sent @ 0..)) => u32::try_from(sent).unwrap_or(u32::MAX),
        _ => u32::MAX,
    };
    let mut rest = bytes.get(CallFds::SIZE..).unwrap_or_default();
    for _ in 0..head.count {
        let passed: Passed = take(&mut rest)?;
        let mut found = None;
        if passed.flags & PASSED_SOCK != 0 {
            found = sock(&take(&mut rest)?);
        }
        for (flag, peer) in [(PASSED_LOCAL, false), (PASSED_PEER, true)] {
            if passed.flags & flag == 0 {
                continue;
            }
            let name: tracer_abi::UnixName = take(&mut rest)?;
            let name = Address::Unix(unix_name(first(&name.path, name.len)));
            match &mut found {
                Some(sock) if peer => sock.peer = name,
                Some(sock) => sock.local = name,
                None => {}
            }
        }
        if passed.message < messages {
            call.results.extend(slot(&passed.slot));
            call.socks.extend(found);
        }
    }
    Ok(call)
}

/// A call that gives a descriptor to another process, where the caller is followed; and what that process got, where it
/// is.
fn call_given(
    record: &tracer_abi::CallGiven,
    numbering: &Numbering,
) -> Result<(Option<Call>, Option<Given>), DecodeError> {
    let mut call = call(&record.call, numbering)?;
    let filled = std::mem::take(&mut call.results).pop();
    let sent = call.subject.as_ref().and_then(|slot| slot.file);
    // The target may have emptied the slot again before the call returned.
    let confirmed = filled.map(|slot| Slot { file: slot.file.filter(|file| Some(*file) == sent), ..slot });
    let target = &record.target;
    let mut sock = sock(&record.sock);
    if let Some(sock) = &mut sock {
        name_unix(sock, &record.local, &record.peer);
    }
    let given = confirmed.map(|slot| Given {
        task: Task {
            process: ProcessKey { pid: target.pid, start_ns: target.start },
            tid: 0,
            files: target.files,
        },
        slot,
        sock,
    });
    Ok(((target.flags & CALLER_FOLLOWED != 0).then_some(call), given))
}

/// Reads a structure and goes on behind it.
fn take<T: Field>(rest: &mut &[u8]) -> Result<T, DecodeError> {
    let value = read(rest)?;
    *rest = rest.get(T::SIZE..).unwrap_or_default();
    Ok(value)
}

/// Whether a class's calls make processes.
fn makes_processes(class: Class) -> bool {
    matches!(class, Class::FORK | Class::CLONE | Class::CLONE3)
}

fn call_addr(record: &tracer_abi::CallAddr, numbering: &Numbering) -> Result<Call, DecodeError> {
    let mut call = call_sock(&record.base, numbering)?;
    for sock in &mut call.socks {
        name_unix(sock, &record.local, &record.peer);
    }
    if call.call == Syscall::Setsockopt {
        call.asked_value = option_value(&call.args, first(&record.asked.bytes, record.asked.len));
    } else {
        call.asked = asked(&record.asked);
    }
    Ok(call)
}

fn call_path(record: &tracer_abi::CallPath, numbering: &Numbering) -> Result<Call, DecodeError> {
    let mut call = call(&record.call, numbering)?;
    call.path = Some(first(&record.path, record.path_len).to_vec());
    Ok(call)
}

fn ring_part(record: &RingSlot, header: &Header) -> RingPart {
    let slot = slot(&record.slot);
    let part = match (record.part, slot) {
        (RING_LIST_BEGINS, slot) => ListPart::Begins(slot),
        (RING_LIST_ENTRY, Some(slot)) => ListPart::Entry(slot, sock(&record.sock)),
        _ => ListPart::Ends,
    };
    RingPart { task: task(header), ring: record.ring, found: record.found != 0, part }
}

fn task(header: &Header) -> Task {
    Task {
        process: ProcessKey { pid: header.pid, start_ns: header.start },
        tid: header.tid,
        files: header.files,
    }
}

/// 0 stands for "not seen".
fn moment(ns: u64) -> Option<BootNs> {
    (ns != 0).then_some(BootNs(ns))
}

/// A slot that was read; a negative number stands for none.
fn slot(record: &tracer_abi::Slot) -> Option<Slot> {
    (record.fd >= 0).then(|| Slot {
        fd: record.fd,
        file: (record.flags & SLOT_PRESENT != 0).then_some(FileRef {
            file: record.file.file,
            ino: record.file.ino,
            dev: record.file.dev,
            mode: record.file.mode,
        }),
        cloexec: record.flags & SLOT_CLOEXEC != 0,
        nonblock: record.flags & SLOT_NONBLOCK != 0,
        name: until_zero(&record.name),
    })
}

fn sock(record: &tracer_abi::Sock) -> Option<Sock> {
    (record.sk != 0).then(|| Sock {
        sk: record.sk,
        netns: record.netns,
        family: record.family,
        ty: record.ty,
        protocol: record.protocol,
        state: state(record),
        local: address(record.family, &record.local, record.local_port),
        peer: peer(record),
        queue_len: record.queue_len,
        queue_limit: record.queue_limit,
        options: Options {
            reuseaddr: record.options & OPTION_REUSEADDR != 0,
            reuseport: record.options & OPTION_REUSEPORT != 0,
            v6only: record.options & OPTION_V6ONLY != 0,
            linger_s: (record.options & OPTION_LINGER != 0).then_some(record.linger_s),
            defer_accept_s: defer_accept_s(record.defer_accept),
            fastopen: record.fastopen,
            nonblock: false,
        },
    })
}

/// The state in the numbers that the other families use: netlink has two of its own (`NETLINK_UNCONNECTED`,
/// `NETLINK_CONNECTED`, net/netlink/af_netlink.c).
fn state(record: &tracer_abi::Sock) -> u16 {
    match (record.family, record.state) {
        (family::NETLINK, 1) => state::ESTABLISHED,
        (family::NETLINK, _) => state::CLOSE,
        (_, state) => state,
    }
}

/// Seconds that a number of retransmissions takes, the first after one and none after more than 120
/// (`retrans_to_secs`, net/ipv4/tcp.c).
fn defer_accept_s(retransmissions: u8) -> u32 {
    (0..retransmissions)
        .fold(0, |seconds, step| seconds + 1_u32.checked_shl(step.into()).map_or(120, |s| s.min(120)))
}

/// The value in the caller's memory: an int, or a `struct linger` (socket(7)).
fn option_value(args: &[u32; 4], bytes: &[u8]) -> Option<i32> {
    let (first, rest) = bytes.split_first_chunk()?;
    let first = i32::from_ne_bytes(*first);
    if (args[1], args[2]) != names::SO_LINGER {
        return Some(first);
    }
    let seconds = i32::from_ne_bytes(*rest.first_chunk()?);
    Some(if first == 0 { -1 } else { seconds })
}

/// A netlink socket sends to one group, which is told by its number (`netlink_group_mask`, net/netlink/af_netlink.c).
fn peer(record: &tracer_abi::Sock) -> Address {
    match address(record.family, &record.peer, record.peer_port) {
        Address::Netlink { portid, groups: group } => {
            let groups = group.checked_sub(1).and_then(|bit| 1_u32.checked_shl(bit)).unwrap_or(0);
            Address::Netlink { portid, groups }
        }
        // Without a port there is no peer (`inet_getname`, net/ipv4/af_inet.c): after a refused connection the kernel keeps
        // the address alone.
        Address::Inet(_, 0) if record.ty != SOCK_RAW => Address::Inet(Ipv4Addr::UNSPECIFIED, 0),
        Address::Inet6(_, 0) if record.ty != SOCK_RAW => Address::Inet6(Ipv6Addr::UNSPECIFIED, 0),
        address => address,
    }
}

/// `SOCK_RAW` (socket(2)).
const SOCK_RAW: u16 = 3;

fn address(number: u16, bytes: &[u8; 16], port: u16) -> Address {
    let word = |index: usize| u32::read(bytes.get(index * 4..).unwrap_or_default()).unwrap_or(0);
    match number {
        family::INET => {
            let [a, b, c, d, ..] = *bytes;
            Address::Inet(Ipv4Addr::new(a, b, c, d), port)
        }
        family::INET6 => Address::Inet6((*bytes).into(), port),
        family::UNIX => Address::Unix(Vec::new()),
        family::NETLINK => Address::Netlink { portid: word(0), groups: word(1) },
        family::PACKET => {
            let protocol =
                bytes.get(4..).and_then(<[u8]>::first_chunk).map(|bytes| u16::from_be_bytes(*bytes));
            Address::Packet { interface: word(0), protocol: protocol.unwrap_or(0) }
        }
        // A `sockaddr_vm`, which begins with its family: where that is another, this is none.
        family::VSOCK if bytes.starts_with(&family::VSOCK.to_ne_bytes()) => {
            Address::Vsock { cid: word(2), port: word(1) }
        }
        _ => Address::Other(number, Vec::new()),
    }
}

fn name_unix(sock: &mut Sock, local: &tracer_abi::UnixName, peer: &tracer_abi::UnixName) {
    if sock.family == family::UNIX {
        sock.local = Address::Unix(unix_name(first(&local.path, local.len)));
        sock.peer = Address::Unix(unix_name(first(&peer.path, peer.len)));
    }
}

fn asked(record: &tracer_abi::Asked) -> Option<Address> {
    Address::from_sockaddr(first(&record.bytes, record.len))
}

/// The first `len` bytes, or all where there are fewer.
fn first(bytes: &[u8], len: u32) -> &[u8] {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(..len).unwrap_or_default()
}

fn until_zero(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().take_while(|byte| *byte != 0).collect()
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, in_flight, record, row};
    use crate::{
        address::Address,
        ids::ProcessKey,
        input::{Body, Input, State},
        syscall::{Numbering, Syscall},
    };
    use core::net::SocketAddrV4;
    use proptest::prelude::*;
    use tracer_abi::{Field, InFlight};

    /// Numbers as x86-64 has them (arch/x86/entry/syscalls/syscall_64.tbl).
    fn numbering() -> Numbering {
        Numbering::new([(3, Syscall::Close), (42, Syscall::Connect), (43, Syscall::Accept)])
    }

    /// A `Call` record of `close(9)` as the kernel lays it out, written byte by byte.
    fn close_of_nine() -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(1_u16.to_ne_bytes());
        bytes.extend(312_u16.to_ne_bytes());
        bytes.extend(1_u32.to_ne_bytes());
        bytes.extend(77_u64.to_ne_bytes());
        bytes.extend(5_000_u64.to_ne_bytes());
        bytes.extend(812_u32.to_ne_bytes());
        bytes.extend(813_u32.to_ne_bytes());
        bytes.extend(4_000_u64.to_ne_bytes());
        bytes.extend(0xffff_8000_u64.to_ne_bytes());
        bytes.extend(4_900_u64.to_ne_bytes());
        bytes.extend(0_i64.to_ne_bytes());
        for arg in [9_u32, 0, 0, 0] {
            bytes.extend(arg.to_ne_bytes());
        }
        bytes.extend(3_u32.to_ne_bytes());
        bytes.extend(8_u32.to_ne_bytes());
        for (fd, flags) in [(9_i32, 3_u32), (-1, 0)] {
            bytes.extend(fd.to_ne_bytes());
            bytes.extend(flags.to_ne_bytes());
            bytes.extend(0xaaaa_u64.to_ne_bytes());
            bytes.extend(1234_u64.to_ne_bytes());
            bytes.extend(8_u32.to_ne_bytes());
            bytes.extend(0o140_777_u32.to_ne_bytes());
            bytes.extend([0_u8; 24]);
        }
        bytes
    }

    /// What a record tells.
    fn told(bytes: &[u8]) -> Result<Vec<Input>, DecodeError> {
        let mut inputs = Vec::new();
        record(bytes, &numbering(), |input| inputs.push(input))?;
        Ok(inputs)
    }

    #[test]
    fn a_close_reads_as_it_was_written() {
        let [input] = told(&close_of_nine()).unwrap().try_into().unwrap();
        assert_eq!(input.ts.0, 5_000);
        assert_eq!(input.origin.map(|origin| (origin.cpu, origin.cpu_seq)), Some((1, 77)));
        let Body::Call(call) = input.body else { panic!("not a call") };
        assert_eq!(call.call, Syscall::Close);
        assert_eq!(call.task.process, ProcessKey { pid: 812, start_ns: 4_000 });
        assert_eq!(call.task.tid, 813);
        assert_eq!(call.enter.map(|enter| enter.0), Some(4_900));
        assert_eq!(call.ret, Some(0));
        let subject = call.subject.unwrap();
        assert_eq!((subject.fd, subject.cloexec), (9, true));
        assert_eq!(subject.file.map(|file| (file.file, file.ino)), Some((0xaaaa, 1234)));
        assert!(call.results.is_empty());
    }

    /// The same close as it changes the state of its socket: a `CallStates` record.
    fn close_with_states(count: u32) -> Vec<u8> {
        let mut bytes = close_of_nine();
        bytes[0] = 6;
        bytes.extend(0xbbbb_u64.to_ne_bytes());
        bytes.extend(4_026_531_840_u32.to_ne_bytes());
        for word in [2_u16, 1, 6, 80, 51_234, 1] {
            bytes.extend(word.to_ne_bytes());
        }
        for address in [[127, 0, 0, 1], [127, 0, 0, 2]] {
            bytes.extend(address);
            bytes.extend([0; 12]);
        }
        bytes.extend([0; 16]);
        bytes.extend(count.to_ne_bytes());
        bytes.extend([0; 4]);
        for (ts, error, from, to) in
            [(4_910_u64, 0_u32, 1_u16, 4_u16), (4_920, 104, 4, 7), (9, 9, 9, 9), (9, 9, 9, 9)]
        {
            bytes.extend(ts.to_ne_bytes());
            bytes.extend(error.to_ne_bytes());
            bytes.extend(from.to_ne_bytes());
            bytes.extend(to.to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn changes_of_state_come_before_the_call_that_made_them() {
        let [first, second, close] = told(&close_with_states(2)).unwrap().try_into().unwrap();
        let mut seen = Vec::new();
        for input in [first, second] {
            assert_eq!(input.origin.map(|origin| (origin.cpu, origin.cpu_seq)), Some((1, 77)));
            let Body::State(state) = input.body else { panic!("not a state") };
            assert_eq!((state.task.process.pid, state.task.tid), (812, 813));
            assert_eq!(state.sock.local, "127.0.0.1:80".parse::<SocketAddrV4>().map(inet).unwrap());
            assert_eq!(state.sock.peer, "127.0.0.2:51234".parse::<SocketAddrV4>().map(inet).unwrap());
            seen.push((input.ts.0, state.from, state.to, state.error, state.sock.state));
        }
        assert_eq!(seen, [(4_910, 1, 4, 0, 4), (4_920, 4, 7, 104, 7)]);
        let Body::Call(call) = close.body else { panic!("not a call") };
        assert_eq!((close.ts.0, call.call), (5_000, Syscall::Close));
        assert_eq!(call.socks.iter().map(|sock| (sock.sk, sock.state)).collect::<Vec<_>>(), [(0xbbbb, 7)]);
    }

    #[test]
    fn a_change_that_waited_comes_before_the_one_it_waited_for() {
        let mut bytes = close_with_states(0)[..48].to_vec();
        bytes[0] = 32;
        for word in [104_u16, 0, 5, 7] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(&close_with_states(0)[200..272]);
        bytes.extend(4_990_u64.to_ne_bytes());
        for word in [0_u16, 0, 4, 5] {
            bytes.extend(word.to_ne_bytes());
        }
        let seen = |bytes: &[u8]| -> Vec<(u64, u16, u16, u32, u16)> {
            let one = |input: Input| match input.body {
                Body::State(State { from, to, error, sock, .. }) => (input.ts.0, from, to, error, sock.state),
                other => panic!("{other:?}"),
            };
            told(bytes).unwrap().into_iter().map(one).collect()
        };
        assert_eq!(seen(&bytes), [(4_990, 4, 5, 0, 5), (5_000, 5, 7, 104, 7)]);
        let at = bytes.len() - 16;
        bytes[at..].fill(0);
        assert_eq!(seen(&bytes), [(5_000, 5, 7, 104, 7)], "none waited");
    }

    fn inet(address: SocketAddrV4) -> Address {
        Address::Inet(*address.ip(), address.port())
    }

    #[test]
    fn more_changes_than_a_record_holds_are_those_it_holds() {
        assert_eq!(told(&close_with_states(u32::MAX)).map(|inputs| inputs.len()), Ok(5));
        assert_eq!(told(&close_with_states(0)).map(|inputs| inputs.len()), Ok(1));
        let mut short = close_with_states(2);
        short.pop();
        assert_eq!(told(&short), Err(DecodeError::Short));
    }

    #[test]
    fn unknown_kinds_and_calls_are_named() {
        let mut bytes = close_of_nine();
        bytes[0] = 99;
        assert_eq!(told(&bytes), Err(DecodeError::UnknownKind(99)));
        let mut bytes = close_of_nine();
        bytes[80] = 200;
        assert_eq!(told(&bytes), Err(DecodeError::UnknownCall(200)));
        assert_eq!(told(&bytes[..40]), Err(DecodeError::Short));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..1500), kind in 0_u8..80) {
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            if let Some(second) = bytes.get_mut(1) {
                *second = 0;
            }
            let _ = told(&bytes);
            let _ = row(&bytes);
            if let Some(flight) = InFlight::read(&bytes) {
                let _ = in_flight(&flight, None, &numbering());
            }
        }
    }
}

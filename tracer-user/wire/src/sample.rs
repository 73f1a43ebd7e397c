//! Events for tests.

use tracer_model::{
    address::Address,
    event::{Event, EventKind, SocketKind, Via},
    ids::{BootNs, ProcessKey, SocketId},
    syscall::Syscall,
};

/// An event of that kind of which nothing is known but when and who.
pub(crate) fn event(kind: EventKind) -> Event {
    Event {
        seq: 812,
        ts: BootNs(42),
        epoch_ns: 1_795_348_800_123_456_789,
        process: ProcessKey { pid: 812, start_ns: 5_119_676_157_000 },
        tid: 812,
        comm: "nginx".to_owned(),
        kind,
        call: None,
        call_id: None,
        pending: false,
        via: Via::Syscall,
        fd: None,
        ret: None,
        new_fd: None,
        fds: Vec::new(),
        cloexec: None,
        nonblock: None,
        file_kind: None,
        ino: None,
        socket: None,
        listener: None,
        socket_kind: None,
        netns: None,
        local: None,
        peer: None,
        asked: None,
        path: None,
        set_option: None,
        options: None,
        backlog: None,
        queue_len: None,
        queue_limit: None,
        wait_ns: None,
        dur_ns: None,
        from: None,
        to: None,
        closed_first: None,
        error: None,
        direction: None,
        child: None,
        place: None,
        status: None,
        how: None,
        inferred: false,
        late: false,
        origin: None,
        count: None,
        cause: None,
        ring: None,
        direct: None,
        new_direct: None,
        directs: Vec::new(),
        new_ring: None,
        unconfirmed: false,
        confirmed: false,
        doubtful: false,
        explain: None,
    }
}

/// The contract's example.
pub(crate) fn accept() -> Event {
    Event {
        call: Some(Syscall::Accept4),
        fd: Some(6),
        ret: Some(9),
        new_fd: Some(9),
        socket: Some(SocketId(41)),
        listener: Some(SocketId(7)),
        socket_kind: Some(SocketKind { family: 2, ty: 1, protocol: 6 }),
        local: Some(Address::Inet([127, 0, 0, 1].into(), 80)),
        peer: Some(Address::Inet([127, 0, 0, 1].into(), 51234)),
        wait_ns: Some(18_200),
        dur_ns: Some(920),
        ..event(EventKind::Accept)
    }
}

//! Rows of a snapshot.

use super::{
    DecodeError,
    processes::place,
    read, slot,
    sockets::{name_unix, sock, tcp},
    until_zero,
};
use crate::{
    ids::{BootNs, ProcessKey},
    input::{Body, Input, ListenerSample, Row, Slot, Task, Waiting},
};
use tracer_abi::{Field, LISTENER_NETNS_OWN, ListenerRow, SLOT_MQUEUE, SnapshotRow};

/// `O_NONBLOCK` (open(2)).
const O_NONBLOCK: u32 = 0o4000;

/// Reads one row of the snapshot and says how many bytes it took.
pub fn row(bytes: &[u8]) -> Result<(Input, usize), DecodeError> {
    let record: SnapshotRow = read(bytes)?;
    let end = SnapshotRow::SIZE + usize::try_from(record.path_len).map_err(|_| DecodeError::Short)?;
    let path = bytes.get(SnapshotRow::SIZE..end).ok_or(DecodeError::Short)?;
    let body = Body::Row(Box::new(slot_row(&record, path.to_vec())?));
    Ok((Input { ts: BootNs(record.ts), origin: None, late: false, body }, end))
}

pub(super) fn slot_row(record: &SnapshotRow, name: Vec<u8>) -> Result<Row, DecodeError> {
    let slot = slot(&record.slot).ok_or(DecodeError::Short)?;
    let mut sock = sock(&record.sock);
    if let Some(sock) = &mut sock {
        name_unix(sock, &record.local, &record.peer);
    }
    // As `/proc/PID/fd` marks other files that are of no file system that is mounted.
    let name =
        if record.slot.flags & SLOT_MQUEUE != 0 { [b"mqueue:", name.as_slice()].concat() } else { name };
    Ok(Row {
        process: ProcessKey { pid: record.pid, start_ns: record.start },
        parent: record.parent,
        files: record.files,
        comm: until_zero(&record.comm),
        fd_limit: record.fd_limit,
        place: place(&record.place),
        slot: Slot { name, nonblock: record.open_flags & O_NONBLOCK != 0, ..slot },
        sock,
        open_flags: record.open_flags,
        tcp: tcp(&record.tcp),
        unread: record.unread,
    })
}

/// What a row of the iterator over listeners tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A listener; and whether the network namespace of its owner is its own.
    Listener(ListenerSample, bool),
    /// A connection that waits.
    Waiting(Input),
}

/// Reads one row of the iterator over listeners and says how many bytes it took.
pub fn listener(bytes: &[u8]) -> Result<(Found, usize), DecodeError> {
    let record: ListenerRow = read(bytes)?;
    let sock = sock(&record.sock).ok_or(DecodeError::Short)?;
    let process = ProcessKey { pid: record.pid, start_ns: record.start };
    let ts = BootNs(record.ts);
    if record.listener != 0 {
        let task = Task { process, tid: 0, files: 0 };
        let waiting = Waiting { task, listener: record.listener, sock };
        let body = Body::Waiting(Box::new(waiting));
        return Ok((Found::Waiting(Input { ts, origin: None, late: false, body }), ListenerRow::SIZE));
    }
    let drops = (sock.family != crate::address::family::UNIX).then_some(record.drops);
    let sample = ListenerSample { ts, process, sock, drops };
    Ok((Found::Listener(sample, record.flags & LISTENER_NETNS_OWN != 0), ListenerRow::SIZE))
}

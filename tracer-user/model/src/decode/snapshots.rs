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
    input::{Body, Input, ListenerSample, Row, Slot},
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

/// A listener that was read, and whether the network namespace of its owner is its own; `None` where its socket was gone.
#[must_use]
pub fn listener(record: &ListenerRow) -> Option<(ListenerSample, bool)> {
    let sock = sock(&record.sock)?;
    let process = ProcessKey { pid: record.pid, start_ns: record.start };
    let drops = (sock.family != crate::address::family::UNIX).then_some(record.drops);
    let sample = ListenerSample { ts: BootNs(record.ts), process, sock, drops };
    Some((sample, record.flags & LISTENER_NETNS_OWN != 0))
}

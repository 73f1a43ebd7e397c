//! Selection by port: a socket whose port turns out to be the selected one is followed from there on.

use crate::{
    emit, file,
    globals::offset,
    kread::{copy, field},
    probes::queue,
    sock, task,
};
use tracer_abi::{Found, InFlight, Kind, Sock};

/// Tells what a socket is before the call that makes it followed, and follows it and, for its sockets, its process. One
/// that is followed already is not told again.
#[inline(always)]
pub(crate) fn tell(call: &InFlight, sock: &Sock) {
    let ino = call.call.subject.file.ino;
    if queue::tracked(call.sk).is_some_and(|tracked| tracked.ino == 0 || tracked.ino == ino) {
        return;
    }
    let header = &call.call.header;
    if sock::has_states(sock) {
        sock::track(sock, header.pid, header.start, 0, ino);
    }
    task::follow(header.pid, true);
    let task = task::current();
    let flags = offset!(file_flags);
    emit::record::<Found>(Kind::FOUND, header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            let row = &mut (*record).row;
            row.ts = header.ts;
            row.pid = header.pid;
            row.parent = task::parent(task);
            row.start = header.start;
            row.files = header.files;
            row.comm = task::leader_comm(task);
            row.fd_limit = task::fd_limit(task);
            file::read_slot(header.files, call.call.subject.fd, &mut row.slot, true);
            copy(&raw mut row.sock, sock);
            sock::unix_name(0, &mut row.local);
            sock::unix_name(0, &mut row.peer);
            row.path_len = 0;
            row.open_flags = field(row.slot.file.file, flags).unwrap_or(0);
        }
    });
}

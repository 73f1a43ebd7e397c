//! Operations that were submitted to an io_uring and tell nothing of their success (`IOSQE_CQE_SKIP_SUCCESS`): the first look
//! at their table that began later settles each. A close happened where the slot does not hold the file any more; where it
//! does, the look has put it back. What else is done to a socket happened where the socket shows it now and did not before.

use crate::{
    address::Address,
    calls::Doing,
    event::{EventKind, Via},
    ids::{BootNs, DescriptorId, ProcessKey, SocketId, TableId},
    input::FileRef,
    kinds, lifecycle,
    names::state,
    session::Session,
    sockets::Kept,
    syscall::Syscall,
    tell::Stamp,
};
use std::collections::VecDeque;
use tracer_abi::Class;

/// Operations that wait to be settled; beyond, the oldest stay unconfirmed.
const AWAITING: usize = 4096;

/// An operation that waits to be settled.
#[derive(Debug)]
pub(crate) struct Submitted {
    process: ProcessKey,
    call: Syscall,
    kind: EventKind,
    table: TableId,
    fd: i32,
    file: FileRef,
    id: DescriptorId,
    since: BootNs,
    done: Done,
}

/// What it does.
#[derive(Debug)]
enum Done {
    Close,
    Socket { id: SocketId, args: [u32; 4], asked: Option<Address> },
}

/// All of them, oldest first.
pub(crate) type Awaiting = VecDeque<Submitted>;

/// Whether a socket shows that an operation of that class was done to it. Of a shutdown, only what it sends to a peer of TCP
/// shows.
fn shows(kept: &Kept, class: Class, how: u32) -> bool {
    let socket = &kept.socket;
    match class {
        Class::BIND => !socket.local.is_unset(),
        Class::LISTEN => kept.state == state::LISTEN,
        Class::CONNECT => {
            let apart = [state::CLOSE, state::LISTEN, state::SYN_SENT, state::SYN_RECV, state::NEW_SYN_RECV];
            !socket.peer.is_unset() && !apart.contains(&kept.state)
        }
        Class::SHUTDOWN => {
            let shut = [
                state::FIN_WAIT1,
                state::FIN_WAIT2,
                state::CLOSING,
                state::LAST_ACK,
                state::TIME_WAIT,
                state::CLOSE,
            ];
            how != kinds::SHUT_RD && lifecycle::tells_states(socket.kind) && shut.contains(&kept.state)
        }
        _ => false,
    }
}

impl Session {
    /// A close was submitted: the next look at its table settles it.
    pub(crate) fn await_close(&mut self, doing: &Doing<'_>) {
        self.await_check(doing, Done::Close);
    }

    /// Something was submitted that changes a socket. What the socket shows already, no look can tell; once another operation
    /// of its class has ended, a look cannot tell which it was.
    pub(crate) fn await_socket(&mut self, doing: &Doing<'_>, id: SocketId) {
        let call = doing.call;
        let class = call.call.class();
        self.unconfirmed.retain(|one| {
            !matches!(one.done, Done::Socket { id: other, .. } if other == id && one.call.class() == class)
        });
        let shown = self.world.sockets.get(id).is_none_or(|kept| shows(kept, class, call.args[1]));
        if !shown && call.request.is_some_and(|request| request.unconfirmed) {
            self.await_check(doing, Done::Socket { id, args: call.args, asked: call.asked.clone() });
        }
    }

    fn await_check(&mut self, doing: &Doing<'_>, done: Done) {
        let Some(((table, fd), file)) = doing.subject() else { return };
        let Some(kept) = self.world.tables.find(table, fd, &file) else { return };
        let (id, process, call) = (kept.descriptor.id, doing.call.task.process, doing.call.call);
        let (kind, since) = (doing.kind, doing.ts);
        self.unconfirmed.push_back(Submitted { process, call, kind, table, fd, file, id, since, done });
        if self.unconfirmed.len() > AWAITING {
            self.unconfirmed.pop_front();
        }
    }

    /// Tables were read from `began` on: settles the operations on theirs that were submitted before.
    pub(crate) fn confirm(&mut self, stamp: &Stamp, began: BootNs, read: impl Fn(TableId) -> bool) {
        let (settled, rest): (Awaiting, Awaiting) = std::mem::take(&mut self.unconfirmed)
            .into_iter()
            .partition(|one| one.since < began && (read(one.table) || !self.world.tables.exists(one.table)));
        self.unconfirmed = rest;
        for one in settled {
            if !self.world.tables.exists(one.table) {
                continue;
            }
            let held = self.world.tables.slot(one.table, one.fd).is_some_and(|kept| kept.holds(&one.file));
            match one.done {
                Done::Close if !held => {
                    self.world.tables.confirm(one.id, &mut self.world.revisions);
                    self.tell_confirmed(stamp, one);
                }
                Done::Socket { id, args, .. } if held => {
                    let class = one.call.class();
                    let shown = self.world.sockets.get(id).is_some_and(|kept| shows(kept, class, args[1]));
                    if shown {
                        self.take_effect(class, id, (one.since, stamp.ts), args[1]);
                        self.tell_confirmed(stamp, one);
                    } else if class == Class::CONNECT {
                        // It may be under way.
                        self.unconfirmed.push_back(one);
                    }
                }
                _ => {}
            }
        }
    }

    /// A line for an operation that a look has found done.
    fn tell_confirmed(&mut self, stamp: &Stamp, one: Submitted) {
        let mut event = self.blank(stamp, one.process, one.kind, Via::IoUring);
        (event.call, event.confirmed) = (Some(one.call), true);
        if let Some(kept) = self.world.tables.get(one.id) {
            self.show_place(&mut event, &kept.descriptor);
        }
        self.show_file(&mut event, one.id);
        if let Done::Socket { id, args, asked } = one.done {
            event.asked = asked;
            match one.kind {
                EventKind::Listen => event.backlog = Some(args[1].cast_signed()),
                EventKind::Shutdown => event.how = Some(args[1]),
                _ => {}
            }
            self.show_socket(&mut event, id);
        }
        self.emit(event);
    }
}

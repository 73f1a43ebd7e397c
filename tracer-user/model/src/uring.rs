//! Operations of io_urings: what differs from a system call. A ring's file table is a descriptor table like any other, its
//! entries have an index in place of a number.

use crate::{
    event::Event,
    ids::TableId,
    input::{Call, Request},
    session::Session,
    world::World,
};
use foldhash::HashMap;
use tracer_abi::{Class, RING_DOUBTFUL, RING_RESULT_DIRECT, RING_SUBJECT_DIRECT, RING_UNCONFIRMED, RingRef};

/// Rings that are known, by kernel address.
#[derive(Debug, Default)]
pub(crate) struct Rings(HashMap<u64, Ring>);

/// An io_uring.
#[derive(Debug)]
struct Ring {
    /// Its file table.
    table: TableId,
    /// The number that it was given in the table of the process that made it.
    fd: Option<i32>,
}

/// A call as it is told of an operation.
pub(crate) fn operation(call: Call, request: &RingRef) -> Call {
    let is = |flag: u32| request.flags & flag != 0;
    let unconfirmed = is(RING_UNCONFIRMED);
    Call {
        ret: call.ret.filter(|_| !unconfirmed),
        request: Some(Request {
            ring: request.ring,
            user_data: request.user_data,
            subject_direct: is(RING_SUBJECT_DIRECT),
            result_direct: is(RING_RESULT_DIRECT),
            unconfirmed,
            doubtful: is(RING_DOUBTFUL),
        }),
        ..call
    }
}

/// Whether a close leaves the descriptor as it is: a ring cannot be closed by an operation (`io_close`,
/// io_uring/openclose.c), and one that failed in a chain was not tried (`io_fail_links`, io_uring/timeout.c).
pub(crate) fn stays(call: &Call) -> bool {
    call.ret.is_some_and(|ret| ret < 0)
        || call.subject.as_ref().is_some_and(|slot| slot.name.starts_with(b"[io_uring]"))
}

impl World {
    /// The file table of the ring at that kernel address.
    fn ring_table(&mut self, ring: u64) -> TableId {
        if let Some(known) = self.rings.0.get(&ring) {
            return known.table;
        }
        let table = self.tables.add(ring);
        self.tables.join(table);
        self.rings.0.insert(ring, Ring { table, fd: None });
        table
    }
}

impl Session {
    /// Whether a completion that may be another operation's is: what an accept makes was not there before.
    pub(crate) fn is_told(&self, call: &Call, table: Option<TableId>) -> bool {
        let doubtful = call.request.is_some_and(|request| request.doubtful && !request.result_direct);
        let result = call.results.first().and_then(|slot| Some((slot.fd, slot.file?)));
        let (true, Class::ACCEPT, Some((fd, file)), Some(table)) =
            (doubtful, call.call.class(), result, table)
        else {
            return false;
        };
        self.world.tables.slot(table, fd).is_some_and(|kept| kept.holds(&file))
    }

    /// The table of a call's descriptor arguments and that of what it makes, where `table` is the caller's.
    pub(crate) fn tables_of(
        &mut self,
        call: &Call,
        table: Option<TableId>,
    ) -> (Option<TableId>, Option<TableId>) {
        let (Some(request), Some(own)) = (call.request, table) else { return (table, table) };
        let mut choose = |direct: bool| Some(if direct { self.world.ring_table(request.ring) } else { own });
        (choose(request.subject_direct), choose(request.result_direct))
    }

    /// Describes the request of an operation; entries of a ring's file table have no number.
    pub(crate) fn show_request(&self, call: &Call, request: &Request, event: &mut Event) {
        event.fd = event.fd.filter(|fd| *fd >= 0);
        event.dur_ns = event.dur_ns.filter(|_| !request.unconfirmed);
        event.ring = self.world.rings.0.get(&request.ring).and_then(|ring| ring.fd);
        event.unconfirmed = request.unconfirmed;
        event.doubtful = request.doubtful;
        if request.subject_direct {
            event.direct = event.fd.take();
        }
        if request.result_direct {
            event.new_fd = None;
            event.new_direct = call.results.first().map(|slot| slot.fd);
        }
    }
}

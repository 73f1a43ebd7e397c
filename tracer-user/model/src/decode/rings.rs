//! Records of io_urings.

use super::{slot, sockets::sock, task};
use crate::input::{Call, ListPart, Request, RingPart};
use tracer_abi::{
    Header, RING_BY_MARK, RING_DOUBTFUL, RING_LIST_BEGINS, RING_LIST_ENTRY, RING_RESULT_DIRECT,
    RING_SUBJECT_DIRECT, RING_UNCONFIRMED, RingRef, RingSlot,
};

/// A call as it is told of an operation.
pub(super) fn operation(call: Call, request: &RingRef) -> Call {
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
            by_mark: is(RING_BY_MARK),
            target: (request.target != 0).then_some(request.target),
        }),
        ..call
    }
}

pub(super) fn ring_part(record: &RingSlot, header: &Header) -> RingPart {
    let slot = slot(&record.slot);
    let part = match (record.part, slot) {
        (RING_LIST_BEGINS, slot) => ListPart::Begins(slot),
        (RING_LIST_ENTRY, Some(slot)) => ListPart::Entry(slot, sock(&record.sock)),
        _ => ListPart::Ends,
    };
    RingPart { task: task(header), ring: record.ring, found: record.found != 0, part }
}

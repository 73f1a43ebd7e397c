//! An event as its JSON line, written without making a [`Line`](crate::line::Line) first: tracing writes every event,
//! and a text of its own for each address and number costs more than all else that is done with it.

use crate::{
    errno,
    line::{how, state},
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::fmt::Display;
use tracer_model::{
    event::{Direction, Event, EventKind, FileKind, Side},
    input::LossCause,
    names,
    syscall::Syscall,
};

/// Serializes to what [`Line::new`](crate::line::Line::new) of the event does, byte for byte.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a>(pub &'a Event);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.0;
        let process = (event.kind != EventKind::Lost).then_some(event.process);
        let kind = event.socket_kind;
        let yes = |is: bool| is.then_some(true);
        let mut object = Object(serializer.serialize_map(None)?);
        object.field("seq", Some(event.seq))?;
        object.field("ts_ns", Some(event.epoch_ns))?;
        object.text("process", process)?;
        object.field("pid", process.map(|process| process.pid))?;
        object.field("tid", process.map(|_| event.tid).filter(|tid| *tid != 0))?;
        object.field("comm", process.map(|_| &event.comm))?;
        object.field("event", Some(event.kind.name()))?;
        object.field("call", event.call.map(Syscall::name))?;
        object.field("call_id", event.call_id)?;
        object.field("pending", yes(event.pending))?;
        object.field("fd", event.fd)?;
        object.field("ret", event.ret)?;
        object.field("error", event.error.map(errno::name))?;
        object.field("new_fd", event.new_fd)?;
        object.field("fds", Some(&event.fds).filter(|fds| !fds.is_empty()))?;
        object.field("cloexec", event.cloexec)?;
        object.field("kind", event.file_kind.map(FileKind::name))?;
        object.field("inode", event.ino)?;
        object.field("path", event.path.as_deref().map(String::from_utf8_lossy))?;
        object.text("socket", event.socket)?;
        object.text("listener", event.listener)?;
        object.field("family", kind.map(|kind| names::family_name(kind.family)))?;
        object.field("type", kind.map(|kind| names::type_name(kind.ty)))?;
        object.field("protocol", kind.and_then(|kind| names::protocol_name(kind.family, kind.protocol)))?;
        object.text("local", event.local.as_ref())?;
        object.text("peer", event.peer.as_ref())?;
        object.text("asked", event.asked.as_ref())?;
        object.field("backlog", event.backlog)?;
        object.field("queue_len", event.queue_len)?;
        object.field("queue_limit", event.queue_limit)?;
        object.field("wait_ns", event.wait_ns)?;
        object.field("dur_ns", event.dur_ns)?;
        object.field("from", event.from.map(state))?;
        object.field("to", event.to.map(state))?;
        object.field("dir", event.direction.map(Direction::name))?;
        object.field("closed_first", event.closed_first.map(Side::name))?;
        object.text("child", event.child)?;
        object.field("status", event.status)?;
        object.field("how", event.how.map(how))?;
        object.field("count", event.count)?;
        object.field("cause", event.cause.map(LossCause::name))?;
        object.field("via", Some(event.via.name()))?;
        object.field("inferred", yes(event.inferred))?;
        object.field("late", yes(event.late))?;
        object.field("cpu", event.origin.map(|origin| origin.cpu))?;
        object.field("cpu_seq", event.origin.map(|origin| origin.cpu_seq))?;
        object.0.end()
    }
}

/// An object under way: fields that have no meaning are left out.
struct Object<M>(M);

impl<M: SerializeMap> Object<M> {
    fn field<T: Serialize>(&mut self, name: &'static str, value: Option<T>) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.0.serialize_entry(name, &value))
    }

    /// A value as the text that it is shown as.
    fn text<T: Display>(&mut self, name: &'static str, value: Option<T>) -> Result<(), M::Error> {
        self.field(name, value.map(Shown))
    }
}

struct Shown<T>(T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Json;
    use crate::{
        line::Line,
        sample::{accept, event},
    };
    use tracer_model::{
        address::Address,
        event::{Direction, Event, EventKind, FileKind, Side, SocketKind, Via},
        ids::{ProcessKey, SocketId},
        input::{LossCause, Origin},
        syscall::Syscall,
    };

    /// Every field has a value; the texts need escapes.
    fn full(kind: EventKind) -> Event {
        Event {
            comm: "a\"\n\u{7f}é".to_owned(),
            call: Some(Syscall::Accept4),
            call_id: Some(3),
            pending: true,
            via: Via::Kernel,
            fd: Some(-1),
            ret: Some(-512),
            new_fd: Some(9),
            fds: vec![1, -2, 3],
            cloexec: Some(false),
            file_kind: Some(FileKind::Socket),
            ino: Some(u64::MAX),
            socket: Some(SocketId(41)),
            listener: Some(SocketId(7)),
            socket_kind: Some(SocketKind { family: 10, ty: 77, protocol: 999 }),
            local: Some(Address::Unix(b"/run/\xff\\\"\x01".to_vec())),
            peer: Some(Address::Inet6([0xfe80, 0, 0, 0, 0, 0, 0, 1].into(), 80)),
            asked: Some(Address::Other(99, vec![1, 0xab])),
            path: Some(b"/tmp/\xff\n\"".to_vec()),
            backlog: Some(1),
            queue_len: Some(2),
            queue_limit: Some(3),
            wait_ns: Some(4),
            dur_ns: Some(5),
            from: Some(1),
            to: Some(99),
            closed_first: Some(Side::Peer),
            error: Some(512),
            direction: Some(Direction::In),
            child: Some(ProcessKey { pid: 5, start_ns: 6 }),
            status: Some(256),
            how: Some(7),
            inferred: true,
            late: true,
            origin: Some(Origin { cpu: 1, cpu_seq: 2 }),
            count: Some(8),
            cause: Some(LossCause::MapFull),
            ..event(kind)
        }
    }

    #[test]
    fn the_bytes_are_the_lines_whatever_the_event_holds() {
        let all = EventKind::ALL.iter();
        let events = all.flat_map(|kind| [event(*kind), full(*kind), Event { tid: 0, ..event(*kind) }]);
        for event in events.chain([accept()]) {
            let written = serde_json::to_string(&Json(&event)).unwrap();
            assert_eq!(written, serde_json::to_string(&Line::new(&event)).unwrap());
        }
    }
}

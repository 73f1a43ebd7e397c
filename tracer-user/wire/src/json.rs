//! An event as its JSON line, written piece by piece: tracing writes every event, and a general serializer costs more
//! than all else that is done with it.

use crate::{
    errno,
    explained::Explained,
    line::{accept_failed, how, own_pid_ns, state},
};
use std::{borrow::Cow, io::Write as _};
use tracer_model::{
    address::Address,
    event::{Direction, Event, FileKind, Side},
    ids::{ProcessKey, SocketId},
    input::LossCause,
    names,
    syscall::Syscall,
};

/// Appends a field where it has a value; the name needs no escape.
macro_rules! field {
    ($line:ident, $name:literal, $value:expr) => {
        if let Some(value) = $value {
            $line.extend_from_slice(concat!(",\"", $name, "\":").as_bytes());
            value.write($line);
        }
    };
}

/// Appends to `line` what [`Line::new`](crate::line::Line::new) of the event serializes to, byte for byte.
pub fn write(event: &Event, line: &mut Vec<u8>) {
    let process = event.is_of_process().then_some(event.process);
    let kind = event.socket_kind;
    let yes = |is: bool| is.then_some(true);
    line.extend_from_slice(b"{\"seq\":");
    event.seq.write(line);
    field!(line, "ts_ns", Some(event.epoch_ns));
    field!(line, "process", process);
    field!(line, "pid", process.map(|process| process.pid));
    field!(line, "tid", process.map(|_| event.tid).filter(|tid| *tid != 0));
    field!(line, "comm", process.map(|_| event.comm.as_str()));
    field!(line, "event", Some(event.kind.name()));
    field!(line, "call", event.call.map(Syscall::name));
    field!(line, "call_id", event.call_id);
    field!(line, "pending", yes(event.pending));
    field!(line, "fd", event.fd);
    field!(line, "ret", event.ret);
    field!(line, "error", event.error.map(errno::name));
    field!(line, "new_fd", event.new_fd);
    field!(line, "fds", Some(event.fds.as_slice()).filter(|fds| !fds.is_empty()));
    field!(line, "cloexec", event.cloexec);
    field!(line, "nonblock", event.nonblock);
    field!(line, "kind", event.file_kind.map(FileKind::name));
    field!(line, "inode", event.ino);
    field!(line, "path", event.path.as_deref().map(String::from_utf8_lossy));
    field!(line, "socket", event.socket);
    field!(line, "listener", event.listener);
    field!(line, "family", kind.map(|kind| names::family_name(kind.family)));
    field!(line, "type", kind.map(|kind| names::type_name(kind.ty)));
    field!(line, "protocol", kind.and_then(|kind| names::protocol_name(kind.family, kind.protocol)));
    field!(line, "netns", event.netns);
    field!(line, "local", event.local.as_ref());
    field!(line, "peer", event.peer.as_ref());
    field!(line, "asked", event.asked.as_ref());
    if let Some(set) = event.set_option {
        field!(line, "level", Some(names::level_name(set.level)));
        field!(line, "option", Some(names::option_name(set.level, set.option)));
        field!(line, "asked_value", set.asked);
        field!(line, "value", set.value);
    }
    let options = event.options.as_ref().map(names::options).filter(|options| !options.is_empty());
    field!(line, "options", options);
    field!(line, "backlog", event.backlog);
    field!(line, "queue_len", event.queue_len);
    field!(line, "queue_limit", event.queue_limit);
    field!(line, "wait_ns", event.wait_ns);
    if let Some(split) = &event.split {
        field!(line, "asleep_ns", Some(split.asleep_ns));
        field!(line, "runnable_ns", Some(split.runnable_ns));
        field!(line, "running_ns", Some(split.running_ns));
        field!(line, "blocked_ns", Some(split.blocked_ns));
        field!(line, "blocked_in", split.blocked_in.as_deref());
        field!(line, "unknown_ns", Some(split.unknown_ns));
        field!(line, "accept_failed", Some(accept_failed(split)).filter(|failed| !failed.is_empty()));
    }
    field!(line, "slept", yes(event.slept));
    if let Some(drops) = event.drops {
        field!(line, "drops", Some(drops.new));
        field!(line, "drops_total", Some(drops.total));
        field!(line, "queue_full_min", drops.queue_full.map(|(least, _)| least));
        field!(line, "queue_full_max", drops.queue_full.map(|(_, most)| most));
        field!(line, "period_ns", Some(drops.period_ns));
    }
    if let Some(tcp) = event.tcp {
        field!(line, "bytes_acked", Some(tcp.acked));
        field!(line, "bytes_received", Some(tcp.received));
        field!(line, "rtt_us", Some(tcp.rtt_us));
        field!(line, "retransmits", Some(tcp.retransmits));
    }
    if let Some(spoken) = &event.spoken {
        field!(line, "app_protocol", Some(spoken.protocol.name()));
        field!(line, "sni", spoken.sni.as_deref());
        field!(line, "sni_cut", yes(spoken.sni_cut));
    }
    field!(line, "dur_ns", event.dur_ns);
    field!(line, "from", event.from.map(|from| state(kind, from)));
    field!(line, "to", event.to.map(|to| state(kind, to)));
    field!(line, "dir", event.direction.map(Direction::name));
    field!(line, "closed_first", event.closed_first.map(Side::name));
    field!(line, "child", event.child);
    if let Some(place) = &event.place {
        let own = own_pid_ns(event);
        field!(line, "ns_pid", own.map(|place| place.ns_pid));
        field!(line, "pidns", own.map(|place| place.pid_ns));
        field!(line, "cgroup", place.cgroup.as_deref().map(String::from_utf8_lossy));
    }
    field!(line, "status", event.status);
    field!(line, "how", event.how.map(how));
    field!(line, "count", event.count);
    field!(line, "cause", event.cause.map(LossCause::name));
    if let Some(stands) = &event.stands {
        field!(line, "standing", Some(stands.trust.name()));
        field!(line, "repaired", Some(stands.repaired).filter(|repaired| *repaired > 0));
        field!(line, "why", stands.why.as_deref());
        field!(line, "since_ns", stands.since_epoch_ns);
    }
    field!(line, "ring", event.ring);
    field!(line, "direct", event.direct);
    field!(line, "new_direct", event.new_direct);
    field!(line, "directs", Some(event.directs.as_slice()).filter(|directs| !directs.is_empty()));
    field!(line, "new_ring", event.new_ring);
    field!(line, "via", Some(event.via.name()));
    field!(line, "inferred", yes(event.inferred));
    field!(line, "late", yes(event.late));
    field!(line, "unconfirmed", yes(event.unconfirmed));
    field!(line, "confirmed", yes(event.confirmed));
    field!(line, "doubtful", yes(event.doubtful));
    field!(line, "explain", event.explain.as_ref().map(|explain| Explained::new(event, explain)));
    field!(line, "cpu", event.origin.map(|origin| origin.cpu));
    field!(line, "cpu_seq", event.origin.map(|origin| origin.cpu_seq));
    line.push(b'}');
}

/// A value of a field.
trait Value {
    fn write(&self, line: &mut Vec<u8>);
}

macro_rules! integers {
    ($($int:ty)*) => {$(
        impl Value for $int {
            fn write(&self, line: &mut Vec<u8>) {
                line.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
            }
        }
    )*};
}

integers! { u16 u32 u64 i32 i64 }

impl Value for bool {
    fn write(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl Value for &[i32] {
    fn write(&self, line: &mut Vec<u8>) {
        for (index, number) in self.iter().enumerate() {
            line.push(if index == 0 { b'[' } else { b',' });
            number.write(line);
        }
        line.push(b']');
    }
}

impl Value for &str {
    fn write(&self, line: &mut Vec<u8>) {
        let plain = self.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        if plain {
            line.push(b'"');
            line.extend_from_slice(self.as_bytes());
            line.push(b'"');
        } else {
            // A vector takes everything, and every text can be escaped.
            let _ = serde_json::to_writer(line, self);
        }
    }
}

impl Value for Cow<'_, str> {
    fn write(&self, line: &mut Vec<u8>) {
        self.as_ref().write(line);
    }
}

/// Rare, and of many fields: the general serializer writes it.
impl Value for Explained {
    fn write(&self, line: &mut Vec<u8>) {
        // A vector takes everything.
        let _ = serde_json::to_writer(line, self);
    }
}

impl Value for Vec<String> {
    fn write(&self, line: &mut Vec<u8>) {
        for (index, text) in self.iter().enumerate() {
            line.push(if index == 0 { b'[' } else { b',' });
            text.as_str().write(line);
        }
        line.push(b']');
    }
}

impl Value for SocketId {
    fn write(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(b"\"s");
        self.0.write(line);
        line.push(b'"');
    }
}

impl Value for ProcessKey {
    fn write(&self, line: &mut Vec<u8>) {
        line.push(b'"');
        self.pid.write(line);
        line.push(b'@');
        self.start_ns.write(line);
        line.push(b'"');
    }
}

impl Value for &Address {
    fn write(&self, line: &mut Vec<u8>) {
        match self {
            Address::Inet(ip, port) => {
                for (index, part) in ip.octets().into_iter().enumerate() {
                    line.push(if index == 0 { b'"' } else { b'.' });
                    u16::from(part).write(line);
                }
                line.push(b':');
                port.write(line);
                line.push(b'"');
            }
            Address::Inet6(ip, port) => {
                // A vector takes everything.
                let _ = write!(line, "\"[{ip}]:{port}\"");
            }
            other => other.to_string().as_str().write(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        line::Line,
        sample::{accept, event},
    };
    use tracer_model::{
        address::Address,
        event::{
            AppProtocol, Direction, Event, EventKind, FileKind, Place, SetOption, Side, SocketKind, Spoken,
            Stands, Trust, Via,
        },
        ids::{ProcessKey, SocketId},
        input::{LossCause, Options, Origin},
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
            nonblock: Some(true),
            file_kind: Some(FileKind::Socket),
            ino: Some(u64::MAX),
            socket: Some(SocketId(41)),
            listener: Some(SocketId(7)),
            socket_kind: Some(SocketKind { family: 10, ty: 77, protocol: 999 }),
            local: Some(Address::Unix(b"/run/\xff\\\"\x01".to_vec())),
            peer: Some(Address::Inet6([0xfe80, 0, 0, 0, 0, 0, 0, 1].into(), 80)),
            asked: Some(Address::Other(99, vec![1, 0xab])),
            path: Some(b"/tmp/\xff\n\"".to_vec()),
            set_option: Some(SetOption { level: 1, option: 13, asked: Some(-1), value: Some(5) }),
            options: Some(Options { reuseaddr: true, linger_s: Some(7), fastopen: 9, ..Options::default() }),
            backlog: Some(1),
            queue_len: Some(2),
            queue_limit: Some(3),
            wait_ns: Some(4),
            spoken: Some(Box::new(Spoken {
                protocol: AppProtocol::Tls,
                inferred: false,
                sni: Some("example.org".to_owned()),
                sni_cut: true,
            })),
            dur_ns: Some(5),
            from: Some(1),
            to: Some(99),
            closed_first: Some(Side::Peer),
            error: Some(512),
            direction: Some(Direction::In),
            child: Some(ProcessKey { pid: 5, start_ns: 6 }),
            place: Some(Box::new(Place {
                ns_pid: 1,
                pid_ns: 4_026_532_000,
                cgroup: Some((*b"/a\xff").into()),
            })),
            netns: Some(4_026_531_840),
            status: Some(256),
            how: Some(7),
            inferred: true,
            late: true,
            origin: Some(Origin { cpu: 1, cpu_seq: 2 }),
            count: Some(8),
            cause: Some(LossCause::MapFull),
            stands: Some(Box::new(Stands {
                trust: Trust::Repaired,
                repaired: 3,
                why: Some("ring_full".to_owned()),
                since_epoch_ns: Some(10),
            })),
            ..event(kind)
        }
    }

    #[test]
    fn the_bytes_are_the_lines_whatever_the_event_holds() {
        let all = EventKind::ALL.iter();
        let events = all.flat_map(|kind| [event(*kind), full(*kind), Event { tid: 0, ..event(*kind) }]);
        for event in events.chain([accept()]) {
            let mut written = Vec::new();
            super::write(&event, &mut written);
            assert_eq!(
                String::from_utf8(written).unwrap(),
                serde_json::to_string(&Line::new(&event)).unwrap()
            );
        }
    }
}

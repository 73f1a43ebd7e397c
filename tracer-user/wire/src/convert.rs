//! From the model's entities to the types of the API. Times become offsets from the session's `t0`.

use crate::{
    api::{Descriptor, Direct, FormerLimit, LostCount, Process, Socket, Spoken, Step, Tcp},
    errno,
    line::{lossy, state},
    number::offset,
};
use std::borrow::Cow;
use tracer_model::{
    address::Address,
    entity::{self, Standing},
    event::{self, Side, SocketKind},
    ids::BootNs,
    input::{self, LossCause},
    names,
};

impl Process {
    /// A process as the API gives it.
    #[must_use]
    pub fn new(process: &entity::Process, t0: BootNs) -> Self {
        let (standing, repaired, why, since) = match &process.standing {
            Standing::Exact => ("exact", None, None, None),
            Standing::Repaired { count, since } => ("repaired", Some(*count), None, Some(*since)),
            Standing::Doubtful { why, since } => ("doubtful", None, Some((*why).to_owned()), Some(*since)),
        };
        Self {
            id: process.key.to_string(),
            pid: process.key.pid,
            ppid: process.parent,
            comm: process.comm.clone(),
            exe: process.exe.as_deref().map(lossy),
            ns_pid: process.place.as_ref().map(|place| place.ns_pid),
            pidns: process.place.as_ref().map(|place| place.pid_ns),
            cgroup: process.place.as_ref().and_then(|place| place.cgroup.as_deref()).map(lossy),
            table: process.table.to_string(),
            thread_tables: process.thread_tables.iter().map(ToString::to_string).collect(),
            seen: offset(process.seen, t0),
            ended: process.ended.map(|ended| offset(ended, t0)),
            status: process.status,
            fd_limit: process.fd_limit,
            standing: standing.to_owned(),
            repaired,
            why,
            since: since.map(|since| offset(since, t0)),
        }
    }
}

impl Descriptor {
    /// A descriptor as the API gives it.
    #[must_use]
    pub fn new(descriptor: &entity::Descriptor, t0: BootNs) -> Self {
        // As in `struct dev` of the kernel (include/linux/kdev_t.h, MINORBITS).
        let (major, minor) = (descriptor.dev >> 20, descriptor.dev & 0xf_ffff);
        Self {
            id: descriptor.id.to_string(),
            table: descriptor.table.to_string(),
            fd: descriptor.fd,
            file: descriptor.file.to_string(),
            kind: descriptor.kind.name().to_owned(),
            name: lossy(&descriptor.name),
            ino: descriptor.ino.to_string(),
            dev: format!("{major}:{minor}"),
            cloexec: descriptor.cloexec,
            opened: offset(descriptor.opened, t0),
            opened_by: descriptor.opened_by.name().to_owned(),
            closed: descriptor.closed.map(|(closed, _)| offset(closed, t0)),
            closed_by: descriptor.closed.map(|(_, how)| how.name().to_owned()),
            socket: descriptor.socket.map(|id| id.to_string()),
        }
    }
}

impl Direct {
    /// An entry of the file table of the ring with that number as the API gives it.
    #[must_use]
    pub fn new(ring: Option<i32>, descriptor: &entity::Descriptor, t0: BootNs) -> Self {
        Self {
            id: descriptor.id.to_string(),
            ring,
            direct: descriptor.fd,
            file: descriptor.file.to_string(),
            kind: descriptor.kind.name().to_owned(),
            name: lossy(&descriptor.name),
            ino: descriptor.ino.to_string(),
            opened: offset(descriptor.opened, t0),
            opened_by: descriptor.opened_by.name().to_owned(),
            socket: descriptor.socket.map(|id| id.to_string()),
        }
    }
}

impl Socket {
    /// A socket as the API gives it.
    #[must_use]
    pub fn new(socket: &entity::Socket, t0: BootNs) -> Self {
        let wait_ns = match (socket.queued, socket.accepted) {
            (Some(queued), Some(accepted)) => Some(accepted.0.saturating_sub(queued.0)),
            _ => None,
        };
        Self {
            id: socket.id.to_string(),
            family: names::family_name(socket.kind.family).into_owned(),
            ty: names::type_name(socket.kind.ty).into_owned(),
            protocol: names::protocol_name(socket.kind.family, socket.kind.protocol).map(Cow::into_owned),
            netns: socket.netns,
            ino: socket.ino.to_string(),
            local: address(&socket.local),
            peer: address(&socket.peer),
            options: names::options(&socket.options),
            steps: socket.steps.iter().map(|step| Step::new(step, socket.kind, t0)).collect(),
            listener: socket.listener.map(|id| id.to_string()),
            inferred: socket.inferred,
            children: socket.children,
            backlog: socket.backlog,
            queue_len: socket.queue.as_ref().map(|queue| queue.len),
            queue_limit: socket.queue.as_ref().map(|queue| queue.limit),
            former_limits: socket.queue.as_ref().filter(|queue| !queue.former.is_empty()).map(|queue| {
                let former =
                    |(until, limit): &(BootNs, u32)| FormerLimit { until: offset(*until, t0), limit: *limit };
                queue.former.iter().map(former).collect()
            }),
            queued: socket.queued.map(|queued| offset(queued, t0)),
            accepted: socket.accepted.map(|accepted| offset(accepted, t0)),
            wait_ns,
            accepted_by: socket.accepted_by.map(|(process, _)| process.to_string()),
            drops: socket.drops.as_ref().map(|drops| drops.total),
            tcp: socket.tcp.map(|(tcp, at)| Tcp::new(tcp, at, t0)),
            spoken: socket.spoken.iter().map(|(ts, spoken)| Spoken::new(*ts, spoken, t0)).collect(),
            other_end: socket.other_end.map(|id| id.to_string()),
            closed_first: socket.closed_first.map(Side::name).map(str::to_owned),
            holders: socket.holders,
            ended: socket.ended.map(|ended| offset(ended, t0)),
        }
    }
}

impl Tcp {
    /// A connection's counters as the API gives them.
    #[must_use]
    pub fn new(tcp: input::Tcp, at: BootNs, t0: BootNs) -> Self {
        let input::Tcp { acked, received, rtt_us, retransmits } = tcp;
        Self { t: offset(at, t0), bytes_acked: acked, bytes_received: received, rtt_us, retransmits }
    }
}

impl Spoken {
    fn new(ts: BootNs, spoken: &event::Spoken, t0: BootNs) -> Self {
        Self {
            t: offset(ts, t0),
            app_protocol: spoken.protocol.name().to_owned(),
            sni: spoken.sni.clone(),
            sni_cut: spoken.sni_cut,
            inferred: spoken.inferred,
        }
    }
}

impl Step {
    fn new(step: &entity::Step, kind: SocketKind, t0: BootNs) -> Self {
        Self {
            t: offset(step.ts, t0),
            phase: step.phase.name().to_owned(),
            state: step.state.map(|number| state(Some(kind), number).into_owned()),
            error: step.error.map(|number| errno::name(number).into_owned()),
            peer: step.peer.as_ref().map(ToString::to_string),
        }
    }
}

impl LostCount {
    /// One cause of loss as the API gives it.
    #[must_use]
    pub fn new(cause: LossCause, count: u64) -> Self {
        Self { cause: cause.name().to_owned(), count }
    }
}

/// An address as text; absent where the socket has none yet.
fn address(address: &Address) -> Option<String> {
    (!address.is_unset()).then(|| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Descriptor, Process, Socket};
    use tracer_model::{
        address::Address,
        entity::{self, Closed, Opened, Phase, Standing},
        event::{EventKind, FileKind, Place, Side, SocketKind},
        ids::{BootNs, DescriptorId, FileId, ProcessKey, SocketId, TableId},
        input::{Options, Tcp},
        names::state,
    };

    const T0: BootNs = BootNs(1_000);

    #[test]
    fn a_process_before_t0_has_a_negative_offset() {
        let process = entity::Process {
            key: ProcessKey { pid: 7, start_ns: 900 },
            parent: Some(1),
            comm: "sh".to_owned(),
            exe: Some(b"/bin/\xff".to_vec()),
            executions: Vec::new(),
            place: Some(Place { ns_pid: 1, pid_ns: 4_026_532_000, cgroup: Some((*b"/a.slice").into()) }),
            table: TableId(3),
            thread_tables: vec![TableId(9)],
            former_tables: Vec::new(),
            seen: BootNs(400),
            ended: None,
            status: None,
            fd_limit: Some(1024),
            standing: Standing::Doubtful { why: "records were lost", since: BootNs(1_500) },
            rev: 1,
        };
        let api = Process::new(&process, T0);
        assert_eq!((api.id.as_str(), api.table.as_str(), api.seen), ("7@900", "t3", -600));
        assert_eq!(api.thread_tables, ["t9"]);
        assert_eq!((api.standing.as_str(), api.since), ("doubtful", Some(500)));
        assert_eq!(api.exe.as_deref(), Some("/bin/\u{fffd}"));
        assert_eq!(
            (api.ns_pid, api.pidns, api.cgroup.as_deref()),
            (Some(1), Some(4_026_532_000), Some("/a.slice"))
        );
    }

    #[test]
    fn a_descriptor_names_its_device_as_major_and_minor() {
        let descriptor = entity::Descriptor {
            id: DescriptorId(7),
            table: TableId(3),
            fd: 5,
            file: FileId(12),
            kind: FileKind::File,
            name: b"/etc/passwd".to_vec(),
            ino: u64::MAX,
            dev: (259 << 20) | 3,
            access: Some(entity::Access::Read),
            cloexec: true,
            opened: BootNs(1_100),
            opened_by: Opened::By(EventKind::Open),
            closed: Some((BootNs(1_200), Closed::Replaced)),
            socket: None,
            stack: None,
            rev: 1,
        };
        let api = Descriptor::new(&descriptor, T0);
        assert_eq!((api.dev.as_str(), api.ino.as_str()), ("259:3", "18446744073709551615"));
        assert_eq!(
            (api.opened_by.as_str(), api.closed_by.as_deref(), api.closed),
            ("open", Some("dup"), Some(200))
        );
    }

    #[test]
    fn a_child_tells_its_wait() {
        let child = entity::Socket {
            id: SocketId(41),
            kind: SocketKind { family: 2, ty: 1, protocol: 6 },
            netns: 4_026_531_840,
            ino: 0,
            local: Address::Inet([127, 0, 0, 1].into(), 80),
            peer: Address::Inet([0, 0, 0, 0].into(), 0),
            options: Options { reuseport: true, linger_s: Some(0), ..Options::default() },
            steps: vec![entity::Step {
                ts: BootNs(1_010),
                phase: Phase::Queued,
                state: Some(state::ESTABLISHED),
                error: Some(104),
                peer: Some(Box::new(Address::Inet([127, 0, 0, 1].into(), 7))),
            }],
            listener: Some(SocketId(7)),
            inferred: false,
            children: 0,
            backlog: None,
            queue: Some(Box::new(entity::AcceptQueue {
                len: 1,
                limit: 128,
                read: BootNs(1_010),
                former: vec![(BootNs(1_005), 8)],
            })),
            queued: Some(BootNs(1_010)),
            accepted: Some(BootNs(19_210)),
            accepted_by: None,
            drops: None,
            tcp: Some((Tcp { acked: 7, received: 8, rtt_us: 9, retransmits: 1 }, BootNs(1_030))),
            never_read: None,
            spoken: Vec::new(),
            other_end: None,
            closed_first: Some(Side::Peer),
            holders: 1,
            ended: None,
            rev: 1,
        };
        let api = Socket::new(&child, T0);
        assert_eq!((api.wait_ns, api.listener.as_deref()), (Some(18_200), Some("s7")));
        assert_eq!((api.local.as_deref(), api.peer.as_deref()), (Some("127.0.0.1:80"), None));
        assert_eq!(
            (api.family.as_str(), api.ty.as_str(), api.protocol.as_deref()),
            ("inet", "stream", Some("tcp"))
        );
        assert_eq!(api.options, ["SO_REUSEPORT", "SO_LINGER=0"]);
        let former = api.former_limits.as_deref();
        assert_eq!((api.queue_len, api.queue_limit), (Some(1), Some(128)));
        assert_eq!(former, Some(&[crate::api::FormerLimit { until: 5, limit: 8 }][..]));
        let step = &api.steps[0];
        assert_eq!(
            (step.t, step.phase.as_str(), step.state.as_deref(), step.error.as_deref(), step.peer.as_deref()),
            (10, "queued", Some("ESTABLISHED"), Some("ECONNRESET"), Some("127.0.0.1:7"))
        );
    }
}

//! One event as one JSON object: the line of `--json` and of `/api/v1/events`.

use crate::{errno, explained::Explained, number};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::borrow::Cow;
use tracer_model::{
    address::Address,
    event::{Event, Place, SocketKind, Split},
    ids::BootNs,
    names,
};
use ts_rs::TS;
use utoipa::ToSchema;

/// One event as scripts see it. A field that has no meaning for an event is left out.
///
/// Names, paths and addresses are bytes in the kernel; those that are no UTF-8 carry U+FFFD in their place.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[serde(default)]
#[ts(optional_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field that is there or not")]
pub struct Line {
    /// Number of the line: 1, 2, 3 ... without gaps.
    pub seq: u64,
    /// Nanoseconds since the Unix epoch; for a call, when it returned. Beyond 2^53: scripts that need it exact read
    /// it as an integer; the page uses `t`.
    pub ts_ns: u64,
    /// Nanoseconds since the session's `t0`; only in the API.
    pub t: Option<i64>,
    /// `pid@start`; absent for `lost`, which belongs to no process.
    pub process: Option<String>,
    /// Thread group id.
    pub pid: Option<u32>,
    /// Thread id; absent where no thread of the process did it.
    pub tid: Option<u32>,
    /// Name of the process.
    pub comm: Option<String>,
    /// Kind of the event: the base name of the call, or what happened without one.
    pub event: Cow<'static, str>,
    /// The exact system call, as strace prints it.
    pub call: Option<Cow<'static, str>>,
    /// Joins the two lines of a call that ran longer than 100 ms.
    pub call_id: Option<u64>,
    /// The call still runs.
    #[serde(skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>")]
    pub pending: bool,
    /// The descriptor that the call names, or the slot that the event is about.
    pub fd: Option<i32>,
    /// The kernel's return value; negative: `-errno`.
    pub ret: Option<i64>,
    /// Name of the error of a failed call or of a socket's verdict: `EADDRINUSE`, `ERESTARTSYS`.
    pub error: Option<Cow<'static, str>>,
    /// The descriptor that the call made.
    pub new_fd: Option<i32>,
    /// Slots that one call or fork filled or ended together; for a `pass` over a socket every slot that was received
    /// (`dir` is `in`) or sent (`out`). A single one is described by the other fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<i32>>")]
    pub fds: Vec<i32>,
    /// Close-on-exec after the event, of the slot that it filled or changed.
    pub cloexec: Option<bool>,
    /// `O_NONBLOCK` after a `setfl`; on an event that made a descriptor, only where it is set.
    pub nonblock: Option<bool>,
    /// What the slot holds: `socket`, `file`, `pipe`, `epoll` ...
    pub kind: Option<Cow<'static, str>>,
    /// Inode number of what the slot holds.
    pub inode: Option<u64>,
    /// The path in the caller's memory; in a snapshot the kernel's.
    pub path: Option<String>,
    /// The socket (`s41`).
    pub socket: Option<String>,
    /// The listener that the socket came from.
    pub listener: Option<String>,
    /// Address family: `inet`, `inet6`, `unix` ...; by number where it has no name.
    pub family: Option<Cow<'static, str>>,
    /// Socket type: `stream`, `dgram` ...
    #[serde(rename = "type")]
    pub ty: Option<Cow<'static, str>>,
    /// Protocol: `tcp`, `udp` ...; absent where the family has none.
    pub protocol: Option<Cow<'static, str>>,
    /// `socket`, `socketpair`, `pass`, `snapshot`, `repair`: the socket's network namespace, by inode number
    /// (network_namespaces(7)).
    pub netns: Option<u32>,
    /// Local address, from the kernel's socket after the call.
    pub local: Option<String>,
    /// Peer's address, from the kernel's socket after the call.
    pub peer: Option<String>,
    /// The address that the caller passed, copied once from its memory at entry.
    pub asked: Option<String>,
    /// `setsockopt`: the level, `SOL_SOCKET`, `SOL_TCP` or `SOL_IPV6`.
    pub level: Option<Cow<'static, str>>,
    /// `setsockopt`: the option: `SO_REUSEADDR`, `SO_REUSEPORT`, `SO_LINGER`, `TCP_DEFER_ACCEPT`, `TCP_FASTOPEN` or
    /// `IPV6_V6ONLY`.
    pub option: Option<Cow<'static, str>>,
    /// `setsockopt`: the value that the caller passed, copied once from its memory at entry; for `SO_LINGER` the seconds,
    /// -1: off.
    pub asked_value: Option<i32>,
    /// `setsockopt`: the value that the kernel's socket has after the call, in the same way; for `TCP_DEFER_ACCEPT` the
    /// seconds that the kernel makes of it.
    pub value: Option<i64>,
    /// `listen`, `snapshot`, `repair`: the socket's options that are set, `NAME` or `NAME=VALUE`: those above, and
    /// `O_NONBLOCK`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<String>>")]
    pub options: Vec<String>,
    /// The backlog that `listen` was called with. One below 0 asks for as much as there may be (`__sys_listen`, net/socket.c).
    pub backlog: Option<i32>,
    /// Accept queue: length.
    pub queue_len: Option<u32>,
    /// Accept queue: limit, min of backlog and somaxconn (listen(2)).
    pub queue_limit: Option<u32>,
    /// From queued to accepted.
    pub wait_ns: Option<u64>,
    /// `accept` where the scheduler is traced and the thread had accepted here before: how long of the wait the thread was
    /// asleep in a call that waits for connections. This and the next four, without `blocked_in`, add up to `wait_ns`.
    pub asleep_ns: Option<u64>,
    /// Likewise: ready to run, and not running.
    pub runnable_ns: Option<u64>,
    /// Likewise: running.
    pub running_ns: Option<u64>,
    /// Likewise: asleep or stopped elsewhere.
    pub blocked_ns: Option<u64>,
    /// The call in which most of `blocked_ns` was, or `stopped`.
    pub blocked_in: Option<String>,
    /// Likewise: not known.
    pub unknown_ns: Option<u64>,
    /// Likewise: calls of accept on this listener that failed meanwhile for want of something, `EMFILE=2`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<String>>")]
    pub accept_failed: Vec<String>,
    /// `accept`: the thread went to sleep since its accept before.
    #[serde(skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>")]
    pub slept: bool,
    /// `overflow`: packets that the listener dropped since the sample before (`sk_drops`).
    pub drops: Option<u64>,
    /// `overflow`: since it was first sampled.
    pub drops_total: Option<u64>,
    /// `overflow`: how many of `drops_total` met a full queue, at least.
    pub queue_full_min: Option<u64>,
    /// `overflow`: at most.
    pub queue_full_max: Option<u64>,
    /// `overflow`: nanoseconds between the two samples.
    pub period_ns: Option<u64>,
    /// The end of a TCP connection: bytes that the peer acknowledged, as `TCP_INFO` counts them (tcp(7)): a SYN and a FIN
    /// are one each.
    pub bytes_acked: Option<u64>,
    /// The end of a TCP connection: bytes that were received in order; a FIN is one.
    pub bytes_received: Option<u64>,
    /// The end of a TCP connection: smoothed round trip time, microseconds; 0: not measured.
    pub rtt_us: Option<u32>,
    /// The end of a TCP connection: segments that were sent again.
    pub retransmits: Option<u32>,
    /// `spoken`: what is spoken on the connection, as bytes in the caller's memory tell it: `http/1`, `http/2`, `websocket`,
    /// `tls`, `redis`, `postgresql` or `unknown`.
    pub app_protocol: Option<Cow<'static, str>>,
    /// `spoken`: the server's name that a ClientHello of TLS asks for, where it is within the bytes that are looked at.
    pub sni: Option<String>,
    /// `spoken`: the name goes on beyond them.
    #[serde(skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>")]
    pub sni_cut: bool,
    /// How long the call ran; it began at `ts_ns - dur_ns`.
    pub dur_ns: Option<u64>,
    /// The socket's state before, as the kernel names it without `TCP_`; for a family that is only connected or not, as
    /// ss(8) names it: `UNCONN`, `ESTAB`, `LISTEN`. Not there where a connection stays in its state and a call found it broken.
    pub from: Option<Cow<'static, str>>,
    /// The socket's state after; for a snapshot, the state.
    pub to: Option<Cow<'static, str>>,
    /// Direction of a `pass`: `in` or `out`.
    pub dir: Option<Cow<'static, str>>,
    /// Who closed a connection first: `local` or `peer`.
    pub closed_first: Option<Cow<'static, str>>,
    /// `fork`: the new process, `pid@start`. `ret` is what its parent sees: its number in the parent's pid namespace.
    pub child: Option<String>,
    /// `fork`: the child's number in its own pid namespace, where that is not the initial one (pid_namespaces(7)). `exec`,
    /// `snapshot`, `repair`: the process's.
    pub ns_pid: Option<u32>,
    /// With `ns_pid`: that namespace, by inode number.
    pub pidns: Option<u32>,
    /// `fork`: the child's control group, as a path from the root of the cgroup2 hierarchy (cgroups(7)). `exec`, `snapshot`,
    /// `repair`: the process's.
    pub cgroup: Option<String>,
    /// `exit`: wait status (wait(2)).
    pub status: Option<u32>,
    /// `shutdown`: `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR` (shutdown(2)); by number where it is none of them.
    pub how: Option<Cow<'static, str>>,
    /// `lost`: how many records.
    pub count: Option<u64>,
    /// `lost`: why.
    pub cause: Option<Cow<'static, str>>,
    /// `standing`: how far the process's table can be trusted from here on: `exact`, `repaired` or `doubtful`. A process of
    /// which no line tells is exact.
    pub standing: Option<Cow<'static, str>>,
    /// `standing`, where it is `repaired`: how many differences were found and set right so far.
    pub repaired: Option<u64>,
    /// `standing`, where it is `doubtful`: why, as a `cause`; or `unread`: no snapshot has read the table.
    pub why: Option<String>,
    /// `standing`, where it is `repaired` or `doubtful`: since when, nanoseconds since the Unix epoch.
    pub since_ns: Option<u64>,
    /// `io_uring`: the number that the ring has in the table of its process.
    pub ring: Option<i32>,
    /// In place of `fd`: an entry of the ring's file table, which has no number.
    pub direct: Option<i32>,
    /// In place of `new_fd` likewise.
    pub new_direct: Option<i32>,
    /// In place of `fds` likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<i32>>")]
    pub directs: Vec<i32>,
    /// The number of the ring whose file table `new_direct` is in, where that is not `ring` (`IORING_MSG_SEND_FD`).
    pub new_ring: Option<i32>,
    /// How the event came about: `syscall`, `io_uring`, `exec`, `exit`, `fork`, `snapshot`, `repair`, `kernel`.
    pub via: Cow<'static, str>,
    /// A fact in this event was concluded, not read.
    #[serde(skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>")]
    pub inferred: bool,
    /// Its place in the order is later than its time.
    #[serde(skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>")]
    pub late: bool,
    /// The operation was submitted; it tells nothing if it succeeds (`IOSQE_CQE_SKIP_SUCCESS`).
    #[serde(skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>")]
    pub unconfirmed: bool,
    /// A check found that an unconfirmed operation succeeded: a second line of it, without a result.
    #[serde(skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>")]
    pub confirmed: bool,
    /// Several operations in flight had the mark of this one: which of them completed was concluded.
    #[serde(skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>")]
    pub doubtful: bool,
    /// Why it failed, where that can be said.
    pub explain: Option<Box<Explained>>,
    /// CPU whose record it came from.
    pub cpu: Option<u32>,
    /// Number of that record on its CPU: complete numbers prove a complete stream.
    pub cpu_seq: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(crate) const fn is_false(value: &bool) -> bool {
    !*value
}

impl Line {
    /// The line of an event.
    #[must_use]
    pub fn new(event: &Event) -> Self {
        let of_process = event.is_of_process();
        let kind = event.socket_kind;
        let split = event.split.as_deref();
        let spoken = event.spoken.as_deref();
        let stands = event.stands.as_deref();
        Self {
            seq: event.seq,
            ts_ns: event.epoch_ns,
            t: None,
            process: of_process.then(|| event.process.to_string()),
            pid: of_process.then_some(event.process.pid),
            tid: (of_process && event.tid != 0).then_some(event.tid),
            comm: of_process.then(|| event.comm.clone()),
            event: event.kind.name().into(),
            call: event.call.map(|call| call.name().into()),
            call_id: event.call_id,
            pending: event.pending,
            fd: event.fd,
            ret: event.ret,
            error: event.error.map(errno::name),
            new_fd: event.new_fd,
            fds: event.fds.clone(),
            cloexec: event.cloexec,
            nonblock: event.nonblock,
            kind: event.file_kind.map(|kind| kind.name().into()),
            inode: event.ino,
            path: event.path.as_deref().map(lossy),
            socket: event.socket.map(|id| id.to_string()),
            listener: event.listener.map(|id| id.to_string()),
            family: kind.map(|kind| names::family_name(kind.family)),
            ty: kind.map(|kind| names::type_name(kind.ty)),
            protocol: kind.and_then(|kind| names::protocol_name(kind.family, kind.protocol)),
            netns: event.netns,
            local: event.local.as_ref().map(Address::to_string),
            peer: event.peer.as_ref().map(Address::to_string),
            asked: event.asked.as_ref().map(Address::to_string),
            level: event.set_option.map(|set| names::level_name(set.level)),
            option: event.set_option.map(|set| names::option_name(set.level, set.option)),
            asked_value: event.set_option.and_then(|set| set.asked),
            value: event.set_option.and_then(|set| set.value),
            options: event.options.as_ref().map(names::options).unwrap_or_default(),
            backlog: event.backlog,
            queue_len: event.queue_len,
            queue_limit: event.queue_limit,
            wait_ns: event.wait_ns,
            asleep_ns: split.map(|split| split.asleep_ns),
            runnable_ns: split.map(|split| split.runnable_ns),
            running_ns: split.map(|split| split.running_ns),
            blocked_ns: split.map(|split| split.blocked_ns),
            blocked_in: split.and_then(|split| split.blocked_in.clone()),
            unknown_ns: split.map(|split| split.unknown_ns),
            accept_failed: split.map(accept_failed).unwrap_or_default(),
            slept: event.slept,
            drops: event.drops.map(|drops| drops.new),
            drops_total: event.drops.map(|drops| drops.total),
            queue_full_min: event.drops.and_then(|drops| drops.queue_full).map(|(least, _)| least),
            queue_full_max: event.drops.and_then(|drops| drops.queue_full).map(|(_, most)| most),
            period_ns: event.drops.map(|drops| drops.period_ns),
            bytes_acked: event.tcp.map(|tcp| tcp.acked),
            bytes_received: event.tcp.map(|tcp| tcp.received),
            rtt_us: event.tcp.map(|tcp| tcp.rtt_us),
            retransmits: event.tcp.map(|tcp| tcp.retransmits),
            app_protocol: spoken.map(|spoken| spoken.protocol.name().into()),
            sni: spoken.and_then(|spoken| spoken.sni.clone()),
            sni_cut: spoken.is_some_and(|spoken| spoken.sni_cut),
            dur_ns: event.dur_ns,
            from: event.from.map(|from| state(kind, from)),
            to: event.to.map(|to| state(kind, to)),
            dir: event.direction.map(|direction| direction.name().into()),
            closed_first: event.closed_first.map(|side| side.name().into()),
            child: event.child.map(|child| child.to_string()),
            ns_pid: own_pid_ns(event).map(|place| place.ns_pid),
            pidns: own_pid_ns(event).map(|place| place.pid_ns),
            cgroup: event.place.as_ref().and_then(|place| place.cgroup.as_deref()).map(lossy),
            status: event.status,
            how: event.how.map(how),
            count: event.count,
            cause: event.cause.map(|cause| cause.name().into()),
            standing: stands.map(|stands| stands.trust.name().into()),
            repaired: stands.map(|stands| stands.repaired).filter(|repaired| *repaired > 0),
            why: stands.and_then(|stands| stands.why.clone()),
            since_ns: stands.and_then(|stands| stands.since_epoch_ns),
            ring: event.ring,
            direct: event.direct,
            new_direct: event.new_direct,
            directs: event.directs.clone(),
            new_ring: event.new_ring,
            via: event.via.name().into(),
            inferred: event.inferred,
            late: event.late,
            unconfirmed: event.unconfirmed,
            confirmed: event.confirmed,
            doubtful: event.doubtful,
            explain: event.explain.as_ref().map(|explain| Box::new(Explained::new(event, explain))),
            cpu: event.origin.map(|origin| origin.cpu),
            cpu_seq: event.origin.map(|origin| origin.cpu_seq),
        }
    }

    /// The line of an event as the API gives it: with its offset from the session's `t0`.
    #[must_use]
    pub fn at(event: &Event, t0: BootNs) -> Self {
        Self { t: Some(number::offset(event.ts, t0)), ..Self::new(event) }
    }
}

/// Inode number of the initial pid namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const INITIAL_PID_NS: u32 = 0xefff_fffc;

/// Where an event's process lives, if its pid namespace is not the initial one.
pub(crate) fn own_pid_ns(event: &Event) -> Option<&Place> {
    event.place.as_deref().filter(|place| place.pid_ns != INITIAL_PID_NS && place.pid_ns != 0)
}

/// Accepts that failed, `EMFILE=2`.
pub(crate) fn accept_failed(split: &Split) -> Vec<String> {
    split.failed.iter().map(|(error, times)| format!("{}={times}", errno::name(*error))).collect()
}

/// Bytes as text: what is no UTF-8 becomes U+FFFD.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Name of a socket's state; a number that the kernel does not use stays a number.
pub(crate) fn state(kind: Option<SocketKind>, state: u16) -> Cow<'static, str> {
    names::state_name(kind, state).map_or_else(|| state.to_string().into(), Cow::from)
}

/// Name of `shutdown`'s second argument (shutdown(2)).
pub(crate) fn how(how: u32) -> Cow<'static, str> {
    match how {
        0 => "SHUT_RD".into(),
        1 => "SHUT_WR".into(),
        2 => "SHUT_RDWR".into(),
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::Line;
    use crate::sample::{accept, event};
    use tracer_model::{
        event::{Event, EventKind, Via},
        ids::{BootNs, ProcessKey},
        input::LossCause,
    };

    #[test]
    fn the_contracts_example_field_by_field() {
        let json = serde_json::to_string(&Line::new(&accept())).unwrap();
        assert_eq!(
            json,
            r#"{"seq":812,"ts_ns":1795348800123456789,"process":"812@5119676157000","pid":812,"tid":812,"comm":"nginx","event":"accept","call":"accept4","fd":6,"ret":9,"new_fd":9,"socket":"s41","listener":"s7","family":"inet","type":"stream","protocol":"tcp","local":"127.0.0.1:80","peer":"127.0.0.1:51234","wait_ns":18200,"dur_ns":920,"via":"syscall"}"#
        );
        assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), Line::new(&accept()));
    }

    #[test]
    fn a_loss_belongs_to_no_process() {
        let lost = Event {
            count: Some(3),
            cause: Some(LossCause::MapFull),
            via: Via::Kernel,
            process: ProcessKey::default(),
            tid: 0,
            ..event(EventKind::Lost)
        };
        assert_eq!(
            serde_json::to_string(&Line::new(&lost)).unwrap(),
            r#"{"seq":812,"ts_ns":1795348800123456789,"event":"lost","count":3,"cause":"map_full","via":"kernel"}"#
        );
    }

    #[test]
    fn an_internal_error_has_its_name_and_bytes_are_made_text() {
        let open = Event {
            ret: Some(-512),
            error: Some(512),
            path: Some(b"/\xff\n\"".to_vec()),
            tid: 0,
            pending: true,
            late: true,
            ..event(EventKind::Open)
        };
        let json = serde_json::to_string(&Line::at(&open, BootNs(10))).unwrap();
        assert_eq!(
            json,
            "{\"seq\":812,\"ts_ns\":1795348800123456789,\"t\":32,\"process\":\"812@5119676157000\",\"pid\":812,\
             \"comm\":\"nginx\",\"event\":\"open\",\"pending\":true,\"ret\":-512,\"error\":\"ERESTARTSYS\",\
             \"path\":\"/\u{fffd}\\n\\\"\",\"via\":\"syscall\",\"late\":true}"
        );
    }
}

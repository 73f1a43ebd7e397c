//! The text form of an event, for eyes: when, who, the call as strace would begin it, and what it means.

use crate::{errno, escape::Escaped, line::how as how_name, sentence};
use jiff::{Timestamp, tz::TimeZone};
use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};
use tracer_model::{
    address::Address,
    event::{Event, EventKind, SocketKind, Via},
    names,
    syscall::Syscall,
};

/// Widths of the columns before the sentence; longer content pushes what follows.
const WHO_WIDTH: usize = 11;
const COMM_WIDTH: usize = 15;
const CALL_WIDTH: usize = 36;

/// Select graphic rendition (ECMA-48, 8.3.117).
mod sgr {
    pub(super) const RESET: &str = "\x1b[0m";
    pub(super) const DIM: &str = "\x1b[2m";
    pub(super) const BOLD: &str = "\x1b[1m";
    pub(super) const RED: &str = "\x1b[31m";
    pub(super) const YELLOW: &str = "\x1b[33m";
    pub(super) const CYAN: &str = "\x1b[36m";
    pub(super) const WHITE_ON_RED: &str = "\x1b[1;37;41m";
}

/// Writes events as text.
#[derive(Clone, Debug)]
pub struct Text {
    time_zone: TimeZone,
    color: bool,
}

impl Text {
    /// Times are shown in that zone; colours only when asked for.
    #[must_use]
    pub const fn new(time_zone: TimeZone, color: bool) -> Self {
        Self { time_zone, color }
    }

    /// The line of an event, without a line end. Every name in it is escaped ([`Escaped`]).
    #[must_use]
    pub fn line(&self, event: &Event) -> String {
        let mut line = String::with_capacity(160);
        // Writing to a String does not fail.
        let _ = self.write(&mut line, event);
        line.truncate(line.trim_end_matches(' ').len());
        line
    }

    fn write(&self, line: &mut String, event: &Event) -> fmt::Result {
        self.paint(line, sgr::DIM, &self.time_of_day(event.epoch_ns))?;
        if event.kind == EventKind::Lost {
            line.push_str("  ");
            return self.paint(line, sgr::WHITE_ON_RED, &sentence::of(event));
        }
        let pid = event.process.pid;
        let who =
            if event.tid == 0 || event.tid == pid { pid.to_string() } else { format!("{pid}/{}", event.tid) };
        let comm = Escaped(event.comm.as_bytes()).to_string();
        write!(line, " {who:>WHO_WIDTH$} {comm:<COMM_WIDTH$} ")?;
        let call = call(event);
        self.paint(line, if event.call.is_some() { sgr::BOLD } else { sgr::DIM }, &call)?;
        let result = result(event);
        self.paint(line, if event.error.is_some() { sgr::RED } else { sgr::BOLD }, &result)?;
        let width = call.chars().count() + result.chars().count();
        write!(line, "{:pad$}  ", "", pad = CALL_WIDTH.saturating_sub(width))?;
        let color = match (event.pending, event.kind) {
            (true, _) | (_, EventKind::Repair | EventKind::Standing) => sgr::YELLOW,
            _ if event.via == Via::Repair => sgr::YELLOW,
            (_, EventKind::Snapshot) => sgr::DIM,
            (_, EventKind::State) if event.error.is_some() => sgr::RED,
            _ => sgr::CYAN,
        };
        self.paint(line, color, &sentence::of(event))
    }

    fn paint(&self, line: &mut String, color: &str, text: &str) -> fmt::Result {
        if self.color && !text.is_empty() {
            write!(line, "{color}{text}{}", sgr::RESET)
        } else {
            line.write_str(text)
        }
    }

    fn time_of_day(&self, epoch_ns: u64) -> String {
        Timestamp::from_nanosecond(epoch_ns.into()).map_or_else(
            |_| epoch_ns.to_string(),
            |time| self.time_zone.to_datetime(time).time().strftime("%H:%M:%S.%6f").to_string(),
        )
    }
}

/// The call with the arguments that the event has, or what happened where there was no call.
fn call(event: &Event) -> String {
    let Some(call) = event.call else {
        return match event.via {
            Via::Syscall | Via::Kernel => event.kind.name().to_owned(),
            via if via.name() == event.kind.name() => via.name().to_owned(),
            via => format!("{} ({})", event.kind.name(), via.name()),
        };
    };
    let mut arguments = Vec::new();
    let direct = event.direct.map(|index| format!("direct {index}"));
    let fd = event.fd.map(|fd| fd.to_string()).or(direct);
    match event.kind {
        EventKind::Socket | EventKind::Socketpair => {
            arguments.extend(event.socket_kind.map(socket_arguments));
        }
        EventKind::Bind | EventKind::Connect => {
            arguments.extend(fd);
            arguments.extend(event.asked.as_ref().map(address));
        }
        EventKind::Listen => {
            arguments.extend(fd);
            // Shown signed, as the caller passed it: listen(2) takes an int.
            arguments.extend(event.backlog.map(|backlog| backlog.to_string()));
        }
        EventKind::Shutdown => {
            arguments.extend(fd);
            arguments.extend(event.how.map(|how| how_name(how).into_owned()));
        }
        EventKind::Dup if matches!(call, Syscall::Dup2 | Syscall::Dup3) => {
            arguments.extend(fd);
            arguments.extend(event.new_fd.map(|fd| fd.to_string()));
        }
        EventKind::Setsockopt => {
            arguments.extend(fd);
            if let Some(set) = event.set_option {
                arguments.push(names::level_name(set.level).into_owned());
                arguments.push(names::option_name(set.level, set.option).into_owned());
                arguments.extend(set.asked.map(|asked| asked.to_string()));
            }
        }
        EventKind::Setfl => {
            arguments.extend(fd);
            arguments.push(if call == Syscall::Fcntl { "F_SETFL" } else { "FIONBIO" }.to_owned());
        }
        EventKind::Setfd if call == Syscall::Fcntl => {
            arguments.extend(fd);
            arguments.push("F_SETFD".to_owned());
        }
        _ => {
            arguments.extend(fd.filter(|_| event.new_fd != event.fd));
            arguments.extend(event.path.as_ref().map(|path| format!("\"{}\"", Escaped(path))));
        }
    }
    format!("{call}({})", arguments.join(", "))
}

/// What the call returned, as strace ends its line.
fn result(event: &Event) -> String {
    match (event.ret, event.error) {
        (None, _) => String::new(),
        (Some(ret), None) => format!(" = {ret}"),
        (Some(_), Some(error)) => {
            let value = if errno::is_internal(error) { "?" } else { "-1" };
            format!(" = {value} {} ({})", errno::name(error), errno::meaning(error))
        }
    }
}

/// Family and type; the third argument is mostly 0, and the sentence has the protocol that it became.
fn socket_arguments(kind: SocketKind) -> String {
    let [family, ty] =
        [("AF_", names::family_name(kind.family)), ("SOCK_", names::type_name(kind.ty))].map(constant);
    format!("{family}, {ty}")
}

/// A header's constant from the contract's name; a number stays a number.
fn constant((prefix, name): (&str, Cow<'static, str>)) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.into_owned()
    } else {
        format!("{prefix}{}", name.to_uppercase())
    }
}

/// An address whose name cannot act on a terminal.
pub(crate) fn address(address: &Address) -> String {
    match address {
        Address::Unix(name) => match name.split_first() {
            Some((0, rest)) => format!("unix:@{}", Escaped(rest)),
            _ => format!("unix:{}", Escaped(name)),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::Text;
    use crate::sample::{accept, event};
    use jiff::tz::{Offset, TimeZone};
    use tracer_model::{
        address::Address,
        event::{AppProtocol, Event, EventKind, FileKind, Side, SocketKind, Spoken, Stands, Trust, Via},
        ids::{ProcessKey, SocketId},
        input::{LossCause, Origin},
        names::state,
        syscall::Syscall,
    };

    fn line(event: &Event) -> String {
        Text::new(TimeZone::UTC, false).line(event)
    }

    /// What follows time, process and name.
    fn told(event: &Event) -> String {
        line(event).chars().skip(44).collect()
    }

    fn call(kind: EventKind, call: Syscall, fd: i32, ret: i64) -> Event {
        let error = u32::try_from(-ret).ok().filter(|error| *error > 0);
        Event { call: Some(call), fd: Some(fd), ret: Some(ret), error, ..event(kind) }
    }

    fn spoken(protocol: AppProtocol, sni: Option<&str>, sni_cut: bool) -> Spoken {
        let sni = sni.map(str::to_owned);
        Spoken { protocol, inferred: false, sni, sni_cut }
    }

    fn stands(trust: Trust, repaired: u64, why: Option<&str>, ago_ns: u64) -> Stands {
        let since_epoch_ns = Some(event(EventKind::Standing).epoch_ns - ago_ns);
        Stands { trust, repaired, why: why.map(str::to_owned), since_epoch_ns }
    }

    fn inet(port: u16) -> Address {
        Address::Inet([127, 0, 0, 1].into(), port)
    }

    #[test]
    fn an_accept_whole() {
        assert_eq!(
            line(&accept()),
            "12:00:00.123456         812 nginx           accept4(6) = 9                        \
             fd 9 ← accept on fd 6 (127.0.0.1:80) from 127.0.0.1:51234, waited 18 µs"
        );
        let berlin_in_summer = TimeZone::fixed(Offset::constant(2));
        let text = Text::new(berlin_in_summer, false).line(&Event { tid: 815, ..accept() });
        assert!(text.starts_with("14:00:00.123456     812/815 nginx           accept4(6) = 9"), "{text}");
    }

    #[test]
    #[expect(clippy::large_stack_arrays, reason = "a test has room for a table of events")]
    fn calls_and_sentences() {
        let tcp = Some(SocketKind { family: 2, ty: 1, protocol: 6 });
        for (event, text) in [
            (
                Event {
                    new_fd: Some(3),
                    fd: None,
                    socket_kind: tcp,
                    ..call(EventKind::Socket, Syscall::Socket, 3, 3)
                },
                "socket(AF_INET, SOCK_STREAM) = 3      fd 3 ← inet stream tcp socket",
            ),
            (
                Event {
                    asked: Some(inet(0)),
                    local: Some(inet(4000)),
                    ..call(EventKind::Bind, Syscall::Bind, 3, 0)
                },
                "bind(3, 127.0.0.1:0) = 0              fd 3 bound to 127.0.0.1:4000, asked for 127.0.0.1:0",
            ),
            (
                Event { asked: Some(inet(80)), ..call(EventKind::Bind, Syscall::Bind, 3, -98) },
                "bind(3, 127.0.0.1:80) = -1 EADDRINUSE (Address already in use)  fd 3 asked for 127.0.0.1:80",
            ),
            (
                Event {
                    local: Some(inet(80)),
                    backlog: Some(511),
                    queue_limit: Some(128),
                    ..call(EventKind::Listen, Syscall::Listen, 3, 0)
                },
                "listen(3, 511) = 0                    fd 3 listening on 127.0.0.1:80, backlog 511, queue limit 128",
            ),
            (
                Event { backlog: Some(-1), ..call(EventKind::Listen, Syscall::Listen, 3, 0) },
                "listen(3, -1) = 0                     fd 3 listening, backlog -1",
            ),
            (
                Event {
                    fd: Some(5),
                    socket_kind: tcp,
                    to: Some(state::CLOSE),
                    socket: Some(SocketId(2)),
                    via: Via::Snapshot,
                    ..event(EventKind::Snapshot)
                },
                "snapshot                              fd 5 is an inet stream tcp socket, CLOSE",
            ),
            (
                Event { local: Some(inet(80)), ..call(EventKind::Accept, Syscall::Accept4, 6, -11) },
                "accept4(6) = -1 EAGAIN (Resource temporarily unavailable)  nothing to accept on fd 6 (127.0.0.1:80)",
            ),
            (
                Event {
                    fd: Some(9),
                    local: Some(inet(443)),
                    via: Via::Kernel,
                    spoken: Some(Box::new(spoken(AppProtocol::Tls, Some("example.\x1b[m"), true))),
                    ..event(EventKind::Spoken)
                },
                "spoken                                tls is spoken on fd 9 (127.0.0.1:443), \
                 server name example.\\x1b[m…",
            ),
            (
                Event {
                    fd: Some(9),
                    via: Via::Kernel,
                    spoken: Some(Box::new(spoken(AppProtocol::Websocket, None, false))),
                    ..event(EventKind::Spoken)
                },
                "spoken                                fd 9 was switched to websocket",
            ),
            (
                Event {
                    via: Via::Kernel,
                    stands: Some(Box::new(stands(Trust::Repaired, 2, None, 0))),
                    ..event(EventKind::Standing)
                },
                "standing                              the table is right again, 2 differences repaired so far",
            ),
            (
                Event {
                    via: Via::Kernel,
                    stands: Some(Box::new(stands(Trust::Doubtful, 0, Some("ring_full"), 1_250_000))),
                    ..event(EventKind::Standing)
                },
                "standing                              the table is doubtful: records were lost (ring_full), since 1.2 ms before",
            ),
            (
                call(EventKind::Accept, Syscall::Accept, 6, -512),
                "accept(6) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)",
            ),
            (
                Event {
                    ret: None,
                    pending: true,
                    dur_ns: Some(100_400_000),
                    ..call(EventKind::Accept, Syscall::Accept, 6, 0)
                },
                "accept(6)                             still running after 100 ms",
            ),
            (
                Event {
                    asked: Some(inet(80)),
                    peer: Some(inet(80)),
                    local: Some(inet(40000)),
                    dur_ns: Some(1_250_000),
                    ..call(EventKind::Connect, Syscall::Connect, 5, 0)
                },
                "connect(5, 127.0.0.1:80) = 0          \
                 fd 5 connected to 127.0.0.1:80 from 127.0.0.1:40000, took 1.2 ms",
            ),
            (
                Event {
                    asked: Some(inet(80)),
                    local: Some(inet(40000)),
                    ..call(EventKind::Connect, Syscall::Connect, 5, -115)
                },
                "connect(5, 127.0.0.1:80) = -1 EINPROGRESS (Operation now in progress)  \
                 fd 5 is connecting to 127.0.0.1:80 from 127.0.0.1:40000",
            ),
            (
                Event {
                    how: Some(1),
                    local: Some(inet(80)),
                    peer: Some(inet(51234)),
                    ..call(EventKind::Shutdown, Syscall::Shutdown, 9, 0)
                },
                "shutdown(9, SHUT_WR) = 0              fd 9 (127.0.0.1:80 ↔ 127.0.0.1:51234) shut down for writing",
            ),
            (
                Event {
                    local: Some(inet(80)),
                    peer: Some(inet(51234)),
                    closed_first: Some(Side::Peer),
                    ..call(EventKind::Close, Syscall::Close, 9, 0)
                },
                "close(9) = 0                          \
                 fd 9 (127.0.0.1:80 ↔ 127.0.0.1:51234) closed, the peer closed first",
            ),
            (
                Event { file_kind: Some(FileKind::Epoll), ..call(EventKind::Close, Syscall::Close, 4, 0) },
                "close(4) = 0                          fd 4 (epoll) closed",
            ),
            (
                Event {
                    file_kind: Some(FileKind::Socket),
                    socket_kind: tcp,
                    ..call(EventKind::Close, Syscall::Close, 4, 0)
                },
                "close(4) = 0                          fd 4 (inet stream tcp socket) closed",
            ),
            (
                Event { via: Via::Exec, fds: vec![7, 3, 4, 5], ..event(EventKind::Close) },
                "close (exec)                          fds 3-5, 7 closed by exec",
            ),
            (
                Event { new_fd: Some(1), ..call(EventKind::Dup, Syscall::Dup2, 3, 1) },
                "dup2(3, 1) = 1                        fd 1 ← copy of fd 3",
            ),
            (
                Event {
                    fd: None,
                    new_fd: Some(4),
                    path: Some(b"/tmp/\x1b[31m".to_vec()),
                    file_kind: Some(FileKind::File),
                    ..call(EventKind::Open, Syscall::Openat, 4, 4)
                },
                "openat(\"/tmp/\\x1b[31m\") = 4           fd 4 ← file",
            ),
            (
                Event {
                    child: Some(ProcessKey { pid: 813, start_ns: 5 }),
                    fds: vec![0, 1, 2],
                    fd: None,
                    ..call(EventKind::Fork, Syscall::Clone, 0, 813)
                },
                "clone() = 813                         → process 813 with fds 0-2",
            ),
            (
                Event { status: Some(3 << 8), via: Via::Exit, ..event(EventKind::Exit) },
                "exit                                  exited with status 3",
            ),
            (
                Event { status: Some(9), via: Via::Exit, ..event(EventKind::Exit) },
                "exit                                  killed by SIGKILL",
            ),
            (
                Event {
                    fd: Some(9),
                    from: Some(state::SYN_SENT),
                    to: Some(state::CLOSE),
                    error: Some(111),
                    via: Via::Kernel,
                    ..event(EventKind::State)
                },
                "state                                 fd 9 SYN_SENT → CLOSE, ECONNREFUSED (Connection refused)",
            ),
            (
                Event {
                    socket: Some(SocketId(7)),
                    socket_kind: Some(SocketKind { family: 1, ty: 1, protocol: 0 }),
                    local: Some(Address::Unix(b"/run/x".to_vec())),
                    peer: Some(Address::Unix(Vec::new())),
                    to: Some(state::ESTABLISHED),
                    error: Some(32),
                    via: Via::Syscall,
                    ..event(EventKind::State)
                },
                "state                                 s7 (unix:/run/x) stays ESTAB, EPIPE (Broken pipe)",
            ),
            (
                Event {
                    peer: Some(inet(51234)),
                    local: Some(inet(80)),
                    queue_len: Some(3),
                    queue_limit: Some(128),
                    via: Via::Kernel,
                    ..event(EventKind::Queued)
                },
                "queued                                127.0.0.1:51234 queued for 127.0.0.1:80, queue 3, limit 128",
            ),
            (
                Event {
                    fd: Some(6),
                    socket: Some(SocketId(7)),
                    socket_kind: tcp,
                    to: Some(state::LISTEN),
                    local: Some(inet(80)),
                    queue_len: Some(0),
                    queue_limit: Some(511),
                    via: Via::Snapshot,
                    ..event(EventKind::Snapshot)
                },
                "snapshot                              \
                 fd 6 is a listening inet stream tcp socket on 127.0.0.1:80, queue 0, limit 511",
            ),
            (
                Event {
                    fd: Some(5),
                    file_kind: Some(FileKind::File),
                    path: Some("/var/log/\u{202e}x".as_bytes().to_vec()),
                    inferred: true,
                    via: Via::Repair,
                    ..event(EventKind::Repair)
                },
                "repair                                fd 5 set right: file /var/log/\\u{202e}x (inferred)",
            ),
        ] {
            assert_eq!(told(&event), text);
        }
    }

    #[test]
    fn a_loss_strikes_the_eye() {
        let lost = Event {
            count: Some(12),
            cause: Some(LossCause::RingFull),
            origin: Some(Origin { cpu: 1, cpu_seq: 40 }),
            via: Via::Kernel,
            ..event(EventKind::Lost)
        };
        assert_eq!(
            line(&lost),
            "12:00:00.123456  ━━━ LOST 12 records on CPU 1: the ring buffer was full ━━━"
        );
        let colored = Text::new(TimeZone::UTC, true).line(&lost);
        assert!(colored.contains("\x1b[1;37;41m━━━ LOST 12 records"), "{colored:?}");
    }

    #[test]
    fn hostile_names_do_not_reach_the_terminal() {
        let hostile = Event {
            comm: "\x1b]0;x\x07\u{202e}".to_owned(),
            local: Some(Address::Unix(b"\0\xff\x1b[2J".to_vec())),
            asked: Some(Address::Unix(b"/run/\nx".to_vec())),
            ..call(EventKind::Bind, Syscall::Bind, 3, 0)
        };
        let text = line(&hostile);
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.contains("\\x1b]0;x\\x07\\u{202e} bind(3, unix:/run/\\x0ax)"), "{text}");
        assert!(text.contains("bound to unix:@\\xff\\x1b[2J"), "{text}");
    }

    #[test]
    fn colour_only_when_asked_for() {
        assert!(!line(&accept()).contains('\x1b'));
        assert!(Text::new(TimeZone::UTC, true).line(&accept()).contains("\x1b["));
    }
}

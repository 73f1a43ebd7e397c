//! Who holds a port or a unix path: `/api/v1/answers/who`, `sockreel who`.

use super::{Basis, Holder, Terms, When, columns::columns, netid, state};
use crate::{api::Socket, escape::Escaped, line};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::{borrow::Cow, fmt::Write as _, net::IpAddr};
use tracer_answers::{
    leftovers,
    view::View,
    who::{self, Target},
};
use tracer_model::{event::SocketKind, input::HeldSock, names};
use ts_rs::TS;
use utoipa::ToSchema;

/// Who holds a port or a unix path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Who {
    /// What was asked for.
    pub target: String,
    /// Listeners, and other sockets that have the address, in the order in which they were made.
    pub sockets: Vec<Held>,
    /// Sockets that had it and are gone, newest first; of more than sixteen the newest.
    pub before: Vec<Held>,
    /// How many of them are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[ts(as = "Option<u64>", optional)]
    pub before_left_out: u64,
    /// Sockets with this address that no process holds: the kernel brings their connections to an end.
    pub ownerless: Vec<Held>,
    /// Connections of this address that the kernel keeps after their socket is gone, and that are not among those; beyond a
    /// thousand the newest.
    pub leftovers: Vec<Leftover>,
    /// How many of them are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[ts(as = "Option<u64>", optional)]
    pub leftovers_left_out: u64,
    /// Who listens at this address, or has it without a connection, at a socket that no followed process holds. The kernel is
    /// asked for these and for `others` where a daemon answers about now.
    pub not_followed: Vec<Other>,
    /// Connections that listeners of this address took in and that are open.
    pub connections: u64,
    /// What the answer rests on.
    pub basis: Basis,
}

/// A process that is not followed and holds a socket: found by one look at the kernel's tables.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Other {
    /// `pid@start`.
    pub process: String,
    /// Process.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Descriptor.
    pub fd: i32,
    /// How it came by it: `unknown`, since it is not followed.
    pub how: String,
    /// Inode number of the socket.
    pub ino: String,
    /// Local address of the socket.
    pub local: String,
    /// State of the socket, where its family has one.
    pub state: Option<String>,
}

/// A connection that no process holds and that the kernel keeps an address for.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Leftover {
    /// The kernel's state: `TIME_WAIT`, `FIN_WAIT2` and so on.
    pub state: String,
    /// `inet` or `inet6`.
    pub family: String,
    /// `tcp`.
    pub protocol: Option<String>,
    /// Local address.
    pub local: String,
    /// Peer's address.
    pub peer: String,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// The socket that it was (`s41`), where that is known.
    pub socket: Option<String>,
    /// It was concluded from how the connection ended, and of a peer on another host that it has closed; otherwise the kernel was
    /// asked.
    pub inferred: bool,
    /// When it is gone at the latest, where that is known.
    pub gone: Option<When>,
}

/// A socket and who holds it.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Held {
    /// The socket.
    pub socket: Socket,
    /// Since when it has the address; absent where it had it when tracing began.
    pub bound: Option<When>,
    /// Since when it listens, likewise.
    pub listening: Option<When>,
    /// Who holds it.
    pub holders: Vec<Holder>,
    /// Who holds it and is not followed.
    pub others: Vec<Other>,
    /// Who held it before.
    pub former: Vec<Holder>,
    /// When it ended.
    pub ended: Option<When>,
}

/// What cannot be read as a port or a unix path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither a port (80, :80, 127.0.0.1:80, [::1]:80) nor a unix socket (/run/x.sock, ./x.sock, @abstract, \
     unix:NAME)"
)]
pub struct TargetError(String);

/// Reads a target as people write it.
pub fn target(text: &str) -> Result<Target, TargetError> {
    let error = || TargetError(text.to_owned());
    if let Some(name) = text.strip_prefix("unix:") {
        return unix(name).ok_or_else(error);
    }
    if text.contains('/') || text.starts_with('@') {
        return unix(text).ok_or_else(error);
    }
    let (ip, port) = match text.rsplit_once(':') {
        None | Some(("" | "*", _)) => (None, text.rsplit(':').next().unwrap_or(text)),
        Some((ip, port)) => (Some(ip.trim_start_matches('[').trim_end_matches(']')), port),
    };
    let ip = ip.map(str::parse::<IpAddr>).transpose().map_err(|_| error())?;
    match port.parse() {
        Ok(port) if port > 0 => Ok(Target::Port(ip, port)),
        _ => Err(error()),
    }
}

fn unix(name: &str) -> Option<Target> {
    let name = match name.strip_prefix('@') {
        Some(name) => [b"\0", name.as_bytes()].concat(),
        None => name.as_bytes().to_vec(),
    };
    (!name.is_empty()).then_some(Target::Unix(name))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Who {
    /// The answer as the API gives it; `asked` is the target as it was written.
    #[must_use]
    pub fn new(view: &View<'_>, asked: &str, target: &Target, scope: &str) -> Self {
        let who::Who {
            sockets,
            before,
            before_left_out,
            ownerless,
            leftovers,
            leftovers_left_out,
            not_followed,
            connections,
            caveats,
        } = who::who(view, target);
        let terms = Terms::new(view);
        let t0 = view.session().t0();
        let held = |held: &who::Held<'_>| Held {
            socket: Socket::new(&held.socket, t0),
            bound: held.bound.map(|moment| terms.when(moment)),
            listening: held.listening.map(|moment| terms.when(moment)),
            holders: held.holders.iter().map(|holder| terms.holder(holder)).collect(),
            others: held.others.iter().map(|other| Other::new(other)).collect(),
            former: held.former.iter().map(|holder| terms.holder(holder)).collect(),
            ended: held.ended.map(|moment| terms.when(moment)),
        };
        Self {
            target: asked.to_owned(),
            sockets: sockets.iter().map(held).collect(),
            before: before.iter().map(held).collect(),
            before_left_out: u64::try_from(before_left_out).unwrap_or(u64::MAX),
            ownerless: ownerless.iter().map(held).collect(),
            leftovers: leftovers.iter().map(|leftover| Leftover::new(&terms, leftover)).collect(),
            leftovers_left_out: u64::try_from(leftovers_left_out).unwrap_or(u64::MAX),
            not_followed: not_followed.iter().map(|other| Other::new(other)).collect(),
            connections: u64::try_from(connections).unwrap_or(u64::MAX),
            basis: terms.basis(view, scope, &caveats),
        }
    }

    /// The answer for people.
    #[must_use]
    pub fn text(&self, zone: &TimeZone) -> String {
        let mut text = String::new();
        if self.sockets.is_empty() && !self.not_followed.is_empty() {
            let _ = writeln!(text, "no followed process holds {}", Escaped(self.target.as_bytes()));
        } else if self.sockets.is_empty() {
            let _ = writeln!(text, "no process holds {}", Escaped(self.target.as_bytes()));
        }
        for held in &self.sockets {
            text.push_str(&held.text(zone));
        }
        if !self.not_followed.is_empty() {
            text.push_str("held by processes that are not followed\n");
            let rows = self.not_followed.iter().map(Other::cells);
            text.push_str(&columns(4, &["COMMAND", "PID", "FD", "STATE", "LOCAL", "INODE"], rows));
        }
        if self.connections > 0 {
            let _ = writeln!(text, "connections taken in and open: {}", self.connections);
        }
        if !self.leftovers.is_empty() {
            text.push_str("kept by the kernel after their socket is gone\n");
            let heads = ["STATE", "LOCAL", "PEER", "NETNS", ""];
            text.push_str(&columns(4, &heads, self.leftovers.iter().map(|leftover| leftover.cells(zone))));
        }
        if self.leftovers_left_out > 0 {
            let _ = writeln!(text, "{} older ones are left out", self.leftovers_left_out);
        }
        for (head, sockets) in [("without an owner", &self.ownerless), ("before", &self.before)] {
            if !sockets.is_empty() {
                let _ = writeln!(text, "{head}");
            }
            for held in sockets {
                text.push_str(&held.text(zone));
            }
        }
        if self.before_left_out > 0 {
            let _ = writeln!(text, "{} earlier ones are left out", self.before_left_out);
        }
        text + &self.basis.text(zone)
    }
}

impl Other {
    fn new(held: &HeldSock) -> Self {
        let sock = &held.sock;
        let kind = SocketKind { family: sock.family, ty: sock.ty, protocol: sock.protocol };
        Self {
            process: held.process.to_string(),
            pid: held.process.pid,
            comm: line::lossy(&held.comm),
            fd: held.fd,
            how: "unknown".to_owned(),
            ino: held.ino.to_string(),
            local: sock.local.to_string(),
            state: Some(line::state(Some(kind), sock.state).into_owned()),
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            Escaped(self.comm.as_bytes()).to_string(),
            self.pid.to_string(),
            self.fd.to_string(),
            self.state.clone().unwrap_or_default(),
            Escaped(self.local.as_bytes()).to_string(),
            self.ino.clone(),
        ]
    }
}

impl Leftover {
    fn new(terms: &Terms<'_>, leftover: &leftovers::Leftover) -> Self {
        let kind = leftover.kind;
        Self {
            state: line::state(Some(kind), leftover.state).into_owned(),
            family: names::family_name(kind.family).into_owned(),
            protocol: names::protocol_name(kind.family, kind.protocol).map(Cow::into_owned),
            local: leftover.local.to_string(),
            peer: leftover.peer.to_string(),
            netns: leftover.netns,
            socket: leftover.socket.map(|id| id.to_string()),
            inferred: leftover.inferred,
            gone: leftover.gone.map(|gone| terms.bare(gone)),
        }
    }

    fn cells(&self, zone: &TimeZone) -> Vec<String> {
        let concluded = if self.inferred { "concluded; " } else { "" };
        let gone = self.gone.map(|gone| format!("{concluded}gone by {}", gone.text(zone)));
        vec![
            self.state.clone(),
            Escaped(self.local.as_bytes()).to_string(),
            Escaped(self.peer.as_bytes()).to_string(),
            self.netns.to_string(),
            gone.unwrap_or_default(),
        ]
    }
}

/// What a socket is, in one line as ss(8) begins it.
fn headline(socket: &Socket) -> String {
    let local = Escaped(socket.local.as_deref().unwrap_or("*").as_bytes());
    let mut line = format!("{}  {}  {local}", netid(socket), state(socket));
    if let Some(peer) = &socket.peer {
        let _ = write!(line, " -> {}", Escaped(peer.as_bytes()));
    }
    line
}

impl Held {
    fn text(&self, zone: &TimeZone) -> String {
        let socket = &self.socket;
        let mut text = headline(socket) + "\n";
        let since = |what: &str, moment: Option<When>| {
            moment.map(|when| format!("{what} since {}{}", when.text(zone), when.evidence()))
        };
        let listens = socket.steps.iter().any(|step| step.phase == "listening");
        let mut facts: Vec<String> = Vec::new();
        match since("listening", self.listening) {
            Some(fact) => facts.push(fact),
            None if listens => facts.push("listening since before tracing began".to_owned()),
            None => facts.extend(since("bound", self.bound)),
        }
        facts.extend(since("gone", self.ended));
        facts.push(format!("inode {}", socket.ino));
        facts.push(format!("network namespace {}", socket.netns));
        facts.extend(socket.backlog.map(|backlog| format!("backlog {backlog}")));
        if let (Some(len), Some(limit)) = (socket.queue_len, socket.queue_limit) {
            facts.push(format!("accept queue {len}, limit {limit}"));
        }
        if !socket.options.is_empty() {
            facts.push(format!("options {}", socket.options.join(" ")));
        }
        let _ = writeln!(text, "    {}", facts.join(", "));
        if !self.holders.is_empty() {
            text.push_str(&Holder::table(&self.holders, 4, zone));
        }
        if !self.others.is_empty() {
            text.push_str("    held too, how they came by it is unknown (not followed)\n");
            let rows = self.others.iter().map(|other| other.cells().into_iter().take(3).collect());
            text.push_str(&columns(4, &["COMMAND", "PID", "FD"], rows));
        }
        if !self.former.is_empty() {
            text.push_str("    held before by\n");
            text.push_str(&Holder::table(&self.former, 4, zone));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::target;
    use tracer_answers::who::Target;

    #[test]
    fn ports_and_paths_read_as_people_write_them() {
        let loopback = Some([127, 0, 0, 1].into());
        for (text, wanted) in [
            ("80", Target::Port(None, 80)),
            (":80", Target::Port(None, 80)),
            ("*:80", Target::Port(None, 80)),
            ("127.0.0.1:80", Target::Port(loopback, 80)),
            ("[::1]:443", Target::Port(Some("::1".parse().unwrap()), 443)),
            ("/run/x.sock", Target::Unix(b"/run/x.sock".to_vec())),
            ("unix:x.sock", Target::Unix(b"x.sock".to_vec())),
            ("@name", Target::Unix(b"\0name".to_vec())),
            ("unix:@name", Target::Unix(b"\0name".to_vec())),
        ] {
            assert_eq!(target(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn anything_else_is_an_error_that_shows_the_forms() {
        for text in ["", "0", "65536", "http", "localhost:80", "unix:", "-1", "127.0.0.1"] {
            let error = target(text).unwrap_err().to_string();
            assert!(error.contains("[::1]:80") && error.contains(&format!("{text:?}")), "{error}");
        }
    }
}

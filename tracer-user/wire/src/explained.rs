//! Why a call failed or a connection broke: a sentence, and what it rests on as data.

use crate::{
    escape::Escaped,
    line::{is_false, state},
    sentence::{duration, one_of},
    text::address,
};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::borrow::Cow;
use tracer_model::{
    address::{Address, family},
    event::Event,
    explain::{Cause, Explain, Fill, Holder, Party, Relation, Unseen},
    names,
};
use ts_rs::TS;
use utoipa::ToSchema;

/// Why a call failed or a connection broke.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[serde(default)]
#[ts(optional_fields)]
pub struct Explained {
    /// The explanation as a sentence.
    pub text: String,
    /// Its cause by name: `address_held`, `nobody_listens`, `table_full` ...
    pub cause: Cow<'static, str>,
    /// The same failure was explained in full a moment before, by the event in `events`.
    #[serde(skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>")]
    pub again: bool,
    /// `EADDRINUSE`: options of the socket that asked, those that are set.
    pub options: Option<Vec<String>>,
    /// The sockets that it rests on, the most telling first; at most 8.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<ExplainedSocket>>")]
    pub sockets: Vec<ExplainedSocket>,
    /// How many more of these there are.
    pub more: Option<u64>,
    /// `EMFILE`: the limit on descriptors; `ENFILE`: on open files of the machine.
    pub limit: Option<u64>,
    /// The limit was concluded: below it every number is taken.
    #[serde(skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>")]
    pub limit_inferred: bool,
    /// How many are in use.
    pub used: Option<u64>,
    /// `EMFILE`: what fills the table, most first; at most 8.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<ExplainedKind>>")]
    pub kinds: Vec<ExplainedKind>,
    /// When the oldest of the most frequent was made; nanoseconds since the Unix epoch.
    pub since_ns: Option<u64>,
    /// How often the same call failed in the same way without a pause of a second, this one included.
    pub failures: Option<u64>,
    /// For how long.
    pub failing_ns: Option<u64>,
    /// How long before this event what explains it happened.
    pub ago_ns: Option<u64>,
    /// `EACCES`: the first port that everybody may bind (`ip_unprivileged_port_start`).
    pub first_port: Option<u32>,
    /// The events that it rests on, by `seq`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<u64>>")]
    pub events: Vec<u64>,
    /// What was not seen and might say more: `unfollowed`, `cut_short`, `leftovers_elsewhere`, `searches`,
    /// `reads_and_writes`, `peer`, `limit`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<String>>")]
    pub unseen: Vec<Cow<'static, str>>,
}

/// A socket that an explanation rests on.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[serde(default)]
#[ts(optional_fields)]
pub struct ExplainedSocket {
    /// The socket (`s41`), where it is a followed process's.
    pub socket: Option<String>,
    /// Local address.
    pub local: Option<String>,
    /// Peer's address.
    pub peer: Option<String>,
    /// State.
    pub state: Option<Cow<'static, str>>,
    /// Network namespace (inode number).
    pub netns: u32,
    /// Options that are set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<String>>")]
    pub options: Vec<String>,
    /// What its address has to do with the one that was asked for: `same`, `wildcard`, `dual_stack`.
    pub relation: Option<Cow<'static, str>>,
    /// Who holds it, or held it last; at most 8.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[ts(as = "Option<Vec<ExplainedHolder>>")]
    pub holders: Vec<ExplainedHolder>,
}

/// A descriptor that holds a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(default)]
pub struct ExplainedHolder {
    /// `pid@start`.
    pub process: String,
    /// Thread group id.
    pub pid: u32,
    /// Name of the process.
    pub comm: String,
    /// Number of the descriptor.
    pub fd: i32,
}

/// Descriptors of one kind that one call made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[serde(default)]
pub struct ExplainedKind {
    /// What they hold: `socket`, `file` ...
    pub kind: Cow<'static, str>,
    /// What made them: `accept`, `open` ...
    pub by: String,
    /// How many.
    pub count: u64,
}

impl Explained {
    /// The explanation of an event.
    #[must_use]
    pub fn new(event: &Event, explain: &Explain) -> Self {
        let fill = explain.fill.as_ref();
        Self {
            text: text(event, explain),
            cause: explain.cause.name().into(),
            again: explain.again,
            options: explain.options.as_ref().map(names::options),
            sockets: explain.sockets.iter().map(socket).collect(),
            more: (explain.more > 0).then_some(explain.more),
            limit: fill.and_then(|fill| fill.limit),
            limit_inferred: fill.is_some_and(|fill| fill.inferred),
            used: fill.map(|fill| fill.used),
            kinds: fill.map(kinds).unwrap_or_default(),
            since_ns: fill.and_then(|fill| fill.since_ns),
            failures: explain.spin.map(|spin| spin.count),
            failing_ns: explain.spin.map(|spin| spin.for_ns),
            ago_ns: explain.ago_ns,
            first_port: explain.first_port,
            events: explain.events.clone(),
            unseen: explain.unseen.iter().map(|unseen| unseen.name().into()).collect(),
        }
    }
}

fn socket(party: &Party) -> ExplainedSocket {
    ExplainedSocket {
        socket: party.socket.map(|id| id.to_string()),
        local: Some(&party.local).filter(|local| !local.is_unset()).map(Address::to_string),
        peer: party.peer.as_ref().map(Address::to_string),
        state: Some(state(Some(party.kind), party.state)).filter(|_| party.state != 0),
        netns: party.netns,
        options: names::options(&party.options),
        relation: party.relation.map(|relation| relation.name().into()),
        holders: party
            .holders
            .iter()
            .map(|holder| ExplainedHolder {
                process: holder.process.to_string(),
                pid: holder.process.pid,
                comm: holder.comm.clone(),
                fd: holder.fd,
            })
            .collect(),
    }
}

fn kinds(fill: &Fill) -> Vec<ExplainedKind> {
    let kind = |(kind, by, count): &(tracer_model::event::FileKind, String, u64)| ExplainedKind {
        kind: kind.name().into(),
        by: by.clone(),
        count: *count,
    };
    fill.kinds.iter().map(kind).collect()
}

/// The sentence of an explanation.
pub(crate) fn text(event: &Event, explain: &Explain) -> String {
    let mut parts = vec![if explain.again {
        let events: Vec<String> = explain.events.iter().map(u64::to_string).collect();
        format!("again, for the reason that event {} tells", events.join(" and "))
    } else {
        cause(event, explain)
    }];
    if let Some(spin) = explain.spin {
        let rate = u128::from(spin.count - 1) * 1_000_000_000 / u128::from(spin.for_ns.max(1));
        let rate = if spin.for_ns > 0 && rate > 0 { format!(", {rate} a second") } else { String::new() };
        let (count, time) = (spin.count, duration(spin.for_ns));
        parts.push(format!("it has failed so {count} times in {time} without a pause{rate}"));
    }
    let unseen: Vec<&str> = explain.unseen.iter().filter_map(|unseen| unseen_words(*unseen)).collect();
    if !unseen.is_empty() {
        parts.push(format!("not seen: {}", unseen.join(", ")));
    }
    parts.join("; ")
}

fn cause(event: &Event, explain: &Explain) -> String {
    let first = explain.sockets.first();
    let others = if explain.sockets.len() > 1 || explain.more > 0 {
        let more = explain.sockets.len() as u64 - 1 + explain.more;
        format!(" (and {more} more)")
    } else {
        String::new()
    };
    let asked = event.asked.as_ref().or(event.peer.as_ref()).map_or_else(|| "it".to_owned(), address);
    let ago = explain.ago_ns.map(|ago| format!(" {} before", duration(ago))).unwrap_or_default();
    match (explain.cause, first) {
        (Cause::AddressHeld, Some(party)) => format!(
            "{} is held by {}{others}{}{}",
            address(&party.local),
            who(party),
            clash(party),
            reuse(explain, party)
        ),
        (Cause::AddressLeftOver, Some(party)) => format!(
            "{} is kept by a closed connection to {} in {}{others}, which no process holds{}",
            address(&party.local),
            party.peer.as_ref().map_or_else(|| "?".to_owned(), address),
            state(Some(party.kind), party.state),
            reuse(explain, party)
        ),
        (Cause::TableFull, _) => full(explain),
        (Cause::SystemFull, _) => match &explain.fill {
            Some(Fill { used, limit: Some(limit), .. }) => {
                format!("the machine has {used} open files, its limit is {limit} (fs.file-max)")
            }
            _ => "the machine's limit of open files is reached (fs.file-max)".to_owned(),
        },
        (Cause::ListenerClosed, Some(party)) => format!(
            "nobody listens on {asked}: {} closed its listener on {}{ago}",
            who_held(party),
            address(&party.local)
        ),
        (Cause::Listens, Some(party)) => format!(
            "{} listens on {} now; it began after the refusal, or refuses what its queue has no room for \
             (tcp_abort_on_overflow)",
            who_held(party),
            address(&party.local)
        ),
        (Cause::OtherAddress, Some(party)) => {
            format!(
                "nobody listens on {asked}: {} listens on {}{others}",
                who_held(party),
                address(&party.local)
            )
        }
        (Cause::OtherFamily, Some(party)) => format!(
            "nobody listens on {asked}: {} listens on {}{others}, for {} alone",
            who_held(party),
            address(&party.local),
            if matches!(party.local, Address::Inet6(..)) { "IPv6" } else { "IPv4" }
        ),
        (Cause::OtherNamespace, Some(party)) => format!(
            "nobody listens on {asked} in this network namespace: {} listens on {} in namespace {}{others}",
            who_held(party),
            address(&party.local),
            party.netns
        ),
        (Cause::ResetInQueue, Some(party)) => format!(
            "the connection from {} was reset while it waited to be accepted{}{ago}",
            party.peer.as_ref().map_or_else(|| "?".to_owned(), address),
            if ago.is_empty() { "" } else { "," }
        ),
        (Cause::PeerReset | Cause::PeerGone, Some(party)) if party.state == names::state::LISTEN => format!(
            "{} closed its listener on {}{ago} and had not accepted the connection",
            who_held(party),
            address(&party.local)
        ),
        (Cause::PeerReset, Some(party)) if !party.holders.is_empty() && is_unix(event) => {
            format!("the peer, {}, had closed{ago} with data unread", who_held(party))
        }
        (Cause::PeerReset, Some(party)) if !party.holders.is_empty() => {
            let why = match (party.options.linger_s, &party.holders[..]) {
                (Some(0), _) => "it closed with SO_LINGER 0",
                _ => "it closed with data unread, or was destroyed (`ss -K`)",
            };
            format!("the peer, {}, reset the connection: {why}", who_held(party))
        }
        (Cause::PeerGone, Some(party)) if !party.holders.is_empty() => {
            format!("the peer, {}, had closed{ago} and refused what this side still sent", who_held(party))
        }
        (Cause::ShutDown, Some(party)) => {
            format!("{} had shut it down for writing{ago}", who_held(party))
        }
        (Cause::PeerShutDown, Some(party)) => {
            format!("the peer, {}, had shut down reading{ago}", who_held(party))
        }
        (Cause::NotListening, Some(party)) => format!("{} does not listen", named(party)),
        (Cause::IsConnected, Some(party)) => {
            format!(
                "{} is {}: only a socket that is not connected can listen",
                named(party),
                state(Some(party.kind), party.state)
            )
        }
        (Cause::AlreadyBound, Some(party)) => {
            format!("the socket is bound to {} already", address(&party.local))
        }
        (cause, _) => alone(event, explain, cause, &asked, &ago),
    }
}

fn is_unix(event: &Event) -> bool {
    event.socket_kind.is_some_and(|kind| kind.family == family::UNIX)
}

/// Causes that rest on no socket.
fn alone(event: &Event, explain: &Explain, cause: Cause, asked: &str, ago: &str) -> String {
    match cause {
        Cause::AddressHeld | Cause::AddressLeftOver | Cause::AddressUnknown => match &event.asked {
            Some(Address::Unix(name)) if name.first() != Some(&0) => {
                format!("{asked} exists, and nobody was found who has it: a file that an earlier server left")
            }
            _ => format!("nothing was found that has {asked}"),
        },
        Cause::NobodyListens | Cause::OtherAddress | Cause::OtherFamily | Cause::OtherNamespace => {
            format!("nobody listens on {asked}")
        }
        Cause::ListenerClosed | Cause::Listens => format!("nobody listened on {asked}"),
        Cause::Remote => {
            format!("{asked} is not known to be this host's: its host, or a firewall on the way, refused")
        }
        Cause::ResetInQueue => "the connection was reset while it waited to be accepted".to_owned(),
        Cause::Destroyed => "it was destroyed from outside, as `ss -K` does".to_owned(),
        Cause::PeerReset if is_unix(event) => format!("the peer had closed{ago} with data unread"),
        Cause::PeerReset => "the peer reset the connection".to_owned(),
        Cause::ShutDown => "one of its two ends had been shut down, which was not seen".to_owned(),
        Cause::PeerShutDown => "the peer had shut down reading".to_owned(),
        Cause::PeerGone => format!("the peer had closed{ago} and refused what this side still sent"),
        Cause::LowPort => match explain.first_port {
            Some(first) => format!("ports below {first} take CAP_NET_BIND_SERVICE"),
            None => "the port may take CAP_NET_BIND_SERVICE (net.ipv4.ip_unprivileged_port_start)".to_owned(),
        },
        Cause::NoFamily => {
            let family = event.socket_kind.map(|kind| names::family_name(kind.family));
            format!("this kernel has no sockets of family {}", family.unwrap_or("?".into()))
        }
        Cause::FamilyMismatch => {
            let family = event.socket_kind.map_or_else(|| "?".into(), |kind| names::family_name(kind.family));
            format!("{asked} is no address for a socket of family {family}")
        }
        Cause::NotListening => "the socket does not listen".to_owned(),
        Cause::IsConnected => "the socket is connected".to_owned(),
        Cause::NotBound => {
            "the socket has no name: a unix socket listens under one, which bind gives".to_owned()
        }
        Cause::AlreadyBound => "the socket is bound already".to_owned(),
        Cause::TableFull | Cause::SystemFull => full(explain),
    }
}

/// What fills a table.
fn full(explain: &Explain) -> String {
    let Some(fill) = &explain.fill else { return "the descriptor table is full".to_owned() };
    let limit = fill.limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    let kinds = fill
        .kinds
        .iter()
        .take(3)
        .map(|(kind, by, count)| format!("{count} {} by {by}", one_of(kind.name(), *count)));
    let kinds: Vec<String> = kinds.collect();
    format!("{}{limit} descriptors are in use: {}", fill.used, kinds.join(", "))
}

/// A socket by what it is.
fn named(party: &Party) -> String {
    let words = format!("{} {}", names::family_name(party.kind.family), names::type_name(party.kind.ty));
    if party.local.is_unset() {
        format!("a {words} socket without an address")
    } else {
        format!("the {words} socket on {}", address(&party.local))
    }
}

/// Who holds a socket, and in which state.
fn who(party: &Party) -> String {
    format!("{}, {}", who_held(party), state(Some(party.kind), party.state))
}

fn who_held(party: &Party) -> String {
    let mut holders = party.holders.iter().map(|Holder { process, comm, fd }| {
        let fd = if *fd < 0 { String::new() } else { format!(" fd {fd}") };
        format!("{} {}{fd}", Escaped(comm.as_bytes()), process.pid)
    });
    match (holders.next(), holders.count()) {
        (None, _) => party.socket.map_or_else(|| "a socket".to_owned(), |id| id.to_string()),
        (Some(first), 0) => first,
        (Some(first), more) => format!("{first} (and {more} more)"),
    }
}

/// How two addresses are in each other's way.
fn clash(party: &Party) -> &'static str {
    match party.relation {
        Some(Relation::Wildcard) => "; one of the two is every address of the host",
        Some(Relation::DualStack) => {
            "; one of the two is every address of IPv6, which takes IPv4 too without IPV6_V6ONLY"
        }
        Some(Relation::Same) | None => "",
    }
}

/// What the options of both sides allow.
fn reuse(explain: &Explain, party: &Party) -> String {
    if matches!(party.local, Address::Unix(_)) {
        return String::new();
    }
    let Some(own) = explain.options else { return String::new() };
    let side = |set: [(bool, &str); 2]| {
        let set: Vec<&str> = set.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
        if set.is_empty() { "neither SO_REUSEADDR nor SO_REUSEPORT".to_owned() } else { set.join(" and ") }
    };
    let options = |options: tracer_model::input::Options| {
        side([(options.reuseaddr, "SO_REUSEADDR"), (options.reuseport, "SO_REUSEPORT")])
    };
    let users = if own.reuseport && party.options.reuseport {
        ": it takes the same user to share the port"
    } else {
        ""
    };
    format!("; this socket has {}, that one {}{users}", options(own), options(party.options))
}

/// What a reader should know was not seen; what belongs to every such error is not said in words.
const fn unseen_words(unseen: Unseen) -> Option<&'static str> {
    Some(match unseen {
        Unseen::Unfollowed => "processes that are not followed",
        Unseen::CutShort => "all of the machine, the look at it was cut short",
        Unseen::LeftoversElsewhere => "closed connections of that network namespace",
        Unseen::Searches => "the cause, too many errors came at once",
        Unseen::Peer => "the peer's process",
        Unseen::Limit => "the limit",
        Unseen::ReadsAndWrites => return None,
    })
}

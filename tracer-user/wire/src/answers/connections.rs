//! Both ends of connections: `/api/v1/answers/connections`, `sockreel connections`.

use super::{Basis, Party, Terms, When, columns::columns, queues::party, spoken};
use crate::{
    api::{Socket, Tcp},
    escape::Escaped,
    line::is_false,
};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::fmt::Write as _;
use tracer_answers::{
    connections::{self, Which},
    view::View,
    who::Target,
};
use tracer_model::event::AppProtocol;
use ts_rs::TS;
use utoipa::ToSchema;

/// Connections with their ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Connections {
    /// In the order in which they began; beyond a thousand the newest.
    pub connections: Vec<Connection>,
    /// How many are left out.
    pub left_out: u64,
    /// What the answer rests on.
    pub basis: Basis,
}

/// A connection: the ends of it that are known.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Connection {
    /// The end that connected; of a pair of sockets the one that was made first.
    pub client: Option<ConnectionEnd>,
    /// The end that a listener made.
    pub server: Option<ConnectionEnd>,
    /// What is spoken, as the ends tell it: `http/1`, `http/2`, `websocket`, `tls`, `redis`, `postgresql`, or `unknown`; absent
    /// where first bytes are not looked at (`--peek`).
    pub app_protocol: Option<String>,
    /// `tls`: the server's name that the client asks for, as far as it is known.
    pub sni: Option<String>,
    /// The name goes on.
    #[serde(default, skip_serializing_if = "is_false")]
    #[ts(as = "Option<bool>")]
    pub sni_cut: bool,
    /// Who closed first: `client` or `server`, as far as is known.
    pub closed_first: Option<String>,
    /// When.
    pub closed_at: Option<When>,
}

/// One end.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct ConnectionEnd {
    /// Its socket.
    pub socket: Socket,
    /// Processes that have or last had it.
    pub owners: Vec<Party>,
    /// The kernel's counters, at its end, or while it is open as they were read for the answer. Of TCP alone.
    pub tcp: Option<Tcp>,
    /// When it ended.
    pub ended: Option<When>,
}

impl Connections {
    /// The answer as the API gives it.
    #[must_use]
    pub fn new(view: &View<'_>, target: Option<&Target>, ended: bool, scope: &str) -> Self {
        let connections::Connections { connections, left_out, caveats } =
            connections::connections(view, target, ended);
        let terms = Terms::new(view);
        let t0 = view.session().t0();
        let end = |end: &connections::End<'_>| ConnectionEnd {
            socket: Socket::new(&end.socket, t0),
            owners: end.owners.iter().map(|process| terms.party(process.key)).collect(),
            tcp: end.tcp.map(|(tcp, at)| Tcp::new(tcp, at, t0)),
            ended: end.ended.map(|ended| terms.when(ended)),
        };
        let peeks = view.session().looks_at_first_bytes();
        let connection = |connection: &connections::Connection<'_>| Connection {
            app_protocol: connection
                .spoken()
                .map(|spoken| spoken.protocol)
                .or(peeks.then_some(AppProtocol::Unknown))
                .map(|protocol| protocol.name().to_owned()),
            sni: connection.spoken().and_then(|spoken| spoken.sni.clone()),
            sni_cut: connection.spoken().is_some_and(|spoken| spoken.sni_cut),
            client: connection.client.as_ref().map(end),
            server: connection.server.as_ref().map(end),
            closed_first: connection.closed_first.map(|(which, _)| match which {
                Which::Client => "client".to_owned(),
                Which::Server => "server".to_owned(),
            }),
            closed_at: connection.closed_first.map(|(_, moment)| terms.when(moment)),
        };
        Self {
            connections: connections.iter().map(connection).collect(),
            left_out: u64::try_from(left_out).unwrap_or(u64::MAX),
            basis: terms.basis(view, scope, &caveats),
        }
    }

    /// The answer for people.
    #[must_use]
    pub fn text(&self, zone: &TimeZone) -> String {
        let rows = self.connections.iter().map(|connection| connection.cells(zone));
        let heads = [
            "KIND",
            "CLIENT",
            "BY",
            "SERVER",
            "BY",
            "SPOKEN",
            "TO SERVER",
            "TO CLIENT",
            "RTT",
            "RETRANS",
            "CLOSED FIRST",
        ];
        let mut text = columns(0, &heads, rows);
        if self.connections.is_empty() {
            "no connection is open (--ended tells those that have ended, too)\n".clone_into(&mut text);
        }
        if self.left_out > 0 {
            let _ = writeln!(text, "{} older ones are left out", self.left_out);
        }
        text + &self.basis.text(zone)
    }
}

/// The address of a unix socket without a name.
const UNNAMED: &str = "unix:";

impl Connection {
    fn cells(&self, zone: &TimeZone) -> Vec<String> {
        let known = self.client.as_ref().or(self.server.as_ref());
        let kind = known.map(|end| end.socket.protocol.clone().unwrap_or_else(|| end.socket.family.clone()));
        let address = |end: &Option<ConnectionEnd>, other: &Option<ConnectionEnd>| {
            let own = end.as_ref().and_then(|end| end.socket.local.as_deref());
            let seen = other.as_ref().and_then(|end| end.socket.peer.as_deref());
            let inode = end.as_ref().map(|end| end.socket.ino.as_str()).filter(|inode| *inode != "0");
            match (own.or(seen).filter(|name| *name != UNNAMED), inode) {
                (Some(name), _) => Escaped(name.as_bytes()).to_string(),
                // As ss(8) shows a unix socket without a name.
                (None, Some(inode)) => format!("* {inode}"),
                (None, None) => "*".to_owned(),
            }
        };
        let by = |end: &Option<ConnectionEnd>| {
            end.as_ref().map_or_else(
                || "-".to_owned(),
                |end| {
                    let owners = end.owners.iter().map(party).collect::<Vec<_>>().join(",");
                    if owners.is_empty() { end.socket.id.clone() } else { owners }
                },
            )
        };
        let tcp = |end: &Option<ConnectionEnd>| end.as_ref().and_then(|end| end.tcp.clone());
        let (client, server) = (tcp(&self.client), tcp(&self.server));
        let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        // What one end received in order the other has sent; where that end is not known, what was acknowledged of it.
        let to_server =
            server.as_ref().map(|tcp| tcp.bytes_received).or(client.as_ref().map(|tcp| tcp.bytes_acked));
        let to_client =
            client.as_ref().map(|tcp| tcp.bytes_received).or(server.as_ref().map(|tcp| tcp.bytes_acked));
        let both = |part: fn(&Tcp) -> u64| {
            let cell = |tcp: &Option<Tcp>| number(tcp.as_ref().map(part));
            format!("{}/{}", cell(&client), cell(&server))
        };
        let closed = self.closed_first.as_ref().map(|who| {
            let at = self.closed_at.map(|when| format!(" {}{}", when.text(zone), when.evidence()));
            format!("{who}{}", at.unwrap_or_default())
        });
        vec![
            kind.unwrap_or_default(),
            address(&self.client, &self.server),
            by(&self.client),
            address(&self.server, &self.client),
            by(&self.server),
            self.app_protocol.as_ref().map_or_else(
                || "-".to_owned(),
                |protocol| spoken(protocol, self.sni.as_deref(), self.sni_cut),
            ),
            number(to_server),
            number(to_client),
            both(|tcp| tcp.rtt_us.into()) + " µs",
            both(|tcp| tcp.retransmits.into()),
            closed.unwrap_or_else(|| "-".to_owned()),
        ]
    }
}

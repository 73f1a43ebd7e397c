//! Sockets and who holds them: `/api/v1/answers/sockets`, `sockreel sockets`.

use super::{Basis, Holder, Terms, columns::columns, netid, spoken, state};
use crate::{api::Socket, escape::Escaped};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tracer_answers::{
    sockets::{self, Wanted},
    view::View,
};
use ts_rs::TS;
use utoipa::ToSchema;

/// Sockets at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct HeldSockets {
    /// In the order in which they were first seen.
    pub sockets: Vec<HeldSocket>,
    /// What the answer rests on.
    pub basis: Basis,
}

/// A socket and who holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct HeldSocket {
    /// The socket.
    pub socket: Socket,
    /// Who holds it; nobody while it waits in an accept queue, or is brought to an end by the kernel.
    pub holders: Vec<Holder>,
}

impl HeldSockets {
    /// The answer as the API gives it.
    #[must_use]
    pub fn new(view: &View<'_>, wanted: Wanted, scope: &str) -> Self {
        let sockets::Sockets { sockets, caveats } = sockets::sockets(view, wanted);
        let terms = Terms::new(view);
        let held = |row: &sockets::Row<'_>| HeldSocket {
            socket: Socket::new(&row.socket, view.session().t0()),
            holders: row.holders.iter().map(|holder| terms.holder(holder)).collect(),
        };
        Self { sockets: sockets.iter().map(held).collect(), basis: terms.basis(view, scope, &caveats) }
    }

    /// The answer for people, in the columns of ss(8).
    #[must_use]
    pub fn text(&self, zone: &TimeZone) -> String {
        let heads = ["Netid", "State", "Recv-Q", "Send-Q", "Local", "Peer", "Process", "Spoken"];
        // Nothing is known of it where first bytes are not looked at.
        let known = self.sockets.iter().any(|held| !held.socket.spoken.is_empty());
        let heads = heads.get(..if known { 8 } else { 7 }).unwrap_or_default();
        columns(0, heads, self.sockets.iter().map(HeldSocket::cells)) + &self.basis.text(zone)
    }
}

impl HeldSocket {
    fn cells(&self) -> Vec<String> {
        let socket = &self.socket;
        let address =
            |address: &Option<String>| Escaped(address.as_deref().unwrap_or("*").as_bytes()).to_string();
        // Of a listener, as ss(8) has it: the accept queue's length and limit. Bytes are not read.
        let number = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
        let users: Vec<_> = self.holders.iter().map(user).collect();
        vec![
            netid(socket),
            state(socket),
            number(socket.queue_len),
            number(socket.queue_limit),
            address(&socket.local),
            address(&socket.peer),
            if users.is_empty() { String::new() } else { format!("users:({})", users.join(",")) },
            socket
                .spoken
                .last()
                .map_or(String::new(), |said| spoken(&said.app_protocol, said.sni.as_deref(), said.sni_cut)),
        ]
    }
}

fn user(holder: &Holder) -> String {
    format!("(\"{}\",pid={},fd={})", Escaped(holder.comm.as_bytes()), holder.pid, holder.fd)
}

//! Sockets with several owners over time: `/api/v1/answers/handovers`, `sockreel handovers`.

use super::{Basis, Holder, Party, Terms, When, columns::columns, netid, state};
use crate::{api::Socket, escape::Escaped, line::lossy};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::fmt::Write as _;
use tracer_answers::{
    handover::{self, Finding},
    view::View,
    who::Target,
};
use ts_rs::TS;
use utoipa::ToSchema;

/// Sockets that took connections or datagrams for several processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Handovers {
    /// In the order in which they were first seen.
    pub sockets: Vec<Handover>,
    /// What the answer rests on.
    pub basis: Basis,
}

/// One socket and its owners.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Handover {
    /// The socket.
    pub socket: Socket,
    /// Since when it listens, where that was seen.
    pub listening: Option<When>,
    /// Its owners in the order in which they came by it, those that gave it up included.
    pub owners: Vec<Owner>,
    /// What is noteworthy.
    pub findings: Vec<Noteworthy>,
}

/// An owner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Owner {
    /// Who, since when, how, until when.
    #[serde(flatten)]
    #[ts(flatten)]
    pub holder: Holder,
    /// Connections that it accepted from the socket, of those that are kept.
    pub accepted: u64,
}

/// Something that people look for when a port is not free, or answers from an old program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Noteworthy {
    /// `kept_alive`: its maker is gone, a child keeps it. `left_behind`: a reload left an old worker with it. `stray`: a child
    /// inherited it by accident.
    pub what: String,
    /// The processes that it is about.
    pub processes: Vec<Party>,
    /// The same in a sentence.
    pub text: String,
    /// Since when. `kept_alive`: its maker ceased to hold it. `left_behind`: the last of its generation that gave it up did.
    /// `stray`: it executed its program.
    pub since: When,
}

impl Handovers {
    /// The answer as the API gives it.
    #[must_use]
    pub fn new(view: &View<'_>, target: Option<&Target>, scope: &str) -> Self {
        let handover::Handovers { sockets, caveats } = handover::handovers(view, target);
        let terms = Terms::new(view);
        let one = |handover: &handover::Handover<'_>| Handover {
            socket: Socket::new(&handover.socket, view.session().t0()),
            listening: handover.listening.map(|moment| terms.when(moment)),
            owners: handover
                .owners
                .iter()
                .map(|owner| Owner { holder: terms.holder(&owner.holder), accepted: owner.accepted })
                .collect(),
            findings: handover.findings.iter().map(|finding| Noteworthy::new(&terms, finding)).collect(),
        };
        Self { sockets: sockets.iter().map(one).collect(), basis: terms.basis(view, scope, &caveats) }
    }

    /// The answer for people.
    #[must_use]
    pub fn text(&self, zone: &TimeZone) -> String {
        let mut text = String::new();
        for Handover { socket, listening, owners, findings } in &self.sockets {
            let local = Escaped(socket.local.as_deref().unwrap_or("*").as_bytes());
            let _ = write!(text, "{}  {}  {local}", netid(socket), state(socket));
            if let Some(listening) = listening {
                let _ = write!(text, "  listening since {}{}", listening.text(zone), listening.evidence());
            }
            text.push('\n');
            let rows = owners.iter().map(|owner| {
                let mut cells = owner.holder.cells(zone);
                cells.insert(3, owner.accepted.to_string());
                cells
            });
            text.push_str(&columns(4, &["COMMAND", "PID", "FD", "ACCEPTED", "SINCE", "HOW"], rows));
            for finding in findings {
                let _ = writeln!(text, "    {}: {}", finding.what, Escaped(finding.text.as_bytes()));
            }
        }
        text + &self.basis.text(zone)
    }
}

impl Noteworthy {
    fn new(terms: &Terms<'_>, finding: &Finding) -> Self {
        let parties = |keys: &[_]| -> Vec<Party> { keys.iter().map(|key| terms.party(*key)).collect() };
        let list = |keys: &[_]| -> String {
            let names: Vec<_> = parties(keys).iter().map(|it| format!("{} {}", it.pid, it.comm)).collect();
            names.join(", ")
        };
        match finding {
            Finding::KeptAlive { maker: (maker, gone), by } => Self {
                what: "kept_alive".to_owned(),
                processes: parties(by),
                text: format!(
                    "{} had it first and holds it no longer{}; {} keeps it",
                    list(&[*maker]),
                    terms.when(*gone).evidence(),
                    list(by)
                ),
                since: terms.when(*gone),
            },
            Finding::LeftBehind { process, gave_up, replaced_by, since } => Self {
                what: "left_behind".to_owned(),
                processes: parties(&[*process]),
                text: format!(
                    "{} still holds it, though {} of its generation gave it up{} for {}",
                    list(&[*process]),
                    list(gave_up),
                    terms.when(*since).evidence(),
                    list(replaced_by)
                ),
                since: terms.when(*since),
            },
            Finding::Stray { process, path, exec } => Self {
                what: "stray".to_owned(),
                processes: parties(&[*process]),
                text: format!(
                    "{} inherited it and executed {} with it{}, and never accepted from it: it was not opened with \
                     close-on-exec",
                    list(&[*process]),
                    lossy(path),
                    terms.when(*exec).evidence()
                ),
                since: terms.when(*exec),
            },
        }
    }
}

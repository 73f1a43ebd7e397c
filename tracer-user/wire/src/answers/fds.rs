//! Descriptor tables: `/api/v1/answers/fds`, `sockreel fds`.

use super::{Basis, Holder, Terms, When, columns::columns, state};
use crate::{
    api::{Direct, Socket},
    escape::Escaped,
    line::lossy,
};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use std::fmt::Write as _;
use tracer_answers::{
    fds::{self, Change, NoProcess, Wanted},
    view::View,
};
use tracer_model::entity::{self, Access};
use ts_rs::TS;
use utoipa::ToSchema;

/// Descriptor tables at an instant, or what changed between two.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Fds {
    /// Only what changed since this moment, where that was asked for.
    pub since: Option<When>,
    /// One a process, in the order of their numbers.
    pub tables: Vec<Table>,
    /// What the answer rests on.
    pub basis: Basis,
}

/// One process's descriptors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
pub struct Table {
    /// `pid@start`.
    pub process: String,
    /// Thread group id.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Soft limit on descriptors (`RLIMIT_NOFILE`), where known.
    pub fd_limit: Option<u64>,
    /// By number, table by table.
    pub descriptors: Vec<Row>,
    /// Entries of the file tables of its io_urings.
    pub direct: Vec<Direct>,
    /// With `since`: descriptors that came after it and were gone by the instant.
    pub passing: u64,
}

/// One descriptor.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct Row {
    /// Who holds it, since when, and how it came by it.
    #[serde(flatten)]
    #[ts(flatten)]
    pub holder: Holder,
    /// With `since`: `opened` or `closed`.
    pub change: Option<String>,
    /// Kind of the file, as in events.
    pub kind: String,
    /// How it may be used, as lsof(8) marks it: `r`, `w`, or `u` for both; absent where that is not known.
    pub access: Option<String>,
    /// Path or name; empty for a socket. Not markup: hostile text.
    pub name: String,
    /// Inode number, decimal.
    pub ino: String,
    /// Open file description (`f12`): descriptors with the same one are duplicates of each other.
    pub file: String,
    /// The socket behind it.
    pub socket: Option<Socket>,
    /// What it communicates through: `pipe`, `fifo`, `mqueue`, `eventfd`, `shared_memory`.
    pub ipc: Option<String>,
    /// Everybody else who has a descriptor of that.
    pub others: Option<Vec<End>>,
}

/// Who else has a descriptor of a pipe, a message queue or the like.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS, ToSchema)]
#[ts(optional_fields)]
pub struct End {
    /// `pid@start`.
    pub process: String,
    /// Thread group id.
    pub pid: u32,
    /// Name.
    pub comm: String,
    /// Number of the descriptor.
    pub fd: i32,
    /// `r`, `w` or `u`.
    pub access: Option<String>,
}

impl Fds {
    /// The answer as the API gives it.
    pub fn new(view: &View<'_>, wanted: &Wanted, scope: &str) -> Result<Self, NoProcess> {
        let fds::Fds { tables, caveats } = fds::fds(view, wanted)?;
        let terms = Terms::new(view);
        Ok(Self {
            since: wanted.since.map(|since| terms.bare(since)),
            tables: tables.iter().map(|table| Table::new(view, &terms, table)).collect(),
            basis: terms.basis(view, scope, &caveats),
        })
    }

    /// The answer for people.
    #[must_use]
    pub fn text(&self, zone: &TimeZone) -> String {
        let rows = || self.tables.iter().flat_map(|table| &table.descriptors);
        let changes = self.since.is_some();
        // Of a snapshot there is nothing to say in these columns.
        let dated = rows().any(|row| row.holder.was_seen() || row.holder.until.is_some());
        let mut heads = vec!["COMMAND", "PID", "FD", "FLAG", "TYPE", "NODE", "NAME"];
        if changes {
            heads.insert(0, "");
        }
        if dated {
            heads.extend(["SINCE", "HOW"]);
        }
        let direct = self.tables.iter().flat_map(Table::direct_cells);
        let cells = rows().map(|row| row.cells(zone, changes, dated)).chain(direct);
        let mut text = columns(0, &heads, cells);
        for table in self.tables.iter().filter(|table| table.passing > 0) {
            let _ = writeln!(
                text,
                "{} {}: {} more came and were gone by then",
                Escaped(table.comm.as_bytes()),
                table.pid,
                table.passing
            );
        }
        text + &self.basis.text(zone)
    }
}

impl Table {
    fn new(view: &View<'_>, terms: &Terms<'_>, table: &fds::Table<'_>) -> Self {
        let t0 = view.session().t0();
        Self {
            process: table.process.key.to_string(),
            pid: table.process.key.pid,
            comm: view.comm(table.process).to_owned(),
            fd_limit: table.process.fd_limit,
            descriptors: table.rows.iter().map(|row| Row::new(view, terms, row)).collect(),
            direct: table.direct.iter().map(|(ring, entry)| Direct::new(*ring, entry, t0)).collect(),
            passing: u64::try_from(table.passing).unwrap_or(u64::MAX),
        }
    }

    /// Entries of rings have no number: where that would stand is the ring's, and their index.
    fn direct_cells(&self) -> impl Iterator<Item = Vec<String>> {
        self.direct.iter().map(|entry| {
            let ring = entry.ring.map_or("?".to_owned(), |ring| ring.to_string());
            vec![
                Escaped(self.comm.as_bytes()).to_string(),
                self.pid.to_string(),
                format!("{ring}[{}]", entry.direct),
                String::new(),
                entry.kind.clone(),
                entry.ino.clone(),
                Escaped(entry.name.as_bytes()).to_string(),
            ]
        })
    }
}

fn mark(access: Option<Access>) -> Option<String> {
    access.map(|access| access.mark().to_owned())
}

impl Row {
    fn new(view: &View<'_>, terms: &Terms<'_>, row: &fds::Row<'_>) -> Self {
        let descriptor = row.holder.descriptor;
        let end = |(process, descriptor): &(&entity::Process, &entity::Descriptor)| End {
            process: process.key.to_string(),
            pid: process.key.pid,
            comm: view.comm(process).to_owned(),
            fd: descriptor.fd,
            access: mark(descriptor.access),
        };
        Self {
            holder: terms.holder(&row.holder),
            change: row.change.map(|change| match change {
                Change::Opened => "opened".to_owned(),
                Change::Closed => "closed".to_owned(),
            }),
            kind: descriptor.kind.name().to_owned(),
            access: mark(descriptor.access),
            name: lossy(&descriptor.name),
            ino: descriptor.ino.to_string(),
            file: descriptor.file.to_string(),
            socket: row.socket.as_ref().map(|socket| Socket::new(socket, view.session().t0())),
            ipc: row.channel.as_ref().map(|(channel, _)| channel.name().to_owned()),
            others: row.channel.as_ref().map(|(_, others)| others.iter().map(end).collect()),
        }
    }

    fn cells(&self, zone: &TimeZone, changes: bool, dated: bool) -> Vec<String> {
        let holder = &self.holder;
        let mut cells = Vec::new();
        if changes {
            cells.push(if self.change.as_deref() == Some("closed") { "-" } else { "+" }.to_owned());
        }
        cells.extend([
            Escaped(holder.comm.as_bytes()).to_string(),
            holder.pid_text(),
            format!("{}{}", holder.fd, self.access.as_deref().unwrap_or_default()),
            // As `lsof +fg` has it.
            if holder.cloexec { "CX" } else { "" }.to_owned(),
            self.type_name(),
            self.ino.clone(),
            self.full_name(),
        ]);
        if dated {
            cells.extend([holder.since_text(zone), holder.how_text(zone)]);
        }
        cells
    }

    /// The word of lsof(8) for the type.
    fn type_name(&self) -> String {
        let word = match (self.kind.as_str(), &self.socket) {
            (_, Some(socket)) => match socket.family.as_str() {
                "inet" => "IPv4",
                "inet6" => "IPv6",
                family => family,
            },
            ("file", _) => "REG",
            ("directory", _) => "DIR",
            ("char_device", _) => "CHR",
            ("block_device", _) => "BLK",
            ("symlink", _) => "LINK",
            ("pipe" | "fifo", _) => "FIFO",
            ("memfd" | "mqueue" | "socket" | "unknown", _) => self.kind.as_str(),
            _ => "a_inode",
        };
        word.to_owned()
    }

    fn full_name(&self) -> String {
        let mut name = match &self.socket {
            Some(socket) => {
                let protocol = socket.protocol.as_deref().unwrap_or(&socket.ty).to_uppercase();
                let address = |address: &Option<String>| {
                    Escaped(address.as_deref().unwrap_or("*").as_bytes()).to_string()
                };
                let mut name = format!("{protocol} {}", address(&socket.local));
                if socket.peer.is_some() {
                    let _ = write!(name, "->{}", address(&socket.peer));
                }
                format!("{name} ({})", state(socket))
            }
            None if self.name.is_empty() => self.kind.clone(),
            None => Escaped(self.name.as_bytes()).to_string(),
        };
        if let Some(others) = self.others.as_ref().filter(|others| !others.is_empty()) {
            let ends: Vec<_> = others.iter().map(End::text).collect();
            // As lsof +E shows the endpoints of a channel.
            let _ = write!(name, " {}", ends.join(" "));
        }
        name
    }
}

impl End {
    fn text(&self) -> String {
        let access = self.access.as_deref().unwrap_or_default();
        format!("{},{},{}{access}", self.pid, Escaped(self.comm.as_bytes()), self.fd)
    }
}

//! A session at an instant.

use crate::{moment::event_from, tallies::Tallies};
use std::{borrow::Cow, collections::HashMap};
use tracer_model::{
    entity::{Descriptor, Phase, Process, Socket},
    event::Event,
    ids::{BootNs, TableId},
    session::Session,
};

/// What there was at an instant.
#[derive(Debug)]
pub struct View<'a> {
    session: &'a Session,
    at: BootNs,
    tallies: &'a Tallies,
    by_table: HashMap<TableId, Vec<&'a Process>>,
}

impl<'a> View<'a> {
    /// The session at `at`; `tallies` are those of that instant.
    #[must_use]
    pub fn new(session: &'a Session, at: BootNs, tallies: &'a Tallies) -> Self {
        let mut by_table: HashMap<_, Vec<_>> = HashMap::new();
        for process in session.processes() {
            for table in std::iter::once(&process.table).chain(&process.thread_tables) {
                by_table.entry(*table).or_default().push(process);
            }
        }
        Self { session, at, tallies, by_table }
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &'a Session {
        self.session
    }

    /// The instant.
    #[must_use]
    pub fn at(&self) -> BootNs {
        self.at
    }

    /// What was counted up to the instant.
    #[must_use]
    pub fn tallies(&self) -> &'a Tallies {
        self.tallies
    }

    /// Processes that have a table; several where they share it.
    #[must_use]
    pub fn processes_of(&self, table: TableId) -> &[&'a Process] {
        self.by_table.get(&table).map_or(&[], Vec::as_slice)
    }

    /// The kept event of exactly that time that fits.
    #[must_use]
    pub fn event_at(&self, ts: BootNs, fits: impl Fn(&Event) -> bool) -> Option<Event> {
        self.event_from(ts, |event| event.ts == ts && fits(event))
    }

    /// The first kept event at or soon after that time that fits.
    #[must_use]
    pub fn event_from(&self, ts: BootNs, fits: impl Fn(&Event) -> bool) -> Option<Event> {
        event_from(self.session.history(), ts, fits)
    }

    /// Whether a descriptor was open at the instant.
    #[must_use]
    pub fn is_open(&self, descriptor: &Descriptor) -> bool {
        descriptor.opened <= self.at && descriptor.closed.is_none_or(|(closed, _)| closed > self.at)
    }

    /// Whether a process lived at the instant.
    #[must_use]
    pub fn is_alive(&self, process: &Process) -> bool {
        process.seen <= self.at && process.ended.is_none_or(|ended| ended > self.at)
    }

    /// A socket as it was at the instant; `None` where it did not exist.
    #[must_use]
    pub fn socket<'s>(&self, socket: &'s Socket) -> Option<Cow<'s, Socket>> {
        if self.at >= self.session.now() {
            return socket.ended.is_none().then_some(Cow::Borrowed(socket));
        }
        socket_at(socket, self.at).map(Cow::Owned)
    }
}

/// A socket as it was at an instant; `None` where it did not exist.
#[must_use]
pub fn socket_at(socket: &Socket, at: BootNs) -> Option<Socket> {
    let steps: Vec<_> = socket.steps.iter().filter(|step| step.ts <= at).cloned().collect();
    let existed = !steps.is_empty() && socket.ended.is_none_or(|ended| ended > at);
    existed.then(|| Socket {
        steps,
        accepted: socket.accepted.filter(|accepted| *accepted <= at),
        ended: None,
        ..socket.clone()
    })
}

/// Where a socket stands in its life.
#[must_use]
pub fn phase(socket: &Socket) -> Phase {
    socket.steps.last().map_or(Phase::Created, |step| step.phase)
}

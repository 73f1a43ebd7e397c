//! One session: the model's way in and the way to everything it knows.

use crate::{
    entity::{Descriptor, Process, Socket},
    event::Event,
    history::History,
    ids::{BootNs, DescriptorId, ProcessKey, SocketId, TableId},
    input::{Body, Input, LossCause},
};

/// How much is kept. What is open or alive is always kept; of what ended, the oldest is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events in the history.
    pub kept_events: usize,
    /// Closed descriptors.
    pub kept_descriptors: usize,
    /// Ended sockets.
    pub kept_sockets: usize,
    /// Ended processes.
    pub kept_processes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            kept_events: 1_000_000,
            kept_descriptors: 200_000,
            kept_sockets: 200_000,
            kept_processes: 20_000,
        }
    }
}

/// Counters since the session began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events.
    pub events: u64,
    /// Lost records.
    pub lost: u64,
    /// Lost records by cause, in the order in which the causes first came up.
    pub lost_by_cause: Vec<(LossCause, u64)>,
    /// Living processes whose table is doubtful.
    pub doubtful: usize,
}

/// What changed after a revision: whole entities, oldest change first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<'a> {
    /// Revision that these changes lead to.
    pub to: u64,
    /// There are more changes after `to`.
    pub more: bool,
    /// Changed processes.
    pub processes: Vec<&'a Process>,
    /// Changed descriptors.
    pub descriptors: Vec<&'a Descriptor>,
    /// Changed sockets.
    pub sockets: Vec<&'a Socket>,
    /// Processes that are not kept any longer.
    pub evicted_processes: Vec<ProcessKey>,
    /// Descriptors that are not kept any longer.
    pub evicted_descriptors: Vec<DescriptorId>,
    /// Sockets that are not kept any longer.
    pub evicted_sockets: Vec<SocketId>,
    /// Oldest revision from which every eviction is still told: who is further behind starts anew from 0.
    pub complete_from: u64,
}

/// The owner of the model's state: inputs go in, in order; events come out; entities and history can be asked.
#[derive(Debug)]
pub struct Session {
    history: History,
    events: Vec<Event>,
    now: BootNs,
    t0: Option<BootNs>,
    epoch_minus_boot_ns: i64,
}

impl Session {
    /// A session that knows nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            history: History::new(limits.kept_events),
            events: Vec::new(),
            now: BootNs(0),
            t0: None,
            epoch_minus_boot_ns: 0,
        }
    }

    /// Takes the next input. Returns the events of this input; they are in the history too.
    pub fn ingest(&mut self, input: &Input) -> &[Event] {
        self.events.clear();
        self.now = self.now.max(input.ts);
        if let Body::Anchor { epoch_minus_boot_ns } = input.body {
            self.epoch_minus_boot_ns = epoch_minus_boot_ns;
            self.t0.get_or_insert(input.ts);
        }
        for event in &self.events {
            self.history.push(event);
        }
        &self.events
    }

    /// The newest moment that was reached.
    #[must_use]
    pub fn now(&self) -> BootNs {
        self.now
    }

    /// Nanoseconds to add to a boot-clock time to get nanoseconds since the Unix epoch, as last told.
    #[must_use]
    pub fn epoch_minus_boot_ns(&self) -> i64 {
        self.epoch_minus_boot_ns
    }

    /// Time of the first anchor; 0 before it.
    #[must_use]
    pub fn t0(&self) -> BootNs {
        self.t0.unwrap_or_default()
    }

    /// Revision: grows with every change of an entity.
    #[must_use]
    pub fn rev(&self) -> u64 {
        0
    }

    /// Counters.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals::default()
    }

    /// Every kept process, in the order in which they were first seen.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        std::iter::empty()
    }

    /// A process.
    #[must_use]
    pub fn process(&self, _key: ProcessKey) -> Option<&Process> {
        None
    }

    /// The latest process with that pid.
    #[must_use]
    pub fn process_by_pid(&self, _pid: u32) -> Option<&Process> {
        None
    }

    /// Every kept descriptor, in the order in which they were first seen.
    pub fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        std::iter::empty()
    }

    /// A descriptor.
    #[must_use]
    pub fn descriptor(&self, _id: DescriptorId) -> Option<&Descriptor> {
        None
    }

    /// The descriptors of a table at an instant, by number: opened at or before it and not closed by then.
    #[must_use]
    pub fn table_at(&self, _table: TableId, _at: BootNs) -> Vec<&Descriptor> {
        Vec::new()
    }

    /// Every kept socket, in the order in which they were first seen.
    pub fn sockets(&self) -> impl Iterator<Item = &Socket> {
        std::iter::empty()
    }

    /// A socket.
    #[must_use]
    pub fn socket(&self, _id: SocketId) -> Option<&Socket> {
        None
    }

    /// At most `limit` entities with a revision above `rev`, oldest change first.
    #[must_use]
    pub fn changes_since(&self, rev: u64, _limit: usize) -> Changes<'_> {
        Changes {
            to: rev,
            more: false,
            processes: Vec::new(),
            descriptors: Vec::new(),
            sockets: Vec::new(),
            evicted_processes: Vec::new(),
            evicted_descriptors: Vec::new(),
            evicted_sockets: Vec::new(),
            complete_from: 0,
        }
    }

    /// The log of events.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }
}

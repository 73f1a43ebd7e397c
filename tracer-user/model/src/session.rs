//! One session: the model's way in and the way to everything it knows.

use crate::{
    acceptors::Acceptors,
    entity::{Descriptor, Process, Socket, Standing},
    event::Event,
    explain,
    history::History,
    ids::{BootNs, DescriptorId, ProcessKey, SocketId, TableId},
    input::{Body, Input, LossCause},
    loss::Loss,
    pending::Pending,
    queues::Sampling,
    reconcile,
    revisions::Entity,
    tell::Stamp,
    trust, unconfirmed,
    wall::WallClock,
    world::World,
};

/// How much is kept. What is open or alive is always kept; of what ended, the oldest is evicted first. The default is what a
/// page in a browser and a daemon beside the programs that it watches hold without a thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events in the history; 0: nobody asks for what was or what changed, and nothing is spent on it.
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
            kept_descriptors: 100_000,
            kept_sockets: 100_000,
            kept_processes: 20_000,
        }
    }
}

impl Limits {
    /// Of a recording, which grows no more and is read for what was: twice as much of what ended.
    #[must_use]
    pub fn recording() -> Self {
        Self { kept_descriptors: 200_000, kept_sockets: 200_000, ..Self::default() }
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
    /// Events that set a table right.
    pub repairs: u64,
    /// Snapshots for a check or a repair, and how long the kernel took to write them.
    pub checks: u64,
    /// That time, nanoseconds.
    pub checks_ns: u64,
    /// Where stacks of calls that make a descriptor are read: how many could not be.
    pub stacks_missed: Option<u64>,
}

/// Room that is kept for the events of an input.
const EVENTS: usize = 1_024;
/// How many evictions are told at once: what tells them is a message of some sixty kilobytes.
const EVICTED_AT_ONCE: usize = 5_000;

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
    /// Oldest revision from which every eviction is still told: who is further behind has to look at what is kept.
    pub complete_from: u64,
}

/// The owner of the model's state: inputs go in, in order; events come out; entities and history can be asked.
#[derive(Debug)]
pub struct Session {
    pub(crate) world: World,
    pub(crate) history: History,
    /// Events of the newest input.
    pub(crate) events: Vec<Event>,
    pub(crate) seq: u64,
    pub(crate) now: BootNs,
    pub(crate) wall: WallClock,
    pub(crate) pending: Pending,
    pub(crate) loss: Loss,
    /// The snapshot that is being read.
    pub(crate) open: Option<reconcile::Open>,
    pub(crate) missed: trust::AllMissed,
    /// Closes that nothing will tell the success of.
    pub(crate) unconfirmed: unconfirmed::Awaiting,
    pub(crate) explaining: explain::Memory,
    pub(crate) sampling: Sampling,
    pub(crate) acceptors: Acceptors,
    /// A table turned out doubtful without a loss.
    pub(crate) repair_wanted: bool,
    /// Events that set a table right.
    pub(crate) repairs: u64,
    /// Snapshots that compared, and their time.
    pub(crate) checks: (u64, u64),
    /// When the newest snapshot that has ended began.
    pub(crate) tables_read: Option<BootNs>,
    t0: Option<BootNs>,
    cut_off: Option<u64>,
}

impl Session {
    /// A session that knows nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            world: World::new(limits),
            history: History::new(limits.kept_events),
            events: Vec::new(),
            seq: 0,
            now: BootNs(0),
            wall: WallClock::default(),
            pending: Pending::default(),
            loss: Loss::default(),
            open: None,
            missed: trust::AllMissed::new(),
            unconfirmed: unconfirmed::Awaiting::new(),
            explaining: explain::Memory::default(),
            sampling: Sampling::default(),
            acceptors: Acceptors::default(),
            repair_wanted: false,
            repairs: 0,
            checks: (0, 0),
            tables_read: None,
            t0: None,
            cut_off: None,
        }
    }

    /// Takes the next input. Returns the events of this input; they are in the history too.
    ///
    /// Time is what the inputs say: nothing is due before an input has come that is late enough. An anchor comes at
    /// least once a second.
    pub fn ingest(&mut self, input: &Input) -> &[Event] {
        self.events.clear();
        // A snapshot's end may have told a hundred thousand.
        self.events.shrink_to(EVENTS);
        self.world.sweep_changes();
        self.world.revisions.begin();
        self.now = self.now.max(input.ts);
        let stamp = Stamp::of(input);
        match &input.body {
            Body::Anchor { epoch_minus_boot_ns } => {
                self.wall.is_ahead(input.ts, *epoch_minus_boot_ns);
                self.t0.get_or_insert(input.ts);
            }
            Body::Call(call) => self.call(&stamp, call),
            Body::Fork(fork) => self.fork(&stamp, fork),
            Body::Exec(exec) => self.exec(&stamp, exec),
            Body::Exit(exit) => self.exit(&stamp, exit),
            Body::State(state) => self.state(&stamp, state),
            Body::Queued(queued) => self.queued(&stamp, queued),
            Body::SnapshotBegin(_) => self.snapshot_begin(input.ts),
            Body::Row(row) => self.row(&stamp, row),
            Body::SnapshotEnd(reason) => self.snapshot_end(&stamp, *reason),
            Body::Followed(followed) => self.followed(&stamp, followed),
            Body::Lost(lost) => self.lost(&stamp, *lost),
            Body::Table(table) => self.world.contents.note(input.ts, table),
            Body::Thread(thread) => self.thread(&stamp, thread),
            Body::Cgroup(cgroup) => self.world.cgroups.note(cgroup),
            Body::Given(given) => self.given(&stamp, given),
            Body::Ring(part) => self.ring_part(&stamp, part),
            Body::Looked(looked) => self.explaining.look(input.ts, looked),
            Body::Waiting(waiting) => self.waiting(&stamp, waiting),
            Body::Sampled(sampled) => self.sampled(&stamp, sampled),
            Body::Overflow(overflow) => self.overflow(&stamp, overflow),
            Body::Retransmit(retransmit) => self.retransmit(&stamp, retransmit),
            Body::Slept(slept) => self.acceptors.slept(stamp.ts, slept),
            Body::Spoken(heard) => self.heard(&stamp, heard),
            Body::Made(made) => self.made(made),
        }
        if let Some(origin) = input.origin {
            self.loss.arrived(origin);
        }
        self.expire(&Stamp { ts: self.now, origin: None, late: false });
        self.doubt_contents();
        self.tell_standings(matches!(input.body, Body::SnapshotEnd(_)));
        &self.events
    }

    /// The inputs end after so many though they should go on: a recording was cut off.
    pub fn cut_off(&mut self, inputs: u64) {
        self.cut_off = Some(inputs);
    }

    /// After how many inputs the recording was cut off; `None` of one that is whole, and of a session that goes on.
    #[must_use]
    pub fn cut_off_after(&self) -> Option<u64> {
        self.cut_off
    }

    /// Whether a table has turned out doubtful without a loss since this was last asked: a snapshot for repair settles it.
    pub fn take_repair_wanted(&mut self) -> bool {
        std::mem::take(&mut self.repair_wanted)
    }

    /// The newest moment that was reached.
    #[must_use]
    pub fn now(&self) -> BootNs {
        self.now
    }

    /// What the wall clock showed when.
    #[must_use]
    pub fn wall(&self) -> &WallClock {
        &self.wall
    }

    /// Time of the first anchor; 0 before it.
    #[must_use]
    pub fn t0(&self) -> BootNs {
        self.t0.unwrap_or_default()
    }

    /// Revision: grows with every change of an entity.
    #[must_use]
    pub fn rev(&self) -> u64 {
        self.world.revisions.current()
    }

    /// Counters.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let doubtful = |process: &&Process| {
            process.ended.is_none() && matches!(process.standing, Standing::Doubtful { .. })
        };
        Totals {
            events: self.seq,
            lost: self.loss.total(),
            lost_by_cause: self.loss.by_cause().to_vec(),
            doubtful: self.processes().filter(doubtful).count(),
            repairs: self.repairs,
            checks: self.checks.0,
            checks_ns: self.checks.1,
            stacks_missed: self.stacks_missed(),
        }
    }

    /// Every kept process, in the order in which they were first seen.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.world.processes.iter().map(|kept| &kept.process)
    }

    /// A process.
    #[must_use]
    pub fn process(&self, key: ProcessKey) -> Option<&Process> {
        self.world.process(key)
    }

    /// The latest process with that pid.
    #[must_use]
    pub fn process_by_pid(&self, pid: u32) -> Option<&Process> {
        self.process(self.world.processes.latest(pid)?)
    }

    /// Every kept descriptor, in the order in which they were first seen.
    pub fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        self.world.tables.iter()
    }

    /// Descriptors that were closed up to then may not be kept any more; `None`: all are.
    #[must_use]
    pub fn descriptors_evicted_until(&self) -> Option<BootNs> {
        self.world.tables.evicted_until()
    }

    /// A descriptor.
    #[must_use]
    pub fn descriptor(&self, id: DescriptorId) -> Option<&Descriptor> {
        self.world.tables.get(id).map(|kept| &kept.descriptor)
    }

    /// The descriptors of a table at an instant, by number: opened at or before it and not closed by then.
    #[must_use]
    pub fn table_at(&self, table: TableId, at: BootNs) -> Vec<&Descriptor> {
        self.world.tables.table_at(table, at)
    }

    /// Every kept descriptor of a table, by number, open or closed.
    #[must_use]
    pub fn table_ever(&self, table: TableId) -> Vec<&Descriptor> {
        self.world.tables.table_ever(table)
    }

    /// What a slot of a table held at an instant.
    #[must_use]
    pub fn slot_at(&self, table: TableId, fd: i32, at: BootNs) -> Option<&Descriptor> {
        self.world.tables.slot_at(table, fd, at)
    }

    /// What the file tables of a process's rings held at an instant: the ring's number and the entries, each with its index
    /// as `fd`.
    #[must_use]
    pub fn ring_tables_at(&self, process: &Process, at: BootNs) -> Vec<(Option<i32>, Vec<&Descriptor>)> {
        let rings = self.world.rings.of(process.table);
        rings.map(|(fd, table)| (fd, self.world.tables.table_at(table, at))).collect()
    }

    /// Whether a table is a ring's file table.
    #[must_use]
    pub fn is_ring_table(&self, table: TableId) -> bool {
        self.world.rings.at(table).is_some()
    }

    /// Every kept socket, in the order in which they were first seen.
    pub fn sockets(&self) -> impl Iterator<Item = &Socket> {
        self.world.sockets.iter().map(|kept| &kept.socket)
    }

    /// A socket.
    #[must_use]
    pub fn socket(&self, id: SocketId) -> Option<&Socket> {
        self.world.sockets.get(id).map(|kept| &kept.socket)
    }

    /// When the newest snapshot whose rows are known began: what it tells, the kernel's counters of open connections among it,
    /// was read since then. `None` before the first.
    #[must_use]
    pub fn tables_read_at(&self) -> Option<BootNs> {
        self.tables_read
    }

    /// When queues were last sampled, and how often they are; `None` before the first sample.
    #[must_use]
    pub fn sampled_at(&self) -> Option<(BootNs, u64)> {
        self.sampling.newest()
    }

    /// Whether the scheduler is traced.
    #[must_use]
    pub fn traces_scheduler(&self) -> bool {
        self.acceptors.is_told()
    }

    /// Whether the first bytes of connections are looked at.
    #[must_use]
    pub fn looks_at_first_bytes(&self) -> bool {
        self.sampling.peeks()
    }

    /// Where stacks of calls that make a descriptor are read: how many could not be.
    #[must_use]
    pub fn stacks_missed(&self) -> Option<u64> {
        self.sampling.stacks()
    }

    /// At most `limit` entities with a revision above `rev`, oldest change first, and what was evicted on the way to
    /// [`Changes::to`]. Nothing was evicted for who starts from 0.
    #[must_use]
    pub fn changes_since(&self, rev: u64, limit: usize) -> Changes<'_> {
        let revisions = &self.world.revisions;
        let current = revisions.current().max(rev);
        // Who asks for everything is told of nothing that is gone.
        let beyond = if rev == 0 { None } else { revisions.evicted_after(rev).nth(EVICTED_AT_ONCE) };
        let (to, more) = beyond.map_or((current, false), |(at, _)| (at - 1, true));
        let mut changes = Changes {
            to,
            more,
            processes: Vec::new(),
            descriptors: Vec::new(),
            sockets: Vec::new(),
            evicted_processes: Vec::new(),
            evicted_descriptors: Vec::new(),
            evicted_sockets: Vec::new(),
            complete_from: revisions.complete_from(),
        };
        let mut last = rev;
        let newest = revisions
            .changed_after(rev)
            .take_while(|(at, _)| *at <= to)
            .filter(|(at, entity)| self.world.rev(*entity) == Some(*at));
        for (count, (at, entity)) in newest.enumerate() {
            if count == limit {
                (changes.to, changes.more) = (last, true);
                break;
            }
            last = at;
            match entity {
                Entity::Process(key) => changes.processes.extend(self.process(key)),
                Entity::Descriptor(id) => changes.descriptors.extend(self.descriptor(id)),
                Entity::Socket(id) => changes.sockets.extend(self.socket(id)),
            }
        }
        if rev == 0 {
            return changes;
        }
        for (_, entity) in revisions.evicted_after(rev).take_while(|(at, _)| *at <= changes.to) {
            match entity {
                // A late word of an evicted process brings it back under the same identity.
                Entity::Process(key) if self.process(key).is_some() => {}
                Entity::Process(key) => changes.evicted_processes.push(key),
                Entity::Descriptor(id) => changes.evicted_descriptors.push(id),
                Entity::Socket(id) => changes.evicted_sockets.push(id),
            }
        }
        changes
    }

    /// The log of events.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }
}

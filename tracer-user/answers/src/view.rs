//! A session at an instant.

use crate::{caveat::Caveat, past::Past, tallies::Tallies};
use std::{
    borrow::Cow,
    cell::{OnceCell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
};
use tracer_model::{
    entity::{AcceptQueue, Descriptor, Phase, Process, Socket},
    event::Event,
    history::History,
    ids::{BootNs, TableId},
    input::{HeldSock, Sock},
    session::Session,
};

/// Chunks of kept events that are unpacked for one answer, about a millisecond each, in which the engine does nothing else. What is
/// beyond has its moments without the numbers of events, see [`Caveat::EvidenceCut`].
const UNPACKED: u32 = 200;
/// Chunks that stay unpacked: what an answer looks for mostly stands together.
const AT_HAND: usize = 4;
/// Events that are looked at for one of a certain time: those of one moment stand together, and a late one stands a little
/// behind its time.
const LOOK_AHEAD: usize = 512;

/// What there was at an instant.
#[derive(Debug)]
pub struct View<'a> {
    session: &'a Session,
    at: BootNs,
    tallies: &'a Tallies,
    by_table: HashMap<TableId, Vec<Use<'a>>>,
    unpacked: RefCell<Unpacked>,
    kernel: Option<&'a Kernel>,
    others: Option<&'a Others>,
    past: OnceCell<Past>,
}

/// What the kernel was asked about an address, once, where a daemon follows some processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Who holds it.
    pub others: Others,
    /// Its connections.
    pub kernel: Kernel,
}

/// Who holds sockets of an address, followed or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Descriptors of such sockets.
    pub held: Vec<HeldSock>,
    /// All were looked at.
    pub whole: bool,
}

/// Kept events that are unpacked, by the place of their chunk, the newest last.
#[derive(Debug, Default)]
struct Unpacked {
    chunks: VecDeque<(usize, Rc<[Event]>)>,
    count: u32,
    /// Something was not unpacked any more.
    cut: bool,
}

impl Unpacked {
    fn chunk(&mut self, history: &History, place: usize) -> Option<Rc<[Event]>> {
        if let Some((_, events)) = self.chunks.iter().find(|(known, _)| *known == place) {
            return Some(Rc::clone(events));
        }
        if self.count == UNPACKED {
            self.cut = true;
            return None;
        }
        self.count += 1;
        let events: Rc<[Event]> = history.chunk(place)?.into();
        if self.chunks.len() == AT_HAND {
            self.chunks.pop_front();
        }
        self.chunks.push_back((place, Rc::clone(&events)));
        Some(events)
    }
}

/// What the kernel was asked beside the model, where the view is of now and that was possible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Connections of TCP with the port in question, held or not.
    pub connections: Vec<Sock>,
    /// The network namespace (inode number) that was looked through, where that is the only one.
    pub only: Option<u32>,
    /// Network namespaces (inode numbers) that could not be looked through, and why.
    pub missed: Vec<(u64, String)>,
}

/// A process has a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use<'a> {
    /// The process.
    pub process: &'a Process,
    /// Since when, as far as is known.
    pub from: BootNs,
    /// When it left the table for another (unshare(2)).
    pub left: Option<BootNs>,
}

impl<'a> View<'a> {
    /// The session at `at`; `tallies` are those of that instant.
    #[must_use]
    pub fn new(session: &'a Session, at: BootNs, tallies: &'a Tallies) -> Self {
        let mut by_table: HashMap<_, Vec<_>> = HashMap::new();
        for process in session.processes() {
            for (table, from, left) in tables_of(process) {
                by_table.entry(table).or_default().push(Use { process, from, left });
            }
        }
        Self {
            session,
            at,
            tallies,
            by_table,
            unpacked: RefCell::default(),
            kernel: None,
            others: None,
            past: OnceCell::new(),
        }
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

    /// The same with what the kernel was asked.
    #[must_use]
    pub fn with_asked(self, asked: Option<&'a Asked>) -> Self {
        Self { kernel: asked.map(|asked| &asked.kernel), others: asked.map(|asked| &asked.others), ..self }
    }

    /// The same with what the kernel says.
    #[must_use]
    pub fn with_kernel(self, kernel: Option<&'a Kernel>) -> Self {
        Self { kernel, ..self }
    }

    /// Who holds the address in question, where that was asked.
    #[must_use]
    pub fn others(&self) -> Option<&'a Others> {
        self.others
    }

    /// What the kernel was asked beside the model.
    #[must_use]
    pub fn kernel(&self) -> Option<&'a Kernel> {
        self.kernel
    }

    /// Whether the kernel was asked for the connections of a network namespace.
    pub(crate) fn asked_in(&self, netns: u32) -> bool {
        self.kernel.is_some_and(|kernel| kernel.only.is_none_or(|only| only == netns))
    }

    /// What was counted up to the instant.
    #[must_use]
    pub fn tallies(&self) -> &'a Tallies {
        self.tallies
    }

    /// Who has or had a table; several where they share it.
    #[must_use]
    pub fn users_of(&self, table: TableId) -> &[Use<'a>] {
        self.by_table.get(&table).map_or(&[], Vec::as_slice)
    }

    /// Processes that have a table at the instant.
    pub fn owners_of(&self, table: TableId) -> impl Iterator<Item = &'a Process> {
        let there = |using: &&Use<'a>| {
            using.from <= self.at
                && using.left.is_none_or(|left| left > self.at)
                && self.is_alive(using.process)
        };
        self.users_of(table).iter().filter(there).map(|using| using.process)
    }

    /// The kept event of exactly that time that fits.
    #[must_use]
    pub fn event_at(&self, ts: BootNs, fits: impl Fn(&Event) -> bool) -> Option<Event> {
        self.event_from(ts, |event| event.ts == ts && fits(event))
    }

    /// The first kept event at or soon after that time that fits.
    #[must_use]
    pub fn event_from(&self, ts: BootNs, fits: impl Fn(&Event) -> bool) -> Option<Event> {
        let history = self.session.history();
        let (mut begun, mut ahead) = (false, LOOK_AHEAD);
        for place in history.chunk_at(ts).. {
            let events = self.unpacked.borrow_mut().chunk(history, place)?;
            for event in events.iter() {
                begun |= event.ts >= ts;
                if !begun {
                    continue;
                }
                if event.ts >= ts && fits(event) {
                    return Some(event.clone());
                }
                ahead = ahead.checked_sub(1)?;
            }
        }
        None
    }

    /// The event that told of a socket's end: a change of its state, or a close, which is told when it returns. The end of a
    /// process that had it last names no socket.
    pub(crate) fn end_of(&self, socket: &Socket, ended: BootNs) -> Option<Event> {
        self.event_from(ended, |event| event.socket == Some(socket.id))
    }

    /// Whether the evidence of what was looked for so far is all there is.
    #[must_use]
    pub fn evidence_cut(&self) -> Option<Caveat> {
        self.unpacked.borrow().cut.then_some(Caveat::EvidenceCut)
    }

    /// Name of a process at the instant.
    #[must_use]
    pub fn comm<'p>(&self, process: &'p Process) -> &'p str {
        let later = process.executions.iter().find(|execution| execution.ts > self.at);
        later.map_or(&process.comm, |execution| &execution.comm_before)
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
        let past = self.past.get_or_init(|| Past::new(self.session, self.at));
        let told = self.tallies.accepting.of(socket.id).and_then(|tally| tally.lengths.back());
        let mut as_of = past.socket(socket)?;
        if let Some(told) = told {
            let former = socket.queue.iter().flat_map(|queue| &queue.former);
            let former = former.filter(|(until, _)| *until <= self.at).copied().collect();
            let (len, limit, read) = (told.last, told.limit, told.moment.ts);
            as_of.queue = Some(Box::new(AcceptQueue { len, limit, read, former }));
        }
        Some(Cow::Owned(as_of))
    }
}

/// The process that had a pid at an instant, or else the latest: a pid is used again.
#[must_use]
pub fn process_with_pid(session: &Session, pid: u32, at: BootNs) -> Option<&Process> {
    let had = |process: &&Process| {
        process.key.pid == pid && process.seen <= at && process.ended.is_none_or(|ended| ended > at)
    };
    session.processes().find(had).or_else(|| session.process_by_pid(pid))
}

/// The tables that a process had at an instant; once it has ended, those that it had last.
pub fn tables_at(process: &Process, at: BootNs) -> impl Iterator<Item = TableId> {
    tables_between(process, at, at)
}

/// Tables that a process had at one of two instants or between them.
pub(crate) fn tables_between(process: &Process, since: BootNs, at: BootNs) -> impl Iterator<Item = TableId> {
    let has = move |(table, from, left): (TableId, BootNs, Option<BootNs>)| {
        (from <= at && left.is_none_or(|left| left > since)).then_some(table)
    };
    tables_of(process).filter_map(has)
}

/// Every table that a process has or had, since when, and when it left it.
fn tables_of(process: &Process) -> impl Iterator<Item = (TableId, BootNs, Option<BootNs>)> {
    let mut from = process.seen;
    let former = process.former_tables.iter().map(move |(table, left)| {
        let since = std::mem::replace(&mut from, *left);
        (*table, since, Some(*left))
    });
    let moved = process.former_tables.last().map_or(process.seen, |(_, left)| *left);
    let others = process.thread_tables.iter().map(|table| (*table, process.seen, None));
    former.chain(std::iter::once((process.table, moved, None))).chain(others)
}

/// Where a socket stands in its life.
#[must_use]
pub fn phase(socket: &Socket) -> Phase {
    socket.steps.last().map_or(Phase::Created, |step| step.phase)
}

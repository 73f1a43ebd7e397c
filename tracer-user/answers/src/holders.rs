//! Who holds a socket: through which descriptor, since when, and how it came by it.

use crate::{
    moment::Moment,
    view::{Use, View},
};
use std::collections::HashMap;
use tracer_model::{
    entity::{Closed, Descriptor, Opened, Process},
    event::{Event, EventKind, Via},
    ids::{BootNs, ProcessKey, SocketId},
};

/// A process that holds or held something through a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder<'a> {
    /// The process.
    pub process: &'a Process,
    /// The descriptor.
    pub descriptor: &'a Descriptor,
    /// Since when. At the latest, where [`How::Found`].
    pub since: Moment,
    /// How it came by it.
    pub how: How,
    /// Programs that it executed with the descriptor open.
    pub kept_across: Vec<(Moment, &'a [u8])>,
    /// The end, where it came before or at the instant.
    pub until: Option<(Moment, Ceased)>,
}

/// How a process ceased to hold a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceased {
    /// The descriptor was closed, or the process ended.
    Closed(Closed),
    /// It left the table that others share; the one that it has since is a copy (unshare(2)).
    Unshared,
}

impl Ceased {
    /// Name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed(how) => how.name(),
            Self::Unshared => "unshare",
        }
    }
}

/// How a process came by a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A call of its own made it.
    Made(EventKind),
    /// It has it from the process that forked it.
    Inherited {
        /// That process.
        from: Option<ProcessKey>,
    },
    /// It was passed: `SCM_RIGHTS` (unix(7)), pidfd_getfd(2), or by a seccomp supervisor.
    Passed {
        /// By whom, where one sender fits.
        from: Option<ProcessKey>,
    },
    /// It had it when tracing began, and so had its parent: concluded, not seen.
    Concluded {
        /// The parent.
        from: ProcessKey,
    },
    /// It had it when tracing began.
    Found,
    /// A check of the table found it.
    Repaired,
}

/// Descriptors by the socket that they point to: open ones, and those that were closed before the instant.
#[derive(Debug)]
pub struct Holders<'a> {
    by_socket: HashMap<SocketId, Vec<&'a Descriptor>>,
}

impl<'a> View<'a> {
    /// Who holds and held the sockets that fit.
    #[must_use]
    pub fn holders(&self, fits: impl Fn(SocketId) -> bool) -> Holders<'a> {
        let mut by_socket: HashMap<_, Vec<_>> = HashMap::new();
        for descriptor in self.session().descriptors() {
            if let Some(socket) = descriptor.socket.filter(|socket| fits(*socket))
                && descriptor.opened <= self.at()
            {
                by_socket.entry(socket).or_default().push(descriptor);
            }
        }
        Holders { by_socket }
    }

    /// Who held a descriptor, and how that came: every process of its table.
    #[must_use]
    pub fn holders_of(&self, descriptor: &'a Descriptor) -> Vec<Holder<'a>> {
        let users = self.users_of(descriptor.table).iter();
        let closed = descriptor.closed.map(|(closed, _)| closed);
        let held = users.filter(|using| {
            let process = using.process;
            let over = |end: Option<BootNs>| end.is_some_and(|end| end < descriptor.opened);
            let unborn = closed.is_some_and(|closed| closed < using.from);
            using.from.max(descriptor.opened) <= self.at()
                && !over(process.ended)
                && !over(using.left)
                && !unborn
        });
        held.map(|using| self.holder(descriptor, *using)).collect()
    }

    /// A process that has a descriptor in a table that it uses.
    #[must_use]
    pub fn holder(&self, descriptor: &'a Descriptor, using: Use<'a>) -> Holder<'a> {
        let process = using.process;
        let (since, how) = self.origin(descriptor, using);
        let until = self.end(descriptor, using);
        let last = until.map_or(self.at(), |(until, _)| until.ts);
        let open = process.executions.iter().filter(|it| it.ts > since.ts && it.ts <= last);
        // A descriptor that an exec ended was not kept across it.
        let kept = open.filter(|it| until.is_none_or(|(until, _)| until.ts != it.ts));
        let kept_across = kept
            .map(|it| {
                let of = |event: &Event| event.kind == EventKind::Exec && event.process == process.key;
                (Moment::with(it.ts, self.event_at(it.ts, of).as_ref()), it.path.as_slice())
            })
            .collect();
        Holder { process, descriptor, since, how, kept_across, until }
    }

    /// Since when and how a process has a descriptor.
    fn origin(&self, descriptor: &Descriptor, using: Use<'_>) -> (Moment, How) {
        let process = using.process;
        // A process that shares the table since later has the descriptor since then.
        let shared = using.from > descriptor.opened;
        let ts = descriptor.opened.max(using.from);
        let forked = |event: &Event| event.kind == EventKind::Fork && event.child == Some(process.key);
        let event = match descriptor.opened_by {
            _ if shared => self.event_at(ts, forked),
            Opened::Inherited => self.event_at(ts, |event| forked(event) || took_table(event, process.key)),
            _ => self.event_at(ts, |event| filled(event, process.key, descriptor.fd)),
        };
        let from = event.as_ref().map(|event| event.process).filter(|from| *from != process.key);
        let how = match descriptor.opened_by {
            Opened::Snapshot | Opened::Repair if !shared => match self.lender(descriptor, process) {
                Some(from) => How::Concluded { from },
                None if descriptor.opened_by == Opened::Snapshot => How::Found,
                None => How::Repaired,
            },
            Opened::Inherited => How::Inherited { from },
            _ if shared => How::Inherited { from },
            Opened::By(EventKind::Pass) => {
                How::Passed { from: event.as_ref().and_then(|event| self.sender(event, descriptor)) }
            }
            Opened::By(kind) => How::Made(kind),
            Opened::Snapshot | Opened::Repair => How::Found,
        };
        (Moment::with(ts, event.as_ref()), how)
    }

    /// The parent that a process found with a descriptor has it from: it has the same open file under the same number.
    /// Two processes have one open file only where one had it from the other.
    fn lender(&self, descriptor: &Descriptor, process: &Process) -> Option<ProcessKey> {
        let parent = self.session().process_by_pid(process.parent?)?;
        if parent.key.start_ns > process.key.start_ns || parent.table == descriptor.table {
            return None;
        }
        // As they were found: either may have closed it since; the parent may have been read after the child.
        let theirs = |at| self.session().slot_at(parent.table, descriptor.fd, at);
        let theirs = theirs(descriptor.opened).or_else(|| theirs(self.at()))?;
        (theirs.file == descriptor.file).then_some(parent.key)
    }

    /// When a process ceased to hold a descriptor.
    fn end(&self, descriptor: &Descriptor, using: Use<'_>) -> Option<(Moment, Ceased)> {
        let process = using.process;
        let ends = [
            descriptor.closed.map(|(at, how)| (at, Ceased::Closed(how))),
            process.ended.map(|at| (at, Ceased::Closed(Closed::Exit))),
            using.left.map(|at| (at, Ceased::Unshared)),
        ];
        let (ts, how) = ends.into_iter().flatten().min_by_key(|(at, _)| *at)?;
        if ts > self.at() {
            return None;
        }
        let of = |event: &Event| event.process == process.key;
        // A slot is emptied when its call begins, which is told when it returns.
        let event = self.event_from(ts, |event| match how {
            Ceased::Closed(Closed::Exit) => of(event) && event.kind == EventKind::Exit,
            Ceased::Closed(Closed::Exec) => of(event) && event.kind == EventKind::Exec,
            Ceased::Closed(Closed::Replaced) => of(event) && event.new_fd == Some(descriptor.fd),
            Ceased::Closed(Closed::Close | Closed::Unconfirmed | Closed::Repair) => {
                of(event) && (event.fd == Some(descriptor.fd) || event.fds.contains(&descriptor.fd))
            }
            Ceased::Unshared => of(event) && event.ts == ts,
        });
        Some((Moment::with(ts, event.as_ref()), how))
    }

    /// Who passed a descriptor of a socket that another process received in `received`: the sender of the newest message
    /// before it that carried a descriptor of the same socket.
    fn sender(&self, received: &Event, descriptor: &Descriptor) -> Option<ProcessKey> {
        let socket = descriptor.socket?;
        let first = received.seq.saturating_sub(LOOK_BACK);
        let mut sender = None;
        for event in self.session().history().events(first).take_while(|event| event.seq < received.seq) {
            let sent = event.kind == EventKind::Pass
                && event.direction == Some(tracer_model::event::Direction::Out)
                && event.error.is_none()
                && event.process != received.process;
            if sent && self.had(event.process, &event, socket) {
                sender = Some(event.process);
            }
        }
        sender
    }

    /// Whether one of the descriptors that a `pass` names led to the socket.
    fn had(&self, process: ProcessKey, event: &Event, socket: SocketId) -> bool {
        let Some(process) = self.session().process(process) else { return false };
        let tables = std::iter::once(process.table).chain(process.thread_tables.iter().copied());
        tables
            .flat_map(|table| self.session().table_at(table, BootNs(event.ts.0.saturating_sub(1))))
            .any(|held| held.socket == Some(socket) && event.fds.contains(&held.fd))
    }
}

/// Events before a receipt among which its sender is looked for.
const LOOK_BACK: u64 = 16_384;

/// Whether an event filled that slot.
fn filled(event: &Event, process: ProcessKey, fd: i32) -> bool {
    event.process == process
        && (event.new_fd == Some(fd)
            || event.fds.contains(&fd)
            || (event.fd == Some(fd) && matches!(event.via, Via::Snapshot | Via::Repair)))
}

/// Whether an event gave a process or a thread of it a copy of a table.
fn took_table(event: &Event, process: ProcessKey) -> bool {
    event.process == process && event.kind == EventKind::Unshare
}

impl<'a> Holders<'a> {
    /// Who held a socket at the instant, and who held it before; each in the order in which they came by it.
    #[must_use]
    pub fn of(&self, view: &View<'a>, socket: SocketId) -> (Vec<Holder<'a>>, Vec<Holder<'a>>) {
        let descriptors = self.by_socket.get(&socket).map_or(&[][..], Vec::as_slice);
        let mut all: Vec<_> = descriptors.iter().flat_map(|descriptor| view.holders_of(descriptor)).collect();
        all.sort_by_key(|holder| (holder.since.ts, holder.process.key, holder.descriptor.fd));
        all.into_iter().partition(|holder| holder.until.is_none())
    }
}

//! Descriptor tables at an instant, and the difference between two.

use crate::{
    caveat::Caveat,
    holders::{Holder, How},
    ipc::{self, Channel, Channels},
    view::{Use, View, process_with_pid, tables_between},
};
use std::{borrow::Cow, collections::HashMap};
use tracer_model::{
    entity::{Descriptor, Process, Socket},
    ids::BootNs,
};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of these processes; of every living one where there are none, with `since` also of those that ended after it.
    pub pids: Vec<u32>,
    /// Only what changed between this and the instant.
    pub since: Option<BootNs>,
    /// Only what they have from other processes, what they gave up of that included.
    pub inherited: bool,
}

/// Descriptor tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fds<'a> {
    /// One a process, in the order of their numbers.
    pub tables: Vec<Table<'a>>,
    /// What the answer cannot know.
    pub caveats: Vec<Caveat>,
}

/// One process's descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<'a> {
    /// The process.
    pub process: &'a Process,
    /// By number, table by table.
    pub rows: Vec<Row<'a>>,
    /// Entries of the file tables of its io_urings: the ring's number, where that is known, and the entry.
    pub direct: Vec<(Option<i32>, &'a Descriptor)>,
    /// With [`Wanted::since`]: descriptors that came after it and were gone by the instant.
    pub passing: usize,
}

/// One descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Who, which, since when and how.
    pub holder: Holder<'a>,
    /// With [`Wanted::since`]: whether it was opened or closed.
    pub change: Option<Change>,
    /// The socket behind it, as it was.
    pub socket: Option<Cow<'a, Socket>>,
    /// What it communicates through, and who else has a descriptor of that.
    pub channel: Option<(Channel, Vec<(&'a Process, &'a Descriptor)>)>,
}

/// What became of a descriptor between two instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is open at the later one only.
    Opened,
    /// It was open at the earlier one only.
    Closed,
}

/// No process with that number is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoProcess(pub u32);

/// The tables at the view's instant.
pub fn fds<'a>(view: &View<'a>, wanted: &Wanted) -> Result<Fds<'a>, NoProcess> {
    let mut processes = Vec::new();
    if wanted.pids.is_empty() {
        let ended_since = |process: &Process| {
            wanted.since.is_some_and(|since| process.ended.is_some_and(|ended| ended > since))
        };
        let lived = |process: &&Process| {
            view.is_alive(process) || (process.seen <= view.at() && ended_since(process))
        };
        processes.extend(view.session().processes().filter(lived));
    }
    for pid in &wanted.pids {
        processes.push(process_with_pid(view.session(), *pid, view.at()).ok_or(NoProcess(*pid))?);
    }
    processes.sort_by_key(|process| process.key);
    let channels = Channels::new(view);
    let mut tables: Vec<_> =
        processes.iter().map(|process| table(view, process, wanted, &channels)).collect();
    // Of one that is gone, what is to be told is what became of its descriptors.
    tables.retain(|table| {
        !wanted.pids.is_empty() || view.is_alive(table.process) || !table.rows.is_empty() || table.passing > 0
    });
    let caveats = view.caveats(processes.iter().map(|process| process.key));
    Ok(Fds { tables, caveats })
}

fn table<'a>(view: &View<'a>, process: &'a Process, wanted: &Wanted, channels: &Channels<'a>) -> Table<'a> {
    let mut answer = Table { process, rows: Vec::new(), direct: Vec::new(), passing: 0 };
    // Only what was kept of the past is looked through where the past is asked for.
    let past = wanted.since.is_some() || wanted.inherited;
    for table in tables_between(process, wanted.since.unwrap_or(view.at()), view.at()) {
        let kept =
            if past { view.session().table_ever(table) } else { view.session().table_at(table, view.at()) };
        let using = view.users_of(table).iter().filter(|using| using.process.key == process.key);
        for using in using {
            for descriptor in &kept {
                let (from, until) = span(descriptor, *using);
                let open = |at: BootNs| from <= at && until.is_none_or(|until| until > at);
                let (now, before) = (open(view.at()), wanted.since.map(open));
                let change = match (before, now) {
                    (Some(false), true) => Some(Change::Opened),
                    (Some(true), false) => Some(Change::Closed),
                    (Some(false), false)
                        if wanted.since.is_some_and(|since| from > since) && from <= view.at() =>
                    {
                        answer.passing += 1;
                        None
                    }
                    _ => None,
                };
                let asked = match wanted.since {
                    Some(_) => change.is_some(),
                    None => now || (wanted.inherited && from <= view.at()),
                };
                if asked {
                    let holder = view.holder(descriptor, *using);
                    if !wanted.inherited || is_from_others(&holder) {
                        answer.rows.push(row(view, holder, change, channels));
                    }
                }
            }
        }
    }
    if wanted.since.is_some() {
        drop_copies(&mut answer.rows);
    }
    if !past {
        let rings = view.session().ring_tables_at(process, view.at());
        answer.direct = rings
            .into_iter()
            .flat_map(|(ring, entries)| entries.into_iter().map(move |entry| (ring, entry)))
            .collect();
    }
    answer
}

/// What is the same in a table that the process had before and in its copy of it (`unshare_fd`, kernel/fork.c) has not changed.
fn drop_copies(rows: &mut Vec<Row<'_>>) {
    let of = |wanted: Change| {
        let rows = rows.iter().filter(move |row| row.change == Some(wanted)).map(|row| row.holder.descriptor);
        rows.map(|descriptor| ((descriptor.fd, descriptor.file), descriptor.table)).collect::<HashMap<_, _>>()
    };
    let (opened, closed) = (of(Change::Opened), of(Change::Closed));
    rows.retain(|row| {
        let place = (row.holder.descriptor.fd, row.holder.descriptor.file);
        opened.get(&place).zip(closed.get(&place)).is_none_or(|(one, other)| one == other)
    });
}

/// From when to when a process has a descriptor.
fn span(descriptor: &Descriptor, using: Use<'_>) -> (BootNs, Option<BootNs>) {
    let ends = [descriptor.closed.map(|(closed, _)| closed), using.process.ended, using.left];
    (descriptor.opened.max(using.from), ends.into_iter().flatten().min())
}

fn is_from_others(holder: &Holder<'_>) -> bool {
    match holder.how {
        How::Inherited { .. } | How::Concluded { .. } | How::Passed { .. } => true,
        How::Made(_) | How::Found | How::Repaired => false,
    }
}

fn row<'a>(view: &View<'a>, holder: Holder<'a>, change: Option<Change>, channels: &Channels<'a>) -> Row<'a> {
    let descriptor = holder.descriptor;
    let socket = descriptor.socket.and_then(|id| view.session().socket(id));
    // A socket that is gone is shown as it was last.
    let socket = socket.map(|socket| view.socket(socket).unwrap_or(Cow::Borrowed(socket)));
    let channel = ipc::channel(descriptor).map(|kind| (kind, channels.others(holder.process, descriptor)));
    Row { holder, change, socket, channel }
}

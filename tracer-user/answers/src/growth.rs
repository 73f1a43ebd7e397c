//! Descriptors that only grow: told apart from those of a busy server by what is left over.
//!
//! Descriptors of one process are looked at by what they hold and by the call that made them. Time before the instant is cut
//! into eight equal parts. If from each of the seven older parts at least one descriptor is left open, although everything of
//! that kind that was closed lived for at most half a part, then something leaves descriptors behind, again and again. Parts
//! are a second, two, four and so on: the shortest that shows it is told. One time in a hundred is enough, if that is once a part;
//! connections that are simply long leave nothing of this form, since the parts grow with the longest life that was seen: of
//! accepted sockets, in any process that accepts from the same listener. A worker that has just begun has not seen one yet.
//!
//! Where nothing of that kind has been made for longer than a part, as when the load has ended, what was told then is told still,
//! with the time of the last: what is left is there. Whether it was forgotten or is kept for a purpose cannot be seen.

use crate::{moment::Moment, view::View};
use std::collections::{BTreeMap, HashMap};
use tracer_model::{
    entity::{Closed, Descriptor, Opened, Process},
    event::{Event, EventKind, FileKind},
    ids::{BootNs, SocketId, StackId, TableId},
    stacks::Stack,
};

/// Parts that the time is cut into; the newest is not judged, what was made in it may still be closed.
const PARTS: usize = 8;
/// The shortest part.
const PART_NS: u64 = 1_000_000_000;
/// A part is so many times as long as the longest life of what was closed.
const LIVES: u64 = 2;
/// Where nothing was closed at all, the server may just be starting: a part is at least so long.
const UNCLOSED_PART_NS: u64 = 8 * PART_NS;
/// Of so many descriptors that are left, the newest, the event that made each is looked up.
const LOOKED_UP: usize = 64;
/// So many of them are shown.
const SHOWN: usize = 8;

/// Descriptors that only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth<'a> {
    /// Whose.
    pub process: &'a Process,
    /// What they hold.
    pub kind: FileKind,
    /// What made them.
    pub by: EventKind,
    /// How many were left in [`Self::over_ns`].
    pub left: u64,
    /// How many were made in that time, as far as those that were closed are kept.
    pub made: u64,
    /// Of that time not all that were closed are kept: more may have been made, and one of them may have lived longer.
    pub made_at_least: bool,
    /// The time that was judged, up to the newest part.
    pub over_ns: u64,
    /// Longest life of one that was closed; `None`: none was.
    pub longest_ns: Option<u64>,
    /// When the first that is left was made.
    pub since: Moment,
    /// When the last of that kind was made, left or not, if that is longer ago than a part; `None`: it grows still.
    pub stopped: Option<BootNs>,
    /// Which threads made them: thread, how many, most first. Of the newest [`LOOKED_UP`], as far as their events are kept.
    pub threads: Vec<(u32, u64)>,
    /// Newest first, some of them: number and when it was made.
    pub newest: Vec<(i32, Moment)>,
    /// From where they were made, most first; empty where stacks are not read.
    pub places: Vec<MadeAt<'a>>,
}

/// Descriptors of one kind that are open, and of which it cannot be told yet whether they only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unjudged<'a> {
    /// Whose.
    pub process: &'a Process,
    /// What they hold.
    pub kind: FileKind,
    /// What made them.
    pub by: EventKind,
    /// How many are open.
    pub open: u64,
    /// For how long the process must have been traced to tell.
    pub needs_ns: u64,
    /// For how long it has.
    pub traced_ns: u64,
}

/// What is known of descriptors that only grow.
#[derive(Debug, Default)]
pub struct Judged<'a> {
    /// Those that do, most first.
    pub growing: Vec<Growth<'a>>,
    /// Those of which it is too early to tell, the one that takes longest first.
    pub unjudged: Vec<Unjudged<'a>>,
}

/// The shortest time in which growth can show at all.
pub const SHORTEST_NS: u64 = PARTS as u64 * PART_NS;

/// Descriptors that are left and were made from one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeAt<'a> {
    /// The stack of the calls; `None` where it was not read.
    pub stack: Option<&'a Stack>,
    /// How many.
    pub left: u64,
    /// Which threads made them, as [`Growth::threads`].
    pub threads: Vec<(u32, u64)>,
}

/// One kind of descriptors that one call makes in one table, or those of them that come from one place.
#[derive(Default)]
struct Group<'a> {
    left: Vec<&'a Descriptor>,
    made: Vec<BootNs>,
    longest: Option<u64>,
    /// The longest life of those that other processes accepted from the same listeners.
    elsewhere: u64,
}

/// The longest life of an accepted socket that was closed, by its listener.
type Lives = HashMap<SocketId, u64>;

fn lives(view: &View<'_>) -> Lives {
    let mut lives = Lives::new();
    let accepted =
        |one: &&Descriptor| one.opened_by == Opened::By(EventKind::Accept) && one.opened <= view.at();
    for descriptor in view.session().descriptors().filter(accepted) {
        if let (Some(life), Some(listener)) = (life(descriptor, view.at()), listener_of(view, descriptor)) {
            let longest = lives.entry(listener).or_default();
            *longest = life.max(*longest);
        }
    }
    lives
}

/// How long a descriptor was open that was closed by the instant. What a program closes by ending says nothing of how long it
/// keeps things.
fn life(descriptor: &Descriptor, at: BootNs) -> Option<u64> {
    match descriptor.closed.filter(|(closed, _)| *closed <= at)? {
        (closed, Closed::Close | Closed::Replaced) => Some(closed.0.saturating_sub(descriptor.opened.0)),
        _ => None,
    }
}

fn listener_of(view: &View<'_>, descriptor: &Descriptor) -> Option<SocketId> {
    view.session().socket(descriptor.socket?)?.listener
}

impl<'a> Group<'a> {
    /// What became of them at the instant.
    fn of(view: &View<'a>, descriptors: impl IntoIterator<Item = &'a Descriptor>, lives: &Lives) -> Self {
        let mut group = Self::default();
        for descriptor in descriptors {
            group.made.push(descriptor.opened);
            if descriptor.closed.is_none_or(|(closed, _)| closed > view.at()) {
                group.left.push(descriptor);
            }
            group.longest = group.longest.max(life(descriptor, view.at()));
        }
        let listeners = group.left.iter().filter_map(|descriptor| listener_of(view, descriptor));
        group.elsewhere = listeners.filter_map(|listener| lives.get(&listener)).copied().max().unwrap_or(0);
        group.left.sort_by_key(|descriptor| (descriptor.opened, descriptor.id));
        group
    }

    /// The shortest part by which it can be judged; `None` where none is long enough.
    fn shortest_part(&self) -> Option<u64> {
        let least = self.longest.map_or(UNCLOSED_PART_NS, |longest| longest.saturating_mul(LIVES));
        let least = least.max(self.elsewhere.saturating_mul(LIVES));
        let mut part = PART_NS;
        while part < least {
            part = part.checked_mul(2)?;
        }
        Some(part)
    }
}

/// What grows at the view's instant.
#[must_use]
pub fn growth<'a>(view: &View<'a>) -> Judged<'a> {
    let mut groups: BTreeMap<(TableId, &'static str, &'static str), Vec<&Descriptor>> = BTreeMap::new();
    for descriptor in view.session().descriptors() {
        let Opened::By(by) = descriptor.opened_by else { continue };
        if descriptor.opened <= view.at() {
            let place = (descriptor.table, descriptor.kind.name(), by.name());
            groups.entry(place).or_default().push(descriptor);
        }
    }
    let lives = lives(view);
    let mut judged = Judged::default();
    for ((table, ..), descriptors) in groups {
        let Some(process) = view.owners_of(table).next() else { continue };
        let group = Group::of(view, descriptors.iter().copied(), &lives);
        if let Some(growth) = grows(view, process, &group) {
            judged.growing.push(growth);
            continue;
        }
        judged.unjudged.extend(unjudged(view, process, &group));
        // What one place leaves may be hidden by what others make: those that live long, for one.
        let mut places: BTreeMap<StackId, Vec<&Descriptor>> = BTreeMap::new();
        for descriptor in descriptors {
            if let Some(stack) = descriptor.stack {
                places.entry(stack).or_default().push(descriptor);
            }
        }
        let groups = places.into_values().map(|group| Group::of(view, group, &lives));
        judged.growing.extend(groups.filter_map(|group| grows(view, process, &group)));
    }
    judged.growing.sort_by_key(|growth| std::cmp::Reverse(growth.left));
    judged.unjudged.sort_by_key(|group| std::cmp::Reverse(group.needs_ns));
    judged
}

/// For how long a process has been traced.
fn traced(view: &View<'_>, process: &Process) -> u64 {
    view.at().0.saturating_sub(view.session().t0().0.max(process.seen.0))
}

/// A group that is too young to be judged.
fn unjudged<'a>(view: &View<'a>, process: &'a Process, group: &Group<'a>) -> Option<Unjudged<'a>> {
    let first = group.left.first()?;
    let Opened::By(by) = first.opened_by else { return None };
    let needs_ns = group.shortest_part()?.checked_mul(PARTS as u64)?;
    let traced_ns = traced(view, process);
    let open = group.left.len() as u64;
    (needs_ns > traced_ns).then_some(Unjudged { process, kind: first.kind, by, open, needs_ns, traced_ns })
}

fn grows<'a>(view: &View<'a>, process: &'a Process, group: &Group<'a>) -> Option<Growth<'a>> {
    let now = view.at().0;
    let traced = traced(view, process);
    let (last, last_left) = (group.made.iter().max()?, group.left.last()?.opened);
    let mut part = group.shortest_part()?;
    loop {
        let over = part.checked_mul(PARTS as u64)?;
        // More than a part after it all that was made before has had the time to be closed: it is judged, too.
        let after = |ts: BootNs| ts.0.saturating_add(part).saturating_add(1).min(now);
        let at = after(*last);
        if over > traced.saturating_sub(now - at) {
            return None;
        }
        // Where it has stopped, what was left last may have been the last of a part.
        for at in [Some(at), (at < now).then(|| after(last_left))].into_iter().flatten() {
            if let Some((left, made)) =
                left_until(group, at, part).filter(|_| over <= traced.saturating_sub(now - at))
            {
                let stopped = (at < now).then_some(*last);
                let begins = BootNs(at - over);
                let time = Time { begins, over_ns: over - part, made, longest_ns: group.longest, stopped };
                return told(view, process, &left, time);
            }
        }
        part = part.checked_mul(2)?;
    }
}

/// What is left of each part up to a moment, and how many were made meanwhile; `None` where a part left nothing.
fn left_until<'a>(group: &Group<'a>, at: u64, part: u64) -> Option<(Vec<&'a Descriptor>, u64)> {
    let begins = at.checked_sub(part.checked_mul(PARTS as u64)?)?;
    // The place of the part that a time is in; the newest part is not judged.
    let place = |ts: BootNs| {
        let place = usize::try_from(ts.0.checked_sub(begins)? / part).ok()?;
        (place < PARTS - 1).then_some(place)
    };
    let in_each_part = |left: &[&Descriptor]| {
        let mut parts = [false; PARTS - 1];
        for descriptor in left {
            if let Some(has_some) = place(descriptor.opened).and_then(|place| parts.get_mut(place)) {
                *has_some = true;
            }
        }
        parts.iter().all(|has_some| *has_some)
    };
    if !in_each_part(&group.left) {
        return None;
    }
    let in_time = |ts: BootNs| place(ts).is_some();
    let left: Vec<&Descriptor> =
        group.left.iter().copied().filter(|descriptor| in_time(descriptor.opened)).collect();
    let left = of_growing_places(left, in_each_part);
    Some((left, group.made.iter().filter(|ts| in_time(**ts)).count() as u64))
}

/// Those from places that leave something in each part by themselves, where there are such places: what others left is kept for
/// a purpose, as a log file is.
fn of_growing_places(
    left: Vec<&Descriptor>,
    in_each_part: impl Fn(&[&Descriptor]) -> bool,
) -> Vec<&Descriptor> {
    let mut places: BTreeMap<Option<StackId>, Vec<&Descriptor>> = BTreeMap::new();
    for descriptor in &left {
        places.entry(descriptor.stack).or_default().push(descriptor);
    }
    places.retain(|_, left| in_each_part(left));
    if places.is_empty() {
        return left;
    }
    left.into_iter().filter(|descriptor| places.contains_key(&descriptor.stack)).collect()
}

/// The time by which a group is judged, and what is known of it; its figures are those of [`Growth`].
struct Time {
    begins: BootNs,
    over_ns: u64,
    made: u64,
    longest_ns: Option<u64>,
    stopped: Option<BootNs>,
}

fn told<'a>(
    view: &View<'a>,
    process: &'a Process,
    left: &[&'a Descriptor],
    Time { begins, over_ns, made, longest_ns, stopped }: Time,
) -> Option<Growth<'a>> {
    let first = left.first()?;
    let Opened::By(by) = first.opened_by else { return None };
    let made_at_least = view.session().descriptors_evicted_until().is_some_and(|until| begins <= until);
    let event = |descriptor: &Descriptor| {
        view.event_at(descriptor.opened, |event| made_it(event, process, descriptor.fd))
    };
    let mut threads: BTreeMap<u32, u64> = BTreeMap::new();
    let mut newest = Vec::new();
    let mut places: BTreeMap<Option<StackId>, (u64, BTreeMap<u32, u64>)> = BTreeMap::new();
    for descriptor in left {
        places.entry(descriptor.stack).or_default().0 += 1;
    }
    for descriptor in left.iter().rev().take(LOOKED_UP) {
        let event = event(descriptor);
        if let Some(event) = &event {
            *threads.entry(event.tid).or_default() += 1;
            let (_, threads) = places.entry(descriptor.stack).or_default();
            *threads.entry(event.tid).or_default() += 1;
        }
        if newest.len() < SHOWN {
            newest.push((descriptor.fd, Moment::with(descriptor.opened, event.as_ref())));
        }
    }
    let threads = most_first(threads);
    let session = view.session();
    let mut places: Vec<_> = places
        .into_iter()
        .filter(|_| session.stacks_missed().is_some())
        .map(|(stack, (left, threads))| MadeAt {
            stack: stack.and_then(|stack| session.stack(stack)),
            left,
            threads: most_first(threads),
        })
        .collect();
    places.sort_by_key(|place| std::cmp::Reverse(place.left));
    let since = Moment::with(first.opened, event(first).as_ref());
    let left = left.len() as u64;
    Some(Growth {
        process,
        kind: first.kind,
        by,
        left,
        made,
        made_at_least,
        over_ns,
        longest_ns,
        since,
        stopped,
        threads,
        newest,
        places,
    })
}

fn most_first(counts: BTreeMap<u32, u64>) -> Vec<(u32, u64)> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(tid, count)| (std::cmp::Reverse(*count), *tid));
    counts
}

/// Whether an event tells of the call that made a descriptor.
fn made_it(event: &Event, process: &Process, fd: i32) -> bool {
    event.process == process.key && (event.new_fd == Some(fd) || event.fds.contains(&fd))
}

#[cfg(test)]
mod tests;

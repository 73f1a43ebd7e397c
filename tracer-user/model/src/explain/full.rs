//! `EMFILE` and `ENFILE`: what fills the table, or the machine.

use super::{Cause, Explain, Fill, Unseen};
use crate::{
    entity::{Descriptor, Opened},
    event::{Event, EventKind},
    session::Session,
};
use std::collections::BTreeMap;

/// Kinds that are told at most.
const KINDS: usize = 8;

/// Descriptors of one kind that one call made.
struct Group<'a> {
    oldest: &'a Descriptor,
    count: u64,
}

impl Session {
    /// The table of the process is full (`RLIMIT_NOFILE`, getrlimit(2)); `None` where another limit gives the same error and
    /// the table is not known to be full.
    pub(super) fn table_full(&self, event: &Event) -> Option<Explain> {
        let process = self.world.process(event.process)?;
        let open: Vec<&Descriptor> = self
            .world
            .tables
            .open(process.table, i32::MIN, i32::MAX)
            .into_iter()
            .filter_map(|id| self.world.tables.get(id).map(|kept| &kept.descriptor))
            .collect();
        let mut kinds: BTreeMap<_, Group<'_>> = BTreeMap::new();
        for descriptor in &open {
            let place = (descriptor.kind.name(), descriptor.opened_by.name());
            let group = kinds.entry(place).or_insert(Group { oldest: descriptor, count: 0 });
            group.count += 1;
            if descriptor.opened < group.oldest.opened {
                group.oldest = descriptor;
            }
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(place, group)| (std::cmp::Reverse(group.count), *place));
        // What was there when tracing began is older than that.
        let oldest = kinds.first().map(|(_, group)| group.oldest);
        let oldest = oldest.filter(|oldest| matches!(oldest.opened_by, Opened::By(_)));
        let told = oldest.and_then(|oldest| self.world.sockets.get(oldest.socket?)).map(|kept| kept.told);
        // Every number below the limit is taken (`alloc_fd`, fs/file.c): of a table that is known in full, the first free
        // one is the limit.
        let mut numbers: Vec<i32> = open.iter().map(|descriptor| descriptor.fd).collect();
        numbers.sort_unstable();
        let free = (0..).zip(&numbers).take_while(|(place, fd)| place == *fd).count() as u64;
        let known = process.fd_limit.filter(|limit| *limit <= free);
        if known.is_none() && has_own_limit(event.kind) {
            return None;
        }
        let fill = Fill {
            limit: known.or((free > 0).then_some(free)),
            inferred: known.is_none() && free > 0,
            used: open.len() as u64,
            kinds: kinds
                .iter()
                .take(KINDS)
                .map(|((_, by), group)| (group.oldest.kind, (*by).to_owned(), group.count))
                .collect(),
            since_ns: oldest.map(|oldest| self.wall.epoch_ns(oldest.opened)),
        };
        let unseen = fill.limit.is_none().then_some(Unseen::Limit);
        let explain = Explain { fill: Some(fill), ..Explain::of(Cause::TableFull) };
        Some(explain.without(unseen).resting_on(told.filter(|seq| *seq != 0)))
    }

    /// The machine's limit of open files is reached (`file-max`, proc_sys_fs(5)); `None` where the machine is not known to be
    /// full and the call has another reason to say so: `pipe` does for want of memory for pipes (pipe(2), `alloc_pipe_info`,
    /// fs/pipe.c).
    pub(super) fn system_full(&self, event: &Event) -> Option<Explain> {
        let files = self.looked(event).and_then(|looked| looked.files);
        if event.kind == EventKind::Pipe && files.is_none_or(|(used, limit)| used < limit) {
            return None;
        }
        let fill = files.map(|(used, limit)| Fill {
            limit: Some(limit),
            inferred: false,
            used,
            kinds: Vec::new(),
            since_ns: None,
        });
        let unseen = [files.is_none().then_some(Unseen::Limit), Some(Unseen::Unfollowed)];
        Some(Explain { fill, ..Explain::of(Cause::SystemFull) }.without(unseen.into_iter().flatten()))
    }
}

/// Whether `EMFILE` may be about a limit of the user's: of instances (inotify(7), fanotify(7)) or of bytes in message queues
/// (`RLIMIT_MSGQUEUE`, mq_overview(7); `mqueue_get_inode`, ipc/mqueue.c).
pub(super) fn has_own_limit(kind: EventKind) -> bool {
    matches!(kind, EventKind::Inotify | EventKind::Fanotify | EventKind::Mqueue)
}

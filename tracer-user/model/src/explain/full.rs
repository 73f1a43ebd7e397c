//! `EMFILE` and `ENFILE`: what fills the table, or the machine.

use super::{Cause, Explain, Fill, Unseen};
use crate::{
    entity::{Descriptor, Opened},
    event::Event,
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
    /// The table of the process is full (`RLIMIT_NOFILE`, getrlimit(2)).
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
        let fill = Fill {
            limit: known.or((free > 0).then_some(free)),
            inferred: known.is_none() && free > 0,
            used: open.len() as u64,
            kinds: kinds
                .iter()
                .take(KINDS)
                .map(|((_, by), group)| (group.oldest.kind, (*by).to_owned(), group.count))
                .collect(),
            since_ns: oldest.map(|oldest| oldest.opened.0.saturating_add_signed(self.epoch_minus_boot_ns)),
        };
        let unseen = fill.limit.is_none().then_some(Unseen::Limit);
        let explain = Explain { fill: Some(fill), ..Explain::of(Cause::TableFull) };
        Some(explain.without(unseen).resting_on(told.filter(|seq| *seq != 0)))
    }

    /// The machine's limit of open files is reached (`file-max`, proc_sys_fs(5)).
    pub(super) fn system_full(&self, event: &Event) -> Explain {
        let files = self.looked(event).and_then(|looked| looked.files);
        let fill = files.map(|(used, limit)| Fill {
            limit: Some(limit),
            inferred: false,
            used,
            kinds: Vec::new(),
            since_ns: None,
        });
        let unseen = [files.is_none().then_some(Unseen::Limit), Some(Unseen::Unfollowed)];
        Explain { fill, ..Explain::of(Cause::SystemFull) }.without(unseen.into_iter().flatten())
    }
}

//! Control groups: their paths, by identifier. Each was told before the first process that is in it.

use crate::{
    event,
    input::{Cgroup, Place},
};
use foldhash::HashMap;
use std::collections::VecDeque;

/// Paths that are kept; beyond, the oldest is forgotten, and a process that is told to be in it has none.
const KEPT: usize = 65_536;

/// Every known path.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    paths: HashMap<u64, Box<[u8]>>,
    order: VecDeque<u64>,
}

impl Cgroups {
    /// A path was told; the kernel may tell it again.
    pub(crate) fn note(&mut self, cgroup: &Cgroup) {
        if self.paths.insert(cgroup.id, cgroup.path.clone().into()).is_some() {
            return;
        }
        self.order.push_back(cgroup.id);
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.paths.remove(&oldest);
        }
    }

    /// Where a process lives, its control group by path.
    pub(crate) fn name(&self, place: &Place) -> event::Place {
        let Place { ns_pid, pid_ns, cgroup } = *place;
        event::Place { ns_pid, pid_ns, cgroup: self.paths.get(&cgroup).cloned() }
    }
}

//! Calls that still run: joins the two lines of one call.

use crate::ids::{BootNs, ProcessKey};
use std::collections::BTreeMap;

/// Threads that are remembered; the ones of the lowest pids go first beyond.
const THREADS: usize = 65_536;

/// A thread: process and thread id.
pub(crate) type Thread = (ProcessKey, u32);

/// The newest call of each thread.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    newest: BTreeMap<Thread, Newest>,
    last_id: u64,
}

#[derive(Debug)]
struct Newest {
    /// When it began; 0 where it was running before tracing began.
    enter: BootNs,
    /// Given when it was told as running.
    id: Option<u64>,
    returned: bool,
}

impl Pending {
    /// A call is told as running. Returns its number; `None` where it is known to have returned, or was told before.
    pub(crate) fn runs(&mut self, thread: Thread, enter: Option<BootNs>) -> Option<u64> {
        let enter = enter.unwrap_or_default();
        if let Some(newest) = self.newest.get(&thread)
            && (newest.enter > enter || newest.enter == enter && (newest.returned || newest.id.is_some()))
        {
            return None;
        }
        self.last_id += 1;
        self.keep(thread, Newest { enter, id: Some(self.last_id), returned: false });
        Some(self.last_id)
    }

    /// A call returned. Returns the number that it was told as running with, if it was.
    pub(crate) fn returns(&mut self, thread: Thread, enter: Option<BootNs>) -> Option<u64> {
        let enter = enter.unwrap_or_default();
        if let Some(newest) = self.newest.get_mut(&thread) {
            if newest.enter == enter {
                newest.returned = true;
                return newest.id;
            }
            if newest.enter > enter {
                return None;
            }
        }
        self.keep(thread, Newest { enter, id: None, returned: true });
        None
    }

    /// A thread ended.
    pub(crate) fn forget_thread(&mut self, thread: Thread) {
        self.newest.remove(&thread);
    }

    /// A process ended.
    pub(crate) fn forget(&mut self, process: ProcessKey) {
        let threads: Vec<Thread> =
            self.newest.range((process, 0)..=(process, u32::MAX)).map(|(thread, _)| *thread).collect();
        for thread in threads {
            self.newest.remove(&thread);
        }
    }

    fn keep(&mut self, thread: Thread, newest: Newest) {
        self.newest.insert(thread, newest);
        if self.newest.len() > THREADS {
            self.newest.pop_first();
        }
    }
}

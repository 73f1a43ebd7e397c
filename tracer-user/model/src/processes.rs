//! Processes: identity, standing, and which tables they use.

use crate::{
    entity::{Execution, Process, Standing},
    ids::{BootNs, ProcessKey, TableId},
    input::Task,
    revisions::{Entity, Revisions},
};
use foldhash::HashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Why a table is doubtful that was never read in full.
pub(crate) const UNREAD: &str = "unread";

/// A process and what only the model needs to know of it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) process: Process,
    /// Its table is known in full: read by a snapshot, or copied from one that is.
    pub(crate) known: bool,
    /// The standing as events tell it.
    pub(crate) told: Standing,
    /// Differences found by repairs so far.
    pub(crate) repairs: u64,
    /// The newest doubt: a repair that began before does not settle it.
    pub(crate) doubted: BootNs,
    /// The newest input that it made.
    pub(crate) active: BootNs,
    /// A thread of it that is not its leader has made a call.
    pub(crate) threaded: bool,
    /// When it executed a program or got another table: rows of other tables that were read before are outdated.
    pub(crate) moved: BootNs,
}

/// Every kept process.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    kept: BTreeMap<u64, Kept>,
    order: HashMap<ProcessKey, u64>,
    by_pid: HashMap<u32, ProcessKey>,
    ended: VecDeque<ProcessKey>,
    next: u64,
    /// Those whose standing has changed since that was last told.
    restanding: BTreeSet<ProcessKey>,
    /// Those of them that are unread: the snapshot that reads them may be on its way.
    unread: BTreeSet<ProcessKey>,
}

impl Processes {
    /// In the order in which they were first seen.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.kept.values()
    }

    pub(crate) fn get(&self, key: ProcessKey) -> Option<&Kept> {
        self.kept.get(self.order.get(&key)?)
    }

    /// Changes a process; its revision grows.
    pub(crate) fn change<T>(
        &mut self,
        key: ProcessKey,
        revisions: &mut Revisions,
        change: impl FnOnce(&mut Kept) -> T,
    ) -> Option<T> {
        let kept = self.kept.get_mut(self.order.get(&key)?)?;
        revisions.touch(Entity::Process(key), &mut kept.process.rev);
        let before = kept.process.standing.clone();
        let done = change(kept);
        if kept.process.standing != before {
            self.restanding.insert(key);
        }
        Some(done)
    }

    /// Living processes that stand otherwise than was told, which this tells. That one is unread is told only when a snapshot has
    /// `ended` that did not read it.
    pub(crate) fn take_restanding(&mut self, ended: bool) -> Vec<ProcessKey> {
        let mut changed = std::mem::take(&mut self.restanding);
        if ended {
            changed.append(&mut self.unread);
        }
        changed.retain(|key| {
            let Some(kept) = self.order.get(key).and_then(|order| self.kept.get_mut(order)) else {
                return false;
            };
            if !ended && matches!(kept.process.standing, Standing::Doubtful { why: UNREAD, .. }) {
                self.unread.insert(*key);
                return false;
            }
            if kept.process.ended.is_some() || kept.process.standing == kept.told {
                return false;
            }
            kept.told = kept.process.standing.clone();
            true
        });
        changed.into_iter().collect()
    }

    /// A task of the process did something at `ts`: no change that a reader sees.
    pub(crate) fn acted(&mut self, task: &Task, ts: BootNs) {
        if let Some(kept) = self.order.get(&task.process).and_then(|order| self.kept.get_mut(order)) {
            kept.active = kept.active.max(ts);
            kept.threaded |= task.tid != 0 && task.tid != task.process.pid;
        }
    }

    /// The latest process with that pid.
    pub(crate) fn latest(&self, pid: u32) -> Option<ProcessKey> {
        self.by_pid.get(&pid).copied()
    }

    pub(crate) fn add(&mut self, key: ProcessKey, table: TableId, ts: BootNs, revisions: &mut Revisions) {
        let mut process = Process {
            key,
            parent: None,
            comm: String::new(),
            exe: None,
            executions: Vec::new(),
            place: None,
            table,
            thread_tables: Vec::new(),
            former_tables: Vec::new(),
            seen: ts,
            ended: None,
            status: None,
            fd_limit: None,
            standing: Standing::Doubtful { why: UNREAD, since: ts },
            rev: 0,
        };
        revisions.touch(Entity::Process(key), &mut process.rev);
        let kept = Kept {
            process,
            known: false,
            told: Standing::Exact,
            repairs: 0,
            doubted: BootNs(0),
            active: ts,
            threaded: false,
            moved: BootNs(0),
        };
        self.restanding.insert(key);
        self.kept.insert(self.next, kept);
        self.order.insert(key, self.next);
        self.by_pid.insert(key.pid, key);
        self.next += 1;
    }

    /// Notes that a process ended; evicts the oldest beyond `keep`.
    pub(crate) fn retire(&mut self, key: ProcessKey, keep: usize, revisions: &mut Revisions) {
        self.ended.push_back(key);
        while self.ended.len() > keep {
            let Some(oldest) = self.ended.pop_front() else { break };
            if self.get(oldest).is_none_or(|kept| kept.process.ended.is_none()) {
                continue;
            }
            if self.order.remove(&oldest).and_then(|order| self.kept.remove(&order)).is_some() {
                revisions.evict(Entity::Process(oldest));
                self.unread.remove(&oldest);
            }
            if self.by_pid.get(&oldest.pid) == Some(&oldest) {
                self.by_pid.remove(&oldest.pid);
            }
        }
    }
}

/// Executions and former tables that are kept of a process.
const PAST: usize = 16;

fn push_bounded<T>(past: &mut Vec<T>, newest: T) {
    if past.len() == PAST {
        past.remove(0);
    }
    past.push(newest);
}

impl Kept {
    /// Every table that its threads use.
    pub(crate) fn tables(&self) -> impl Iterator<Item = TableId> + '_ {
        std::iter::once(self.process.table).chain(self.process.thread_tables.iter().copied())
    }

    /// It has another table from `ts` on.
    pub(crate) fn leaves(&mut self, table: TableId, ts: BootNs) {
        push_bounded(&mut self.process.former_tables, (table, ts));
    }

    /// It executes a program.
    pub(crate) fn executes(&mut self, path: &[u8], comm: String, ts: BootNs) {
        let comm_before = std::mem::replace(&mut self.process.comm, comm);
        self.process.exe = Some(path.to_vec());
        push_bounded(&mut self.process.executions, Execution { ts, path: path.to_vec(), comm_before });
    }

    /// Its tables may be wrong from `ts` on. One that is unread stays so.
    pub(crate) fn doubt(&mut self, why: &'static str, ts: BootNs) {
        self.doubted = ts;
        if !matches!(self.process.standing, Standing::Doubtful { why, .. } if why != UNREAD) {
            self.process.standing = Standing::Doubtful { why, since: ts };
        }
    }
}

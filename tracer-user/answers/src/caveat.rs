//! What an answer cannot know.

use crate::{moment::Moment, view::View};
use tracer_model::{
    entity::{Process, Standing},
    ids::{BootNs, ProcessKey},
};

/// A limit of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caveat {
    /// The instant lies before the first thing that is known.
    BeforeTracing {
        /// When tracing began.
        began: BootNs,
    },
    /// Events before this are not kept any longer: they are missing from the evidence, and who ended before may be.
    Evicted {
        /// `seq` of the oldest event that is kept.
        first_seq: u64,
    },
    /// Records were lost: what they would have told may be missing.
    Lost {
        /// How many.
        count: u64,
        /// When the newest of them was told.
        last: Option<Moment>,
    },
    /// Connections of a network namespace were not looked through.
    Namespace {
        /// Its inode number.
        netns: u64,
        /// Why.
        why: String,
    },
    /// Accept queues are not sampled: drops, and a queue at which nobody accepts, are not seen.
    NotSampled,
    /// The scheduler is not traced: where waits went is not known.
    NoScheduler,
    /// The table of a process may be wrong.
    Doubtful {
        /// The process.
        process: ProcessKey,
        /// Its name.
        comm: String,
        /// Why.
        why: &'static str,
        /// Since when.
        since: BootNs,
    },
}

impl View<'_> {
    /// What limits every answer of this view, and what limits one about these processes.
    #[must_use]
    pub fn caveats(&self, processes: impl IntoIterator<Item = ProcessKey>) -> Vec<Caveat> {
        let session = self.session();
        let mut caveats = Vec::new();
        if self.at() < session.t0() {
            caveats.push(Caveat::BeforeTracing { began: session.t0() });
        }
        let first_seq = session.history().first_seq();
        if first_seq > 1 {
            caveats.push(Caveat::Evicted { first_seq });
        }
        let losses = &self.tallies().losses;
        if losses.count > 0 {
            caveats.push(Caveat::Lost { count: losses.count, last: losses.last });
        }
        let mut keys: Vec<_> = processes.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        caveats.extend(keys.into_iter().filter_map(|key| doubt(session.process(key)?, self.at())));
        caveats
    }
}

/// A table that is doubtful since then or earlier.
fn doubt(process: &Process, at: BootNs) -> Option<Caveat> {
    let Standing::Doubtful { why, since } = process.standing else { return None };
    (since <= at).then(|| Caveat::Doubtful { process: process.key, comm: process.comm.clone(), why, since })
}

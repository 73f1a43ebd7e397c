//! What an answer cannot know.

use crate::{moment::Moment, view::View};
use tracer_model::{
    entity::{Process, Standing},
    event::{EventKind, FileKind},
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
    /// Connections of a network namespace are concluded from followed sockets: a daemon asks the kernel about its own alone.
    NamespaceNotEntered {
        /// Its inode number.
        netns: u32,
    },
    /// The kernel was not asked what it has of the address: it cannot be of the past, nor beside a recording, nor too often.
    NotAsked,
    /// Accept queues are not sampled: drops, and a queue at which nobody accepts, are not seen.
    NotSampled,
    /// The scheduler is not traced: where waits went is not known.
    NoScheduler,
    /// Not every process was looked at for who holds the address, since that took too long.
    OthersCut,
    /// What grows, and what is never read, shows over time, and this is one look or little more.
    OneLook {
        /// For how long tracing has gone on.
        traced_ns: u64,
    },
    /// The tables were read once, and not again: what is never read cannot show.
    ReadOnce,
    /// Of some descriptors it cannot be told yet whether they only grow.
    Unjudged {
        /// Kinds of them, by process and by the call that made them.
        kinds: usize,
        /// Of the kind that takes longest: the process and its name.
        process: (ProcessKey, String),
        /// What they hold.
        kind: FileKind,
        /// What made them.
        by: EventKind,
        /// For how long the process must have been traced to tell.
        needs_ns: u64,
        /// For how long it has.
        traced_ns: u64,
    },
    /// The instant is of the past: of what was never read by then, only what is not read since is known.
    UnreadSince,
    /// More events were kept than were looked through for evidence: moments may lack the number of the event that tells of them.
    EvidenceCut,
    /// Whether anything was ever read from accepted unix connections cannot be known.
    UnixUnread {
        /// How many are open.
        count: u64,
    },
    /// Tables of processes may be wrong.
    Doubtful {
        /// The processes and their names, by number.
        processes: Vec<(ProcessKey, String)>,
        /// Why.
        why: &'static str,
        /// Since when the first of them is.
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
        // Many processes that live shortly are one note.
        let others = caveats.len();
        for process in keys.into_iter().filter_map(|key| session.process(key)) {
            let Some((wrong, from)) = doubt(process, self.at()) else { continue };
            let named = (process.key, process.comm.clone());
            let known = caveats.iter_mut().skip(others).find_map(|caveat| match caveat {
                Caveat::Doubtful { processes, why, since } if *why == wrong => Some((processes, since)),
                _ => None,
            });
            match known {
                Some((processes, since)) => {
                    *since = from.min(*since);
                    processes.push(named);
                }
                None => {
                    caveats.push(Caveat::Doubtful { processes: vec![named], why: wrong, since: from });
                }
            }
        }
        caveats
    }
}

/// Why and since when a table is doubtful, if it is then.
fn doubt(process: &Process, at: BootNs) -> Option<(&'static str, BootNs)> {
    let Standing::Doubtful { why, since } = process.standing else { return None };
    (since <= at).then_some((why, since))
}

#[cfg(test)]
mod tests {
    use super::Caveat;
    use crate::{tallies::Tallies, view::View};
    use tracer_model::{
        ids::{BootNs, ProcessKey},
        input::{Body, FileRef, Input, LossCause, Lost, Place, Reason, Row, Slot},
        session::{Limits, Session},
    };

    fn row(pid: u32) -> Body {
        let file = FileRef { file: u64::from(pid) << 8, ino: pid.into(), dev: 1, mode: 0o100_644 };
        Body::Row(Box::new(Row {
            process: ProcessKey { pid, start_ns: 1 },
            parent: 1,
            files: u64::from(pid) << 16,
            comm: b"sh".to_vec(),
            fd_limit: 1_024,
            place: Place::default(),
            slot: Slot { fd: 3, file: Some(file), cloexec: false, nonblock: false, name: Vec::new() },
            sock: None,
            open_flags: 0,
            tcp: None,
            unread: 0,
        }))
    }

    #[test]
    fn many_processes_of_which_the_same_is_doubtful_are_one_note() {
        let mut session = Session::new(Limits::default());
        let mut bodies = vec![Body::Anchor { epoch_minus_boot_ns: 0 }, Body::SnapshotBegin(Reason::Start)];
        bodies.extend((10..15).map(row));
        bodies.push(Body::SnapshotEnd(Reason::Start));
        bodies.push(Body::Lost(Lost { count: 1, cause: LossCause::Unknown, cpu: None }));
        for (ts, body) in (100..).zip(bodies) {
            session.ingest(&Input { ts: BootNs(ts), origin: None, late: false, body });
        }
        let tallies = Tallies::default();
        let view = View::new(&session, session.now(), &tallies);
        let caveats = view.caveats(session.processes().map(|process| process.key));
        let [Caveat::Doubtful { processes, since, .. }] = caveats.as_slice() else { panic!("{caveats:?}") };
        let pids: Vec<u32> = processes.iter().map(|(key, _)| key.pid).collect();
        assert_eq!((pids, *since), (vec![10, 11, 12, 13, 14], session.now()));
        assert_eq!(view.caveats([]), []);
    }
}

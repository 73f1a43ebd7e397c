//! What is counted along the way: each tally is fed with the events in order, and with nothing else.
//!
//! So there is one way to every instant: a live session and a replay feed tallies as events come; for an instant of the past,
//! new ones are fed with the kept events up to it. What was counted before the oldest kept event is missing from those, and
//! [`Tallies::since_seq`] says from where on they counted.

use crate::{accepting::Accepting, moment::Moment};
use tracer_model::event::{Event, EventKind};

/// Every tally.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// `seq` of the first event that was counted; 0 before it.
    pub since_seq: u64,
    /// Records that were lost.
    pub losses: Losses,
    /// What happens at listeners.
    pub accepting: Accepting,
}

impl Tallies {
    /// Counts the next event.
    pub fn take(&mut self, event: &Event) {
        if self.since_seq == 0 {
            self.since_seq = event.seq;
        }
        self.losses.take(event);
        self.accepting.take(event);
    }
}

/// Records that were lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// How many.
    pub count: u64,
    /// The newest of them.
    pub last: Option<Moment>,
}

impl Losses {
    fn take(&mut self, event: &Event) {
        if event.kind == EventKind::Lost && !event.is_of_process() {
            self.count = self.count.saturating_add(event.count.unwrap_or_default());
            self.last = Some(Moment::of(event));
        }
    }
}

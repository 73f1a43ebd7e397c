//! Moments, and the events that tell of them.

use tracer_model::{event::Event, ids::BootNs};

/// A moment, with the event that is its evidence where that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub ts: BootNs,
    /// The event.
    pub event: Option<Evidence>,
}

/// An event that something rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Its number.
    pub seq: u64,
    /// The moment in nanoseconds since the Unix epoch, as the event's line counts them.
    pub epoch_ns: u64,
}

impl Moment {
    /// A moment that no kept event tells of.
    #[must_use]
    pub const fn bare(ts: BootNs) -> Self {
        Self { ts, event: None }
    }

    /// The moment of an event.
    #[must_use]
    pub const fn of(event: &Event) -> Self {
        Self::told_by(event.ts, event)
    }

    /// A moment that an event tells of, which came when its call returned.
    #[must_use]
    pub const fn told_by(ts: BootNs, event: &Event) -> Self {
        let epoch_ns = event.epoch_ns.saturating_sub(event.ts.0.saturating_sub(ts.0));
        Self { ts, event: Some(Evidence { seq: event.seq, epoch_ns }) }
    }

    /// A later moment that follows from what this one's event tells.
    #[must_use]
    pub fn later(self, ts: BootNs) -> Self {
        let later = |event: Evidence| Evidence {
            epoch_ns: event.epoch_ns.saturating_add(ts.0.saturating_sub(self.ts.0)),
            ..event
        };
        Self { ts, event: self.event.map(later) }
    }

    /// A moment with the event that tells of it, if any does.
    #[must_use]
    pub fn with(ts: BootNs, event: Option<&Event>) -> Self {
        event.map_or(Self::bare(ts), |event| Self::told_by(ts, event))
    }
}

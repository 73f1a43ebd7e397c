//! What the server counts about itself.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one server.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Questions that the engine did not answer in time.
    pub(crate) refused_questions: Counter,
    /// Requests that the gate turned away.
    pub(crate) refused_requests: Counter,
    /// Clients of the live stream now.
    pub(crate) clients: Counter,
    /// Clients that started anew although they named a revision.
    pub(crate) resyncs: Counter,
    /// Times that a client was so far behind that it was told what is kept.
    pub(crate) kept_told: Counter,
    /// Clients that were disconnected because they acknowledged nothing.
    pub(crate) slow_clients: Counter,
    /// Changes that were sent.
    pub(crate) changes: Counter,
    /// Bytes of the longest message of the live stream.
    pub(crate) longest_message: Counter,
    /// Bytes that one client had not acknowledged yet, at most.
    pub(crate) most_waiting: Counter,
}

/// One counter. They are independent of each other, so no order between them is asked for.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one; returns what it was before.
    pub(crate) fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes one away.
    pub(crate) fn remove(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Keeps the larger value.
    pub(crate) fn raise(&self, value: usize) {
        self.0.fetch_max(u64::try_from(value).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Its value.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

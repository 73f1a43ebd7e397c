//! Why was it slow? Where the time between queued and accepted went.

use crate::{accepting::AtListener, caveat::Caveat, view::View, who::Target};
use std::borrow::Cow;
use tracer_model::entity::Socket;

/// Where waits went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slow<'a> {
    /// By listener that accepted something or tried to, in the order in which they were made.
    pub listeners: Vec<(Cow<'a, Socket>, &'a AtListener)>,
    /// What the answer cannot know.
    pub caveats: Vec<Caveat>,
}

/// Where waits at the listeners that fit went, or at all.
#[must_use]
pub fn slow<'a>(view: &View<'a>, target: Option<&Target>) -> Slow<'a> {
    let tallies = view.tallies();
    let listeners = view
        .listeners(target)
        .into_iter()
        .filter_map(|socket| {
            let tally = tallies.accepting.of(socket.id)?;
            (tally.accepted > 0 || !tally.failed.is_empty()).then_some((socket, tally))
        })
        .collect();
    let mut caveats = view.caveats([]);
    if !view.session().traces_scheduler() {
        caveats.push(Caveat::NoScheduler);
    }
    Slow { listeners, caveats }
}

//! `/api/v1/answers/`: one file an answer. What they share is here: the instant, and the view of it.

pub(crate) mod balance;
pub(crate) mod connections;
pub(crate) mod fds;
pub(crate) mod handovers;
pub(crate) mod leaks;
pub(crate) mod queues;
pub(crate) mod slow;
pub(crate) mod sockets;
pub(crate) mod who;

use super::parameter::{moment, on_clock_of};
use crate::{handle::Unavailable, problem::Problem, server::App};
use serde::Deserialize;
use tracer_answers::{
    known::Known,
    tallies::Tallies,
    view::{Asked, View},
    who::Target,
};
use tracer_model::ids::BootNs;
use tracer_wire::{answers::who::target, instant::Instant};

/// Listeners, and when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listeners {
    /// Listeners of this port (`80`, `127.0.0.1:80`, `[::1]:80`) or unix socket (`/run/x.sock`, `@abstract`); all if it is
    /// left out.
    of: Option<String>,
    /// The moment: RFC 3339, nanoseconds since the epoch, or `-30s`; now if it is left out.
    at: Option<String>,
}

impl Listeners {
    fn target(&self) -> Result<Option<Target>, Problem> {
        target_of(self.of.as_deref())
    }
}

/// What a parameter `of` names.
fn target_of(of: Option<&str>) -> Result<Option<Target>, Problem> {
    of.map(|text| target(text).map_err(|error| Problem::parameter("of", error))).transpose()
}

/// Events that one question counts: the engine is kept for a few milliseconds, however long the history is.
const PORTION: usize = 5_000;

/// Asks for an answer about now, or about the instant that `at` names.
pub(crate) async fn answer<T: Send + 'static>(
    app: &App,
    at: Option<&str>,
    answer: impl FnOnce(&View<'_>) -> T + Send + 'static,
) -> Result<T, Problem> {
    match moment("at", at)? {
        None => Ok(app.handle.ask_all(move |known| now(known, answer)).await?),
        Some(at) => Ok(past(app, at, answer).await?),
    }
}

/// The same, where an answer about now rests on what the kernel counts of open connections.
pub(crate) async fn fresh<T: Send + 'static>(
    app: &App,
    at: Option<&str>,
    answer: impl FnOnce(&View<'_>) -> T + Send + 'static,
) -> Result<T, Problem> {
    match moment("at", at)? {
        None => Ok(app.handle.ask_fresh(move |known| now(known, answer)).await?),
        Some(at) => Ok(past(app, at, answer).await?),
    }
}

/// The same, where an answer about now rests on what the kernel has of an address, followed or not.
pub(crate) async fn held<T: Send + 'static>(
    app: &App,
    target: Target,
    at: Option<&str>,
    answer: impl FnOnce(&View<'_>) -> T + Send + 'static,
) -> Result<T, Problem> {
    match moment("at", at)? {
        None => {
            let now = move |known: &Known, asked: Option<&Asked>| {
                let (session, tallies) = (known.session(), known.tallies());
                answer(&View::new(session, session.now(), &tallies).with_asked(asked))
            };
            Ok(app.handle.ask_held(target, now).await?)
        }
        Some(at) => Ok(past(app, at, answer).await?),
    }
}

fn now<T>(known: &Known, answer: impl FnOnce(&View<'_>) -> T) -> T {
    let (session, tallies) = (known.session(), known.tallies());
    answer(&View::new(session, session.now(), &tallies))
}

/// Tallies of the past are counted anew from the kept events, in portions.
async fn past<T: Send + 'static>(
    app: &App,
    at: Instant,
    answer: impl FnOnce(&View<'_>) -> T + Send + 'static,
) -> Result<T, Unavailable> {
    let bounds = app.handle.ask(move |session| {
        let at = on_clock_of(session, at);
        let history = session.history();
        (at, history.first_seq(), history.first_seq_at(BootNs(at.0.saturating_add(1))))
    });
    let (at, mut next, end) = bounds.await?;
    let mut tallies = Tallies::default();
    while next < end {
        let counted = app.handle.ask(move |session| {
            let events = session.history().events(next).take(PORTION).take_while(|event| event.seq < end);
            // What is not kept any longer is left out.
            let seen = events.fold(None, |_, event| {
                tallies.take(&event);
                Some(event.seq + 1)
            });
            (tallies, seen.unwrap_or(end))
        });
        (tallies, next) = counted.await?;
    }
    app.handle.ask(move |session| answer(&View::new(session, at, &tallies))).await
}

//! `GET /api/v1/events`.

use super::parameter::{Parameters, moment, on_clock_of, read};
use crate::{problem::Problem, server::App};
use axum::{Json, extract::State};
use serde::Deserialize;
use std::{ops::Range, sync::Arc};
use tracer_model::session::Session;
use tracer_wire::{api::Events, filter::Filter, instant::Instant, line::Line};

/// Events that one question looks at: the engine is kept for a few milliseconds, however long the history is.
const PORTION: usize = 5_000;
const DEFAULT_LIMIT: usize = 500;
const MAX_LIMIT: usize = 10_000;

/// Which events.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// `seq` of the first; the oldest kept one if it is left out.
    #[param(value_type = Option<u64>)]
    from_seq: Option<String>,
    /// `seq` before which the answer ends.
    #[param(value_type = Option<u64>)]
    to_seq: Option<String>,
    /// How many at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10_000, default = 500)]
    limit: Option<String>,
    /// As for `--filter`: `event:accept pid:812 dur_ns:>10ms -comm:redis`.
    filter: Option<String>,
    /// Not before this moment: RFC 3339, nanoseconds since the epoch, or `-30s`.
    from: Option<String>,
    /// Before this moment.
    to: Option<String>,
}

/// Kept events, oldest first, a page at a time.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(Query), responses((status = 200, body = Events)))]
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Query>,
) -> Result<Json<Events>, Problem> {
    let limit = read::<usize>("limit", query.limit.as_deref(), format!("a number from 1 to {MAX_LIMIT}"))?
        .unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::parameter("limit", format!("{limit} is not a number from 1 to {MAX_LIMIT}")));
    }
    let from_seq =
        read::<u64>("from_seq", query.from_seq.as_deref(), "the number of an event")?.unwrap_or_default();
    let to_seq =
        read::<u64>("to_seq", query.to_seq.as_deref(), "the number of an event")?.unwrap_or(u64::MAX);
    let filter = Filter::parse(query.filter.as_deref().unwrap_or_default())
        .map_err(|error| Problem::parameter("filter", error))?;
    let (from, to) = (moment("from", query.from.as_deref())?, moment("to", query.to.as_deref())?);

    let (mut next, end) = app.handle.ask(move |session| bounds(session, from_seq..to_seq, from, to)).await?;
    let filter = Arc::new(filter);
    let mut events = Vec::new();
    while next < end && events.len() < limit {
        let (room, filter) = (limit - events.len(), Arc::clone(&filter));
        let (found, seen) = app.handle.ask(move |session| scan(session, next, end, room, &filter)).await?;
        events.extend(found);
        next = seen;
    }
    Ok(Json(Events { events, next_seq: (next < end).then_some(next) }))
}

/// First `seq`, and the one after the last.
fn bounds(session: &Session, seq: Range<u64>, from: Option<Instant>, to: Option<Instant>) -> (u64, u64) {
    let history = session.history();
    let seq_at = |moment| history.first_seq_at(on_clock_of(session, moment));
    let after_last = history.last_seq() + 1;
    let first = seq.start.max(history.first_seq()).max(from.map_or(0, seq_at));
    (first, to.map_or(after_last, seq_at).min(after_last).min(seq.end))
}

/// Looks at a portion from `next` on; returns what fits, and where to go on.
fn scan(session: &Session, next: u64, end: u64, room: usize, filter: &Filter) -> (Vec<Line>, u64) {
    let t0 = session.t0();
    let mut found = Vec::new();
    let mut seen = next;
    for event in session.history().events(next).take(PORTION).take_while(|event| event.seq < end) {
        if found.len() == room {
            return (found, event.seq);
        }
        seen = event.seq + 1;
        let line = Line::at(&event, t0);
        if filter.matches(&line) {
            found.push(line);
        }
    }
    // Nothing left between here and the end: what was there is not kept any longer.
    (found, if seen == next { end } else { seen })
}

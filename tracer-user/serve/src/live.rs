//! `GET /api/v1/live`: the live stream over a WebSocket.
//!
//! One change is under way for each client: the next is made only when the client has acknowledged the last, out of
//! what the model holds by then. A slow page gets staler, never wrong, and nothing piles up here: what a client costs
//! is one change in memory, of 1,000,000 bytes at most. While it is told what there was before it came, two changes of half
//! the size are under way, so that the page reads one while the next is made. A client that is so far behind that evictions
//! it was not told of are forgotten is told what is kept instead, and goes on. One that acknowledges nothing for 30 s is
//! disconnected with code 4008.

use crate::{
    api::info::{describe, status},
    counters::Counters,
    handle::Unavailable,
    kept::Kept,
    problem::Problem,
    server::App,
};
use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::StatusCode,
    response::Response,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout_at},
};
use tracer_model::session::Session;
use tracer_wire::{
    api::{ClientMessage, Descriptor, Process, Resume, ServerMessage, Socket, Source},
    line::Line,
};

/// Bytes of one change with its evictions: that is what a client that does not read costs here. What comes out longer is made
/// again of half as much, down to one object and one event.
const CHANGE_BYTES: usize = 1_000_000;
/// Objects in one change.
const CHANGE_OBJECTS: usize = 1_800;
/// Events in one change.
const CHANGE_EVENTS: u64 = 200;
/// How often a change may be halved.
const HALVINGS: u32 = CHANGE_OBJECTS.ilog2();
/// Clients at one time. Each asks the engine up to ten times a second.
const CLIENTS: u64 = 32;
/// Bytes of a message from the page; the longest it has to send are a tenth of that.
const MESSAGE_BYTES: usize = 4096;

/// Close codes (RFC 6455, section 7.4).
mod code {
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const INTERNAL: u16 = 1011;
    pub(super) const NO_ACK: u16 = 4008;
}

/// The stream's rhythm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Shortest time between two changes.
    pub(crate) change: Duration,
    /// Longest time between two changes, even if only counters changed.
    pub(crate) status: Duration,
    /// How long a client may take to answer, or to take what is sent.
    pub(crate) patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            change: Duration::from_millis(100),
            status: Duration::from_secs(1),
            patience: Duration::from_secs(30),
        }
    }
}

/// Opens a live stream.
#[utoipa::path(
    get,
    path = "/api/v1/live",
    tag = "live",
    description = "WebSocket. The client sends `hello`, then `ack` for every `change` and `kept` (`ClientMessage`); the server \
                   sends `hello`, `change`, `evict` and `kept` (`ServerMessage`), one JSON object a message. Close codes: \
                   1001 the server ends, 1008 a message that is none of these, 1011 the engine does not answer, 4008 \
                   nothing was acknowledged for 30 s.",
    responses((status = 101, description = "The stream is open."), (status = 400, description = "No WebSocket was asked for."), (status = 503, description = "Too many clients."))
)]
pub(crate) async fn live(
    State(app): State<Arc<App>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejection| {
        Problem::new(rejection.status(), format!("this is a WebSocket: {}", rejection.body_text()))
    })?;
    let Some(alive) = app.alive.upgrade() else {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is ending"));
    };
    let client = Client::count(&app)?;
    Ok(upgrade
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES)
        .on_upgrade(move |socket| client.serve(socket, alive)))
}

/// One client, counted while it lives.
struct Client {
    app: Arc<App>,
}

impl Client {
    fn count(app: &Arc<App>) -> Result<Self, Problem> {
        let client = Self { app: Arc::clone(app) };
        if app.handle.counters.clients.add() >= CLIENTS {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("{CLIENTS} clients watch already; close one of them"),
            ));
        }
        Ok(client)
    }

    async fn serve(self, socket: WebSocket, _alive: mpsc::Sender<()>) {
        let pace = self.app.pace;
        let counters = Arc::clone(&self.app.handle.counters);
        let mut line = Connection { socket, ending: self.app.ending.clone(), pace, counters, waiting: 0 };
        let Err(end) = self.stream(&mut line).await;
        let frame = match end {
            End::Gone => return,
            End::Ending => CloseFrame { code: code::GOING_AWAY, reason: "the server ends".into() },
            End::NoAck => {
                self.app.handle.counters.slow_clients.add();
                CloseFrame { code: code::NO_ACK, reason: "nothing was acknowledged for too long".into() }
            }
            End::Policy(reason) => CloseFrame { code: code::POLICY, reason: reason.into() },
            End::Unavailable(unavailable) => {
                CloseFrame { code: code::INTERNAL, reason: unavailable.to_string().into() }
            }
        };
        // A client that does not read does not take this either.
        let close = line.socket.send(Message::Close(Some(frame)));
        let _ = tokio::time::timeout(Duration::from_secs(1), close).await;
    }

    async fn stream(&self, line: &mut Connection) -> Result<Never, End> {
        let ClientMessage::Hello { resume } = line.receive(Instant::now() + line.pace.patience).await? else {
            return Err(End::Policy("the first message is hello"));
        };
        let (mut place, caught_up) = self.hello(line, resume).await?;
        let mut last_sent: Option<Instant> = None;
        // The revision of a change that is not acknowledged yet while the next one is made, and what was sent up to it.
        let mut ahead: Option<(u64, usize)> = None;
        // How often changes are halved at present.
        let mut halved = 0;
        loop {
            let catches_up = u32::from(place.rev < caught_up);
            let due = last_sent.is_none_or(|sent| sent.elapsed() >= line.pace.status);
            let objects = CHANGE_OBJECTS >> (halved + catches_up);
            let events = CHANGE_EVENTS >> halved;
            let portion =
                self.app.handle.ask(move |session| Portion::take(session, place, objects, events)).await?;
            let Some(portion) = portion else {
                if let Some((rev, sent)) = ahead.take() {
                    line.acknowledged(rev, sent).await?;
                }
                place.began = self.tell_kept(line).await?;
                continue;
            };
            if portion.is_empty() && !due {
                // While nothing is to be told, acknowledgements are not waited for.
                if let Some((rev, sent)) = ahead.take() {
                    line.acknowledged(rev, sent).await?;
                }
                line.idle(Instant::now() + line.pace.change).await?;
                continue;
            }
            let Portion { evict, change, next, more } = portion;
            let messages: Vec<_> = evict.iter().chain([&change]).map(written).collect::<Result<_, _>>()?;
            let bytes: usize = messages.iter().map(String::len).sum();
            let most = CHANGE_BYTES >> catches_up;
            if bytes > most && halved < HALVINGS {
                halved += 1;
                continue;
            }
            // What takes less than half of the room may be doubled the next time.
            halved -= u32::from(halved > 0 && bytes < most / 2);
            let now = Instant::now();
            for message in messages {
                line.send(message).await?;
            }
            self.app.handle.counters.changes.add();
            last_sent = Some(now);
            if let Some((rev, sent)) = ahead.take() {
                line.acknowledged(rev, sent).await?;
            }
            place = next;
            // What there was at the beginning comes as fast as it is acknowledged; what changes since keeps the pace.
            if more && place.rev < caught_up {
                ahead = Some((place.rev, line.waiting));
                continue;
            }
            line.acknowledged(place.rev, line.waiting).await?;
            line.idle(now + line.pace.change).await?;
        }
    }

    /// Tells what is kept; returns the revision at which it was.
    async fn tell_kept(&self, line: &mut Connection) -> Result<u64, End> {
        let kept = self.app.handle.ask(Kept::of).await?;
        let rev = kept.rev;
        for message in kept.messages() {
            line.send(written(&message)?).await?;
            line.acknowledged(rev, line.waiting).await?;
        }
        self.app.handle.counters.kept_told.add();
        Ok(rev)
    }

    /// Exchanges greetings; returns where the client stands and the revision that it has to catch up with.
    async fn hello(&self, line: &mut Connection, resume: Option<Resume>) -> Result<(Place, u64), End> {
        let named = resume.is_some();
        let resume = resume.filter(|resume| resume.session == self.app.settings.session);
        let settings = self.app.settings.clone();
        let question = move |session: &Session| {
            (describe(&settings, session), Place::resume(session, resume), session.rev())
        };
        let (info, place, rev) = self.app.handle.ask(question).await?;
        if named && place.is_none() {
            self.app.handle.counters.resyncs.add();
        }
        line.send(written(&ServerMessage::Hello { info, resumed: place.is_some() })?).await?;
        // A recording is all past, also what is not read yet.
        let caught_up = if self.app.settings.source == Source::Recording { u64::MAX } else { rev };
        Ok((place.unwrap_or(Place { rev: 0, seq: 0, began: rev }), caught_up))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.app.handle.counters.clients.remove();
    }
}

enum Never {}

/// How a stream ends.
enum End {
    /// The client left.
    Gone,
    /// The server ends.
    Ending,
    /// The client acknowledged nothing, or took nothing.
    NoAck,
    /// The client does not keep to the protocol.
    Policy(&'static str),
    /// The engine does not answer.
    Unavailable(Unavailable),
}

impl From<Unavailable> for End {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Revision that it has.
    rev: u64,
    /// Newest event that it has or was told to be left out.
    seq: u64,
    /// Revision at which it began, or was told what is kept: it knows of nothing that was evicted up to then, however far back
    /// the revision is that it has.
    began: u64,
}

impl Place {
    /// The place that a client named, if there is one like it.
    fn resume(session: &Session, resume: Option<Resume>) -> Option<Self> {
        let resume = resume?;
        let (rev, seq) = (resume.rev, resume.seq.unwrap_or_default());
        (rev <= session.rev() && seq <= session.history().last_seq()).then_some(Self { rev, seq, began: rev })
    }
}

/// What one question brings back.
struct Portion {
    evict: Option<ServerMessage>,
    change: ServerMessage,
    next: Place,
    more: bool,
}

impl Portion {
    /// What changed since `place`, at most so many objects and events but one of each; `None` where evictions since then are
    /// forgotten.
    fn take(session: &Session, place: Place, objects: usize, events: u64) -> Option<Self> {
        let t0 = session.t0();
        let changes = session.changes_since(place.rev, objects.max(1));
        if place.rev != 0 && place.rev.max(place.began) < changes.complete_from {
            return None;
        }
        let history = session.history();
        let last_seq = history.last_seq();
        let from_seq = (place.seq + 1).max((last_seq + 1).saturating_sub(events.max(1)));
        let events: Vec<_> = history.events(from_seq).map(|event| Line::at(&event, t0)).collect();
        let told = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let evict = ServerMessage::Evict {
            descriptors: strings(&changes.evicted_descriptors),
            sockets: strings(&changes.evicted_sockets),
            processes: strings(&changes.evicted_processes),
        };
        // What was gone when the client came is news to nobody.
        let evicts = changes.to > place.began
            && !(changes.evicted_descriptors.is_empty()
                && changes.evicted_sockets.is_empty()
                && changes.evicted_processes.is_empty());
        Some(Self {
            evict: evicts.then_some(evict),
            next: Place { rev: changes.to, seq: last_seq.max(place.seq), began: place.began },
            more: changes.more,
            change: ServerMessage::Change {
                from: place.rev,
                to: changes.to,
                processes: changes.processes.into_iter().map(|process| Process::new(process, t0)).collect(),
                // The page shows numbers; entries of rings' file tables have none.
                descriptors: changes
                    .descriptors
                    .into_iter()
                    .filter(|slot| !session.is_ring_table(slot.table))
                    .map(|slot| Descriptor::new(slot, t0))
                    .collect(),
                sockets: changes.sockets.into_iter().map(|socket| Socket::new(socket, t0)).collect(),
                events,
                skipped: last_seq.saturating_sub(place.seq).saturating_sub(told),
                more: changes.more,
                status: status(session),
            },
        })
    }

    /// Nothing but counters would be told.
    fn is_empty(&self) -> bool {
        let ServerMessage::Change { from, to, events, skipped, .. } = &self.change else { return false };
        from == to && events.is_empty() && *skipped == 0 && self.evict.is_none()
    }
}

fn written(message: &ServerMessage) -> Result<String, End> {
    serde_json::to_string(message).map_err(|_| End::Gone)
}

fn strings(ids: &[impl ToString]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// The WebSocket, with the two things that end every wait: the deadline and the server's end.
struct Connection {
    socket: WebSocket,
    ending: watch::Receiver<bool>,
    pace: Pace,
    counters: Arc<Counters>,
    /// Bytes that were sent and are not acknowledged yet.
    waiting: usize,
}

impl Connection {
    async fn send(&mut self, text: String) -> Result<(), End> {
        self.waiting += text.len();
        self.counters.longest_message.raise(text.len());
        self.counters.most_waiting.raise(self.waiting);
        let deadline = Instant::now() + self.pace.patience;
        tokio::select! {
            biased;
            _ = self.ending.wait_for(|ending| *ending) => Err(End::Ending),
            sent = timeout_at(deadline, self.socket.send(Message::Text(text.into()))) => match sent {
                Err(_) => Err(End::NoAck),
                Ok(Err(_)) => Err(End::Gone),
                Ok(Ok(())) => Ok(()),
            },
        }
    }

    /// The next message of the client. Pings are answered on the way.
    async fn receive(&mut self, deadline: Instant) -> Result<ClientMessage, End> {
        loop {
            let message = tokio::select! {
                biased;
                _ = self.ending.wait_for(|ending| *ending) => return Err(End::Ending),
                received = timeout_at(deadline, self.socket.recv()) => received.map_err(|_| End::NoAck)?,
            };
            match message {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text)
                        .map_err(|_| End::Policy("not a message of this protocol"));
                }
                Some(Ok(Message::Binary(_))) => return Err(End::Policy("messages are text")),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
            }
        }
    }

    /// Waits until a change is acknowledged, and with it all that was sent up to it.
    async fn acknowledged(&mut self, rev: u64, sent: usize) -> Result<(), End> {
        let deadline = Instant::now() + self.pace.patience;
        loop {
            match self.receive(deadline).await? {
                ClientMessage::Ack { rev: acknowledged } if acknowledged == rev => {
                    self.waiting -= sent;
                    return Ok(());
                }
                ClientMessage::Ack { .. } => {}
                ClientMessage::Hello { .. } => return Err(End::Policy("hello comes once")),
            }
        }
    }

    /// Waits until then, and notices meanwhile if the client leaves.
    async fn idle(&mut self, until: Instant) -> Result<(), End> {
        let sleep = sleep_until(until);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return Ok(()),
                message = self.receive(until + self.pace.patience) => match message? {
                    ClientMessage::Ack { .. } => {}
                    ClientMessage::Hello { .. } => return Err(End::Policy("hello comes once")),
                },
            }
        }
    }
}

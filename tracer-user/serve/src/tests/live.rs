//! The live stream, with a client of another make.

use super::bench::{Engine, KEPT, TOKEN, accept, close, failure, listener, open, open_named, settings};
use crate::{live::Pace, server};
use futures_util::{SinkExt as _, StreamExt as _};
use std::{collections::BTreeSet, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async,
    tungstenite::{
        Message,
        client::IntoClientRequest as _,
        http::{HeaderValue, Request},
    },
};
use tracer_model::input::Input;
use tracer_wire::{
    api::{ClientMessage, Resume, ServerMessage},
    line::Line,
};

/// How long a message may take to come.
const DEADLINE: Duration = Duration::from_secs(20);

struct Running {
    engine: Engine,
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<(), server::ServeError>>,
}

impl Running {
    async fn start(pace: Pace) -> Self {
        Self::on(crate::bind(([127, 0, 0, 1], 0).into()).await.unwrap(), pace)
    }

    fn on(listener: TcpListener, pace: Pace) -> Self {
        let engine = Engine::start();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = ended.await;
        };
        let handle = engine.handle.clone();
        let server = tokio::spawn(server::serve(listener, settings(), handle, pace, shutdown));
        Self { engine, address, end: Some(end), server }
    }

    fn request(&self) -> Request<()> {
        let mut request = format!("ws://{}/api/v1/live", self.address).into_client_request().unwrap();
        let bearer = HeaderValue::from_str(&format!("Bearer {TOKEN}")).unwrap();
        request.headers_mut().insert("authorization", bearer);
        request
    }

    async fn connect(&self) -> Client {
        Client { stream: connect_async(self.request()).await.unwrap().0 }
    }

    /// Connects, says hello and takes the server's.
    async fn greet(&self, resume: Option<Resume>) -> (Client, bool) {
        let mut client = self.connect().await;
        client.say(&ClientMessage::Hello { resume }).await;
        let ServerMessage::Hello { info, resumed } = client.message().await else { panic!("no hello") };
        assert_eq!(info.session, "a");
        (client, resumed)
    }

    async fn feed(&self, inputs: Vec<Input>) {
        self.engine.feed(inputs).await;
    }

    fn changes(&self) -> u64 {
        self.engine.handle.counters.changes.get()
    }
}

struct Client {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// The parts of a change that tests look at.
#[derive(Debug)]
struct Change {
    from: u64,
    to: u64,
    descriptors: Vec<i32>,
    sockets: Vec<String>,
    events: Vec<Line>,
    skipped: u64,
    more: bool,
}

impl Client {
    async fn say(&mut self, message: &ClientMessage) {
        let text = serde_json::to_string(message).unwrap();
        self.stream.send(Message::text(text)).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        timeout(DEADLINE, self.stream.next()).await.expect("nothing came").expect("it ended").unwrap()
    }

    async fn message(&mut self) -> ServerMessage {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn change(&mut self) -> Change {
        match self.message().await {
            ServerMessage::Change { from, to, descriptors, sockets, events, skipped, more, .. } => Change {
                from,
                to,
                descriptors: descriptors.iter().map(|descriptor| descriptor.fd).collect(),
                sockets: sockets.into_iter().map(|socket| socket.ino).collect(),
                events,
                skipped,
                more,
            },
            other => panic!("{other:?}"),
        }
    }

    async fn ack(&mut self, change: &Change) {
        self.say(&ClientMessage::Ack { rev: change.to }).await;
    }

    /// Acknowledges changes that only tell counters, up to the next with something in it.
    async fn substance(&mut self) -> Change {
        loop {
            let change = self.change().await;
            if change.from < change.to || !change.events.is_empty() {
                return change;
            }
            self.ack(&change).await;
        }
    }

    /// Takes changes until there are no more for now: the numbers that they told of.
    async fn catch_up(&mut self) -> BTreeSet<i32> {
        let mut told = BTreeSet::new();
        loop {
            let change = self.change().await;
            told.extend(change.descriptors.iter().copied());
            self.ack(&change).await;
            if !change.more {
                return told;
            }
        }
    }

    /// The close code, once everything before it is read; how many changes came before.
    async fn closed(&mut self) -> (u16, usize) {
        let mut changes = 0;
        loop {
            match self.next().await {
                Message::Close(frame) => return (frame.unwrap().code.into(), changes),
                Message::Text(_) => changes += 1,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn seqs(change: &Change) -> Vec<u64> {
    change.events.iter().map(|event| event.seq).collect()
}

#[tokio::test]
async fn everything_then_what_changed() {
    let running = Running::start(Pace::default()).await;
    running.feed(listener()).await;
    let (mut client, resumed) = running.greet(None).await;
    assert!(!resumed);
    let first = client.change().await;
    assert_eq!((first.from, first.more, first.skipped), (0, false, 0));
    assert_eq!((first.descriptors.as_slice(), first.sockets.as_slice()), (&[3][..], &["1".to_owned()][..]));
    assert_eq!(seqs(&first), [1, 2, 3]);
    assert!(first.events.iter().all(|event| event.t.is_some()));

    // Two changes of one object come as one, the latest.
    running.feed(vec![accept(200, 9, 41), close(220, 9, 41)]).await;
    client.ack(&first).await;
    let second = client.substance().await;
    assert!(second.from >= first.to && second.to > second.from, "{second:?}");
    assert_eq!(second.descriptors, [9]);
    assert_eq!(seqs(&second), [4, 5]);
    client.ack(&second).await;
    running.feed(vec![open(300, 4, 50)]).await;
    let third = client.substance().await;
    assert_eq!((third.descriptors.as_slice(), seqs(&third)), (&[4][..], vec![6]));
}

#[tokio::test]
async fn a_client_that_does_not_acknowledge_gets_one_change_and_is_sent_away() {
    let pace = Pace {
        change: Duration::from_millis(1),
        status: Duration::from_millis(1),
        patience: Duration::from_millis(400),
    };
    let running = Running::start(pace).await;
    running.feed(listener()).await;
    let (mut client, _) = running.greet(None).await;
    let change = client.change().await;
    for n in 0..50 {
        running.feed(vec![open(1_000 + n * 10, 20 + i32::try_from(n).unwrap(), 100 + n)]).await;
    }
    // An acknowledgement of something else is none.
    client.say(&ClientMessage::Ack { rev: change.to + 1000 }).await;
    assert_eq!(client.closed().await, (4008, 0));
    assert_eq!(running.changes(), 1);
    assert_eq!(running.engine.handle.counters.slow_clients.get(), 1);
}

/// Bytes that the kernel keeps for a connection in either direction: less than one change.
const SMALL: u32 = 4096;

#[tokio::test]
async fn a_client_that_stops_reading_costs_one_change_and_is_given_up() {
    let bound = TcpSocket::new_v4().unwrap();
    // What is accepted has it from its listener (tcp(7)).
    bound.set_send_buffer_size(SMALL).unwrap();
    bound.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let pace = Pace { patience: Duration::from_millis(400), ..Pace::default() };
    let running = Running::on(bound.listen(1).unwrap(), pace);
    running.feed(listener()).await;
    for n in 0..1_500 {
        running.feed(vec![open(1_000 + n * 10, 20 + i32::try_from(n).unwrap(), 100 + n)]).await;
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(SMALL).unwrap();
    let wire = socket.connect(running.address).await.unwrap();
    let (mut stream, _) = client_async(running.request(), wire).await.unwrap();
    let hello = serde_json::to_string(&ClientMessage::Hello { resume: None }).unwrap();
    stream.send(Message::text(hello)).await.unwrap();
    // Nothing is read from here on, and nothing is closed.
    let counters = &running.engine.handle.counters;
    let given_up = async {
        while counters.slow_clients.get() == 0 || counters.clients.get() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let seen = || (counters.slow_clients.get(), counters.clients.get(), counters.changes.get());
    assert!(timeout(DEADLINE, given_up).await.is_ok(), "{:?}", seen());
    assert_eq!(seen(), (1, 0, 0));
    // A hello and one change were all that waited.
    let most = counters.most_waiting.get();
    assert!(most > u64::from(2 * SMALL), "the change fits into the kernel's buffers: {most}");
    assert!(most < 2 * counters.longest_message.get(), "{most}");
    drop(stream);
}

#[tokio::test]
async fn an_idle_stream_still_tells_counters() {
    let pace = Pace { status: Duration::from_millis(20), ..Pace::default() };
    let running = Running::start(pace).await;
    let (mut client, _) = running.greet(None).await;
    for _ in 0..3 {
        let change = client.change().await;
        assert!(change.events.is_empty());
        client.ack(&change).await;
    }
}

#[tokio::test]
async fn a_known_revision_is_continued_and_an_unknown_session_is_not() {
    let running = Running::start(Pace::default()).await;
    running.feed(listener()).await;
    let (mut client, _) = running.greet(None).await;
    let first = client.change().await;
    client.ack(&first).await;
    drop(client);

    running.feed(vec![accept(200, 9, 41)]).await;
    let place = |session: &str, rev| Some(Resume { session: session.to_owned(), rev, seq: Some(3) });
    let (mut client, resumed) = running.greet(place("a", first.to)).await;
    assert!(resumed);
    let change = client.change().await;
    assert_eq!((change.from, change.descriptors.as_slice(), seqs(&change)), (first.to, &[9][..], vec![4]));

    for resume in [place("b", first.to), place("a", first.to + 1_000_000)] {
        let (mut client, resumed) = running.greet(resume).await;
        assert!(!resumed);
        let change = client.change().await;
        assert_eq!((change.from, change.descriptors.as_slice()), (0, &[3, 9][..]));
    }
    assert_eq!(running.engine.handle.counters.resyncs.get(), 2);
}

#[tokio::test]
async fn the_tail_of_events_is_bounded_and_says_what_it_left_out() {
    let running = Running::start(Pace::default()).await;
    running.feed((1..=500).map(|n| failure(n * 100)).collect()).await;
    let (mut client, _) = running.greet(None).await;
    let change = client.change().await;
    assert_eq!(seqs(&change), (301..=500).collect::<Vec<_>>());
    assert_eq!(change.skipped.to_string(), "300");
    client.ack(&change).await;
    running.feed((501..=701).map(|n| failure(n * 100)).collect()).await;
    let change = client.substance().await;
    assert_eq!((seqs(&change), change.skipped), ((502..=701).collect::<Vec<_>>(), 1));
}

#[tokio::test]
async fn a_large_beginning_comes_in_portions_that_wait_for_nothing_but_the_client() {
    // With this pace, a portion that waited for its turn would miss the deadline.
    let pace = Pace { change: Duration::from_hours(1), ..Pace::default() };
    let running = Running::start(pace).await;
    running
        .feed((0..3_000).map(|n| open(1_000 + n * 10, i32::try_from(n).unwrap(), 100 + n)).collect())
        .await;
    let (mut client, _) = running.greet(None).await;
    // Two are under way before the first is acknowledged, each of half the size.
    let first = client.change().await;
    let second = client.change().await;
    assert_eq!((first.from, second.from), (0, first.to));
    assert!((899..=900).contains(&first.descriptors.len()), "{}", first.descriptors.len());
    assert_eq!(second.descriptors.len(), 900);
    client.ack(&first).await;
    let third = client.change().await;
    assert!(third.more);
    client.ack(&second).await;
    let fourth = client.change().await;
    assert!(!fourth.more);
    client.ack(&third).await;
    client.ack(&fourth).await;
    // 3,000 descriptors and their process.
    let all = [&first, &second, &third, &fourth].map(|change| change.descriptors.len());
    assert_eq!(all.iter().sum::<usize>(), 3_000);
}

#[tokio::test]
async fn however_long_names_are_what_waits_for_a_client_is_bounded() {
    let running = Running::start(Pace::default()).await;
    // Each byte of these names takes six in JSON: 1,000 events and descriptors are 24 megabytes each.
    let long = |n: u64| open_named(1_000 + n * 10, i32::try_from(n).unwrap(), 100 + n, &[1; 4_000]);
    running.feed((0..1_000).map(long).collect()).await;
    let (mut client, _) = running.greet(None).await;
    assert_eq!(client.catch_up().await, (0..1_000).collect());
    // At the pace of what happens, too.
    running.feed((1_000..2_000).map(long).collect()).await;
    let mut told = BTreeSet::new();
    while told.len() < 1_000 {
        let change = client.substance().await;
        told.extend(change.descriptors.iter().copied());
        client.ack(&change).await;
    }
    assert_eq!(told, (1_000..2_000).collect());
    let counters = &running.engine.handle.counters;
    let (longest, most) = (counters.longest_message.get(), counters.most_waiting.get());
    assert!((450_000..=1_000_000).contains(&longest) && most <= 1_048_576, "{longest} {most}");
}

#[tokio::test]
async fn however_much_was_forgotten_before_a_client_came_it_is_told_what_there_is() {
    let running = Running::start(Pace::default()).await;
    let file = |n: u64, fd: u64| open(1_000 + n * 10, i32::try_from(fd).unwrap(), 100 + n);
    running.feed((0..3_000).map(|n| file(n, n)).collect()).await;
    let (mut early, _) = running.greet(None).await;
    let before = early.change().await;
    assert!(before.more);
    drop(early);
    // One number is used again and again: more is forgotten than evictions are remembered (65,536).
    running.feed((3_000..80_000).map(|n| file(n, 5_000)).collect()).await;

    // Who starts now gets everything, the old part first.
    let (mut client, _) = running.greet(None).await;
    let everything: BTreeSet<i32> = (0..3_000).chain([5_000]).collect();
    assert_eq!(client.catch_up().await, everything);

    // Who was told something before goes on, and is told what is left of it.
    let resume = Some(Resume { session: "a".to_owned(), rev: before.to, seq: Some(0) });
    let (mut client, resumed) = running.greet(resume).await;
    assert!(resumed);
    let mut runs = Vec::new();
    let rev = loop {
        let ServerMessage::Kept { rev, descriptors, more, .. } = client.message().await else { panic!() };
        runs.extend(descriptors);
        client.say(&ClientMessage::Ack { rev }).await;
        if !more {
            break rev;
        }
    };
    // The open ones, and the newest of those that were emptied.
    let kept: u32 = runs.iter().map(|[first, last]| last - first + 1).sum();
    assert_eq!((kept, runs.len()), (u32::try_from(3_000 + KEPT + 1).unwrap(), 2), "{runs:?}");
    assert!(rev > before.to);
    let told = client.catch_up().await;
    assert!(told.is_subset(&everything) && told.len() >= everything.len() - before.descriptors.len());
    assert_eq!(running.engine.handle.counters.kept_told.get(), 1);
    assert_eq!(running.engine.handle.counters.resyncs.get(), 0);
}

#[tokio::test]
async fn what_is_no_message_ends_the_stream() {
    let running = Running::start(Pace::default()).await;
    for bad in [
        Message::text("hello"),
        Message::text(r#"{"kind":"ack","rev":0}"#),
        Message::text(r#"{"kind":"hello"#),
        Message::binary(vec![1, 2, 3]),
    ] {
        let mut client = running.connect().await;
        client.stream.send(bad.clone()).await.unwrap();
        assert_eq!(client.closed().await, (1008, 0), "{bad:?}");
    }
    let (mut client, _) = running.greet(None).await;
    client.say(&ClientMessage::Hello { resume: None }).await;
    assert_eq!(client.closed().await.0, 1008);

    let mut client = running.connect().await;
    client.stream.send(Message::text("x".repeat(5_000))).await.unwrap();
    let answer = timeout(DEADLINE, client.stream.next()).await.unwrap();
    assert!(!matches!(answer, Some(Ok(Message::Text(_)))), "{answer:?}");
}

#[tokio::test]
async fn the_servers_end_is_told_to_every_client() {
    let mut running = Running::start(Pace::default()).await;
    running.feed(listener()).await;
    let (mut acknowledging, _) = running.greet(None).await;
    let change = acknowledging.change().await;
    acknowledging.ack(&change).await;
    let (mut silent, _) = running.greet(None).await;
    let mut mute = running.connect().await;
    running.end.take().unwrap().send(()).unwrap();
    for client in [&mut acknowledging, &mut silent, &mut mute] {
        assert_eq!(client.closed().await.0, 1001);
    }
    timeout(DEADLINE, running.server).await.expect("it did not end").unwrap().unwrap();
    assert_eq!(running.engine.handle.counters.clients.get(), 0);
}

#[tokio::test]
async fn clients_are_counted_and_bounded() {
    let running = Running::start(Pace::default()).await;
    let mut clients = Vec::new();
    for _ in 0..32 {
        clients.push(running.connect().await);
    }
    let mut request = format!("ws://{}/api/v1/live", running.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", HeaderValue::from_str(&format!("Bearer {TOKEN}")).unwrap());
    let refused = connect_async(request).await.unwrap_err().to_string();
    assert!(refused.contains("503"), "{refused}");
    assert_eq!(running.engine.handle.counters.clients.get(), 32);
}

//! A server, its engine and the inputs of a small web server: process 812, listener at 3, children from 9 on.

use crate::{
    auth::Gate,
    handle::{Handle, channel},
    live::Pace,
    server::{App, Settings, router},
};
use axum::{
    Router,
    body::Body as HttpBody,
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tower::ServiceExt as _;
use tracer_answers::known::Known;
use tracer_model::{
    address::Address,
    ids::{BootNs, ProcessKey},
    input::{Body, Call, FileRef, Input, LossCause, Lost, Options, Slot, Sock, Task},
    session::Limits,
    syscall::Syscall,
};
use tracer_wire::api::Source;

/// Boot clock's distance to the epoch, and the time of the anchor on the boot clock.
pub(super) const EPOCH_MINUS_BOOT_NS: i64 = 1_795_348_800_000_000_000;
pub(super) const T0: u64 = 1_000_000_000;
pub(super) const TOKEN: &str = "0123456789abcdef";
pub(super) const PROCESS: &str = "812@5000";
/// Port that requests name where no listener is involved.
const PORT: u16 = 4711;
/// The same as a Host header.
pub(super) const OWN: &str = "127.0.0.1:4711";

type Feed = (Vec<Input>, oneshot::Sender<()>);

/// Closed descriptors that the engine's session keeps.
pub(super) const KEPT: usize = 1_000;

/// The engine with its session, and a handle to it.
pub(super) struct Engine {
    pub(super) handle: Handle,
    inputs: mpsc::Sender<Feed>,
}

impl Engine {
    pub(super) fn start() -> Self {
        let (handle, mut questions) = channel();
        let (inputs, mut fed) = mpsc::channel::<Feed>(1);
        tokio::spawn(async move {
            // Little of what was closed is kept, so that tests can reach the limit.
            let mut known = Known::new(Limits { kept_descriptors: KEPT, ..Limits::default() });
            known.ingest(&at(0, Body::Anchor { epoch_minus_boot_ns: EPOCH_MINUS_BOOT_NS }));
            loop {
                tokio::select! {
                    Some(question) = questions.recv() => question.answer()(&known),
                    Some((inputs, done)) = fed.recv() => {
                        for input in &inputs {
                            known.ingest(input);
                        }
                        done.send(()).unwrap();
                    }
                    else => break,
                }
            }
        });
        Self { handle, inputs }
    }

    /// Returns when the session has them.
    pub(super) async fn feed(&self, inputs: Vec<Input>) {
        let (done, fed) = oneshot::channel();
        self.inputs.send((inputs, done)).await.unwrap();
        fed.await.unwrap();
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        token: TOKEN.to_owned(),
        source: Source::Live,
        selection: "pid 812".to_owned(),
        attached: vec!["tracepoint accept4".to_owned()],
        missing: Vec::new(),
        session: "a".to_owned(),
    }
}

/// The routes without a listener.
pub(super) struct Bench {
    pub(super) engine: Engine,
    router: Router,
    _alive: mpsc::Sender<()>,
    _end: watch::Sender<bool>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(Engine::start())
    }

    pub(super) fn with(engine: Engine) -> Self {
        let (alive, _) = mpsc::channel(1);
        let (end, ending) = watch::channel(false);
        let app = App {
            settings: settings(),
            handle: engine.handle.clone(),
            gate: Gate::new(TOKEN.to_owned(), PORT).unwrap(),
            pace: Pace::default(),
            ending,
            alive: alive.downgrade(),
        };
        Self { engine, router: router(Arc::new(app)), _alive: alive, _end: end }
    }

    pub(super) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(HttpBody::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// As a script with the token asks.
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("host", OWN), ("authorization", &format!("Bearer {TOKEN}"))]).await
    }
}

/// An input so many nanoseconds after the anchor.
pub(super) fn at(ns: u64, body: Body) -> Input {
    Input { ts: BootNs(T0 + ns), origin: None, late: false, body }
}

fn file(n: u64, mode: u32) -> FileRef {
    FileRef { file: 0xa000 + n, ino: n, dev: 8, mode }
}

fn slot(fd: i32, file: FileRef) -> Slot {
    Slot { fd, file: Some(file), cloexec: false, nonblock: false, name: Vec::new() }
}

fn address(port: u16) -> Address {
    Address::Inet([127, 0, 0, 1].into(), port)
}

fn call(ns: u64, call: Syscall, ret: i64, with: impl FnOnce(&mut Call)) -> Input {
    let process = ProcessKey { pid: 812, start_ns: 5000 };
    let mut call = Call {
        task: Task { process, tid: 812, files: 0xf000 },
        call,
        enter: Some(BootNs(T0 + ns - 10)),
        ret: Some(ret),
        args: [0; 4],
        subject: None,
        results: Vec::new(),
        socks: Vec::new(),
        listener: None,
        queued: None,
        queue: None,
        sleeps: None,
        asked: None,
        asked_value: None,
        path: None,
        request: None,
    };
    with(&mut call);
    at(ns, Body::Call(Box::new(call)))
}

fn tcp(n: u64, state: u16, local: Address, peer: Address) -> Sock {
    let queue_limit = if state == 10 { 128 } else { 0 };
    Sock {
        sk: 0x5000 + n,
        netns: 77,
        family: 2,
        ty: 1,
        protocol: 6,
        state,
        local,
        peer,
        queue_len: 0,
        queue_limit,
        peer_sk: 0,
        options: Options::default(),
    }
}

/// `socket`, `bind` and `listen` at 100, 120 and 140: descriptor 3, inode 1, port 80.
pub(super) fn listener() -> Vec<Input> {
    let unset = || Address::Inet([0, 0, 0, 0].into(), 0);
    let file = file(1, 0o140_777);
    vec![
        call(100, Syscall::Socket, 3, |call| {
            call.results = vec![slot(3, file)];
            call.socks = vec![tcp(1, 7, unset(), unset())];
        }),
        call(120, Syscall::Bind, 0, |call| {
            call.args = [3, 0, 0, 0];
            call.subject = Some(slot(3, file));
            call.asked = Some(address(80));
            call.socks = vec![tcp(1, 7, address(80), unset())];
        }),
        call(140, Syscall::Listen, 0, |call| {
            call.args = [3, 511, 0, 0];
            call.subject = Some(slot(3, file));
            call.socks = vec![tcp(1, 10, address(80), unset())];
        }),
    ]
}

/// The listener's child with that inode at that descriptor; its peer has port 50000 + inode.
pub(super) fn accept(ns: u64, fd: i32, n: u64) -> Input {
    call(ns, Syscall::Accept4, fd.into(), |call| {
        call.args = [3, 0, 0, 0];
        call.subject = Some(slot(3, file(1, 0o140_777)));
        call.results = vec![slot(fd, file(n, 0o140_777))];
        call.socks = vec![tcp(n, 1, address(80), address(50_000 + u16::try_from(n).unwrap()))];
        call.listener = Some(0x5001);
    })
}

pub(super) fn close(ns: u64, fd: i32, n: u64) -> Input {
    call(ns, Syscall::Close, 0, |call| {
        call.args = [fd.cast_unsigned(), 0, 0, 0];
        call.subject = Some(slot(fd, file(n, 0o140_777)));
    })
}

/// A regular file with that inode.
pub(super) fn open(ns: u64, fd: i32, n: u64) -> Input {
    open_named(ns, fd, n, b"/f")
}

pub(super) fn open_named(ns: u64, fd: i32, n: u64, path: &[u8]) -> Input {
    call(ns, Syscall::Openat, fd.into(), |call| {
        call.path = Some(path.to_vec());
        call.results = vec![Slot { name: path.to_vec(), ..slot(fd, file(n, 0o100_644)) }];
    })
}

/// A call that fails and changes nothing.
pub(super) fn failure(ns: u64) -> Input {
    call(ns, Syscall::Openat, -2, |call| call.path = Some(b"/none".to_vec()))
}

pub(super) fn loss(ns: u64, count: u64) -> Input {
    at(ns, Body::Lost(Lost { count, cause: LossCause::RingFull, cpu: Some(1) }))
}

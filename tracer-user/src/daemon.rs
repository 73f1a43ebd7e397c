//! The page and the API over an engine: the engine on a thread of its own, the server on this one.

use crate::{
    command::Command,
    engine::Engine,
    secret::Token,
    source::{Progress, Source},
    summary::Summary,
    watch::{LOOK_EVERY, all_ended},
};
use anyhow::{Context as _, Result, anyhow};
use std::{
    io::{self, Write as _},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
    signal::unix::{SignalKind, signal},
    sync::{mpsc::Receiver, oneshot},
    time::sleep,
};
use tracer_model::ids::BootNs;
use tracer_serve::{Answer, Handle, Question, Settings};

/// How long a question waits while nothing happens. The page asks a few times a second.
const ANSWER_WITHIN: Duration = Duration::from_millis(20);
/// Questions that are answered before inputs have their turn again.
const ANSWERS_AT_A_TIME: usize = 64;
/// How long an answer waits for what the kernel says of open connections: a snapshot is judged 300 ms after it was read, and
/// may have to wait for the one before.
const FRESH_WITHIN: Duration = Duration::from_millis(800);
/// Answers that wait for it; the others are given as it was last read.
const FRESH_AT_A_TIME: usize = 64;

/// A bound address. It is bound before anything is attached: nothing else fails as often.
pub(crate) struct Door {
    runtime: Runtime,
    listener: TcpListener,
    token: Token,
}

/// What a daemon needs to know about its session.
pub(crate) struct About {
    pub(crate) source: tracer_wire::api::Source,
    pub(crate) session: String,
    pub(crate) selection: String,
    pub(crate) attached: Vec<String>,
    pub(crate) missing: Vec<String>,
    /// The selected processes, where they are all that is followed, with their children.
    pub(crate) pids: Option<Vec<u32>>,
}

/// How a daemon ended.
pub(crate) struct Ended {
    pub(crate) summary: Summary,
    /// The command that was given.
    pub(crate) command: Option<Command>,
}

impl Door {
    /// Binds. It starts no thread.
    pub(crate) fn bind(listen: SocketAddr, token: Token) -> Result<Self> {
        let runtime =
            runtime::Builder::new_current_thread().enable_all().build().context("cannot start the server")?;
        let listener = runtime.block_on(tracer_serve::bind(listen))?;
        Ok(Self { runtime, listener, token })
    }

    /// Prints the URL and serves until a signal ends it, or the engine fails.
    pub(crate) fn serve<S: Source + Send + 'static>(
        self,
        engine: Engine<S>,
        mut command: Option<Command>,
        about: About,
    ) -> Result<Ended> {
        let Self { runtime, listener, token } = self;
        let listen = listener.local_addr().context("cannot read the address that was bound")?;
        let (handle, questions) = tracer_serve::channel();
        let (ending, ended) = oneshot::channel();
        let About { source, session, selection, attached, missing, pids } = about;
        print_url(listen, &token)?;
        let settings = Settings { listen, token: token.text, source, selection, attached, missing, session };
        if let Some(command) = &mut command {
            command.release()?;
        }
        let command = Arc::new(Mutex::new(command));
        let asked = Asked { command: Arc::clone(&command), pids, handle: handle.clone() };
        let engine = thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                // Dropped when the engine ends, however it ends.
                let _ending: oneshot::Sender<()> = ending;
                answer_until_closed(engine, questions)
            })
            .context("cannot start the engine's thread")?;
        let served = runtime.block_on(async {
            let shutdown = asked.until_end(ended)?;
            Ok::<_, anyhow::Error>(tracer_serve::run(listener, settings, handle, shutdown).await?)
        });
        // Connections that are still open hold the questions open.
        drop(runtime);
        let summary = engine.join().map_err(|_| anyhow!("the engine's thread panicked"))??;
        served?;
        let command = command.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Ended { summary, command })
    }
}

/// One line that a person can click and a script can read. A token that the user brought is not shown.
fn print_url(listen: SocketAddr, token: &Token) -> io::Result<()> {
    let mut stdout = io::stdout();
    match token {
        Token { text, made_up: true } => writeln!(stdout, "http://{listen}/?token={text}")?,
        Token { made_up: false, .. } => writeln!(stdout, "http://{listen}/")?,
    }
    stdout.flush()
}

/// Who may end a daemon, and what it waits for.
struct Asked {
    command: Arc<Mutex<Option<Command>>>,
    pids: Option<Vec<u32>>,
    handle: Handle,
}

impl Asked {
    /// Ends when the daemon is to end, as a trace does.
    ///
    /// SIGINT: a terminal sends it to CMD too, so CMD decides; its last events are waited for. The second one ends the daemon
    /// without waiting for CMD. SIGTERM comes to us alone and is passed on. Without a running CMD either ends the daemon.
    fn until_end(
        self,
        mut engine_ended: oneshot::Receiver<()>,
    ) -> Result<impl Future<Output = ()> + Send + 'static> {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
        Ok(async move {
            let (mut interrupted, mut asked) = (false, false);
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {
                        if interrupted || !self.is_running() {
                            return;
                        }
                        (interrupted, asked) = (true, true);
                    }
                    _ = terminate.recv() => {
                        if !self.is_running() {
                            return;
                        }
                        self.with_command(Command::terminate);
                        asked = true;
                    }
                    _ = &mut engine_ended => return,
                    () = sleep(LOOK_EVERY), if asked => {
                        if !self.is_running() && self.all_ended().await {
                            return;
                        }
                    }
                }
            }
        })
    }

    fn with_command<T>(&self, action: impl FnOnce(&mut Command) -> T) -> Option<T> {
        self.command.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(action)
    }

    fn is_running(&self) -> bool {
        self.with_command(|command| command.ended().is_none()).unwrap_or(false)
    }

    /// Whether everything that is followed has ended; nothing is waited for where others than selected processes are.
    async fn all_ended(&self) -> bool {
        let Some(pids) = self.pids.clone() else { return true };
        // An engine that does not answer is not waited for.
        self.handle.ask(move |session| all_ended(&pids, session)).await.unwrap_or(true)
    }
}

/// Answers questions between batches of input until nobody can ask any more.
fn answer_until_closed<S: Source>(
    mut engine: Engine<S>,
    mut questions: Receiver<Question>,
) -> Result<Summary> {
    let (mut progress, mut waiting) = (Progress::More, Vec::new());
    while progress == Progress::More && !questions.is_closed() {
        for _ in 0..ANSWERS_AT_A_TIME {
            match questions.try_recv() {
                Ok(Question::Fresh(answer)) if waiting.len() < FRESH_AT_A_TIME => {
                    waiting.push(Waiting {
                        answer,
                        from: engine.reread(),
                        until: Instant::now() + FRESH_WITHIN,
                    });
                }
                Ok(Question::Held(target, answer)) => {
                    let asked = engine.asked(&target);
                    answer(engine.known(), asked.as_ref());
                }
                Ok(question) => question.answer()(engine.known()),
                Err(_) => break,
            }
        }
        progress = engine.step(ANSWER_WITHIN)?;
        let read = engine.session().tables_read_at().unwrap_or(BootNs(0));
        for Waiting { answer, .. } in waiting.extract_if(.., |waiting| waiting.is_due(read)) {
            answer(engine.known());
        }
    }
    for Waiting { answer, .. } in waiting {
        answer(engine.known());
    }
    // A recording was read to its end: only questions are left.
    while let Some(question) = questions.blocking_recv() {
        question.answer()(engine.known());
    }
    engine.finish()
}

/// An answer that waits for what the kernel says of open connections.
struct Waiting {
    answer: Answer,
    /// A snapshot that began then, or later, tells it.
    from: BootNs,
    until: Instant,
}

impl Waiting {
    fn is_due(&self, read: BootNs) -> bool {
        read >= self.from || Instant::now() >= self.until
    }
}

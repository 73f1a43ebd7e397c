//! The page and the API over an engine: the engine on a thread of its own, the server on this one.

use crate::{
    command::Command,
    engine::Engine,
    secret::Token,
    source::{Progress, Source},
    summary::Summary,
};
use anyhow::{Context as _, Result, anyhow};
use std::{
    io::{self, Write as _},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
    signal::unix::{SignalKind, signal},
    sync::{mpsc::Receiver, oneshot},
};
use tracer_serve::{Handle, Question, Settings};

/// How long a question waits while nothing happens. The page asks a few times a second.
const ANSWER_WITHIN: Duration = Duration::from_millis(20);
/// Questions that are answered before inputs have their turn again.
const ANSWERS_AT_A_TIME: usize = 64;

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
}

/// How a daemon ended.
pub(crate) struct Ended {
    pub(crate) summary: Summary,
    /// SIGTERM asked for it.
    pub(crate) terminated: bool,
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
        command: Option<&mut Command>,
        about: About,
    ) -> Result<Ended> {
        let Self { runtime, listener, token } = self;
        let listen = listener.local_addr().context("cannot read the address that was bound")?;
        let (handle, questions) = tracer_serve::channel();
        let (ending, ended) = oneshot::channel();
        let About { source, session, selection, attached, missing } = about;
        print_url(listen, &token)?;
        let settings = Settings { listen, token: token.text, source, selection, attached, missing, session };
        if let Some(command) = command {
            command.release()?;
        }
        let engine = thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                // Dropped when the engine ends, however it ends.
                let _ending: oneshot::Sender<()> = ending;
                answer_until_closed(engine, questions)
            })
            .context("cannot start the engine's thread")?;
        let served = runtime.block_on(serve_until_signalled(listener, settings, handle, ended));
        // Connections that are still open hold the questions open.
        drop(runtime);
        let summary = engine.join().map_err(|_| anyhow!("the engine's thread panicked"))??;
        Ok(Ended { summary, terminated: served? })
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

/// Serves; returns whether SIGTERM ended it.
async fn serve_until_signalled(
    listener: TcpListener,
    settings: Settings,
    handle: Handle,
    engine_ended: oneshot::Receiver<()>,
) -> Result<bool> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let terminated = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&terminated);
    let shutdown = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => told.store(true, Ordering::Relaxed),
            _ = engine_ended => {}
        }
    };
    tracer_serve::run(listener, settings, handle, shutdown).await?;
    Ok(terminated.load(Ordering::Relaxed))
}

/// Answers questions between batches of input until nobody can ask any more.
fn answer_until_closed<S: Source>(
    mut engine: Engine<S>,
    mut questions: Receiver<Question>,
) -> Result<Summary> {
    let mut progress = Progress::More;
    while progress == Progress::More && !questions.is_closed() {
        for _ in 0..ANSWERS_AT_A_TIME {
            let Ok(question) = questions.try_recv() else { break };
            question(engine.session());
        }
        progress = engine.step(ANSWER_WITHIN)?;
    }
    // A recording was read to its end: only questions are left.
    while let Some(question) = questions.blocking_recv() {
        question(engine.session());
    }
    engine.finish()
}

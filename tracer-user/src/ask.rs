//! Questions that have an answer each: put to the kernel as it is now, to a recording, or to a running daemon.

use crate::exit;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use jiff::tz::TimeZone;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use tracer_answers::{
    known::Known,
    view::{Kernel, View},
};
use tracer_capture::{Connections, Glance, Selection};
use tracer_model::{ids::BootNs, session::Limits};
use tracer_recording::{Reader, RecordingError};
use tracer_wire::{api::Problem, instant::Instant};

use crate::secret::Token;

/// Whom to ask, of which instant, and how to print the answer.
#[derive(Args, Debug)]
pub(crate) struct Asking {
    /// Print one JSON object, the same as the API gives
    #[arg(long)]
    json: bool,
    /// Ask a recording (FILE) or a running daemon (http://127.0.0.1:7777) instead of the kernel
    #[arg(long, value_name = "FILE|URL")]
    from: Option<String>,
    /// The daemon's token, in FILE
    #[arg(long, value_name = "FILE", requires = "from")]
    token_file: Option<PathBuf>,
    /// Answer as of this moment: RFC 3339, nanoseconds since the epoch, or how long before the end, as -30s
    #[arg(long, value_name = "T", requires = "from", allow_hyphen_values = true)]
    at: Option<Instant>,
}

/// A question.
pub(crate) trait Question {
    /// Its answer, in the form of the API.
    type Answer: Serialize + DeserializeOwned;

    /// Where a daemon answers it, below `/api/v1/answers/`, and with which parameters.
    fn endpoint(&self) -> (&'static str, Vec<(&'static str, String)>);

    /// The answer, of a view of what `scope` names.
    fn answer(&self, view: &View<'_>, scope: &str) -> Result<Self::Answer>;

    /// The port whose connections the kernel is to be asked for, where the answer is about now.
    fn port(&self) -> Option<u16> {
        None
    }

    /// The answer for people.
    fn text(answer: &Self::Answer, zone: &TimeZone) -> String;
}

/// Asks and prints.
pub(crate) fn run<Q: Question>(question: &Q, asking: &Asking) -> Result<ExitCode> {
    let answer = match &asking.from {
        None => now(question)?,
        Some(url) if url.starts_with("http://") => daemon(question, url, asking)?,
        Some(url) if url.contains("://") => {
            bail!("{url} is no daemon of ours: those speak plain HTTP on loopback, as http://127.0.0.1:7777")
        }
        Some(file) => recording(question, Path::new(file), asking.at)?,
    };
    let text = if asking.json {
        serde_json::to_string(&answer)? + "\n"
    } else {
        Q::text(&answer, &TimeZone::system())
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(exit::DONE.into())
}

/// A snapshot: nothing is attached, and nothing stays behind.
fn now<Q: Question>(question: &Q) -> Result<Q::Answer> {
    let everything = Selection { all: true, ..Selection::default() };
    let mut glance = Glance::new(&everything)?;
    let mut known = Known::new(Limits::default());
    for input in &glance.tables()? {
        known.ingest(input);
    }
    let connections = question.port().map(|port| glance.connections(port)).transpose();
    let connections =
        connections.context("cannot come back to the network namespace that it was started in")?;
    let kernel =
        connections.map(|Connections { found, missed }| Kernel { connections: found, only: None, missed });
    let scope = "all processes, a snapshot: what was before is not known";
    let tallies = known.tallies();
    let view = View::new(known.session(), known.session().now(), &tallies).with_kernel(kernel.as_ref());
    question.answer(&view, scope)
}

/// A recording, replayed up to the instant.
fn recording<Q: Question>(question: &Q, path: &Path, at: Option<Instant>) -> Result<Q::Answer> {
    let end = match at {
        Some(Instant::Ago(_)) => end_of(path)?,
        _ => BootNs(u64::MAX),
    };
    let reader = Reader::open(path)?;
    let scope = reader.head().selection.clone();
    let mut known = Known::new(Limits::recording());
    let limit = |known: &Known| at.map_or(end, |at| at.on_boot_clock(end, known.session().wall()));
    // The model goes one input beyond the instant, and looks back at it; what was counted does not.
    let mut counted = None;
    for input in whole(reader) {
        let input = input?;
        if input.ts > limit(&known) {
            counted = Some(known.tallies());
        }
        known.ingest(&input);
        if known.session().now() >= limit(&known) {
            break;
        }
    }
    let at = limit(&known).min(known.session().now());
    let tallies = counted.unwrap_or_else(|| known.tallies());
    question.answer(&View::new(known.session(), at, &tallies), &scope)
}

/// The time of a recording's last input.
fn end_of(path: &Path) -> Result<BootNs> {
    whole(Reader::open(path)?).try_fold(BootNs(0), |end, input| Ok(end.max(input?.ts)))
}

/// The inputs of a recording; where it was cut off, those that were written whole.
fn whole(reader: Reader) -> impl Iterator<Item = Result<tracer_model::input::Input, RecordingError>> {
    reader.take_while(|input| match input {
        Err(truncated @ RecordingError::Truncated { .. }) => {
            eprintln!("sockreel: warning: {truncated}");
            false
        }
        _ => true,
    })
}

/// How long a daemon may take: it counts through a million kept events for an answer about the past.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes of an answer.
const ANSWER_BYTES: u64 = 1 << 30;

/// A daemon answers as the code here would: it is the same.
fn daemon<Q: Question>(question: &Q, url: &str, asking: &Asking) -> Result<Q::Answer> {
    // The URL that a daemon prints carries its token.
    let (base, token) = match url.split_once("/?token=") {
        Some((base, token)) => (base, Some(token.to_owned())),
        None => (url.trim_end_matches('/'), None),
    };
    let token = match &asking.token_file {
        Some(path) => Some(Token::read(path)?.text),
        None => token,
    };
    let (path, parameters) = question.endpoint();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut request = agent.get(format!("{base}/api/v1/answers/{path}"));
    for (name, value) in &parameters {
        request = request.query(*name, value);
    }
    if let Some(at) = asking.at {
        request = request.query("at", at.to_string());
    }
    if let Some(token) = &token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let mut response = request.call().with_context(|| format!("no daemon answers at {base}"))?;
    let status = response.status();
    let body = response.body_mut().with_config().limit(ANSWER_BYTES).read_to_string()?;
    if status.is_success() {
        return serde_json::from_str(&body)
            .with_context(|| format!("{base} gives no answer that this version reads"));
    }
    if status.as_u16() == 401 {
        bail!(
            "{base} does not know the token: --token-file FILE names the one that `sockreel serve` was started with"
        );
    }
    match serde_json::from_str::<Problem>(&body) {
        Ok(Problem { error }) => bail!("{base}: {error}"),
        Err(_) => bail!("{base}: status {status}"),
    }
}

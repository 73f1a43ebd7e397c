//! What watches a process in the comparison: sockreel in its two forms, and the others.

use crate::harness::{Api, Group, Sockreel, wait_for};
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::JoinHandle,
};
use tungstenite::{Message, client::IntoClientRequest as _};

/// A tool that watches one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// `sockreel trace --json -o FILE`.
    Trace,
    /// `sockreel serve`, and one client of its live stream that acknowledges as the page does.
    Serve,
    Strace,
    PerfTrace,
    Bpftrace,
}

impl Tool {
    pub(crate) const ALL: [Self; 5] =
        [Self::Trace, Self::Serve, Self::Strace, Self::PerfTrace, Self::Bpftrace];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Serve => "serve",
            Self::Strace => "strace",
            Self::PerfTrace => "perf trace",
            Self::Bpftrace => "bpftrace",
        }
    }
}

/// The calls that the others are asked for.
const CALLS: &str = "socket,socketpair,bind,listen,accept,accept4,connect,shutdown,close,dup,dup2,dup3,openat,pipe2,\
                     epoll_create1,eventfd2,fcntl,recvmsg";

/// A tool at work.
pub(crate) enum Running {
    Trace { trace: Sockreel, out: PathBuf },
    Serve { serve: Sockreel, client: JoinHandle<Result<u64>> },
    Other { group: Group, said: [PathBuf; 2] },
}

impl Running {
    /// Starts a tool on a process; returns when it sees what the process does: `poke` makes it do something.
    pub(crate) fn start(tool: Tool, pid: u32, dir: &Path, poke: impl Fn() -> Result<()>) -> Result<Self> {
        let out = dir.join(format!("{}.out", tool.name().replace(' ', "-")));
        let file = out.to_string_lossy().into_owned();
        let pid = pid.to_string();
        let mut command = match tool {
            Tool::Trace => {
                let trace = Sockreel::start(dir, "trace", ["trace", "--json", "-o", &file, "-p", &pid])?;
                wait_until_attached(&out, poke)?;
                return Ok(Self::Trace { trace, out });
            }
            Tool::Serve => {
                let mut serve =
                    Sockreel::start(dir, "serve", ["serve", "--listen", "127.0.0.1:0", "-p", &pid])?;
                let client = follow(&serve.api()?)?;
                return Ok(Self::Serve { serve, client });
            }
            Tool::Strace => {
                let mut strace = Command::new("strace");
                strace.args(["-f", "-tt", "-e", &format!("trace={CALLS}"), "-o", &file, "-p", &pid]);
                strace
            }
            Tool::PerfTrace => with_tracefs(&["perf", "trace", "-e", CALLS, "-o", &file, "-p", &pid]),
            Tool::Bpftrace => {
                let program = format!(
                    "tracepoint:syscalls:sys_exit_accept4 /pid == {pid}/ {{ printf(\"accept4 %d\\n\", args->ret); }} \
                     tracepoint:syscalls:sys_enter_close /pid == {pid}/ {{ printf(\"close %d\\n\", args->fd); }} \
                     tracepoint:sock:inet_sock_set_state \
                     {{ printf(\"state %d %d %d\\n\", args->sport, args->oldstate, args->newstate); }}"
                );
                with_tracefs(&["bpftrace", "-o", &file, "-e", &program])
            }
        };
        let err = dir.join("other.err");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&err)?);
        let group = Group::start(tool.name(), &mut command)?;
        wait_until_attached(&out, poke).with_context(|| fs::read_to_string(&err).unwrap_or_default())?;
        Ok(Self::Other { group, said: [out, err] })
    }

    /// The process that watches.
    pub(crate) fn pid(&mut self) -> u32 {
        match self {
            Self::Trace { trace: sockreel, .. } | Self::Serve { serve: sockreel, .. } => {
                sockreel.group().pid()
            }
            Self::Other { group, .. } => group.pid(),
        }
    }

    /// Ends it; what it lost, as it says itself.
    pub(crate) fn end(self) -> Result<u64> {
        match self {
            Self::Trace { trace, .. } => {
                let ended = trace.interrupt()?;
                lost(&ended.err).with_context(|| format!("no summary in {}", ended.err))
            }
            Self::Serve { mut serve, client } => {
                let lost =
                    serve.api()?.get("info")?["status"]["lost"].as_f64().context("no count of losses")?;
                serve.interrupt()?;
                let changes = client.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
                ensure!(changes > 0, "the client was told nothing");
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a count is a whole number"
                )]
                Ok(lost as u64)
            }
            Self::Other { mut group, said } => {
                group.signal(Signal::SIGINT)?;
                group.code()?;
                let mut lost = 0;
                for file in said {
                    lost += String::from_utf8_lossy(&fs::read(file)?)
                        .lines()
                        .filter_map(others_lost)
                        .sum::<u64>();
                }
                Ok(lost)
            }
        }
    }
}

/// Waits until a tool writes what it sees.
pub(crate) fn wait_until_attached(out: &Path, poke: impl Fn() -> Result<()>) -> Result<()> {
    wait_for("the tool's first output", || {
        poke()?;
        ensure!(fs::metadata(out)?.len() > 0, "{} is empty", out.display());
        Ok(())
    })
}

/// The count of losses in the summary of `trace`: `12 events, 0 lost, 0 doubtful`.
pub(crate) fn lost(summary: &str) -> Option<u64> {
    let (before, _) = summary.split_once(" lost")?;
    before.rsplit(' ').next()?.replace(',', "").parse().ok()
}

/// What a line of another tool says that it lost: `LOST 7 events!` (perf, `perf_evlist__process_events`), `Lost 7 events` (bpftrace).
fn others_lost(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace().skip_while(|word| !word.eq_ignore_ascii_case("lost")).skip(1);
    let count = words.next()?.parse().ok()?;
    words.next()?.starts_with("event").then_some(count)
}

/// A command in a mount namespace of its own that has tracefs where these tools look for it: the machine's is left as it
/// is.
pub(crate) fn with_tracefs(words: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c"]);
    command.arg(
        "mount -t debugfs none /sys/kernel/debug && mount -t tracefs none /sys/kernel/tracing; exec \"$@\"",
    );
    command.arg("sh").args(words);
    command
}

/// Follows the live stream of a daemon until it ends; the thread's result is how many changes it acknowledged.
fn follow(api: &Api) -> Result<JoinHandle<Result<u64>>> {
    let url = format!("{}/api/v1/live", api.base.replacen("http", "ws", 1));
    let mut request = url.into_client_request()?;
    let bearer = format!("Bearer {}", api.token).parse()?;
    request.headers_mut().insert("Authorization", bearer);
    let address = api.base.trim_start_matches("http://").to_owned();
    let (mut socket, _) = tungstenite::client(request, std::net::TcpStream::connect(address)?)
        .map_err(|error| anyhow::anyhow!("no live stream: {error}"))?;
    socket.send(Message::text(json!({ "kind": "hello", "resume": null }).to_string()))?;
    Ok(std::thread::spawn(move || {
        let mut changes = 0;
        loop {
            match socket.read() {
                Ok(Message::Text(text)) => {
                    let message: Value = serde_json::from_str(&text)?;
                    if message["kind"] == "change" {
                        changes += 1;
                        let ack = json!({ "kind": "ack", "rev": message["to"] });
                        socket.send(Message::text(ack.to_string()))?;
                    }
                }
                Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed) => return Ok(changes),
                Ok(_) => {}
                Err(error) => bail!("the live stream broke off after {changes} changes: {error}"),
            }
        }
    }))
}

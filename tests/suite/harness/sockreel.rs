//! The program under test.

use super::{Api, Group, Table, books_close, descendants, wait_for};
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A running sockreel; its output goes to files, which take any amount.
pub(crate) struct Sockreel {
    group: Group,
    /// It traces: where it ends well, it gives an account.
    traces: bool,
    out: PathBuf,
    err: PathBuf,
}

/// Exit codes of a sockreel that may not have got as far as an account. A command's own may be the same.
const FAILURES: [i32; 3] = [1, 2, 3];

/// How a sockreel ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Sockreel {
    /// The program, from `SOCKREEL_BIN`.
    pub(crate) fn program() -> Result<OsString> {
        std::env::var_os("SOCKREEL_BIN").context("SOCKREEL_BIN does not name the built program")
    }

    /// Starts `sockreel ARGS`; its files lie in `dir` under `name`.
    pub(crate) fn start<A: AsRef<OsStr>>(
        dir: &Path,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let mut command = Command::new(Self::program()?);
        command.args(args);
        Self::start_command(dir, name, &mut command)
    }

    /// Starts a command that becomes sockreel.
    pub(crate) fn start_command(dir: &Path, name: &str, command: &mut Command) -> Result<Self> {
        let (out, err) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.err")));
        command
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?);
        let own = || command.get_args().take_while(|argument| *argument != "--");
        let traces = own().any(|argument| argument == "trace" || argument == "serve");
        Ok(Self { group: Group::start(&format!("sockreel {name}"), command)?, traces, out, err })
    }

    /// Runs `sockreel ARGS` to its end.
    pub(crate) fn run<A: AsRef<OsStr>>(
        dir: &Path,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Ended> {
        Self::start(dir, name, args)?.ended()
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> Result<Ended> {
        let code = self.group.code().with_context(|| self.said())?;
        let ended = Ended { code, out: self.stdout()?, err: self.stderr()? };
        ensure!(!ended.err.contains("panicked"), "it panicked: {}", ended.err);
        books_close(&ended.err, self.traces && !FAILURES.contains(&code))?;
        Ok(ended)
    }

    /// Sends SIGINT again and again and waits for the end: the second one does not wait for a command that runs on.
    pub(crate) fn insist(self) -> Result<Ended> {
        self.stop()?;
        self.ended()
    }

    fn stop(&self) -> Result<()> {
        wait_for("the end after a second SIGINT", || {
            self.group.signal(Signal::SIGINT)?;
            // Not reaped yet, it still has its number.
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.group.pid()))?;
            ensure!(stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')), "it still runs");
            Ok(())
        })
    }

    /// Sends SIGINT, as Ctrl-C does, and waits for the end.
    pub(crate) fn interrupt(self) -> Result<Ended> {
        self.group.signal(Signal::SIGINT)?;
        self.ended()
    }

    pub(crate) fn stdout(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.out)?)
    }

    pub(crate) fn stderr(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.err)?)
    }

    pub(crate) fn group(&mut self) -> &mut Group {
        &mut self.group
    }

    /// The command that it started, once its program runs, and that command's descendants.
    pub(crate) fn command(&self, program: &str) -> Result<Vec<u32>> {
        wait_for(program, || {
            let below = descendants(self.group.pid())?;
            let leader = below.iter().position(|pid| {
                fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| {
                    fs::canonicalize(program).map_or_else(
                        |_| exe.file_name() == Path::new(program).file_name(),
                        |program| exe == program,
                    )
                })
            });
            let leader =
                leader.and_then(|at| below.get(at)).with_context(|| format!("not among {below:?}"))?;
            let mut pids = vec![*leader];
            pids.extend(descendants(*leader)?);
            Ok(pids)
        })
        .with_context(|| self.said())
    }

    /// The URL that `serve` or `open` prints.
    pub(crate) fn url(&mut self) -> Result<String> {
        wait_for("the URL", || {
            if !self.group.is_running()? {
                bail!("it ended");
            }
            let printed = self.stdout()? + &self.stderr()?;
            let word = printed.split_whitespace().find(|word| word.starts_with("http://"));
            word.map(str::to_owned).context("none printed")
        })
        .with_context(|| self.said())
    }

    /// The API of a `serve` or `open`.
    pub(crate) fn api(&mut self) -> Result<Api> {
        Api::new(&self.url()?)
    }

    fn said(&self) -> String {
        let said = |file: &Path| fs::read_to_string(file).unwrap_or_default();
        let (out, err) = (said(&self.out), said(&self.err));
        let head: String = out.chars().take(2000).collect();
        format!("sockreel said: {err}\nand on standard output: {head}")
    }
}

impl Drop for Sockreel {
    /// A tracer that no test has ended is ended here, so that no test can leave its books open.
    fn drop(&mut self) {
        if std::thread::panicking() || !self.group.is_running().unwrap_or(false) {
            return;
        }
        let closed = self.stop().and_then(|()| {
            let code = self.group.code()?;
            books_close(&self.stderr()?, self.traces && !FAILURES.contains(&code))
        });
        assert!(closed.is_ok(), "{closed:?}");
    }
}

/// The lines of a `--json` output; the last may be half written while it runs.
pub(crate) fn lines(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))).collect()
}

/// A descriptor table as the API tells it.
pub(crate) fn told_table(answer: &Value) -> Result<Table> {
    let rows = answer["descriptors"].as_array().context("no descriptors")?;
    rows.iter()
        .map(|row| {
            let number = row["fd"].as_i64().context("no fd")?;
            let kind = row["kind"].as_str().context("no kind")?.to_owned();
            let inode = row["ino"].as_str().context("no ino")?.parse()?;
            Ok((number, (kind, inode)))
        })
        .collect()
}

//! Reads what `strace -f -ttt -o FILE` wrote (strace(1)): calls that others interrupted in the log are joined, and a
//! line that is not understood is an error, so that nothing is left out in silence.

use super::text::{parts, unquoted_end};
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;

/// A whole log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Every call, in the order in which the calls returned.
    pub(super) calls: Vec<Call>,
    /// Thread and wait status (wait(2)) of every end.
    pub(super) ends: Vec<(u32, u32)>,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) tid: u32,
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) outcome: Outcome,
    /// As strace has it, joined.
    pub(super) text: String,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Returned(i64),
    /// Name of the error; also of those that only a tracer sees (`? ERESTARTSYS`).
    Failed(String),
    /// The thread ended inside the call.
    Unfinished,
}

/// How strace marks a call whose end comes later, or never.
const UNFINISHED: &str = " <unfinished ...>";

impl Log {
    pub(super) fn read(text: &str) -> Result<Self> {
        let mut log = Self::default();
        let mut begun: BTreeMap<u32, String> = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            log.line(line, &mut begun).with_context(|| format!("line {number} of strace's log: {line}"))?;
        }
        ensure!(begun.is_empty(), "strace's log ends inside {begun:?}");
        Ok(log)
    }

    fn line(&mut self, line: &str, begun: &mut BTreeMap<u32, String>) -> Result<()> {
        let (tid, rest) = line.split_once(' ').context("no thread")?;
        let tid = tid.parse()?;
        let (_time, what) = rest.trim_start().split_once(' ').context("no time")?;
        if what.starts_with("--- ") {
            return Ok(());
        }
        if let Some(end) = what.strip_prefix("+++ ") {
            if let Some(other) = end.strip_prefix("superseded by execve in pid ") {
                // A thread that is not the leader executes a program and takes the leader's number (execve(2)).
                let other = other.trim_end_matches(" +++").parse()?;
                let head = begun.remove(&other).context("that thread is in no call")?;
                begun.insert(tid, head);
                return Ok(());
            }
            if let Some(head) = begun.remove(&tid) {
                self.calls.push(call(tid, &format!("{head}{UNFINISHED}) = ?"))?);
            }
            self.ends.push((tid, status(end)?));
            return Ok(());
        }
        let whole = match what.strip_prefix("<... ") {
            Some(resumed) => {
                let head = begun.remove(&tid).context("nothing that could be resumed")?;
                let (name, tail) = resumed.split_once(" resumed>").context("not resumed")?;
                ensure!(head.starts_with(&format!("{name}(")), "resumes {head}");
                head + tail
            }
            None => what.to_owned(),
        };
        match whole.strip_suffix(UNFINISHED) {
            Some(head) => ensure!(begun.insert(tid, head.to_owned()).is_none(), "two calls at once"),
            None => self.calls.push(call(tid, &whole)?),
        }
        Ok(())
    }
}

fn call(tid: u32, text: &str) -> Result<Call> {
    let (name, rest) = text.split_once('(').context("no call")?;
    let made = |args: &str, outcome| Call {
        tid,
        name: name.to_owned(),
        args: parts(args),
        outcome,
        text: text.to_owned(),
    };
    let unfinished = rest.strip_suffix("= ?").and_then(|rest| rest.trim_end().strip_suffix(')'));
    if let Some(args) = unfinished.and_then(|args| args.strip_suffix(UNFINISHED)) {
        // Brackets may be open here.
        return Ok(made(args, Outcome::Unfinished));
    }
    let end = unquoted_end(rest).context("no end of the arguments")?;
    Ok(made(&rest[..end], outcome(rest[end + 1..].trim_start())?))
}

/// `= 3`, `= 3</etc/passwd>`, `= 0x1 (flags FD_CLOEXEC)`, `= -1 ENOENT (No such file or directory)`, `= ? ERESTARTSYS (...)`, `= ?`.
fn outcome(text: &str) -> Result<Outcome> {
    let text = text.strip_prefix("= ").context("no result")?;
    if let Some((number, _)) = text.split_once('<').filter(|(number, _)| number.parse::<i64>().is_ok()) {
        return Ok(Outcome::Returned(number.parse()?));
    }
    let mut words = text.split(' ');
    let value = words.next().unwrap_or_default();
    let name = words.next().filter(|name| name.starts_with('E'));
    Ok(match (value, name) {
        ("?", None) => Outcome::Unfinished,
        ("?" | "-1", Some(name)) => Outcome::Failed(name.to_owned()),
        (value, None) => Outcome::Returned(match value.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16)?,
            None => value.parse()?,
        }),
        _ => bail!("no result"),
    })
}

/// `exited with 0 +++`, `killed by SIGTERM +++`, `killed by SIGSEGV (core dumped) +++`: as wait(2) gives it.
fn status(text: &str) -> Result<u32> {
    let text = text.strip_suffix(" +++").context("no end")?;
    if let Some(code) = text.strip_prefix("exited with ") {
        return Ok(code.parse::<u32>()? << 8);
    }
    let signal = text.strip_prefix("killed by ").context("neither exited nor killed")?;
    let (name, core) = match signal.strip_suffix(" (core dumped)") {
        Some(name) => (name, 0x80),
        None => (signal, 0),
    };
    Ok(name.parse::<Signal>()? as u32 | core)
}

#[cfg(test)]
mod tests {
    use super::{Log, Outcome};

    fn read(text: &str) -> Log {
        Log::read(text).unwrap()
    }

    #[test]
    fn a_call_that_others_interrupt_is_joined() {
        let log = read(
            "7 1.000001 accept4(5,  <unfinished ...>\n\
             8 1.000002 close(3)                        = -1 EBADF (Bad file descriptor)\n\
             7 1.000003 <... accept4 resumed>{sa_family=AF_UNIX}, [128 => 2], SOCK_CLOEXEC) = 9\n",
        );
        assert_eq!(log.calls[0].outcome, Outcome::Failed("EBADF".to_owned()));
        let accept = &log.calls[1];
        assert_eq!((accept.tid, accept.name.as_str()), (7, "accept4"));
        assert_eq!(accept.args, ["5", "{sa_family=AF_UNIX}", "[128 => 2]", "SOCK_CLOEXEC"]);
        assert_eq!(accept.outcome, Outcome::Returned(9));
    }

    #[test]
    fn text_in_quotes_is_no_syntax() {
        let log = read("7 1.0 openat(AT_FDCWD, \"a, \\\") = 5 <unfinished ...>\", O_RDONLY) = 3\n");
        assert_eq!(log.calls[0].args, ["AT_FDCWD", "\"a, \\\") = 5 <unfinished ...>\"", "O_RDONLY"]);
        assert_eq!(log.calls[0].outcome, Outcome::Returned(3));
    }

    #[test]
    fn a_thread_may_end_inside_a_call() {
        let log = read(
            "7 1.0 accept(5,  <unfinished ...>\n\
             8 1.0 connect(5, {sa_family=AF_UNIX}, 2 <unfinished ...>\n\
             7 1.1 <... accept resumed> <unfinished ...>) = ?\n\
             7 1.1 +++ killed by SIGKILL +++\n\
             8 1.1 +++ exited with 3 +++\n",
        );
        assert_eq!(log.calls[0].args, ["5"]);
        assert_eq!(log.calls[1].args, ["5", "{sa_family=AF_UNIX}", "2"]);
        assert!(log.calls.iter().all(|call| call.outcome == Outcome::Unfinished));
        assert_eq!(log.ends, [(7, 9), (8, 3 << 8)]);
    }

    #[test]
    fn errors_that_only_a_tracer_sees_have_names() {
        let log =
            read("7 1.0 accept(5, NULL, NULL) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)\n");
        assert_eq!(log.calls[0].outcome, Outcome::Failed("ERESTARTSYS".to_owned()));
    }

    #[test]
    fn an_exec_of_another_thread_comes_back_under_the_leaders_number() {
        let log = read(
            "8 1.0 execve(\"/bin/true\", [\"true\"], 0x7ff /* 3 vars */ <unfinished ...>\n\
             7 1.1 +++ superseded by execve in pid 8 +++\n\
             7 1.2 <... execve resumed>) = 0\n",
        );
        assert_eq!((log.calls[0].tid, log.calls[0].args[0].as_str()), (7, "\"/bin/true\""));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(Log::read("7 1.0 something else\n").is_err());
        assert!(Log::read("7 1.0 close(3) = \n").is_err());
        assert!(Log::read("7 1.0 close(3 <unfinished ...>\n").is_err());
        assert!(Log::read("7 1.0 <... close resumed>) = 0\n").is_err());
    }
}

//! Compares what strace's log says with the lines that tell the same run: thread by thread, call by call.
//!
//! Both sides see a thread's calls in the order in which it made them, and both see every call, since both were there
//! before the first program ran. What one side may lack:
//!
//! - A call in which its thread was killed. The kernel ends the thread at a stop of ptrace, before the call is entered
//!   or after it has returned; strace then has no result, and where it was not entered there is no line.
//! - A call that sets `O_NONBLOCK` of a socket as it was before; of a socket that comes from outside, strace does not
//!   know how it was.
//! - The making of a thread, and the uses of `fcntl`, `ioctl`, `recvmsg` and `unshare` that move no descriptor: strace
//!   shows them, and no line has to (`facts`).
//! - What strace itself does, which has lines, and is not in its log (`lines`).

use super::{
    facts::{ASKING, Fact},
    lines::{Lines, Told},
    log::{Call, Log, Outcome},
    nonblocking::{NonBlocking, inode},
    text::address,
};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How far to look for the place from which both sides agree again.
const REACH: usize = 200;

/// What a comparison came to.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) threads: usize,
    /// Calls in strace's log, and calls that lines tell.
    pub(super) calls: (usize, usize),
    /// Calls that need no line and have none.
    pub(super) untold: usize,
    /// Ends of processes.
    pub(super) ends: usize,
    /// Addresses that the program itself asked for, with `getsockname` and `getpeername`.
    pub(super) addresses: usize,
    /// Calls in strace's log, by name.
    pub(super) by_name: BTreeMap<String, usize>,
    pub(super) differences: Vec<String>,
    /// The place of each call's line among all lines, by the call's place in strace's log.
    pub(super) places: BTreeMap<usize, usize>,
}

/// A call of `getsockname` or `getpeername`, and how many facts of its thread came before it.
struct Asked<'a> {
    call: &'a Call,
    after: usize,
}

/// Compares a log with the lines of the same run.
pub(super) fn compare(log: &Log, lines: &[Value]) -> Result<Comparison> {
    let root = log.calls.first().context("strace's log has no call")?.tid;
    let told = Lines::of(lines, root)?;
    let mut result = Comparison { differences: told.healed.clone(), ..Comparison::default() };
    let mut facts: BTreeMap<u32, Vec<Fact>> = BTreeMap::new();
    let mut asked: BTreeMap<u32, Vec<Asked<'_>>> = BTreeMap::new();
    let mut sockets = NonBlocking::default();
    let mut own: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, call) in log.calls.iter().enumerate() {
        let known = facts.entry(call.tid).or_default();
        if ASKING.contains(&call.name.as_str()) {
            asked.entry(call.tid).or_default().push(Asked { call, after: known.len() });
        } else if let Some(fact) = Fact::of(call, &mut sockets)? {
            *result.by_name.entry(call.name.clone()).or_default() += 1;
            result.calls.0 += 1;
            known.push(fact);
            own.entry(call.tid).or_default().push(at);
        }
    }
    result.calls.1 = told.calls.values().map(Vec::len).sum();
    let threads: BTreeSet<u32> =
        facts.keys().copied().chain(told.calls.keys().filter_map(|tid| u32::try_from(*tid).ok())).collect();
    result.threads = threads.len();
    for tid in threads {
        let known = facts.get(&tid).map_or(&[][..], Vec::as_slice);
        let lines = told.calls.get(&u64::from(tid)).map_or(&[][..], Vec::as_slice);
        let places = result.thread(tid, known, lines);
        let calls = own.get(&tid).into_iter().flatten().zip(&places);
        result.places.extend(calls.filter_map(|(at, place)| Some((*at, (*place)?))));
        for asked in asked.get(&tid).into_iter().flatten() {
            result.address(&told, asked, &places)?;
        }
    }
    result.ends(log, &told, root);
    Ok(result)
}

impl Comparison {
    /// Compares one thread; returns the place of each fact's line.
    fn thread(&mut self, tid: u32, known: &[Fact], told: &[Told]) -> Vec<Option<usize>> {
        let mut places = Vec::new();
        let mut rest = told;
        while let Some(fact) = known.get(places.len()) {
            let ahead = &known[places.len()..];
            if rest.first().is_some_and(|line| faults(fact, &line.line).is_empty()) {
                places.push(Some(rest[0].place));
                rest = &rest[1..];
                continue;
            }
            if fact.optional {
                self.untold += 1;
                places.push(None);
                continue;
            }
            let (only_known, only_told) = resume(ahead, rest);
            for at in 0..only_known.max(only_told) {
                let fact = ahead.get(at).filter(|_| at < only_known);
                let line = rest.get(at).filter(|_| at < only_told);
                self.differences.push(differ(tid, fact, line));
                if fact.is_some() {
                    places.push(line.map(|line| line.place));
                }
            }
            rest = &rest[only_told..];
        }
        self.differences.extend(rest.iter().map(|line| differ(tid, None, Some(line))));
        places
    }

    /// What the program itself was told of a socket's address, against the lines around that moment.
    fn address(&mut self, told: &Lines, asked: &Asked<'_>, places: &[Option<usize>]) -> Result<()> {
        let Asked { call, after } = asked;
        if !matches!(call.outcome, Outcome::Returned(_)) {
            return Ok(());
        }
        let Some(known) = call.args.get(1).map(|text| address(text)).transpose()?.flatten() else {
            return Ok(());
        };
        let socket = call.args.first().and_then(|fd| inode(fd));
        let inode = socket.with_context(|| format!("no socket in {}", call.text))?.parse()?;
        let from = places[..*after].iter().rev().flatten().next().copied().unwrap_or(0);
        let to = places[*after..].iter().flatten().next().copied().unwrap_or(usize::MAX);
        let found = told.addresses(inode, (from, to));
        let fits = found.iter().any(|(local, peer)| {
            let shown = if call.name == "getsockname" { local } else { peer };
            shown.as_ref().map_or_else(|| is_unset(&known), |shown| *shown == known)
        });
        // The second end of a socketpair has no line of its own, and no name.
        let fits = fits || found.is_empty() && known == "unix:";
        self.addresses += 1;
        if !fits {
            self.differences.push(format!("{} {}: lines have {found:?}", call.tid, call.text));
        }
        Ok(())
    }

    /// Wait statuses of processes. A number that was a thread's at one time and a process's at another is left out.
    fn ends(&mut self, log: &Log, told: &Lines, root: u32) {
        let (processes, threads) = made(&log.calls, root);
        for pid in processes.difference(&threads) {
            let known: Vec<u64> =
                log.ends.iter().filter(|(tid, _)| tid == pid).map(|(_, status)| u64::from(*status)).collect();
            let lines = told.ends.get(&u64::from(*pid)).cloned().unwrap_or_default();
            self.ends += known.len();
            if known != lines {
                self.differences.push(format!("{pid} ended with {known:?}, lines have {lines:?}"));
            }
        }
        for pid in told.ends.keys().filter_map(|pid| u32::try_from(*pid).ok()) {
            if !processes.contains(&pid) {
                self.differences.push(format!("{pid} ended, but strace knows no such process"));
            }
        }
    }
}

/// The processes that strace's log tells of, and the threads beside their leaders.
pub(super) fn made(calls: &[Call], root: u32) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let (mut processes, mut threads) = (BTreeSet::from([root]), BTreeSet::new());
    for call in calls {
        if let (Outcome::Returned(child), "fork" | "vfork" | "clone" | "clone3") =
            (&call.outcome, call.name.as_str())
        {
            let made = if call.text.contains("CLONE_THREAD") { &mut threads } else { &mut processes };
            made.extend(u32::try_from(*child));
        }
    }
    (processes, threads)
}

/// How many facts and lines to pass over until both sides agree again; at least one of them.
fn resume(known: &[Fact], told: &[Told]) -> (usize, usize) {
    let agree = |x: usize, y: usize| match (known.get(x), told.get(y)) {
        (Some(fact), Some(line)) => faults(fact, &line.line).is_empty(),
        (None, None) => true,
        _ => false,
    };
    (1..REACH)
        .flat_map(|far| [(far, far), (far, 0), (0, far)])
        .find(|(x, y)| *x <= known.len() && *y <= told.len() && agree(*x, *y))
        .unwrap_or((1, usize::from(!told.is_empty())))
}

/// Fields of the line that are not what strace's log says.
fn faults(fact: &Fact, line: &Value) -> Vec<String> {
    let differ = fact.says.iter().filter(|(field, value)| line[**field] != **value);
    differ.map(|(field, value)| format!("{field} is {}, not {value}", line[*field])).collect()
}

fn differ(tid: u32, fact: Option<&Fact>, line: Option<&Told>) -> String {
    match (fact, line) {
        (Some(fact), Some(line)) => {
            format!("{tid} {}: {} in {}", fact.text, faults(fact, &line.line).join(", "), line.line)
        }
        (Some(fact), None) => format!("{tid} {}: no line", fact.text),
        (None, Some(line)) => format!("{tid} is not in strace's log: {}", line.line),
        (None, None) => String::new(),
    }
}

/// Whether an address says nothing: a line leaves it out.
pub(super) fn is_unset(address: &str) -> bool {
    matches!(address, "0.0.0.0:0" | "[::]:0" | "unix:")
}

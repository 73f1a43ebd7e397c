//! Edits that are planted in either side of a run on which both agree: the comparison must find every one.

use super::{
    compare::{Comparison, compare, made},
    facts::Fact,
    fields::Agreed,
    log::{Call, Log, Outcome},
    nonblocking::NonBlocking,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One side of a run, changed at one place.
type Edit<T> = (&'static str, fn(&mut Vec<T>, usize) -> bool);

/// Edits of strace's log. An edit returns whether it fits the place.
const OF_CALLS: &[Edit<Call>] = &[
    ("drop a call", |calls, at| {
        calls.remove(at);
        true
    }),
    ("duplicate a call", |calls, at| {
        calls.insert(at, calls[at].clone());
        true
    }),
    ("swap two calls of a thread", |calls, at| {
        let differ = |next: &Call| says(next).is_some_and(|next| Some(next) != says(&calls[at]));
        let next =
            (at + 1..calls.len()).find(|next| calls[*next].tid == calls[at].tid && differ(&calls[*next]));
        next.map(|next| calls.swap(at, next)).is_some()
    }),
    ("change a result", |calls, at| match &mut calls[at].outcome {
        Outcome::Returned(ret) => {
            *ret += 1;
            true
        }
        _ => false,
    }),
    ("change an error", |calls, at| match &mut calls[at].outcome {
        Outcome::Failed(name) => {
            *name = String::from(if name == "EPERM" { "EACCES" } else { "EPERM" });
            true
        }
        _ => false,
    }),
    ("change an address", |calls, at| {
        let call = &mut calls[at];
        let asks = matches!(call.name.as_str(), "bind" | "connect");
        asks && call.args.get_mut(1).is_some_and(|arg| {
            *arg = String::from(r#"{sa_family=AF_UNIX, sun_path="/planted"}"#);
            true
        })
    }),
    ("change a thread", |calls, at| {
        calls[at].tid += 1 << 22;
        true
    }),
];

/// Edits of the lines.
const OF_LINES: &[Edit<Value>] = &[
    ("drop a line", |lines, at| {
        lines.remove(at);
        true
    }),
    ("duplicate a line", |lines, at| {
        // A `recvmsg` has a line for each descriptor: only another moment makes it another call.
        let mut again = lines[at].clone();
        again["ts_ns"] = json!(again["ts_ns"].as_u64().unwrap_or(0) + 1);
        lines.insert(at + 1, again);
        true
    }),
    ("swap two lines of a thread", |lines, at| {
        let what = |line: &Value| {
            ["call", "fd", "ret", "new_fd", "path", "fds", "asked"].map(|field| line[field].clone())
        };
        let next = (at + 1..lines.len())
            .find(|next| tells_call(&lines[*next]) && lines[*next]["tid"] == lines[at]["tid"]);
        match next.filter(|next| what(&lines[*next]) != what(&lines[at])) {
            Some(next) => {
                lines.swap(at, next);
                true
            }
            None => false,
        }
    }),
    ("change a line's result", |lines, at| {
        lines[at]["ret"] = json!(lines[at]["ret"].as_i64().unwrap_or(0) + 1);
        true
    }),
    ("change a line's error", |lines, at| {
        lines[at]["error"] = if lines[at]["error"] == "EPERM" { json!("EACCES") } else { json!("EPERM") };
        true
    }),
    ("change a line's descriptor", |lines, at| match lines[at]["fd"].as_i64() {
        Some(fd) => {
            lines[at]["fd"] = json!(fd + 1);
            true
        }
        None => false,
    }),
    ("change a line's address", |lines, at| {
        let has = lines[at]["asked"].is_string();
        if has {
            lines[at]["asked"] = json!("127.0.0.1:1");
        }
        has
    }),
    ("change a line's thread", |lines, at| {
        lines[at]["tid"] = json!(lines[at]["tid"].as_u64().unwrap_or(0) + (1 << 22));
        true
    }),
];

/// Calls of a run in which edits are planted: each edit costs a whole comparison.
const CALLS: usize = 1000;

/// Plants every edit in the first [`CALLS`] of a run on which both sides agree, as `found` says; returns how many were planted.
pub(super) fn edits_of_a_run_are_found(log: &Log, lines: &[Value], found: &Comparison) -> Result<usize> {
    let (log, lines) = begin(log, lines, found)?;
    let whole = compare(&log, &lines)?;
    ensure!(whole.differences.is_empty(), "the run's begin differs: {:?}", whole.differences);
    let fields = Agreed { log: &log, lines: &lines, found: &whole }.every_field_is_found()?;
    let planted = every_edit_is_found(&log, &lines, 1)?;
    // All but those of an error and of an address fit every run.
    let least = OF_CALLS.len() + OF_LINES.len() - 4;
    ensure!(planted >= least, "only {planted} edits of {} calls were planted", log.calls.len());
    Ok(planted + fields.len())
}

/// The first calls of strace's log, and the lines without those that tell later ones.
fn begin(log: &Log, lines: &[Value], found: &Comparison) -> Result<(Log, Vec<Value>)> {
    let calls = log.calls.get(..CALLS).unwrap_or(&log.calls).to_vec();
    let root = calls.first().context("strace's log has no call")?.tid;
    // A `recvmsg` may have several lines, at one moment.
    let moment = |line: &Value| (line["tid"].as_u64(), line["ts_ns"].as_u64(), line["call"].to_string());
    let later: BTreeSet<_> =
        found.places.range(calls.len()..).filter_map(|(_, place)| lines.get(*place)).map(moment).collect();
    let (processes, _) = made(&calls, root);
    let ends = |line: &Value| {
        line["event"] != "exit"
            || line["pid"]
                .as_u64()
                .is_some_and(|pid| u32::try_from(pid).is_ok_and(|pid| processes.contains(&pid)))
    };
    let kept = lines.iter().filter(|line| ends(line) && !later.contains(&moment(line)));
    Ok((Log { calls, ends: log.ends.clone() }, kept.cloned().collect()))
}

/// Plants every edit at `times` places of each side; returns how many were planted. One that is not found is an error.
pub(super) fn every_edit_is_found(log: &Log, lines: &[Value], times: usize) -> Result<usize> {
    let mut planted = 0;
    let covered: Vec<usize> = (0..log.calls.len()).filter(|at| says(&log.calls[*at]).is_some()).collect();
    // The first call is the one by which both sides find each other.
    for (name, edit) in OF_CALLS {
        planted += plant(&covered[1..], times, &log.calls, *edit, |calls, at| {
            let found = compare(&Log { calls, ends: log.ends.clone() }, lines)?;
            ensure!(!found.differences.is_empty(), "nobody saw: {name}, {}", log.calls[at].text);
            Ok(())
        })?;
    }
    let root = log.calls.first().map(|call| call.tid);
    let start =
        lines.iter().position(|line| line["event"] == "exec" && line["tid"] == json!(root)).unwrap_or(0);
    // Of a call in which its thread was killed strace says too little to see what was planted there.
    let mut whole: BTreeMap<(u64, &str), bool> = BTreeMap::new();
    for call in &log.calls {
        *whole.entry((call.tid.into(), &call.name)).or_insert(true) &= call.outcome != Outcome::Unfinished;
    }
    let said = |line: &Value| {
        let (tid, call) = (line["tid"].as_u64().unwrap_or(0), line["call"].as_str().unwrap_or_default());
        whole.get(&(tid, call)).copied().unwrap_or(false)
    };
    let told: Vec<usize> =
        (start + 1..lines.len()).filter(|at| tells_call(&lines[*at]) && said(&lines[*at])).collect();
    for (name, edit) in OF_LINES {
        planted += plant(&told, times, lines, *edit, |edited, at| {
            let found = compare(log, &edited)?;
            ensure!(!found.differences.is_empty(), "nobody saw: {name}, {}", lines[at]);
            Ok(())
        })?;
    }
    Ok(planted)
}

/// Plants an edit at places spread over `places`, each in a fresh copy.
fn plant<T: Clone>(
    places: &[usize],
    times: usize,
    whole: &[T],
    edit: fn(&mut Vec<T>, usize) -> bool,
    check: impl Fn(Vec<T>, usize) -> Result<()>,
) -> Result<usize> {
    let mut planted = 0;
    for turn in 0..times {
        let from = places.len() * (2 * turn + 1) / (2 * times);
        for at in &places[from..] {
            let mut copy = whole.to_vec();
            if edit(&mut copy, *at) {
                check(copy, *at)?;
                planted += 1;
                break;
            }
        }
    }
    Ok(planted)
}

fn tells_call(line: &Value) -> bool {
    line["call"].is_string() && line["via"] == "syscall" && line["pending"] != true
}

fn says(call: &Call) -> Option<Value> {
    let fact = Fact::of(call, &mut NonBlocking::default()).ok().flatten();
    fact.filter(|fact| !fact.optional).map(|fact| json!(fact.says))
}

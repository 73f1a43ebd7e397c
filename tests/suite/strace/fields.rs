//! An edit of each field that is compared, of each call that a run has, in either side: the comparison must find every one.

use super::{
    compare::{Comparison, compare, is_unset, made},
    facts::{ASKING, Fact},
    log::{Call, Log, Outcome},
    nonblocking::{NonBlocking, inode},
    text::address,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A kind of call, and a field of it.
pub(super) type Kind = (String, &'static str);

/// Thread and wait status.
type End = (u32, u32);

/// What both sides say of a run, and how they were found to agree.
pub(super) struct Agreed<'a> {
    pub(super) log: &'a Log,
    pub(super) lines: &'a [Value],
    pub(super) found: &'a Comparison,
}

/// What was planted.
#[derive(Debug, Default)]
pub(super) struct Planted {
    pub(super) in_lines: BTreeSet<Kind>,
    pub(super) in_log: BTreeSet<Kind>,
}

impl Planted {
    pub(super) fn len(&self) -> usize {
        self.in_lines.len() + self.in_log.len()
    }
}

/// Words of strace's log that stand for one another.
const WORDS: &[(&str, &str)] = &[
    ("FIOCLEX", "FIONCLEX"),
    ("FIONCLEX", "FIOCLEX"),
    ("SO_REUSEADDR", "SO_REUSEPORT"),
    ("SO_REUSEPORT", "SO_REUSEADDR"),
];

impl Agreed<'_> {
    /// Plants an edit of each field in the first call of each kind that has it. One that is not found is an error, and so is a
    /// field of which no edit could be planted.
    pub(super) fn every_field_is_found(&self) -> Result<Planted> {
        let mut planted = Planted::default();
        let mut said = BTreeSet::new();
        let mut sockets = NonBlocking::default();
        for (at, call) in self.log.calls.iter().enumerate() {
            let before = sockets.clone();
            let fact = Fact::of(call, &mut sockets)?;
            if let (Some(fact), Some(place)) =
                (fact.filter(|fact| !fact.optional), self.found.places.get(&at))
            {
                said.extend(fact.says.keys().copied());
                self.in_line(&fact, call, *place, &mut planted)?;
                self.in_call(&fact, at, &before, &mut planted)?;
            }
            if ASKING.contains(&call.name.as_str()) {
                self.addresses(at, &mut planted)?;
            }
        }
        for (side, planted) in [("lines", &planted.in_lines), ("strace's log", &planted.in_log)] {
            let fields: BTreeSet<&str> = planted.iter().map(|(_, field)| *field).collect();
            let missing: Vec<_> = said.difference(&fields).collect();
            ensure!(missing.is_empty(), "no edit of {missing:?} was planted in {side}");
        }
        self.ends(&mut planted)?;
        Ok(planted)
    }

    fn in_line(&self, fact: &Fact, call: &Call, place: usize, planted: &mut Planted) -> Result<()> {
        for (field, known) in &fact.says {
            if planted.in_lines.insert((call.name.clone(), field)) {
                let mut lines = self.lines.to_vec();
                lines[place][*field] = other(known);
                must_see(self.log, &lines, &format!("another {field}: {}", lines[place]))?;
            }
        }
        Ok(())
    }

    fn in_call(&self, fact: &Fact, at: usize, before: &NonBlocking, planted: &mut Planted) -> Result<()> {
        for edited in edits(&self.log.calls[at]) {
            // What no call can say is no edit.
            let Ok(after) = Fact::of(&edited, &mut before.clone()) else { continue };
            let changed: Vec<&'static str> = match &after {
                Some(after) if after.optional => continue,
                Some(after) => after
                    .says
                    .iter()
                    .filter(|(field, value)| fact.says.get(*field) != Some(*value))
                    .map(|(field, _)| *field)
                    .collect(),
                // A flag that was so before: strace's side says nothing of the call.
                None if fact.says.contains_key("nonblock") => vec!["nonblock"],
                None => continue,
            };
            let kind = |field: &&'static str| (self.log.calls[at].name.clone(), *field);
            if changed.iter().all(|field| planted.in_log.contains(&kind(field))) {
                continue;
            }
            let text = format!(
                "{changed:?} of {} as of {}{:?}: {:?}",
                self.log.calls[at].text, edited.name, edited.args, edited.outcome
            );
            must_see(&self.with(at, edited), self.lines, &text)?;
            planted.in_log.extend(changed.iter().map(kind));
        }
        Ok(())
    }

    fn with(&self, at: usize, call: Call) -> Log {
        let mut calls = self.log.calls.clone();
        calls[at] = call;
        Log { calls, ends: self.log.ends.clone() }
    }

    /// What a program was told of its socket's address, and what lines say of that socket.
    fn addresses(&self, at: usize, planted: &mut Planted) -> Result<()> {
        let call = &self.log.calls[at];
        let field = if call.name == "getsockname" { "local" } else { "peer" };
        let kind = (call.name.clone(), field);
        let of = |call: &Call| {
            call.args
                .get(1)
                .and_then(|text| address(text).ok().flatten())
                .filter(|address| !is_unset(address))
        };
        let Some(known) = of(call).filter(|_| matches!(call.outcome, Outcome::Returned(_))) else {
            return Ok(());
        };
        let another = |edited: &Call| of(edited).is_some_and(|address| address != known);
        if !planted.in_log.contains(&kind)
            && let Some(edited) =
                edits(call).into_iter().filter(|edited| edited.outcome == call.outcome).find(another)
        {
            must_see(&self.with(at, edited), self.lines, &call.text)?;
            planted.in_log.insert(kind.clone());
        }
        let inode = call.args.first().and_then(|fd| inode(fd)).map(str::parse::<u64>).transpose()?;
        let socket = self
            .lines
            .iter()
            .find(|line| inode.is_some() && line["inode"].as_u64() == inode)
            .map(|line| &line["socket"]);
        let Some(socket) = socket.filter(|_| !planted.in_lines.contains(&kind)) else { return Ok(()) };
        let mut lines = self.lines.to_vec();
        for line in lines.iter_mut().filter(|line| line["socket"] == *socket && line[field].is_string()) {
            line[field] = other(&line[field]);
        }
        if lines != self.lines {
            must_see(self.log, &lines, &format!("another {field} of {socket}: {}", call.text))?;
            planted.in_lines.insert(kind);
        }
        Ok(())
    }

    /// Ends of processes, and lines that must not be there.
    fn ends(&self, planted: &mut Planted) -> Result<()> {
        let root = self.log.calls.first().context("strace's log has no call")?.tid;
        let (processes, threads) = made(&self.log.calls, root);
        let is_end = |pid: u32| processes.contains(&pid) && !threads.contains(&pid);
        let at = self.log.ends.iter().position(|(pid, _)| is_end(*pid)).context("no process ended")?;
        let (pid, _) = self.log.ends[at];
        let place = self.lines.iter().position(|line| line["event"] == "exit" && line["pid"] == pid);
        let place = place.with_context(|| format!("no line tells the end of {pid}"))?;
        let mut in_log = |field, edit: &dyn Fn(&mut Vec<End>)| {
            let mut ends = self.log.ends.clone();
            edit(&mut ends);
            planted.in_log.insert(("exit".to_owned(), field));
            must_see(
                &Log { calls: self.log.calls.clone(), ends },
                self.lines,
                &format!("{field} of the end of {pid}"),
            )
        };
        in_log("status", &|ends| ends[at].1 ^= 0x100)?;
        in_log("pid", &|ends| ends[at].0 += 1 << 22)?;
        in_log("removed", &|ends| _ = ends.remove(at))?;
        in_log("doubled", &|ends| ends.insert(at, ends[at]))?;
        let mut in_lines = |field, edit: &dyn Fn(&mut Vec<Value>)| {
            let mut lines = self.lines.to_vec();
            edit(&mut lines);
            planted.in_lines.insert(("exit".to_owned(), field));
            must_see(self.log, &lines, &format!("{field} at {}", self.lines[place]))
        };
        in_lines("status", &|lines| lines[place]["status"] = other(&lines[place]["status"]))?;
        in_lines("pid", &|lines| lines[place]["pid"] = (u64::from(pid) + (1 << 22)).into())?;
        in_lines("removed", &|lines| _ = lines.remove(place))?;
        in_lines("doubled", &|lines| lines.insert(place, lines[place].clone()))?;
        in_lines("repair", &|lines| lines.insert(place, json!({"event": "repair", "fd": 3})))?;
        in_lines("lost", &|lines| lines.insert(place, json!({"event": "lost", "count": 1})))
    }
}

fn must_see(log: &Log, lines: &[Value], what: &str) -> Result<()> {
    ensure!(!compare(log, lines)?.differences.is_empty(), "nobody saw {what}");
    Ok(())
}

/// A value that is not that one.
fn other(value: &Value) -> Value {
    match value {
        Value::Bool(value) => (!value).into(),
        Value::Number(number) => (number.as_i64().unwrap_or(0) + 1).into(),
        Value::String(text) => format!("{text}x").into(),
        Value::Array(values) => values.get(1..).unwrap_or_default().into(),
        _ => json!("x"),
    }
}

/// Calls that differ from that one in one place.
fn edits(call: &Call) -> Vec<Call> {
    let with = |change: &dyn Fn(&mut Call)| {
        let mut call = call.clone();
        change(&mut call);
        call
    };
    let mut all = Vec::new();
    for (at, arg) in call.args.iter().enumerate() {
        all.extend(other_texts(arg).into_iter().map(|text| with(&|call| call.args[at].clone_from(&text))));
    }
    let name = if call.name.starts_with("recv") {
        call.name.replacen("recv", "send", 1)
    } else {
        call.name.replacen("send", "recv", 1)
    };
    // Nothing is asked of the arguments of this one.
    for name in [name.as_str(), "eventfd"].into_iter().filter(|name| *name != call.name) {
        all.push(with(&|call| name.clone_into(&mut call.name)));
    }
    let outcomes = match &call.outcome {
        Outcome::Returned(ret) => vec![Outcome::Returned(ret + 1), Outcome::Failed("EPERM".to_owned())],
        Outcome::Failed(name) => {
            vec![
                Outcome::Failed(if name == "EPERM" { "EACCES" } else { "EPERM" }.to_owned()),
                Outcome::Returned(0),
            ]
        }
        Outcome::Unfinished => Vec::new(),
    };
    all.extend(outcomes.into_iter().map(|outcome| with(&|call| call.outcome = outcome.clone())));
    all
}

/// Arguments that differ from that one in one number, one word or one string.
fn other_texts(arg: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut begin = 0;
    for part in arg.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        let word = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let end = begin + word.len();
        let mut put = |text: &str| all.push(format!("{}{text}{}", &arg[..begin], &arg[end..]));
        if let Ok(number) = word.parse::<u32>() {
            put(&(number ^ 1).to_string());
        } else if let Some((_, instead)) = WORDS.iter().find(|(known, _)| *known == word) {
            put(instead);
        } else if word.len() > 1 && word.starts_with(|c: char| c.is_ascii_uppercase()) {
            put("");
            put(&format!("{word}X"));
        }
        begin += part.len();
    }
    if let Some(quote) = arg.find('"') {
        all.push(format!("{}planted{}", &arg[..=quote], &arg[quote + 1..]));
    } else {
        all.push(format!("{arg}|O_CLOEXEC"));
    }
    all
}

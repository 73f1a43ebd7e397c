//! Each answer has three forms and one engine behind them: of one instant, a daemon, its recording, the verb and the page of
//! that recording answer alike.

use crate::harness::{Api, Server, Sockreel, hold, signal_pid, visits, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{fs, path::Path};

/// Nothing is told so long before and after a moment that is asked for.
const QUIET_NS: u64 = 100_000_000;
/// So much later it is the past.
const LATER_NS: u64 = 2_000_000_000;

/// One question, as an endpoint has it and as a verb has it.
struct Question {
    endpoint: String,
    verb: Vec<String>,
}

fn questions(port: u16, pid: u32, since: &str) -> Vec<Question> {
    let asked = |endpoint: String, verb: &str| Question {
        endpoint,
        verb: verb.split(' ').map(str::to_owned).collect(),
    };
    let mut all: Vec<_> = ["who", "handovers", "queues", "slow", "balance"]
        .iter()
        .map(|name| asked(format!("{name}?of={port}"), &format!("{name} {port}")))
        .collect();
    all.extend(
        ["leaks", "handovers", "queues", "slow", "balance"].map(|name| asked(format!("{name}?"), name)),
    );
    all.extend([
        asked(format!("connections?of={port}&ended=true"), &format!("connections {port} --ended")),
        asked("connections?".to_owned(), "connections"),
        asked("sockets?tcp=true".to_owned(), "sockets -t"),
        asked(format!("fds?pid={pid}"), &format!("fds {pid}")),
        asked(format!("fds?pid={pid}&inherited=true"), &format!("fds {pid} --inherited")),
        asked(format!("fds?since={since}"), &format!("fds --since {since}")),
    ]);
    all
}

/// What depends on how the clocks stood when the answer was given, or says how long ago something was: the distance between the
/// boot clock and the epoch is measured anew each second.
fn without_clocks(answer: &mut Value) {
    match answer {
        Value::Object(fields) => {
            fields.retain(|name, _| {
                !["at", "ts_ns", "age_ns", "oldest_ns", "reached_in_ns"].contains(&name.as_str())
            });
            fields.values_mut().for_each(without_clocks);
        }
        Value::Array(list) => list.iter_mut().for_each(without_clocks),
        _ => {}
    }
}

/// The first place at which two answers differ.
fn difference(one: &Value, two: &Value, place: &str) -> Option<String> {
    match (one, two) {
        (Value::Object(one), Value::Object(two)) => {
            let names = one.keys().chain(two.keys());
            names.into_iter().find_map(|name| {
                let absent = Value::Null;
                let (one, two) = (one.get(name).unwrap_or(&absent), two.get(name).unwrap_or(&absent));
                difference(one, two, &format!("{place}.{name}"))
            })
        }
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            let pairs = one.iter().zip(two).enumerate();
            pairs.into_iter().find_map(|(at, (one, two))| difference(one, two, &format!("{place}[{at}]")))
        }
        _ => (one != two).then(|| format!("{place}: {one} or {two}")),
    }
}

fn verb(dir: &Path, question: &Question, from: &str, at: &str) -> Result<Value> {
    let more = ["--json", "--from", from, "--at", at].map(str::to_owned);
    let ended = Sockreel::run(dir, "verb", question.verb.iter().cloned().chain(more))?;
    ensure!(ended.code == 0, "{:?}: {}", question.verb, ended.err);
    Ok(serde_json::from_str(&ended.out)?)
}

fn moment(answer: &Value) -> Result<u64> {
    answer["basis"]["at"]["ts_ns"].as_u64().context("no moment")
}

/// A moment around which nothing is told: what went on has ended by then. Two forms of an answer may put an event some
/// microseconds apart, which is on different sides of a moment that is nearer to it.
fn quiet_moment(api: &Api) -> Result<u64> {
    let newest = || moment(&api.get("answers/slow")?);
    let begin = newest()?;
    wait_for("a while without events", || {
        let now = newest()?;
        ensure!(now > begin + 2 * QUIET_NS, "{now} and {begin}");
        Ok(())
    })?;
    Ok(begin + QUIET_NS)
}

fn endpoint(api: &Api, question: &Question, at: &str) -> Result<Value> {
    api.get(&format!("answers/{}&at={at}", question.endpoint))
}

#[test]
fn every_answer_is_the_same_in_each_of_its_forms() -> Result<()> {
    let server = Server::nginx()?;
    let dir = tempfile::tempdir()?;
    let recording = dir.path().join("r.mcap");
    let file = recording.to_str().context("no UTF-8")?;
    let options = ["serve", "--listen", "127.0.0.1:0", "--sched", "--peek", "--record", file, "--"];
    let args = options.into_iter().map(str::to_owned).chain(server.argv.iter().cloned());
    let mut daemon = Sockreel::start(dir.path(), "serve", args)?;
    let url = daemon.url()?;
    let api = daemon.api()?;
    server.wait_until_it_listens()?;
    let master: u32 = fs::read_to_string(server.dir().join("nginx.pid"))?.trim().parse()?;
    let since = quiet_moment(&api)?.to_string();
    // Connections that ended, one that stays, and workers that came and went.
    visits(&server, 40)?;
    signal_pid(master, Signal::SIGHUP)?;
    let of_port = format!("answers/handovers?of={}", server.port);
    wait_for("the reload", || {
        let answer = api.get(&of_port)?;
        let owners = answer["sockets"][0]["owners"].as_array().context("no owners")?;
        let gone = owners.iter().filter(|owner| owner["until"].is_object()).count();
        ensure!(owners.len() == 5 && gone == 2, "{answer}");
        Ok(())
    })?;
    let _kept = hold(&server)?;
    visits(&server, 10)?;
    wait_for("the accepts", || {
        let answer = api.get(&format!("answers/balance?of={}", server.port))?;
        ensure!(answer["groups"][0]["members"][0]["accepted"].as_u64() >= Some(51), "{answer}");
        Ok(())
    })?;
    // It becomes the past: something happens after it.
    let at = quiet_moment(&api)?;
    visits(&server, 10)?;
    wait_for("a later moment", || {
        let now = moment(&api.get("answers/slow")?)?;
        ensure!(now > at + LATER_NS, "{now} and {at}");
        Ok(())
    })?;

    let at = at.to_string();
    let questions = questions(server.port, master, &since);
    let of_daemon: Vec<[Value; 2]> = questions
        .iter()
        .map(|question| Ok([endpoint(&api, question, &at)?, verb(dir.path(), question, &url, &at)?]))
        .collect::<Result<_>>()?;
    daemon.insist()?;
    let mut page = Sockreel::start(dir.path(), "open", ["open", file])?;
    let opened = page.api()?;
    let mut different = Vec::new();
    for (question, of_daemon) in questions.iter().zip(of_daemon) {
        let of_page = endpoint(&opened, question, &at)?;
        let of_file = verb(dir.path(), question, file, &at)?;
        let [mut first, of_verb] = of_daemon;
        let without_clocks = |answer: &mut Value| {
            without_clocks(answer);
            // What was asked for, by such a distance.
            answer.as_object_mut().map(|answer| answer.remove("since"));
        };
        without_clocks(&mut first);
        for (form, mut other) in [("--from URL", of_verb), ("open", of_page), ("--from FILE", of_file)] {
            without_clocks(&mut other);
            let apart = difference(&first, &other, "");
            different.extend(apart.map(|apart| format!("{} of {form}: {apart}", question.endpoint)));
        }
    }
    page.interrupt()?;
    ensure!(different.is_empty(), "{different:#?}");
    Ok(())
}

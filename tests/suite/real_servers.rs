//! Each real server, started under `trace` and attached while it runs: listeners, children, tables, loss, replay.

use crate::harness::{
    Account, Api, Expected, Page, Server, Sockreel, Table, hold, lines, sound, table, visits, wait_for,
};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Connections of a test; few enough for the page to list every one.
const CONNECTIONS: usize = 10;

/// Further connections at full size.
fn further() -> usize {
    if std::env::var_os("SOCKREEL_FULL").is_some() { 500 } else { 0 }
}

macro_rules! servers {
    ($($name:ident)*) => {$(
        mod $name {
            use super::{Result, Server, attached, started};

            #[test]
            fn started_under_trace_tells_every_socket() -> Result<()> {
                started(&Server::$name()?)
            }

            #[test]
            fn attached_while_it_runs_tells_every_socket() -> Result<()> {
                attached(&Server::$name()?)
            }
        }
    )*};
}

servers! { nginx redis python node }

fn started(server: &Server) -> Result<()> {
    let (out, reel) = (server.dir().join("out.jsonl"), server.dir().join("out.reel"));
    let mut args: Vec<OsString> = vec![
        "trace".into(),
        "--json".into(),
        "--check".into(),
        "off".into(),
        "-o".into(),
        out.clone().into(),
        "--record".into(),
        reel.clone().into(),
    ];
    args.push("--".into());
    args.extend(server.argv.iter().map(OsString::from));
    let mut trace = Sockreel::start(server.dir(), "trace", &args)?;
    server.wait_until_it_listens().with_context(|| trace.stderr().unwrap_or_default())?;
    let pids = trace.command(&server.argv[0])?;
    let mut expected = Expected {
        backlog: Some(server.backlog),
        asked_backlog: server.backlog,
        before: Vec::new(),
        since: visits(server, CONNECTIONS + further())?,
        open: Vec::new(),
    };
    let (held, stream) = hold(server)?;
    expected.open.push(held.port);
    expected.since.push(held);
    let address = server.address();
    wait_for("the lines", || expected.check(&Account::of_lines(&lines(&out)?, &address)?))?;

    let (at, tables) = quiet_tables(&pids)?;
    drop(stream);
    expected.open.clear();
    wait_for("the last close", || expected.check(&Account::of_lines(&lines(&out)?, &address)?))?;
    let leader = pids.first().copied().context("no process")?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(leader)?), Signal::SIGTERM)?;
    ensure!(trace.group().code()? == server.code_after_term, "exit code {}", trace.group().code()?);
    let ended = trace.ended()?;
    let written = lines(&out)?;
    sound(&written)?;
    summary_is_clean(&ended.err)?;

    let dump =
        Sockreel::run(server.dir(), "dump", [OsString::from("dump"), "--json".into(), reel.clone().into()])?;
    ensure!(dump.code == 0, "dump ended with {}: {}", dump.code, dump.err);
    same_text("dump --json", &dump.out, &fs::read_to_string(&out)?)?;

    // The recording's API tells the same, and every table at the quiet moment.
    let mut open = Sockreel::start(server.dir(), "open", open_args(&reel))?;
    let api = open.api()?;
    wait_for("the recording's sockets", || {
        expected.check(&Account::of_api(&api.get("sockets")?, &address)?)
    })?;
    for (pid, known) in &tables {
        same_table(*pid, &api.table(*pid, Some(at))?, known)?;
    }
    ensure!(api.events()? == written, "the recording's events are not the lines");
    ensure!(open.interrupt()?.code == 0, "open did not end well");
    Ok(())
}

fn attached(server: &Server) -> Result<()> {
    let group = server.start()?;
    let mut pids = vec![group.pid()];
    pids.extend(crate::harness::descendants(group.pid())?);
    let (first, first_stream) = hold(server)?;
    let (second, second_stream) = hold(server)?;

    let (out, reel) = (server.dir().join("out.jsonl"), server.dir().join("out.reel"));
    let select = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]).map(OsString::from);
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(OsString::from).into();
    args.push(out.clone().into());
    args.extend(select.clone());
    let trace = Sockreel::start(server.dir(), "trace", &args)?;
    let mut args: Vec<OsString> =
        ["serve", "--check", "off", "--listen", "127.0.0.1:0", "--record"].map(OsString::from).into();
    args.push(reel.clone().into());
    args.extend(select);
    let mut serve = Sockreel::start(server.dir(), "serve", &args)?;
    let url = serve.url()?;
    let api = serve.api()?;
    let mut page = Page::open(&url)?;

    let mut expected = Expected {
        backlog: None,
        asked_backlog: server.backlog,
        open: vec![first.port, second.port],
        before: vec![first, second],
        since: Vec::new(),
    };
    let address = server.address();
    let check = |expected: &Expected| -> Result<()> {
        wait_for("the lines", || expected.check(&Account::of_lines(&lines(&out)?, &address)?))
            .with_context(|| trace.stderr().unwrap_or_default())?;
        wait_for("the API", || expected.check(&Account::of_api(&api.get("sockets")?, &address)?))
    };
    check(&expected)?;
    page_shows(&mut page, &expected, &api, &address)?;

    expected.since = visits(server, CONNECTIONS)?;
    drop(first_stream);
    expected.open.remove(0);
    check(&expected)?;
    page_shows(&mut page, &expected, &api, &address)?;
    expected.since.extend(visits(server, further())?);
    check(&expected)?;
    let (_, tables) = quiet_tables(&pids)?;
    for (pid, known) in &tables {
        same_table(*pid, &api.table(*pid, None)?, known)?;
    }
    drop(second_stream);
    expected.open.clear();
    check(&expected)?;

    let ended = trace.interrupt()?;
    ensure!(ended.code == 0, "trace ended with {}: {}", ended.code, ended.err);
    summary_is_clean(&ended.err)?;
    sound(&lines(&out)?)?;
    let status = api.get("info")?;
    ensure!(status["status"]["lost"] == 0.0, "the daemon lost events: {status}");
    let told = api.events()?;
    let ended = serve.interrupt()?;
    ensure!(ended.code == 0, "serve ended with {}: {}", ended.code, ended.err);
    let dump = Sockreel::run(server.dir(), "dump", [OsString::from("dump"), "--json".into(), reel.into()])?;
    ensure!(dump.code == 0, "dump ended with {}: {}", dump.code, dump.err);
    let replayed: Vec<Value> = dump.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(replayed.get(..told.len()) == Some(&told), "the recording does not begin as the API told");
    expected.check(&Account::of_lines(&replayed, &address)?)?;
    sound(&replayed)
}

pub(crate) fn open_args(reel: &Path) -> [OsString; 4] {
    ["open".into(), "--listen".into(), "127.0.0.1:0".into(), reel.into()]
}

/// The tables of processes at an instant when none of them changes: the same before and after it.
fn quiet_tables(pids: &[u32]) -> Result<(u128, BTreeMap<u32, Table>)> {
    let read = || pids.iter().map(|pid| Ok((*pid, table(*pid)?))).collect::<Result<BTreeMap<_, _>>>();
    wait_for("a quiet moment", || {
        let before = read()?;
        let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let after = read()?;
        ensure!(before == after, "{before:?} became {after:?}");
        Ok((at, after))
    })
}

fn same_table(pid: u32, told: &Table, known: &Table) -> Result<()> {
    let only = |a: &Table, b: &Table| {
        a.iter()
            .filter(|(fd, what)| b.get(fd) != Some(what))
            .map(|(fd, what)| format!("{fd} {what:?}"))
            .collect::<Vec<_>>()
    };
    ensure!(
        told == known,
        "the table of {pid}: told {:?}, but /proc/{pid}/fd has {:?}",
        only(told, known),
        only(known, told)
    );
    Ok(())
}

/// The summary on standard error says how many were lost: none.
fn summary_is_clean(err: &str) -> Result<()> {
    let summary = err.lines().find(|line| line.contains("lost") && line.contains("doubtful"));
    let summary = summary.with_context(|| format!("no summary in {err}"))?;
    let before = summary.split("lost").next().unwrap_or_default().trim().to_owned();
    ensure!(before.ends_with(" 0"), "the summary tells a loss: {summary}");
    Ok(())
}

fn same_text(what: &str, seen: &str, known: &str) -> Result<()> {
    for (number, (seen, known)) in (1..).zip(seen.lines().zip(known.lines())) {
        ensure!(seen == known, "{what}, line {number}: {seen}\nnot {known}");
    }
    ensure!(seen.len() == known.len(), "{what} has {} bytes, not {}", seen.len(), known.len());
    Ok(())
}

/// The page's rows are the listeners and children that the API tells.
fn page_shows(page: &mut Page, expected: &Expected, api: &Api, address: &str) -> Result<()> {
    wait_for("the page's rows", || {
        let account = Account::of_api(&api.get("sockets")?, address)?;
        expected.check(&account)?;
        let rows = page.rows()?;
        let shown = |id: &str, attributes: &[(&str, &str)]| {
            let of_socket: Vec<&Value> = rows.iter().filter(|row| row["socket"] == id).collect();
            let fits =
                of_socket.iter().any(|row| attributes.iter().all(|(name, value)| row[*name] == *value));
            ensure!(fits, "no row of {id} has {attributes:?}, of {} rows: {of_socket:?}", rows.len());
            Ok(())
        };
        for id in account.listeners.keys() {
            shown(id, &[("local", address), ("state", "listening")])?;
        }
        for (id, child) in &account.children {
            let listener = child.listener.as_deref().unwrap_or_default();
            shown(id, &[("local", address), ("peer", &child.peer), ("listener", listener)])?;
        }
        Ok(())
    })
}

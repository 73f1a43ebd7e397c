//! Descriptor tables in time, and what is communicated through them: `fds`, against `/proc/PID/fd` and a program's own word.

use crate::{
    harness::{Server, Sockreel, Table, descendants, hold, signal_pid, table, wait_for},
    holders::answer,
};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

/// The rows of one process.
fn rows(fds: &Value, pid: u32) -> Result<Vec<Value>> {
    let tables = fds["tables"].as_array().context("no tables")?;
    let table =
        tables.iter().find(|table| table["pid"] == pid).with_context(|| format!("no {pid} in {fds}"))?;
    Ok(table["descriptors"].as_array().context("no descriptors")?.clone())
}

#[test]
fn a_snapshot_is_what_proc_shows() -> Result<()> {
    let server = Server::nginx()?;
    let group = server.start()?;
    let mut pids = descendants(group.pid())?;
    pids.push(group.pid());
    let args: Vec<String> = pids.iter().map(u32::to_string).collect();
    let args: Vec<&str> = std::iter::once("fds").chain(args.iter().map(String::as_str)).collect();
    let fds = answer(server.dir(), &args)?;
    for pid in pids {
        assert_eq!(told(&fds, pid)?, table(pid)?, "{pid}");
    }
    Ok(())
}

/// The table of one process, as it is told.
fn told(fds: &Value, pid: u32) -> Result<Table> {
    rows(fds, pid)?
        .iter()
        .map(|row| {
            let ino = row["ino"].as_str().context("no ino")?.parse()?;
            let kind = row["kind"].as_str().context("no kind")?.to_owned();
            Ok((row["fd"].as_i64().context("no fd")?, (kind, ino)))
        })
        .collect()
}

/// Tables of nginx before clients came, while they stay, and after a reload; and what changed from each to the next: by
/// `/proc/PID/fd` of those moments.
#[test]
fn past_tables_of_nginx_and_what_changed_between_them() -> Result<()> {
    let server = Server::nginx()?;
    let dir = server.dir();
    let options = ["serve", "--listen", "127.0.0.1:0", "--"].map(str::to_owned);
    let mut serve = Sockreel::start(dir, "serve", options.iter().chain(&server.argv))?;
    let url = serve.url()?;
    server.wait_until_it_listens()?;
    let master: u32 = fs::read_to_string(dir.join("nginx.pid"))?.trim().parse()?;
    let mut moments: Vec<(String, BTreeMap<u32, Table>)> = Vec::new();
    let mut note = || -> Result<()> {
        let mut pids = descendants(master)?;
        pids.push(master);
        let tables = || pids.iter().map(|pid| Ok((*pid, table(*pid)?))).collect::<Result<BTreeMap<_, _>>>();
        // Nothing happens any more: all of them wait for clients.
        let known = wait_for("tables that stay", || {
            let (before, at) = (tables()?, SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos());
            let after = tables()?;
            ensure!(before == after, "{before:?}, then {after:?}");
            Ok((at.to_string(), after))
        })?;
        moments.push(known);
        Ok(())
    };
    note()?;
    let (_, one) = hold(&server)?;
    let (_, two) = hold(&server)?;
    note()?;
    let old = descendants(master)?;
    drop(two);
    signal_pid(master, Signal::SIGHUP)?;
    // Old workers end when their clients have gone.
    drop(one);
    wait_for("the reload", || {
        let now = descendants(master)?;
        ensure!(now.len() == 2 && now.iter().all(|pid| !old.contains(pid)), "{old:?} became {now:?}");
        Ok(())
    })?;
    note()?;
    let (_, _last) = hold(&server)?;
    let newest = moments.last().context("no moment")?.0.parse::<u64>()?;
    wait_for("a later moment", || {
        let now = answer(dir, &["fds", "--from", &url])?["basis"]["at"]["ts_ns"].as_u64();
        ensure!(now > Some(newest), "{now:?} and {newest}");
        Ok(())
    })?;
    for (at, tables) in &moments {
        let then = answer(dir, &["fds", "--from", &url, "--at", at])?;
        for (pid, table) in tables {
            assert_eq!(told(&then, *pid)?, *table, "{pid} at {at}");
        }
        ensure!(then["tables"].as_array().map(Vec::len) == Some(tables.len()), "{then}");
    }
    for pair in moments.windows(2) {
        let [(since, before), (at, after)] = pair else { anyhow::bail!("no pair") };
        let difference = answer(dir, &["fds", "--from", &url, "--since", since, "--at", at])?;
        let mut known = BTreeSet::new();
        for (from, to, change) in [(before, after, "closed"), (after, before, "opened")] {
            for (pid, table) in from {
                let empty = Table::new();
                let other = to.get(pid).unwrap_or(&empty);
                let gone = table.iter().filter(|(fd, file)| other.get(*fd) != Some(*file));
                known.extend(gone.map(|(fd, (_, ino))| (*pid, *fd, ino.to_string(), change.to_owned())));
            }
        }
        let mut told = BTreeSet::new();
        for table in difference["tables"].as_array().context("no tables")? {
            for row in table["descriptors"].as_array().context("no descriptors")? {
                let text = |field: &str| row[field].as_str().map(str::to_owned).context("no text");
                let pid = u32::try_from(table["pid"].as_u64().context("no pid")?)?;
                told.insert((pid, row["fd"].as_i64().context("no fd")?, text("ino")?, text("change")?));
            }
        }
        let mut changes = told.clone();
        // A number that has got another open file of the same inode: `/proc/PID/fd` shows no difference.
        let both =
            |change: &str, of: &(u32, i64, String, String)| (of.0, of.1, of.2.clone(), change.to_owned());
        changes.retain(|of| {
            known.contains(of) || !["opened", "closed"].iter().all(|change| told.contains(&both(change, of)))
        });
        ensure!(changes == known && !known.is_empty(), "told {changes:?}\nknown {known:?}");
    }
    serve.insist()?;
    Ok(())
}

/// Number with access, and type, of every descriptor: what lsof(8) has in the columns of those names.
#[test]
fn a_table_reads_as_lsof_prints_it() -> Result<()> {
    for server in [Server::nginx()?, Server::redis()?] {
        let group = server.start()?;
        let pid = group.pid().to_string();
        let lsof = Command::new("lsof").args(["-nP", "-p", &pid]).output()?;
        let lsof = String::from_utf8(lsof.stdout)?;
        // COMMAND PID USER FD TYPE ...; other rows than descriptors' have a word for their number.
        let kernel: Vec<(&str, &str)> = lsof
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|words| words[3].starts_with(|first: char| first.is_ascii_digit()))
            .map(|words| (words[3].trim_end_matches(|last: char| last.is_ascii_uppercase()), words[4]))
            .collect();
        let text = Sockreel::run(server.dir(), "text", ["fds", &pid])?.out;
        let told: Vec<(&str, &str)> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|words| words.get(1) == Some(&pid.as_str()))
            .map(|words| (words[2], words[if words[3] == "CX" { 4 } else { 3 }]))
            .collect();
        ensure!(told == kernel && told.len() > 5, "{}: {told:?}\n{lsof}", server.name);
    }
    Ok(())
}

/// Processes, numbers and access of one channel, from the row of one of its holders.
fn ends(fds: &Value, pid: u32, fd: i64) -> Result<BTreeSet<(u64, i64, Option<String>)>> {
    let rows = rows(fds, pid)?;
    let row = rows.iter().find(|row| row["fd"] == fd).with_context(|| format!("no {fd} in {rows:?}"))?;
    let others = row["others"].as_array().with_context(|| format!("no others: {row}"))?;
    others
        .iter()
        .chain([row])
        .map(|end| {
            let access = end["access"].as_str().map(str::to_owned);
            Ok((end["pid"].as_u64().context("no pid")?, end["fd"].as_i64().context("no fd")?, access))
        })
        .collect()
}

#[test]
fn channels_show_everybody_who_has_one_and_tables_tell_what_changed() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = format!("{}/suite/holders/channels.py", env!("CARGO_MANIFEST_DIR"));
    let go = dir.path().join("go");
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU)?;
    let file = dir.path().join("r.mcap");
    let path = |path: &std::path::Path| path.to_str().map(str::to_owned).context("a path that is no UTF-8");
    let script = format!(
        "exec 9<>{}; exec 0<&9 9<&-; exec /usr/bin/python3 {program} {}",
        path(&go)?,
        path(dir.path())?
    );
    let trace = Sockreel::start(
        dir.path(),
        "trace",
        ["trace", "-o", "/dev/null", "--record", &path(&file)?, "--", "/bin/bash", "-c", &script],
    )?;
    let said = |lines: usize| {
        wait_for("the program's words", || {
            let out = trace.stdout()?;
            ensure!(out.lines().count() >= lines, "{out}");
            serde_json::from_str::<Value>(out.lines().nth(lines - 1).unwrap_or_default()).context("no JSON")
        })
    };
    let log = said(1)?;
    let parent = u32::try_from(log["parent"].as_u64().context("no parent")?)?;
    let child = u32::try_from(log["child"].as_u64().context("no child")?)?;
    let before = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let snapshot = answer(dir.path(), &["fds", &parent.to_string(), &child.to_string()])?;
    let mut input = fs::OpenOptions::new().write(true).open(&go)?;
    input.write_all(b"\n")?;
    let later = said(2)?;
    let after = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    input.write_all(b"\n")?;
    ensure!(trace.ended()?.code == 0, "the program failed");

    let recording = path(&file)?;
    let from = ["--from", &recording];
    let then = answer(dir.path(), &[&["fds", "--at", &before.to_string()], &from[..]].concat())?;
    for channel in ["pipe", "fifo", "memfd", "shm", "mqueue", "eventfd"] {
        let wanted: BTreeSet<(u64, i64, Option<String>)> = serde_json::from_value(log[channel].clone())?;
        for (pid, fd, _) in &wanted {
            let pid = u32::try_from(*pid)?;
            assert_eq!(ends(&then, pid, *fd)?, wanted, "{channel} of {pid} in the recording");
            let mut found = ends(&snapshot, pid, *fd)?;
            // What the call does not tell of an eventfd, a snapshot reads from the kernel.
            if channel == "eventfd" {
                found = found.into_iter().map(|(pid, fd, _)| (pid, fd, None)).collect();
            }
            assert_eq!(found, wanted, "{channel} of {pid} in a snapshot");
        }
    }
    // What the child got from its parent, and what it gave up of that.
    let inherited = answer(
        dir.path(),
        &[&["fds", &child.to_string(), "--inherited", "--at", &before.to_string()], &from[..]].concat(),
    )?;
    let got = rows(&inherited, child)?;
    ensure!(got.iter().all(|row| row["how"] == "fork" && row["from"]["pid"] == parent), "{inherited}");
    let given_up: BTreeSet<i64> =
        got.iter().filter(|row| row["until"].is_object()).filter_map(|row| row["fd"].as_i64()).collect();
    let write = log["pipe"][0][1].as_i64().context("no write end")?;
    ensure!(given_up.len() == 3 && given_up.contains(&write), "it closed three: {given_up:?}");

    // The difference of two instants, by the program's own word.
    let args = ["fds", &parent.to_string(), "--since", &before.to_string(), "--at", &after.to_string()];
    let difference = answer(dir.path(), &[&args[..], &from[..]].concat())?;
    let changes: BTreeSet<(i64, String)> = rows(&difference, parent)?
        .iter()
        .filter_map(|row| Some((row["fd"].as_i64()?, row["change"].as_str()?.to_owned())))
        .collect();
    let wanted = [("opened", "opened"), ("closed", "closed")]
        .map(|(field, change)| (later[field].as_i64().unwrap_or_default(), change.to_owned()));
    assert_eq!(changes, wanted.into());
    let passing =
        difference["tables"].as_array().and_then(|tables| tables.first()).map(|table| &table["passing"]);
    assert_eq!(passing, Some(&1.into()), "{difference}");
    Ok(())
}

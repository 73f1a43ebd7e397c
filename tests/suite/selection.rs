//! Each way to select follows what it names, from the kernel on, and nothing else.

use crate::harness::{ControlGroup, Server, Sockreel, complete, lines, visits, wait_for};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{collections::BTreeSet, ffi::OsString, fs};

/// Traces nginx as `select` says, while nginx and another server have visitors; gives the lines and nginx's processes.
fn traced(
    select: impl FnOnce(&Server, &[u32]) -> Result<Vec<OsString>>,
) -> Result<(Server, Vec<Value>, Vec<u32>)> {
    let (nginx, other) = (Server::nginx()?, Server::python()?);
    let (group, _other) = (nginx.start()?, other.start()?);
    let mut pids = vec![group.pid()];
    pids.extend(crate::harness::descendants(group.pid())?);
    let out = nginx.dir().join("out.jsonl");
    let mut args: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
    args.extend(select(&nginx, &pids)?);
    let trace = Sockreel::start(nginx.dir(), "trace", &args)?;
    // The snapshot's lines say that everything is attached.
    wait_for("the snapshot", || {
        ensure!(!lines(&out)?.is_empty(), "no line");
        Ok(())
    })
    .with_context(|| trace.stderr().unwrap_or_default())?;
    visits(&other, 2)?;
    let made = visits(&nginx, 4)?;
    wait_for("the visitors' closes", || {
        let seen = lines(&out)?;
        for visit in &made {
            let peer = format!("127.0.0.1:{}", visit.port);
            let closed = seen.iter().any(|line| line["event"] == "close" && line["peer"] == *peer);
            ensure!(closed, "{peer} is not closed in {} lines", seen.len());
        }
        Ok(())
    })?;
    let ended = trace.interrupt()?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let lines = lines(&out)?;
    complete(&lines)?;
    let accepts =
        lines.iter().filter(|line| line["event"] == "accept" && line["ret"].as_i64() > Some(0)).count();
    ensure!(accepts == made.len(), "{accepts} accepts, not {}", made.len());
    Ok((nginx, lines, pids))
}

fn pids_of(lines: &[Value]) -> BTreeSet<u64> {
    lines.iter().filter_map(|line| line["pid"].as_u64()).collect()
}

#[test]
fn by_name() -> Result<()> {
    let (_, lines, pids) = traced(|_, _| Ok(vec!["--comm".into(), "nginx".into()]))?;
    let seen = pids_of(&lines);
    let known = pids.iter().copied().map(u64::from).collect::<BTreeSet<_>>();
    // Another nginx of this machine would be followed as well; it has no visitors of ours.
    ensure!(seen.is_superset(&known), "{seen:?} lacks some of {known:?}");
    ensure!(lines.iter().all(|line| line["comm"] == "nginx"), "another name is followed");
    Ok(())
}

#[test]
fn by_control_group() -> Result<()> {
    let group = ControlGroup::new()?;
    let (_, lines, pids) = traced(|_, pids| {
        for pid in pids {
            fs::write(group.path().join("cgroup.procs"), pid.to_string())?;
        }
        Ok(vec!["--cgroup".into(), group.path().into()])
    })?;
    ensure!(pids_of(&lines) == pids.iter().copied().map(u64::from).collect(), "{:?}", pids_of(&lines));
    Ok(())
}

#[test]
fn by_port() -> Result<()> {
    let (nginx, lines, pids) = traced(|nginx, _| Ok(vec!["--port".into(), nginx.port.to_string().into()]))?;
    let address = nginx.address();
    let known: BTreeSet<u64> =
        pids.iter().copied().map(u64::from).chain([u64::from(std::process::id())]).collect();
    ensure!(pids_of(&lines).is_subset(&known), "{:?} are not among {known:?}", pids_of(&lines));
    for line in &lines {
        let about = |end: &str| line[end] == address;
        let in_port = about("local") || about("peer") || about("asked");
        let known = line["socket"].is_string() || line["listener"].is_string();
        ensure!(in_port || known, "not about {address}: {line}");
    }
    let snapshot = lines.iter().find(|line| line["event"] == "snapshot");
    ensure!(snapshot.is_some_and(|line| line["to"] == "LISTEN"), "the listener's earlier life: {snapshot:?}");
    ensure!(lines.iter().all(|line| line["event"] != "open"), "files are followed");
    Ok(())
}

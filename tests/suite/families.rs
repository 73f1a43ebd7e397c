//! Sockets of every family, with what they are and how they are set: against what the program that made them reads from
//! them, and against ss(8). Seen as they are made, and found by a snapshot.

use crate::harness::{Sockreel, lines, sound, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What the program wrote down.
fn read_log(log: &Path) -> Result<Value> {
    wait_for("the program's log", || {
        Ok(serde_json::from_str(&fs::read_to_string(log).context("it is not written yet")?)?)
    })
}

fn sockets(log: &Value) -> Result<impl Iterator<Item = (&String, &Value)>> {
    Ok(log["sockets"].as_object().context("no sockets in the log")?.iter())
}

/// State of each socket as ss(8) shows it, by inode. Of vsock it needs a module that few kernels have.
fn states() -> Result<BTreeMap<u64, String>> {
    let mut states = BTreeMap::new();
    for family in ["-4", "-6", "-x", "-0"] {
        let shown = Command::new("ss").args(["-H", "-a", "-n", "-e", family]).output().context("ss")?;
        for line in String::from_utf8_lossy(&shown.stdout).lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            // A unix socket has its inode in the place of a port; the others tell it among the details.
            let inode = match family {
                "-x" => words.get(5).copied(),
                _ => words.iter().find_map(|word| word.strip_prefix("ino:")),
            };
            if let (Some(inode), Some(state)) = (inode.and_then(|text| text.parse().ok()), words.get(1)) {
                states.insert(inode, (*state).to_owned());
            }
        }
    }
    Ok(states)
}

/// ss(8) shortens the names of TCP's states.
fn same_state(told: &str, shown: &str) -> bool {
    told == shown || (told, shown) == ("ESTABLISHED", "ESTAB") || (told, shown) == ("CLOSE", "UNCONN")
}

fn same(what: &str, field: &str, told: &Value, known: &Value) -> Result<()> {
    ensure!(told == known, "{what}: {field} is told as {told}, the program reads {known}");
    Ok(())
}

/// An address that is not set is left out.
fn shown(address: &Value) -> Value {
    let text = address.as_str().unwrap_or_default();
    let unset = ["0.0.0.0:0", "[::]:0", "unix:", "netlink:0", "vsock:*:*", ""];
    if unset.contains(&text) { Value::Null } else { address.clone() }
}

#[test]
fn every_family_is_told_in_its_own_terms() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (log, out) = (dir.path().join("log.json"), dir.path().join("out.jsonl"));
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/families.py");
    let mut args: Vec<OsString> =
        ["serve", "--check", "off", "--listen", "127.0.0.1:0", "--"].map(OsString::from).to_vec();
    args.extend(["/usr/bin/python3".into(), script.into(), log.clone().into()]);
    let mut serve = Sockreel::start(dir.path(), "serve", args)?;
    let api = serve.api()?;
    let facts = read_log(&log).with_context(|| serve.stderr().unwrap_or_default())?;
    let skipped = facts["skipped"].as_array().context("no list of what was skipped")?;
    for reason in skipped {
        crate::harness::skipped(reason.as_str().unwrap_or_default())?;
    }
    let pid = facts["pid"].as_u64().context("no pid")?.to_string();

    let listed = states()?;
    let answer = wait_for("the sockets", || {
        let answer = api.get("sockets")?;
        let told = answer["sockets"].as_array().context("no sockets")?;
        for (name, known) in sockets(&facts)? {
            let inode = json!(known["inode"].to_string());
            ensure!(told.iter().any(|socket| socket["ino"] == inode), "{name} is not told");
        }
        Ok(answer)
    })?;
    let told = answer["sockets"].as_array().context("no sockets")?;
    let (mut compared, mut with_state) = (0, 0);
    for (name, known) in sockets(&facts)? {
        let inode = known["inode"].as_u64().context("no inode")?;
        let text = json!(inode.to_string());
        let socket = told.iter().rfind(|socket| socket["ino"] == text).context("not told")?;
        same(name, "local", &socket["local"], &shown(&known["local"]))?;
        same(name, "peer", &socket["peer"], &shown(&known["peer"]))?;
        same(name, "options", &socket["options"], &known["options"])?;
        let steps = socket["steps"].as_array().context("no steps")?;
        let state = steps.last().and_then(|step| step["state"].as_str()).unwrap_or_default();
        same(name, "whether it listens", &json!(state == "LISTEN"), &known["listens"])?;
        // The kernel calls a datagram socket connected once another has connected to it (`unix_dgram_connect`,
        // net/unix/af_unix.c): no call of its own tells.
        if let Some(listed) = listed.get(&inode).filter(|_| name != "unix datagram box") {
            ensure!(same_state(state, listed), "{name}: told as {state}, ss says {listed}");
            with_state += 1;
        }
        compared += 1;
    }
    println!("{compared} sockets are told as the program reads them, {with_state} of them as ss lists them");
    ensure!(with_state >= 25, "ss listed {with_state} of {compared}");

    // A socket that was connected twice: both rounds, the first by its peer.
    let anew = json!(facts["sockets"]["udp connected anew"]["inode"].to_string());
    let steps = told.iter().rfind(|socket| socket["ino"] == anew).map(|socket| &socket["steps"]);
    let rounds: Vec<_> = steps
        .and_then(Value::as_array)
        .context("no steps")?
        .iter()
        .map(|step| json!([step["phase"], step["peer"]]))
        .collect();
    let first = &facts["sockets"]["udp bound"]["local"];
    let known = [json!(["created", null]), json!(["connected", first]), json!(["connected", null])];
    ensure!(rounds == known, "{rounds:?}");

    // A snapshot finds the same.
    let mut args: Vec<OsString> = ["trace", "--json", "-o"].map(OsString::from).to_vec();
    args.extend([out.clone().into(), "-p".into(), pid.clone().into()]);
    let trace = Sockreel::start(dir.path(), "trace", args)?;
    let rows = wait_for("the snapshot", || {
        let rows = lines(&out)?;
        ensure!(rows.len() > compared, "{} rows", rows.len());
        Ok(rows)
    })?;
    for (name, known) in sockets(&facts)? {
        let row =
            rows.iter().find(|row| row["fd"] == known["fd"]).with_context(|| format!("no row of {name}"))?;
        same(name, "inode", &row["inode"], &known["inode"])?;
        // An unnamed end of a connected unix socket is shown as such.
        let local = if row["local"] == "unix:" { &Value::Null } else { &row["local"] };
        let peer = if row["peer"] == "unix:" { &Value::Null } else { &row["peer"] };
        same(name, "local in the row", local, &shown(&known["local"]))?;
        same(name, "peer in the row", peer, &shown(&known["peer"]))?;
        let options = if row["options"].is_null() { json!([]) } else { row["options"].clone() };
        same(name, "options in the row", &options, &known["options"])?;
        if let Some(listed) = listed.get(&known["inode"].as_u64().unwrap_or(0)) {
            let state = row["to"].as_str().unwrap_or_default();
            ensure!(same_state(state, listed), "{name}: row tells {state}, ss says {listed}");
        }
    }
    ensure!(trace.interrupt()?.code == 0, "trace did not end well");

    let events = api.events()?;
    sound(&events)?;
    options(&facts, &events)?;
    nonblocking(&facts, &events)?;
    asked(&facts, &events)?;
    failures(&facts, &events)?;
    unknown(&facts, told, &rows, &events)?;
    without_destination(&facts, &events)?;
    // The program's end is passed on (128 and the number of SIGTERM, as a shell has it).
    kill(Pid::from_raw(i32::try_from(pid.parse::<u32>()?)?), Signal::SIGTERM)?;
    let code = serve.interrupt()?.code;
    ensure!(code == 128 + 15, "serve ended with {code}");
    Ok(())
}

/// Calls of families that have no peer here: each told once, with its error.
fn failures(facts: &Value, events: &[Value]) -> Result<()> {
    for known in facts["failures"].as_array().context("no failures")? {
        let same = |event: &&Value| {
            ["call", "fd", "error", "asked"].iter().all(|field| event[*field] == known[*field])
        };
        ensure!(events.iter().filter(same).count() == 1, "{known} is not told once");
    }
    Ok(())
}

/// A family without a name has its number, in its line, in a row and in the API.
fn unknown(facts: &Value, sockets: &[Value], rows: &[Value], events: &[Value]) -> Result<()> {
    let Some(inode) = facts["unknown"]["inode"].as_u64() else { return Ok(()) };
    let fd = &facts["unknown"]["fd"];
    let made = events.iter().rfind(|event| event["event"] == "socket" && event["ret"] == *fd);
    let row = rows.iter().find(|row| row["fd"] == *fd);
    let socket = sockets.iter().rfind(|socket| socket["ino"] == json!(inode.to_string()));
    for (what, told) in [("line", made), ("row", row), ("socket", socket)] {
        let told = told.with_context(|| format!("no {what} of the unknown family"))?;
        same(what, "family", &told["family"], &json!("44"))?;
        same(what, "type", &told["type"], &json!("raw"))?;
    }
    Ok(())
}

/// Sends that bind and then fail for want of a destination, each told once.
fn without_destination(facts: &Value, events: &[Value]) -> Result<()> {
    for (name, call) in [("send", "sendto"), ("sendmsg", "sendmsg"), ("write", "write"), ("writev", "writev")]
    {
        let known = &facts["sockets"][format!("udp whose {name} has no destination")];
        let told: Vec<_> = events
            .iter()
            .filter(|event| event["call"] == call && event["event"] == "bind" && event["fd"] == known["fd"])
            .map(|event| json!([event["event"], event["fd"], event["error"], event["local"]]))
            .collect();
        let known = [json!(["bind", known["fd"], "EDESTADDRREQ", known["local"]])];
        ensure!(told == known, "{name}: {told:?}, known is {known:?}");
    }
    Ok(())
}

/// Every `setsockopt` that is told, and no other.
fn options(facts: &Value, events: &[Value]) -> Result<()> {
    let level = |number: &Value| match number.as_i64() {
        Some(1) => "SOL_SOCKET",
        Some(6) => "SOL_TCP",
        _ => "SOL_IPV6",
    };
    let option = |level: &Value, number: &Value| match (level.as_i64(), number.as_i64()) {
        (Some(1), Some(2)) => "SO_REUSEADDR",
        (Some(1), Some(13)) => "SO_LINGER",
        (Some(1), Some(15)) => "SO_REUSEPORT",
        (Some(6), Some(9)) => "TCP_DEFER_ACCEPT",
        (Some(6), Some(23)) => "TCP_FASTOPEN",
        _ => "IPV6_V6ONLY",
    };
    let known: Vec<_> = facts["calls"]
        .as_array()
        .context("no calls")?
        .iter()
        .map(|call| {
            let (at, number) = (&call[1], &call[2]);
            json!([call[0], level(at), option(at, number), call[3], call[4], call[5]])
        })
        .collect();
    let told: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "setsockopt")
        .map(|event| {
            json!(["fd", "level", "option", "ret", "asked_value", "value"].map(|field| &event[field]))
        })
        .collect();
    ensure!(told == known, "told {told:#?}, the program made {known:#?}");
    println!("{} calls of setsockopt are told", known.len());
    Ok(())
}

/// Each change of `O_NONBLOCK`: the one that changes nothing is not told.
fn nonblocking(facts: &Value, events: &[Value]) -> Result<()> {
    let fd = |name: &str| facts["sockets"][name]["fd"].clone();
    let told = |name: &str| -> Vec<_> {
        let of = events.iter().filter(|event| event["event"] == "setfl" && event["fd"] == fd(name));
        of.map(|event| json!([event["call"], event["nonblock"]])).collect()
    };
    ensure!(told("nonblock by fcntl") == [json!(["fcntl", true])], "{:?}", told("nonblock by fcntl"));
    ensure!(told("nonblock by ioctl") == [json!(["ioctl", true])], "{:?}", told("nonblock by ioctl"));
    let back = [json!(["ioctl", true]), json!(["ioctl", false])];
    ensure!(told("blocking again") == back, "{:?}", told("blocking again"));
    let made =
        events.iter().find(|event| event["event"] == "socket" && event["ret"] == fd("nonblock by type"));
    ensure!(made.is_some_and(|event| event["nonblock"] == true), "{made:?}");
    Ok(())
}

/// What `bind` and `connect` asked for, of families whose addresses are not the internet's.
fn asked(facts: &Value, events: &[Value]) -> Result<()> {
    let asks = |name: &str, call: &str| -> Vec<Value> {
        let fd = &facts["sockets"][name]["fd"];
        let of = events.iter().filter(|event| event["call"] == call && event["fd"] == *fd);
        of.map(|event| event["asked"].clone()).collect()
    };
    ensure!(
        asks("netlink route", "bind") == ["netlink:0,groups=0x11"],
        "{:?}",
        asks("netlink route", "bind")
    );
    ensure!(
        asks("netlink connected", "connect") == ["netlink:12345"],
        "{:?}",
        asks("netlink connected", "connect")
    );
    // The loopback interface has index 1 (`LOOPBACK_IFINDEX`, include/net/flow.h).
    ensure!(asks("packet arp", "bind") == ["packet:0x0806@1"], "{:?}", asks("packet arp", "bind"));
    let gone = asks("udp disconnected", "connect");
    ensure!(gone.get(1).is_some_and(|asked| asked == "unspec"), "{gone:?}");
    if facts["sockets"]["vsock listener"].is_object() {
        let bind = asks("vsock listener", "bind");
        ensure!(bind.first().is_some_and(|asked| asked == "vsock:*:*"), "{bind:?}");
    }
    let protocol = |name: &str| {
        let fd = &facts["sockets"][name]["fd"];
        let made = events.iter().find(|event| event["event"] == "socket" && event["ret"] == *fd);
        made.map(|event| event["protocol"].clone())
    };
    let netlink = ["netlink route", "netlink generic", "netlink connected"].map(protocol);
    ensure!(netlink == ["rtnl", "genl", "usersock"].map(|name| Some(json!(name))), "{netlink:?}");
    Ok(())
}

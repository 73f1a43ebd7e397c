//! What is told of open sockets against what the kernel has.

use super::{
    Size, Table,
    kernel::{Socket, Sockets},
};
use crate::harness::Api;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

/// A unix socket's address without a name; a socket may be told without it.
const UNNAMED: &str = "unix:";

/// Sockets that a table has and of which nothing is told.
pub(super) fn untold(known: &Table, told: &[Value]) -> Result<Vec<u64>> {
    let told: HashSet<u64> = told.iter().map(inode).collect::<Result<_>>()?;
    let sockets = known.values().filter(|held| held.kind == "socket").map(|held| held.ino);
    Ok(sockets.filter(|ino| !told.contains(ino)).collect())
}

/// Inodes of sockets that are told, by their identity.
pub(super) fn inodes(told: &[Value]) -> HashMap<String, u64> {
    let of = |socket: &Value| Some((socket["id"].as_str()?.to_owned(), inode(socket).ok()?));
    told.iter().filter_map(of).collect()
}

/// Sockets of one inode that have several identities, or one that stands for several.
pub(super) fn several(told: &[Value]) -> Result<BTreeSet<String>> {
    let (mut by_inode, mut by_id) = (HashMap::new(), HashMap::new());
    let mut several = BTreeSet::new();
    for socket in told {
        let (ino, id) = (inode(socket)?, socket["id"].as_str().context("no id")?);
        let (first, own) = (*by_inode.entry(ino).or_insert(id), *by_id.entry(id).or_insert(ino));
        if first != id || own != ino {
            several.insert(format!("inode {ino}: {id} and {first}; {id}: {own}"));
        }
    }
    Ok(several)
}

type Ends = (Option<String>, Option<String>);

/// TCP connections that are told to be there and that none of the told tables has: inode and addresses.
pub(super) fn loose(api: &Api, held: &[Value]) -> Result<Vec<(u64, Ends, Value)>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let answer = api.get(&format!("sockets?at={now}"))?;
    let held: HashSet<&str> = held.iter().filter_map(|socket| socket["id"].as_str()).collect();
    let mut loose = Vec::new();
    for socket in answer["sockets"].as_array().context("no sockets")? {
        let text = |field: &str| socket[field].as_str().map(str::to_owned);
        let state = socket["steps"].as_array().and_then(|steps| steps.last()?["state"].as_str());
        // What is neither bound nor connected is in no list.
        let listed = !["CLOSE", "UNCONN"].contains(&state.unwrap_or("CLOSE"));
        if socket["protocol"] == "tcp" && listed && !held.contains(text("id").as_deref().context("no id")?) {
            loose.push((inode(socket)?, (text("local"), text("peer")), socket.clone()));
        }
    }
    Ok(loose)
}

/// Such connections that only one side has; the kernel's end by themselves, and are looked at before and after.
pub(super) fn loose_differences(told: &[(u64, Ends, Value)], before: &Sockets, after: &Sockets) -> String {
    let mut differences = String::new();
    for (ino, ends, socket) in told {
        let there = |sockets: &Sockets| {
            sockets.loose.contains(ends) || (*ino != 0 && sockets.by_inode.contains_key(ino))
        };
        if !there(before) && !there(after) {
            let _ = writeln!(differences, "the kernel has no such connection: {socket}");
        }
    }
    for ends in before.loose.intersection(&after.loose) {
        if !told.iter().any(|(_, told, _)| told == ends) {
            let _ = writeln!(differences, "the kernel has {ends:?}, of which nothing is told");
        }
    }
    differences
}

/// Sockets that are told not to block.
pub(super) fn nonblocking(answer: &Value) -> Result<HashSet<String>> {
    let sockets = answer["sockets"].as_array().context("no sockets")?.iter();
    let set = sockets.filter(|socket| {
        socket["options"]
            .as_array()
            .is_some_and(|options| options.iter().any(|option| option == "O_NONBLOCK"))
    });
    set.map(|socket| Ok(socket["id"].as_str().context("no id")?.to_owned())).collect()
}

fn inode(socket: &Value) -> Result<u64> {
    Ok(socket["ino"].as_str().context("no ino")?.parse()?)
}

/// The kernel's name of a state that is told; one that was never told is that of a new socket.
fn state_of(told: Option<&str>) -> &str {
    match told {
        None | Some("UNCONN") => "CLOSE",
        Some("ESTAB") => "ESTABLISHED",
        Some(state) => state,
    }
}

/// What is told of a socket that is open, against the kernel before and after: its protocol's timers go on.
pub(super) fn differences(
    told: &Value,
    inodes: &HashMap<String, u64>,
    (before, after): (&HashMap<u64, Socket>, &HashMap<u64, Socket>),
    size: &mut Size,
) -> Result<Vec<String>> {
    let ino: u64 = told["ino"].as_str().context("no ino")?.parse()?;
    let family = told["family"].as_str().unwrap_or_default();
    let protocol = match (family, &told["protocol"], &told["type"]) {
        ("inet" | "inet6", _, ty) if ty == "raw" => "raw",
        ("inet" | "inet6", Value::String(protocol), _) => protocol,
        (family, ..) => family,
    };
    let state = told["steps"].as_array().and_then(|steps| steps.last()?["state"].as_str());
    let (Some(one), Some(other)) = (before.get(&ino), after.get(&ino)) else {
        // Those of the internet protocols that are neither bound nor connected, and those of netlink without a port, are in no list.
        let hidden = match protocol {
            "tcp" | "udp" => state.is_none_or(|state| ["CLOSE", "UNCONN"].contains(&state)),
            "netlink" => told["local"].is_null(),
            _ => false,
        };
        size.hidden += usize::from(hidden);
        return Ok(if hidden { Vec::new() } else { vec![format!("the kernel shows no socket {ino}")] });
    };
    *size.sockets.entry(one.protocol).or_default() += 1;
    let mut differences = Vec::new();
    let mut compare = |what: &str, told: Option<String>, one: Option<String>, other: Option<String>| {
        if told != one && told != other {
            differences.push(format!("{what} {told:?}, but the kernel has {one:?} and {other:?}"));
        }
    };
    let text = |field: &str| told[field].as_str().map(str::to_owned);
    let known = |what: fn(&Socket) -> Option<String>| (what(one), what(other));
    let (then, now) = known(|socket| Some(socket.protocol.to_owned()));
    compare("protocol", Some(protocol.to_owned()), then, now);
    if one.ty.is_some() {
        let (then, now) = known(|socket| socket.ty.map(str::to_owned));
        compare("type", text("type"), then, now);
    }
    let (then, now) = known(|socket| socket.local.clone());
    compare("local", text("local"), then, now);
    if family != "unix" {
        let (then, now) = known(|socket| socket.peer.clone());
        compare("peer", text("peer"), then, now);
    }
    let (then, now) = known(|socket| Some(socket.state.to_owned()));
    compare("state", Some(state_of(state).to_owned()), then, now);
    if family == "unix" && one.other_end != 0 && one.other_end == other.other_end {
        // Its name is what this one has as its peer's.
        if let Some(end) = before.get(&one.other_end) {
            let told = text("peer").filter(|peer| peer != UNNAMED);
            compare("peer", told, end.local.clone(), end.local.clone());
        }
        if let Some(told) = text("other_end").and_then(|end| inodes.get(&end).copied()) {
            size.other_ends += 1;
            let inode = Some(one.other_end.to_string());
            compare("other end", Some(told.to_string()), inode.clone(), inode);
        }
    }
    if one.queue.is_some() {
        size.listeners += 1;
        let (then, now) = known(|socket| socket.queue.map(|(_, limit)| limit.to_string()));
        compare("queue's limit", told["queue_limit"].as_u64().map(|limit| limit.to_string()), then, now);
        let (then, now) = known(|socket| socket.queue.map(|(len, _)| len.to_string()));
        compare("queue's length", Some(told["queue_len"].as_u64().unwrap_or(0).to_string()), then, now);
    }
    Ok(differences)
}

//! What a source says of a server's sockets, in one form for JSON lines and for the API, and what it should say.

use super::Visit;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{collections::BTreeMap, fs};

/// Listeners and children on one address, by socket (`s41`).
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) listeners: BTreeMap<String, Listener>,
    pub(crate) children: BTreeMap<String, Child>,
}

/// A listening socket.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) backlog: Option<u64>,
    pub(crate) queue_limit: Option<u64>,
}

/// An accepted socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Child {
    pub(crate) peer: String,
    pub(crate) listener: Option<String>,
    pub(crate) inferred: bool,
    /// How often it was closed.
    pub(crate) closes: u64,
    pub(crate) closed_first: Option<String>,
}

impl Account {
    /// From lines of `--json`.
    pub(crate) fn of_lines(lines: &[Value], address: &str) -> Result<Self> {
        let mut account = Self::default();
        for line in lines {
            let (Some(socket), Some(event)) = (text(line, "socket"), text(line, "event")) else { continue };
            let local = text(line, "local");
            let listens = match event.as_str() {
                "listen" => line["ret"] == 0,
                "snapshot" => line["to"] == "LISTEN",
                _ => false,
            };
            if listens && local.as_deref() == Some(address) {
                let listener = account.listeners.entry(socket.clone()).or_default();
                listener.backlog = line["backlog"].as_u64().or(listener.backlog);
                listener.queue_limit = line["queue_limit"].as_u64().or(listener.queue_limit);
            }
            let begins = match event.as_str() {
                "accept" => line["ret"].as_i64().is_some_and(|ret| ret >= 0),
                "snapshot" => line["to"] != "LISTEN",
                _ => false,
            };
            if begins && local.as_deref() == Some(address) {
                let child = account.children.entry(socket.clone()).or_default();
                child.peer = text(line, "peer").with_context(|| format!("no peer in {line}"))?;
                child.listener = text(line, "listener");
                child.inferred = line["inferred"] == true;
            }
            if let Some(child) = account.children.get_mut(&socket) {
                child.closes += u64::from(event == "close" && line["ret"] == 0);
                if let Some(side) = text(line, "closed_first") {
                    ensure!(
                        child.closed_first.as_ref().is_none_or(|before| *before == side),
                        "{socket} was closed first by both sides: {line}"
                    );
                    child.closed_first = Some(side);
                }
            }
        }
        Ok(account)
    }

    /// From the answer of `/api/v1/sockets`.
    pub(crate) fn of_api(answer: &Value, address: &str) -> Result<Self> {
        let mut account = Self::default();
        for socket in answer["sockets"].as_array().context("no sockets")? {
            let id = text(socket, "id").context("a socket without id")?;
            if text(socket, "local").as_deref() != Some(address) {
                continue;
            }
            let steps = socket["steps"].as_array().context("a socket without steps")?;
            if steps.iter().any(|step| step["phase"] == "listening") {
                let (backlog, queue_limit) = (socket["backlog"].as_u64(), socket["queue_limit"].as_u64());
                account.listeners.insert(id, Listener { backlog, queue_limit });
            } else {
                let child = Child {
                    peer: text(socket, "peer").with_context(|| format!("no peer in {socket}"))?,
                    listener: text(socket, "listener"),
                    inferred: socket["inferred"] == true,
                    closes: u64::from(!socket["ended"].is_null()),
                    closed_first: text(socket, "closed_first"),
                };
                account.children.insert(id, child);
            }
        }
        Ok(account)
    }
}

/// What a server's account must be.
pub(crate) struct Expected {
    /// Where the `listen` call was seen.
    pub(crate) backlog: Option<u64>,
    /// The backlog of the `listen` call, seen or not.
    pub(crate) asked_backlog: u64,
    /// Connections that came before tracing, which are still open or were closed since.
    pub(crate) before: Vec<Visit>,
    /// Connections that came later.
    pub(crate) since: Vec<Visit>,
    /// Ports among them that are still open.
    pub(crate) open: Vec<u16>,
}

impl Expected {
    /// Fails with the first difference.
    pub(crate) fn check(&self, account: &Account) -> Result<()> {
        ensure!(account.listeners.len() == 1, "not one listener: {:?}", account.listeners);
        let (id, listener) = account.listeners.first_key_value().context("no listener")?;
        let somaxconn: u64 = fs::read_to_string("/proc/sys/net/core/somaxconn")?.trim().parse()?;
        let expected =
            Listener { backlog: self.backlog, queue_limit: Some(self.asked_backlog.min(somaxconn)) };
        ensure!(*listener == expected, "listener {id} is {listener:?}, not {expected:?}");
        let child = |visit: &Visit, inferred: bool| {
            let open = self.open.contains(&visit.port);
            Child {
                peer: format!("127.0.0.1:{}", visit.port),
                listener: Some(id.clone()),
                inferred,
                closes: u64::from(!open),
                closed_first: (!open).then(|| visit.closed_first.to_owned()),
            }
        };
        let mut expected: Vec<Child> = self.before.iter().map(|visit| child(visit, true)).collect();
        expected.extend(self.since.iter().map(|visit| child(visit, false)));
        let mut seen: Vec<Child> = account.children.values().cloned().collect();
        // By every field: a port may have been used again.
        expected.sort();
        seen.sort();
        let only = |these: &[Child], those: &[Child]| {
            these
                .iter()
                .filter(|child| !those.contains(child))
                .map(|child| format!("{child:?}"))
                .collect::<Vec<_>>()
        };
        ensure!(
            seen == expected,
            "of {} children {:#?} are told, but of {} there are {:#?}",
            seen.len(),
            only(&seen, &expected),
            expected.len(),
            only(&expected, &seen)
        );
        Ok(())
    }
}

fn text(value: &Value, field: &str) -> Option<String> {
    value[field].as_str().map(str::to_owned)
}

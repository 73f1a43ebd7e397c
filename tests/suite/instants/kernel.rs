//! What the kernel has: `/proc/PID/fd`, `fdinfo`, the socket diagnostics of `ss` (iproute2), and `/proc/PID/net` of what `ss`
//! shows without an inode.

use super::listed;
use crate::harness::table;
use anyhow::{Context as _, Result, ensure};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    os::unix::fs::MetadataExt as _,
    process::Command,
};

/// `O_CLOEXEC` (include/uapi/asm-generic/fcntl.h), as `fdinfo` shows close-on-exec.
const O_CLOEXEC: u32 = 0o2_000_000;

/// `O_NONBLOCK`, in the same place.
const O_NONBLOCK: u32 = 0o4_000;

/// Ends of what `ss` says of one socket: which directions are open.
const DIRECTIONS: [&str; 4] = ["<->", "-->", "<--", "---"];

/// A descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) kind: String,
    pub(super) ino: u64,
    /// `major:minor`.
    pub(super) dev: String,
    pub(super) cloexec: bool,
    /// `O_NONBLOCK`, of a socket.
    pub(super) nonblock: bool,
}

/// The table of a stopped process; `None` where it has ended.
pub(super) fn held(pid: u32) -> Result<Option<BTreeMap<i64, Held>>> {
    let Ok(known) = table(pid) else { return Ok(None) };
    let mut slots = BTreeMap::new();
    for (fd, (kind, ino)) in known {
        let dev = fs::metadata(format!("/proc/{pid}/fd/{fd}"))?.dev();
        let dev = format!("{}:{}", libc::major(dev), libc::minor(dev));
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}"))?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).context("no flags")?;
        let flags = u32::from_str_radix(flags.trim(), 8)?;
        let nonblock = kind == "socket" && flags & O_NONBLOCK != 0;
        slots.insert(fd, Held { kind, ino, dev, cloexec: flags & O_CLOEXEC != 0, nonblock });
    }
    Ok(Some(slots))
}

/// The table of every thread but the leader.
pub(super) fn tables_of_threads(pid: u32) -> Result<Vec<BTreeMap<i64, Held>>> {
    let mut tables = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let tid: u32 = task?.file_name().to_string_lossy().parse()?;
        // A thread's directory is there by its own number too (proc_pid(5)).
        tables.extend(if tid == pid { None } else { held(tid)? });
    }
    Ok(tables)
}

/// A socket as the kernel shows it, in the contract's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    /// `tcp`, `udp`, `raw`, or the family: `unix`, `netlink`, `packet`.
    pub(super) protocol: &'static str,
    /// `stream`, `dgram`, `seqpacket`, `raw`; `None` where the kernel does not show it.
    pub(super) ty: Option<&'static str>,
    pub(super) state: &'static str,
    pub(super) local: Option<String>,
    pub(super) peer: Option<String>,
    /// Of a unix socket, the inode of the one at its other end; 0 where that has none.
    pub(super) other_end: u64,
    /// For a listener: length and limit of its accept queue.
    pub(super) queue: Option<(u64, u64)>,
}

/// The sockets of a network namespace.
pub(super) struct Sockets {
    pub(super) by_inode: HashMap<u64, Socket>,
    /// Local and peer's address of connections that no descriptor points to: they wait to be accepted, or their last descriptor
    /// was closed. Those that are no sockets any more, or not yet (`TIME_WAIT`, `SYN_RECV`), are left out.
    pub(super) loose: BTreeSet<(Option<String>, Option<String>)>,
}

/// The sockets of a process's network namespace.
pub(super) fn sockets(pid: u32) -> Result<Sockets> {
    let net = format!("--net=/proc/{pid}/ns/net");
    let output = Command::new("nsenter")
        .args([&net, "ss", "-H", "-O", "-n", "-a", "-e", "-o", "-t", "-u", "-x"])
        .output()?;
    ensure!(output.status.success(), "ss: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let (mut sockets, mut loose) = (listed::sockets(pid)?, BTreeSet::new());
    for line in text.lines() {
        let words: Vec<&str> =
            line.split_whitespace().take_while(|word| !DIRECTIONS.contains(word)).collect();
        let [netid, state, length, limit, rest @ ..] = words.as_slice() else { continue };
        let state = state_name(state).with_context(|| format!("unknown state in {line}"))?;
        let queue = if state == "LISTEN" {
            Some((length.parse().with_context(|| line.to_owned())?, limit.parse()?))
        } else {
            None
        };
        let (protocol, ty) = match *netid {
            "tcp" => ("tcp", "stream"),
            "udp" => ("udp", "dgram"),
            "u_str" => ("unix", "stream"),
            "u_dgr" => ("unix", "dgram"),
            "u_seq" => ("unix", "seqpacket"),
            _ => continue,
        };
        let (ino, local, peer, other_end) = if protocol == "unix" {
            let [name @ .., ino, _, other_end] = rest else { continue };
            let name = name.join(" ");
            (
                ino.parse().with_context(|| line.to_owned())?,
                (name != "*").then(|| format!("unix:{name}")),
                None,
                other_end.parse().with_context(|| line.to_owned())?,
            )
        } else {
            let [local, peer, details @ ..] = rest else { continue };
            // What no descriptor points to has no inode.
            let ino = details.iter().find_map(|word| word.strip_prefix("ino:")).filter(|ino| *ino != "0");
            let Some(ino) = ino else {
                let waits = details.iter().any(|word| word.starts_with("timer:(timewait"));
                if protocol == "tcp" && !waits && state != "SYN_RECV" && state != "TIME_WAIT" {
                    loose.insert((internet(local), internet(peer)));
                }
                continue;
            };
            (ino.parse().with_context(|| line.to_owned())?, internet(local), internet(peer), 0)
        };
        sockets.insert(ino, Socket { protocol, ty: Some(ty), state, local, peer, other_end, queue });
    }
    Ok(Sockets { by_inode: sockets, loose })
}

/// `*` is the unspecified address of a dual-stack socket.
fn internet(shown: &str) -> Option<String> {
    let (ip, port) = shown.rsplit_once(':')?;
    let ip = if ip == "*" { "[::]" } else { ip };
    (port != "*").then(|| format!("{ip}:{port}"))
}

/// The kernel's name for what `ss` calls a state (misc/ss.c, `sstate_name`).
fn state_name(shown: &str) -> Option<&'static str> {
    Some(match shown {
        "ESTAB" => "ESTABLISHED",
        "SYN-SENT" => "SYN_SENT",
        "SYN-RECV" => "SYN_RECV",
        "FIN-WAIT-1" => "FIN_WAIT1",
        "FIN-WAIT-2" => "FIN_WAIT2",
        "TIME-WAIT" => "TIME_WAIT",
        "UNCONN" => "CLOSE",
        "CLOSE-WAIT" => "CLOSE_WAIT",
        "LAST-ACK" => "LAST_ACK",
        "LISTEN" => "LISTEN",
        "CLOSING" => "CLOSING",
        _ => return None,
    })
}

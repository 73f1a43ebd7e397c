//! What the kernel itself says, through `/proc`: the source that the model is compared with.

use anyhow::{Context as _, Result};
use std::{collections::BTreeMap, fs, io::ErrorKind, os::unix::fs::MetadataExt as _, path::Path};

/// A descriptor table: number to kind and inode.
pub(crate) type Table = BTreeMap<i64, (String, u64)>;

/// The table of a process, by `/proc/PID/fd` (`proc_pid_fd(5)`).
pub(crate) fn table(pid: u32) -> Result<Table> {
    table_in(Path::new(&format!("/proc/{pid}/fd")))
}

/// The table that such a directory shows; a thread has one of its own (`/proc/PID/task/TID/fd`).
///
/// A descriptor that is closed between the listing and the look at it is in no table any more.
pub(crate) fn table_in(dir: &Path) -> Result<Table> {
    let mut table = Table::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry?;
        let number = entry.file_name().to_string_lossy().parse()?;
        // The link is followed to the very file, whatever its text says.
        let seen = fs::read_link(entry.path()).and_then(|text| Ok((text, fs::metadata(entry.path())?)));
        let (text, meta) = match seen {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            seen => seen.with_context(|| format!("cannot look at {}", entry.path().display()))?,
        };
        table.insert(number, (kind(&text.to_string_lossy(), meta.mode()).to_owned(), meta.ino()));
    }
    Ok(table)
}

/// The contract's name for what a link of `/proc/PID/fd` shows, by its text and the mode of what it leads to.
pub(crate) fn kind(text: &str, mode: u32) -> &'static str {
    let anonymous = text.strip_prefix("anon_inode:").map(|name| name.trim_matches(['[', ']']));
    match anonymous {
        Some("eventpoll") => "epoll",
        Some("eventfd") => "eventfd",
        Some("timerfd") => "timerfd",
        Some("signalfd") => "signalfd",
        Some("inotify") => "inotify",
        Some("io_uring") => "io_uring",
        Some("pidfd") => "pidfd",
        Some("userfaultfd") => "userfaultfd",
        Some("fanotify") => "fanotify",
        Some(_) => "anonymous",
        None if text.starts_with("socket:") => "socket",
        None if text.starts_with("pipe:") => "pipe",
        None if text.starts_with("pidfd:") => "pidfd",
        None if text.starts_with("/memfd:") => "memfd",
        // File types of `st_mode` (inode(7)).
        None => match mode & 0o170_000 {
            0o040_000 => "directory",
            0o020_000 => "char_device",
            0o060_000 => "block_device",
            0o010_000 => "fifo",
            _ => "file",
        },
    }
}

/// Whether something listens on that port of 127.0.0.1. Asking costs no connection.
pub(crate) fn is_listening(port: u16) -> Result<()> {
    find(|row| row.local_port == port && row.state == "0A")
        .with_context(|| format!("nothing listens on {port}"))
}

/// Whether the server has taken the connection from that port out of its queue: then it has an inode.
pub(crate) fn is_accepted(server: u16, client: u16) -> Result<()> {
    find(|row| row.local_port == server && row.peer_port == client && row.inode != "0")
        .with_context(|| format!("the connection from {client} is not accepted"))
}

struct Row<'a> {
    local_port: u16,
    peer_port: u16,
    state: &'a str,
    inode: &'a str,
}

/// Looks for a row of `/proc/net/tcp` (`proc_pid_net(5)`).
fn find(wanted: impl Fn(&Row<'_>) -> bool) -> Result<()> {
    let text = fs::read_to_string("/proc/net/tcp")?;
    let found = text.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |field: &str| u16::from_str_radix(field.rsplit(':').next()?, 16).ok();
        let [_, local, peer, state, _, _, _, _, _, inode, ..] = fields.as_slice() else { return false };
        let (Some(local_port), Some(peer_port)) = (port(local), port(peer)) else { return false };
        wanted(&Row { local_port, peer_port, state, inode })
    });
    found.then_some(()).context("no such row in /proc/net/tcp")
}

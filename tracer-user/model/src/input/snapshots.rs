//! Snapshots of tables, and looks at what is not followed.

use super::{Place, Slot, Sock, Task, Tcp};
use crate::ids::{BootNs, ProcessKey};
use serde::{Deserialize, Serialize};

/// Why a snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Tracing begins.
    Start,
    /// A process was selected later.
    Selected,
    /// After a loss, to repair.
    Repair,
    /// From time to time, whether or not anything is known to be wrong.
    Check,
}

impl Reason {
    /// Whether it sets right what it finds wrong: it compares tables that are known.
    #[must_use]
    pub const fn repairs(self) -> bool {
        matches!(self, Self::Repair | Self::Check)
    }
}

/// One slot of one table, as a snapshot found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Process.
    pub process: ProcessKey,
    /// Parent's pid.
    pub parent: u32,
    /// Kernel address of the table.
    pub files: u64,
    /// Name of the leader.
    pub comm: Vec<u8>,
    /// Soft limit on descriptors.
    pub fd_limit: u64,
    /// Where the process lives.
    pub place: Place,
    /// The slot. Its name is the file's whole path, or what `/proc/PID/fd` shows (`anon_inode:[eventpoll]`).
    pub slot: Slot,
    /// The socket in it.
    pub sock: Option<Sock>,
    /// Open flags (`f_flags`, open(2)).
    pub open_flags: u32,
    /// The counters of a TCP connection.
    pub tcp: Option<Tcp>,
    /// What a TCP connection received and nobody has read: bytes, and one for a FIN.
    pub unread: u32,
}

/// A one-time look at what has to do with an error, followed or not. It was taken some milliseconds after the error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// Whose error.
    pub task: Task,
    /// Network namespace of the tracer: connections that nobody holds were looked for there.
    pub netns: u32,
    /// Sockets that processes hold.
    pub held: Vec<HeldSock>,
    /// Connections of TCP on the port that nobody holds.
    pub leftovers: Vec<Sock>,
    /// Everything was looked at.
    pub whole: bool,
    /// First port that everybody may bind (`ip_unprivileged_port_start`, ip(7)), in the tracer's namespace.
    pub first_port: Option<u32>,
    /// Open files of the machine and their limit (`file-nr`, proc_sys_fs(5)).
    pub files: Option<(u64, u64)>,
}

/// A socket that a process holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSock {
    /// Process.
    pub process: ProcessKey,
    /// Name of its leader.
    pub comm: Vec<u8>,
    /// Descriptor.
    pub fd: i32,
    /// Inode number.
    pub ino: u64,
    /// The socket.
    pub sock: Sock,
}

/// The sockets whose changes of state the kernel tells: from connect, listen or a place in an accept queue on, until they are
/// closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// When reading them began: what changed since is not known by them.
    pub since: BootNs,
    /// Kernel address, and the state that was told last.
    pub sockets: Vec<(u64, u16)>,
}

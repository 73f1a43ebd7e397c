//! What `interpreter` says of a program that it ran: one JSON object a program.

use serde::{Deserialize, Serialize};

/// What became of one program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Its number in the run.
    pub number: usize,
    /// A process that ended badly or a step that never came.
    pub trouble: Option<String>,
    /// How each process ended, as wait(2) told it.
    pub ends: Vec<End>,
    /// What was done, each thread's in its order.
    pub entries: Vec<Entry>,
}

/// The end of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Process.
    pub pid: u32,
    /// Wait status.
    pub status: u32,
}

/// One thing that a thread did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Actor of the program.
    pub actor: usize,
    /// The call's name; none for a table alone.
    pub call: Option<String>,
    /// Its arguments, where they are numbers.
    pub args: [i64; 4],
    /// What it returned; an error as `-errno`.
    pub ret: i64,
    /// Nothing else of the program ran at the same time: what was looked at before and after is certain.
    pub alone: bool,
    /// The path or the address that it was called with.
    pub asked: Option<String>,
    /// `getsockname` afterwards.
    pub local: Option<String>,
    /// `getpeername` afterwards; for an accept what the call itself gave.
    pub peer: Option<String>,
    /// Numbers that the call made, where they are not its result.
    pub numbers: Vec<i32>,
    /// The descriptors that it made, looked at afterwards.
    pub made: Vec<Slot>,
    /// What was open before a call that is about the whole table, or before the end; or the table.
    pub table: Option<Vec<Slot>>,
}

/// A descriptor as fstat(2) and `F_GETFD` (fcntl(2)) have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Slot {
    /// Number.
    pub fd: i32,
    /// Close-on-exec.
    pub cloexec: bool,
    /// Inode.
    pub ino: u64,
    /// Device.
    pub dev: u64,
    /// Type and permissions.
    pub mode: u32,
}

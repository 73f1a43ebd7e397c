//! Births, programs and ends of processes, and tables that were read at such a moment.

use super::Task;
use crate::{
    ids::{BootNs, ProcessKey},
    syscall::Syscall,
};
use serde::{Deserialize, Serialize};

/// Where a process lives, read from the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its number as itself sees it, in its own pid namespace (pid_namespaces(7)).
    pub ns_pid: u32,
    /// Inode number of that namespace.
    pub pid_ns: u32,
    /// Identifier of its control group in the cgroup2 hierarchy; 0 where there is none.
    pub cgroup: u64,
}

/// A control group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// Identifier: the inode number of its directory.
    pub id: u64,
    /// Path from the root of the cgroup2 hierarchy, which is `/`; one that begins with `...` is cut.
    pub path: Vec<u8>,
}

/// A new process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// Parent.
    pub task: Task,
    /// Which call; `None` where its entry was not seen.
    pub call: Option<Syscall>,
    /// When the call began.
    pub enter: Option<BootNs>,
    /// Child.
    pub child: ProcessKey,
    /// What the call returns: the child's number in the parent's pid namespace.
    pub ret: u32,
    /// Where the child lives.
    pub place: Place,
    /// Kernel address of the child's table.
    pub child_files: u64,
    /// Parent and child share one table (`CLONE_FILES`).
    pub shares_files: bool,
    /// Child's name.
    pub comm: Vec<u8>,
}

/// A process executes another program. Close-on-exec descriptors are closed by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Who.
    pub task: Task,
    /// Which call; `None` where its entry was not seen.
    pub call: Option<Syscall>,
    /// When the call began.
    pub enter: Option<BootNs>,
    /// Where the process lives.
    pub place: Place,
    /// New name.
    pub comm: Vec<u8>,
    /// Path that is executed.
    pub path: Vec<u8>,
    /// The process is followed from here on; a snapshot of it follows.
    pub newly_followed: bool,
}

/// A process ended: its descriptors are closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Who.
    pub task: Task,
    /// Wait status as wait(2) has it.
    pub code: u32,
}

/// Slots of a table that only one task has, read before that task went on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The task, and with it the table.
    pub task: Task,
    /// Kernel address of the table that the task had when its call began; 0 where that is not known.
    pub from: u64,
    /// Number of the first slot that was read.
    pub first: i32,
    /// The slots that hold a file, by number.
    pub slots: Vec<Held>,
}

/// A slot that holds a file, as far as a whole table tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Descriptor number.
    pub fd: i32,
    /// Kernel address of the open file.
    pub file: u64,
    /// Close-on-exec.
    pub cloexec: bool,
}

/// A thread whose table is not its leader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// The thread.
    pub task: Task,
    /// Tasks that have its table, itself included.
    pub users: u32,
    /// It begins; otherwise it ends.
    pub begins: bool,
}

//! Records of processes, threads and the tables that they are given.

use crate::{call::PATH_LEN, layout::record, record::Header};

/// Bytes kept of a control group's path.
pub const CGROUP_LEN: usize = 2048;
/// Longest name of a control group and its zero byte (`NAME_MAX`, include/uapi/linux/limits.h).
pub const CGROUP_NAME_LEN: usize = 256;
/// Slots in one [`Table`] record: the bits of a word.
pub const TABLE_SLOTS: usize = 64;
/// A fork's child shares its parent's descriptor table (`CLONE_FILES`, clone(2)).
pub const FORK_SHARES_FILES: u32 = 1;

record! {
    /// Where a process lives.
    pub struct Place {
        /// Its number in its own pid namespace (pid_namespaces(7)).
        pub ns_pid: u32,
        /// Inode number of that namespace.
        pub pid_ns: u32,
        /// Identifier of its control group in the cgroup2 hierarchy.
        pub cgroup: u64,
    }
}

record! {
    /// A control group, told without a number before the first process that is in it.
    pub struct Cgroup {
        /// Head; no task's.
        pub header: Header,
        /// Identifier.
        pub id: u64,
        /// Bytes used of `names`.
        pub len: u32,
        /// Set where the path has more names than there was room for.
        pub cut: u32,
        /// Names from the group up to the hierarchy's root, which has none; a zero byte behind each.
        pub names: [u8; CGROUP_LEN],
    }
}

record! {
    /// A new process (not a new thread), told before it runs.
    pub struct Fork {
        /// Head; the task is the parent.
        pub header: Header,
        /// Child's thread group.
        pub child_pid: u32,
        /// `FORK_*` flags.
        pub flags: u32,
        /// Child's start.
        pub child_start: u64,
        /// Address of the child's descriptor table.
        pub child_files: u64,
        /// Number of the system call.
        pub nr: u32,
        /// The child's number in the parent's pid namespace: what the call returns.
        pub ret: u32,
        /// When the call began; 0 where that was not seen.
        pub enter: u64,
        /// Where the child lives.
        pub place: Place,
        /// Name.
        pub comm: [u8; 16],
    }
}

record! {
    /// A process that executes another program, told after close-on-exec descriptors were closed.
    pub struct Exec {
        /// Head.
        pub header: Header,
        /// Thread id of the caller before the call.
        pub old_tid: u32,
        /// Number of the system call.
        pub nr: u32,
        /// When the call began; 0 where that was not seen.
        pub enter: u64,
        /// Where the process lives.
        pub place: Place,
        /// New name.
        pub comm: [u8; 16],
        /// Bytes used of `path`.
        pub path_len: u32,
        /// Set where the process is followed from this moment on: its table is not known yet.
        pub newly_followed: u32,
        /// Path that is executed.
        pub path: [u8; PATH_LEN],
    }
}

record! {
    /// The last thread of a process ends; its descriptors are closed right after.
    pub struct Exit {
        /// Head.
        pub header: Header,
        /// Wait status (`wait(2)`).
        pub code: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
    }
}

record! {
    /// Slots of a descriptor table that only one task has, and that was made from a shared one: what other tasks did to that
    /// one meanwhile is not known by their calls. Told before the record of the call that made the table, at the same moment;
    /// the first slots in any case, more where any of them holds a file.
    pub struct Table {
        /// Head, without a number; the task and the table are the ones that the slots belong to.
        pub header: Header,
        /// Number of the first slot.
        pub first: u32,
        /// Keeps the structure free of padding.
        pub reserved: u32,
        /// Address of the table that the task had when its call began: the one that this was made from.
        pub from: u64,
        /// Close-on-exec, a bit a slot.
        pub cloexec: u64,
        /// Address of the open file in each slot; 0 for none.
        pub files: [u64; TABLE_SLOTS],
    }
}

record! {
    /// A thread whose table is not its leader's begins or ends.
    pub struct Thread {
        /// Head; the task and the table are the thread's.
        pub header: Header,
        /// Tasks that have the table, this one included.
        pub users: u32,
        /// Set where it begins.
        pub begins: u32,
    }
}

record! {
    /// Value of the map of followed processes.
    pub struct Follow {
        /// Set where only the process's sockets on the selected port are followed.
        pub sockets_only: u32,
    }
}

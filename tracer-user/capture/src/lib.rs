//! From the kernel to ordered inputs: loads and attaches the programs, reads their records, orders them, takes
//! snapshots and repairs after a loss. The only crate that names aya.

mod btf;
mod capture;
mod clock;
mod doctor;
mod glance;
mod health;
mod look;
mod numbering;
mod offsets;
mod opener;
mod order;
mod peek;
mod pending;
mod pod;
mod probes;
mod programs;
mod sampler;
mod selection;
mod stacks;

pub use capture::Capture;
pub use doctor::findings;
pub use glance::{Connections, Glance};
pub use look::AtAddress;
pub use selection::Selection;

use std::time::Duration;
use tracer_model::input::LossCause;

/// How to trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What to follow.
    pub selection: Selection,
    /// Size of the ring buffer in bytes; rounded up to a power of two of whole pages.
    pub ring_bytes: u32,
    /// The scheduler is traced as well: what threads that accept do.
    pub sched: bool,
    /// The first bytes of connections are looked at: what is spoken on them.
    pub peek: bool,
    /// The user stacks of calls that make a descriptor are read. [`Capture::attach`] then forks a process that opens files for
    /// it: no thread may run by then.
    pub stacks: bool,
    /// How often every table is compared with the kernel's although nothing is known to be wrong; `None`: never. A check
    /// that takes long comes less often, see [`Capture`].
    pub check: Option<Duration>,
}

/// Records and what became of them. The kernel counts what it attempted, user space what it received and what it told as
/// lost: the books close when tracing has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Records that the programs attempted, and what a full table, an entry that is not decoded or a run that the kernel
    /// skipped kept them from attempting.
    pub attempted: u64,
    /// Records that came through the ring buffer and could be read.
    pub delivered: u64,
    /// What was told as lost.
    pub lost: u64,
    /// The same by cause, none of them 0, as the kernel counted it. Of what the kernel cannot count, records that could not be read
    /// and numbers that nothing explains, as user space did.
    pub causes: Vec<(LossCause, u64)>,
}

/// Why tracing cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The kernel refused for want of privilege.
    #[error("not permitted to load kernel programs ({0}): run as root, or with CAP_BPF and CAP_PERFMON")]
    NotPermitted(String),
    /// The kernel does not describe its types.
    #[error("this kernel has no type information at /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF): {0}")]
    NoBtf(String),
    /// The binary was built without the kernel programs.
    #[error("this binary was built without the kernel programs: build it with `cargo xtask build`")]
    NoPrograms,
    /// A selected process does not exist.
    #[error("no process with pid {0}")]
    NoProcess(u32),
    /// A selected control group does not exist or is not of the cgroup2 hierarchy.
    #[error("cannot select the control group {path}: {cause}")]
    NoCgroup {
        /// As given.
        path: String,
        /// Why.
        cause: String,
    },
    /// A program that everything rests on does not load or attach.
    #[error("cannot {what}: {cause}")]
    Kernel {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        cause: String,
    },
}

/// Why tracing cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// A snapshot could not be read.
    #[error("cannot read the snapshot: {0}")]
    Snapshot(std::io::Error),
    /// The queues of listeners could not be read.
    #[error("cannot sample accept queues: {0}")]
    Sample(std::io::Error),
    /// The ring buffer could not be waited for.
    #[error("cannot wait for records: {0}")]
    Wait(std::io::Error),
}

/// What was attached and what is missing, in sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is attached.
    pub attached: Vec<String>,
    /// What is missing and what that costs.
    pub missing: Vec<String>,
    /// How many instructions the verifier walked for each program; it gives up at 1,000,000
    /// (`BPF_COMPLEXITY_LIMIT_INSNS`, include/linux/bpf.h). Empty before Linux 5.16, which does not tell.
    pub verified: Vec<(String, u32)>,
}

/// One line of `sockreel doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// Whether it is as tracing needs it.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What its lack costs.
    pub cost: Option<String>,
    /// The command that mends it.
    pub mend: Option<String>,
}

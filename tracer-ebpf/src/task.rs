//! Who: identity of tasks, and whether they are followed.

use crate::{
    cgroup,
    globals::{config, offset},
    kread::{field, pointer},
    maps::{FOLLOW, count},
};
use aya_ebpf::helpers::{
    bpf_get_current_task,
    generated::{bpf_get_current_ancestor_cgroup_id, bpf_get_current_task_btf},
};
use tracer_abi::{Counter, Follow, Offsets, Place, SELECT_ALL, SELECT_CGROUP, SELECT_COMM, SELECT_PORT};

/// Place of `RLIMIT_NOFILE` in `signal_struct.rlim` (include/uapi/asm-generic/resource.h); an entry is two words, the
/// soft limit first.
const RLIMIT_NOFILE: u32 = 7;

/// How much of a process is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Nothing.
    None,
    /// Its sockets on the selected port.
    Sockets,
    /// Everything.
    Whole,
}

/// Address of the current `task_struct`.
#[inline(always)]
pub(crate) fn current() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_get_current_task() }
}

/// What is read of the current task at the beginning of a program, once: a load of a pointer from an object that the verifier trusts
/// has it search the kernel's types by name (`btf_nested_type_is_trusted`, kernel/bpf/btf.c), a millisecond or more on each way that
/// leads through it.
#[derive(Clone, Copy)]
pub(crate) struct Current {
    /// Start of its thread group leader, boot clock.
    pub(crate) start: u64,
    /// Its descriptor table, which the verifier knows to be one.
    files: *const u8,
}

impl Current {
    /// Plain loads: the verifier knows the pointers to be a task's.
    #[inline(always)]
    pub(crate) fn read() -> Self {
        let (files, leader, start) =
            (offset!(task_files) as usize, offset!(task_leader) as usize, offset!(task_start) as usize);
        // SAFETY: the helper has no preconditions and gives a valid task, whose leader is one; both are read by loads that
        // the kernel guards against faults.
        unsafe {
            let task = bpf_get_current_task_btf().cast::<u8>();
            let leader = task.add(leader).cast::<*const u8>().read_volatile();
            Self {
                start: leader.add(start).cast::<u64>().read_volatile(),
                files: task.add(files).cast::<*const u8>().read_volatile(),
            }
        }
    }

    /// Address of its descriptor table.
    #[inline(always)]
    pub(crate) fn files(self) -> u64 {
        self.files as u64
    }

    /// Number of places in its table, and address of the array of open files.
    #[inline(always)]
    pub(crate) fn table(self) -> (u32, u64) {
        let (fdt, max, array) =
            (offset!(files_fdt) as usize, offset!(fdt_max) as usize, offset!(fdt_fd) as usize);
        // SAFETY: read by loads of the types' fields that the kernel guards against faults.
        unsafe {
            let fdt = self.files.add(fdt).cast::<*const u8>().read_volatile();
            (fdt.add(max).cast::<u32>().read_volatile(), fdt.add(array).cast::<u64>().read_volatile())
        }
    }
}

/// When the current thread began.
#[inline(always)]
pub(crate) fn current_start() -> u64 {
    let start = offset!(task_start) as usize;
    // SAFETY: as in `current_sleeps`.
    unsafe { bpf_get_current_task_btf().cast::<u8>().add(start).cast::<u64>().read_volatile() }
}

/// How often the current task has gone to sleep of its own accord.
#[inline(always)]
pub(crate) fn current_sleeps() -> u32 {
    let sleeps = offset!(task_sleeps) as usize;
    // SAFETY: the helper has no preconditions and gives a valid task; the kernel guards the load against faults.
    unsafe { bpf_get_current_task_btf().cast::<u8>().add(sleeps).cast::<u64>().read_volatile() as u32 }
}

/// Inode number of a task's own network namespace.
#[inline(always)]
pub(crate) fn netns(task: u64) -> u32 {
    let namespaces = pointer(task, offset!(task_nsproxy)).unwrap_or(0);
    let net = pointer(namespaces, offset!(nsproxy_net)).unwrap_or(0);
    field(net, offset!(net_ns) + offset!(ns_inum)).unwrap_or(0)
}

/// Start of a task's thread group leader, boot clock.
#[inline(always)]
pub(crate) fn start(task: u64) -> u64 {
    pointer(task, offset!(task_leader)).and_then(|leader| field(leader, offset!(task_start))).unwrap_or(0)
}

/// Address of a task's descriptor table.
#[inline(always)]
pub(crate) fn files(task: u64) -> u64 {
    field(task, offset!(task_files)).unwrap_or(0)
}

/// Address of the descriptor table of a task's thread group leader; 0 where that has ended.
#[inline(always)]
pub(crate) fn leader_files(task: u64) -> u64 {
    pointer(task, offset!(task_leader)).map_or(0, files)
}

/// Name of a task's thread group leader.
#[inline(always)]
pub(crate) fn leader_comm(task: u64) -> [u8; 16] {
    pointer(task, offset!(task_leader))
        .and_then(|leader| field(leader, offset!(task_comm)))
        .unwrap_or([0; 16])
}

/// Bytes of a `struct upid` (include/linux/pid.h), and the most pid namespaces that nest (`MAX_PID_NS_LEVEL`).
const UPID: u64 = 16;
const MAX_PID_NS_LEVEL: u32 = 32;

/// Level of the pid namespace that a task is in; 0 is the initial one.
#[inline(always)]
pub(crate) fn pid_ns_level(task: u64) -> u32 {
    let pid = pointer(task, offset!(task_numbers)).unwrap_or(0);
    field::<u32>(pid, offset!(pid_level)).unwrap_or(0)
}

/// A task's number in its pid namespace of that level, and the namespace's inode number (`pid_nr_ns`, kernel/pid.c).
#[inline(always)]
pub(crate) fn number_in(task: u64, level: u32) -> (u32, u32) {
    let Some(pid) = pointer(task, offset!(task_numbers)) else { return (0, 0) };
    let upid = pid + u64::from(offset!(pid_numbers)) + u64::from(level.min(MAX_PID_NS_LEVEL)) * UPID;
    let ns = pointer(upid, offset!(upid_ns)).unwrap_or(0);
    (field(upid, offset!(upid_nr)).unwrap_or(0), field(ns, offset!(pid_ns_inum)).unwrap_or(0))
}

/// Where the process of a task lives; the path of its control group is told at `ts`.
#[inline(never)]
pub(crate) fn place(task: u64, ts: u64, to: &mut Place) {
    let leader = pointer(task, offset!(task_leader)).unwrap_or(0);
    (to.ns_pid, to.pid_ns) = number_in(leader, pid_ns_level(leader));
    to.cgroup = cgroup::of(task, ts);
}

/// Thread group of a task's parent.
#[inline(always)]
pub(crate) fn parent(task: u64) -> u32 {
    pointer(task, offset!(task_parent)).and_then(|parent| field(parent, offset!(task_tgid))).unwrap_or(0)
}

/// A task's soft limit on descriptors.
#[inline(always)]
pub(crate) fn fd_limit(task: u64) -> u64 {
    pointer(task, offset!(task_signal))
        .and_then(|signal| field(signal, offset!(signal_rlim) + RLIMIT_NOFILE * 16))
        .unwrap_or(0)
}

/// The current system call came through the 32-bit entry (`TS_COMPAT`, arch/x86/include/asm/thread_info.h).
const TS_COMPAT: u32 = 2;

/// Whether the current task is in a system call of the 32-bit table, whose numbers mean other calls.
#[inline(always)]
pub(crate) fn in_compat_call() -> bool {
    let status = offset!(task_status);
    // SAFETY: the helper has no preconditions and gives a valid task; the kernel guards the load against faults.
    status != Offsets::ABSENT
        && unsafe {
            bpf_get_current_task_btf().cast::<u8>().add(status as usize).cast::<u32>().read_volatile()
        } & TS_COMPAT
            != 0
}

/// Whether a thread group is the tracer's.
#[inline(always)]
pub(crate) fn is_own(pid: u32) -> bool {
    pid == config!(own_pid) || config!(opener_pid) != 0 && pid == config!(opener_pid)
}

/// How much of a thread group is followed.
#[inline(always)]
pub(crate) fn scope(pid: u32) -> Scope {
    if is_own(pid) {
        return Scope::None;
    }
    if config!(select) & SELECT_ALL != 0 {
        return Scope::Whole;
    }
    if let Some(follow) = FOLLOW.get_ptr(pid) {
        // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is not reused before this program
        // ends (BPF_F_NO_PREALLOC frees after a grace period).
        if unsafe { (*follow).sockets_only } == 0 {
            return Scope::Whole;
        }
    }
    if config!(select) & SELECT_PORT != 0 { Scope::Sockets } else { Scope::None }
}

/// Follows a thread group from now on.
#[inline(always)]
pub(crate) fn follow(pid: u32, sockets_only: bool) {
    let value = Follow { sockets_only: u32::from(sockets_only) };
    if FOLLOW.insert(pid, value, 0).is_err() {
        count(Counter::PROCESSES_FULL);
    }
}

/// Whether a thread group is in the map of followed processes, in full or for its sockets.
#[inline(always)]
pub(crate) fn is_in_map(pid: u32) -> bool {
    FOLLOW.get_ptr(pid).is_some()
}

/// Whether the selection by name fits.
#[inline(always)]
pub(crate) fn comm_selected(comm: &[u8; 16]) -> bool {
    if config!(select) & SELECT_COMM == 0 {
        return false;
    }
    let wanted = config!(comm);
    // Two words, because a comparison of arrays becomes a call to memcmp, which the BPF target does not have.
    let halves = |bytes: &[u8; 16]| {
        let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7] = *bytes;
        (
            u64::from_ne_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
            u64::from_ne_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
        )
    };
    halves(comm) == halves(&wanted)
}

/// Whether the selection by control group fits the current task.
#[inline(always)]
pub(crate) fn current_cgroup_selected() -> bool {
    if config!(select) & SELECT_CGROUP == 0 {
        return false;
    }
    let level = config!(cgroup_level) as i32;
    // SAFETY: the helper has no preconditions; it returns 0 for a level that the task's group does not have.
    let ancestor = unsafe { bpf_get_current_ancestor_cgroup_id(level) };
    ancestor == config!(cgroup_id)
}

//! Control groups: the path of each is told once, before the first process that is in it.

use crate::{
    emit,
    globals::offset,
    kread::{field, opaque, pointer, string, zero},
    maps::CGROUPS,
};
use aya_ebpf::helpers::generated::bpf_loop;
use core::ffi::c_void;
use tracer_abi::{CGROUP_LEN, CGROUP_NAME_LEN, Cgroup, Header, Kind};

/// Levels of a path that are told.
const LEVELS: u32 = 32;

/// Identifier of the control group of a task in the cgroup2 hierarchy, whose path is told with it; 0 where there is none.
#[inline(never)]
pub(crate) fn of(task: u64, ts: u64) -> u64 {
    let set = pointer(task, offset!(task_cgroups)).unwrap_or(0);
    let group = pointer(set, offset!(css_set_group)).unwrap_or(0);
    let directory = pointer(group, offset!(cgroup_kn)).unwrap_or(0);
    let id: u64 = field(directory, offset!(kn_id)).unwrap_or(0);
    if id != 0 && CGROUPS.get_ptr(id).is_none() && tell(directory, id, ts) {
        let _ = CGROUPS.insert(id, 1, 0);
    }
    id
}

/// Where a walk from a directory up to the root stands.
struct Walk {
    record: *mut Cgroup,
    at: u64,
    len: u64,
}

/// Tells the names on the way from a directory up to the root (`kernfs_path`, fs/kernfs/dir.c). Says whether there was room.
#[inline(always)]
fn tell(directory: u64, id: u64, ts: u64) -> bool {
    let header = Header { kind: 0, len: 0, cpu: 0, cpu_seq: 0, ts, pid: 0, tid: 0, start: 0, files: 0 };
    emit::part::<Cgroup>(Kind::CGROUP, &header, |record| {
        let mut walk = Walk { record, at: directory, len: 0 };
        // SAFETY: the ring buffer gave room for a whole record. The callback has the signature that the helper asks for, and
        // `walk` outlives the call.
        unsafe {
            (*record).id = id;
            zero((&raw mut (*record).names).cast(), CGROUP_LEN);
            bpf_loop(LEVELS, tell_name as *const () as *mut c_void, (&raw mut walk).cast(), 0);
        }
        let cut = pointer(walk.at, offset!(kn_parent)).is_some();
        // SAFETY: as above.
        unsafe {
            (*record).len = walk.len as u32;
            (*record).cut = u32::from(cut);
        }
    })
}

/// One step: copies the name of a directory. 1 ends the walk.
extern "C" fn tell_name(_level: u32, walk: *mut Walk) -> i64 {
    // SAFETY: the helper passes the pointer that `tell` gave it.
    let walk = unsafe { &mut *walk };
    let Some(above) = pointer(walk.at, offset!(kn_parent)) else { return 1 };
    let len = opaque(walk.len);
    if len > (CGROUP_LEN - CGROUP_NAME_LEN) as u64 {
        return 1;
    }
    let name = pointer(walk.at, offset!(kn_name)).unwrap_or(0);
    // SAFETY: the record has room for a whole name behind `len` bytes.
    let copied = unsafe {
        let to = (&raw mut (*walk.record).names).cast::<u8>().add(len as usize);
        string(to, CGROUP_NAME_LEN, name)
    };
    if copied > 0 {
        walk.len = len + copied as u64;
    }
    walk.at = above;
    0
}

//! Records of processes.

use super::{first, moment, task, until_zero};
use crate::{
    ids::ProcessKey,
    input::{Cgroup, Exec, Fork, Place},
    syscall::Numbering,
};
use tracer_abi::{Class, FORK_SHARES_FILES};

pub(super) fn fork(record: &tracer_abi::Fork, numbering: &Numbering) -> Fork {
    Fork {
        task: task(&record.header),
        call: numbering.call(record.nr).filter(|call| makes_processes(call.class())),
        enter: moment(record.enter),
        child: ProcessKey { pid: record.child_pid, start_ns: record.child_start },
        ret: record.ret,
        place: place(&record.place),
        child_files: record.child_files,
        shares_files: record.flags & FORK_SHARES_FILES != 0,
        comm: until_zero(&record.comm),
    }
}

pub(super) fn exec(record: &tracer_abi::Exec, numbering: &Numbering) -> Exec {
    Exec {
        task: task(&record.header),
        call: numbering.call(record.nr).filter(|call| call.class() == Class::EXEC),
        enter: moment(record.enter),
        place: place(&record.place),
        comm: until_zero(&record.comm),
        path: first(&record.path, record.path_len).to_vec(),
        newly_followed: record.newly_followed != 0,
    }
}

pub(super) fn place(record: &tracer_abi::Place) -> Place {
    Place { ns_pid: record.ns_pid, pid_ns: record.pid_ns, cgroup: record.cgroup }
}

/// A control group, whose names come from the group up.
pub(super) fn cgroup(record: &tracer_abi::Cgroup) -> Cgroup {
    let names = first(&record.names, record.len);
    let mut path = if record.cut == 0 { Vec::new() } else { b"...".to_vec() };
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).rev() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    Cgroup { id: record.id, path }
}

/// Whether a class's calls make processes.
fn makes_processes(class: Class) -> bool {
    matches!(class, Class::FORK | Class::CLONE | Class::CLONE3)
}

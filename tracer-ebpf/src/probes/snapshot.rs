//! Every slot of every followed descriptor table, one row each.

use crate::{
    emit, file,
    globals::offset,
    kread::field,
    maps::{LISTENER, ROW, ROW_PATH_LEN, RowOf},
    probes::{fanotify, listeners, ring_files, ring_waiting},
    sock,
    task::{self, Scope},
};
use aya_ebpf::helpers::generated::{bpf_d_path, bpf_seq_write, bpf_sock_from_file};
use core::ffi::c_void;
use tracer_abi::{Header, SLOT_PRESENT, SnapshotRow, Sock};

/// `struct bpf_iter__task_file` (kernel/bpf/task_iter.c).
#[repr(C)]
pub(super) struct TaskFile {
    pub(super) meta: *const Meta,
    pub(super) task: *const c_void,
    pub(super) fd: u32,
    _pad: u32,
    pub(super) file: *const c_void,
}

/// `struct bpf_iter_meta` (include/linux/bpf.h).
#[repr(C)]
pub(super) struct Meta {
    pub(super) seq: *mut c_void,
    session_id: u64,
    seq_num: u64,
}

#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
extern "C" fn snapshot(ctx: *const TaskFile) -> i32 {
    // SAFETY: the kernel calls an iterator with this context.
    let (meta, task, fd, file) = unsafe { ((*ctx).meta, (*ctx).task, (*ctx).fd, (*ctx).file) };
    if task.is_null() || file.is_null() {
        return 0;
    }
    let Some(buffer) = ROW.get_ptr_mut(0) else { return 0 };
    // SAFETY: the map gave this CPU's buffer; iterators do not migrate and there is one at a time.
    let row = unsafe { &mut (*buffer).row };
    let at = offset!(task_start) as usize;
    // SAFETY: likewise, of this CPU's buffer; the verifier knows both pointers to be readable.
    let (of, session, began) = unsafe {
        let began = task.cast::<u8>().add(at).cast::<u64>().read_volatile();
        (&mut (*buffer).of, (*meta).session_id, began)
    };
    let address = task as u64;
    if of.session != session || of.task != address || of.start != began {
        (of.session, of.task, of.start) = (session, address, began);
        read_task(row, of, address);
    }
    let (pid, start, scope, by_name) = (row.pid, row.start, of.scope, of.by_name);
    if scope == Scope::None {
        return 0;
    }
    file::clear_slot(&mut row.slot);
    file::file_ref(file as u64, &mut row.slot.file);
    let sk = file::sk_of(&row.slot.file);
    sock::read(sk, &mut row.sock);
    if scope == Scope::Sockets {
        if sk == 0 || !sock::port_selected(&row.sock) {
            return 0;
        }
        task::follow(pid, true);
    } else if by_name && !task::is_in_map(pid) {
        task::follow(pid, false);
    }
    let unix = if row.sock.family == sock::AF_UNIX { sk } else { 0 };
    sock::unix_name(unix, &mut row.local);
    sock::unix_name(sock::unix_peer(unix), &mut row.peer);
    if sk != 0 && sock::has_states(&row.sock) && row.sock.state != sock::TCP_CLOSE {
        sock::follow_states(&row.sock, pid, start, 0);
        if row.sock.state == sock::TCP_LISTEN {
            // SAFETY: the file is the context's.
            unsafe { know_children(file) };
        }
    }
    if row.sock.state == sock::TCP_LISTEN {
        know_listener(&row.sock, address, (pid, start));
    }
    row.ts = emit::now();
    row.files = task::files(address);
    row.slot.fd = fd as i32;
    row.slot.flags = SLOT_PRESENT | file::cloexec(row.files, fd) | file::mqueue(file as u64);
    if sk != 0 && sock::has_states(&row.sock) {
        sock::read_tcp(sk, &raw mut row.tcp);
        row.unread = sock::unread(sk);
    } else {
        sock::no_tcp(&raw mut row.tcp);
        row.unread = 0;
    }
    row.reserved = 0;
    row.open_flags = field(file as u64, offset!(file_flags)).unwrap_or(0);
    let path_offset = offset!(file_path) as usize;
    // SAFETY: `bpf_d_path` takes a `struct path *` inside a file that the verifier knows to be valid; the offset is a
    // constant for it. The buffer has ROW_PATH_LEN bytes.
    let len = unsafe {
        let path = file.cast::<u8>().add(path_offset);
        bpf_d_path(path as *mut _, (&raw mut (*buffer).path).cast(), ROW_PATH_LEN as u32)
    };
    // The helper counts the terminating zero, and fails for a path that is too long.
    row.path_len = if len > 0 && len <= ROW_PATH_LEN as i64 { len as u32 - 1 } else { 0 };
    // An anonymous inode's name follows this in its path (`anon_inodefs_dname`, fs/anon_inodes.c).
    // SAFETY: the buffer has room for more.
    if file::is_fanotify(unsafe { (&raw const (*buffer).path).cast::<u8>().add(b"anon_inode:".len()) }) {
        fanotify::wake(file as u64);
    }
    // SAFETY: likewise.
    let is_ring =
        file::is_ring(unsafe { (&raw const (*buffer).path).cast::<u8>().add(b"anon_inode:".len()) });
    if is_ring && scope == Scope::Whole {
        let ring: u64 = field(file as u64, offset!(file_private)).unwrap_or(0);
        ring_files::tell_found(ring, fd as i32, |header| head(header, row));
        ring_waiting::find(ring, |header| head(header, row));
    }
    // SAFETY: the row and its path are in the buffer; the kernel checks the room in its own and asks again.
    unsafe {
        let seq = (*meta).seq;
        let row_len = size_of::<SnapshotRow>() as u32;
        if bpf_seq_write(seq.cast(), buffer as *const _, row_len) != 0 {
            return 0;
        }
        if row.path_len > 0 && row.path_len < ROW_PATH_LEN as u32 {
            bpf_seq_write(seq.cast(), (&raw const (*buffer).path).cast(), row.path_len);
        }
    }
    0
}

/// Reads what the rows of a task have in common.
#[inline(never)]
fn read_task(row: &mut SnapshotRow, of: &mut RowOf, task: u64) {
    row.pid = field(task, offset!(task_tgid)).unwrap_or(0);
    row.comm = task::leader_comm(task);
    of.by_name = !task::is_own(row.pid) && task::comm_selected(&row.comm);
    of.scope = if of.by_name { Scope::Whole } else { task::scope(row.pid) };
    if of.scope != Scope::None {
        row.start = task::start(task);
        row.parent = task::parent(task);
        row.fd_limit = task::fd_limit(task);
        task::place(task, emit::now(), &mut row.place);
    }
}

/// Has a listener's queue sampled, unless it is already.
#[inline(never)]
fn know_listener(sock: &Sock, task: u64, (pid, start): (u32, u64)) {
    listeners::found(sock, task, (pid, start));
}

/// Writes the head of a record about what a row's process has.
#[inline(always)]
fn head(header: &mut Header, row: &SnapshotRow) {
    // Field by field: a whole header would need room on the stack.
    header.ts = row.ts;
    header.pid = row.pid;
    header.tid = 0;
    header.start = row.start;
    header.files = row.files;
}

/// Has the clones of the socket in a file know it.
///
/// # Safety
///
/// The verifier knows `file` to be a file.
#[inline(always)]
unsafe fn know_children(file: *const c_void) {
    let sk = offset!(socket_sk) as usize;
    // SAFETY: the caller's promise; the verifier knows what the helper gives to be a socket or null, and the offset to be
    // a constant.
    unsafe {
        let socket = bpf_sock_from_file(file.cast_mut().cast()).cast::<u8>();
        if !socket.is_null() {
            LISTENER.set(socket.add(sk).cast::<*const u8>().read_volatile());
        }
    }
}

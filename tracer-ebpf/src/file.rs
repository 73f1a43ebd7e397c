//! Descriptor tables and open files.

use crate::{
    globals::offset,
    kread::{Block, clear, field, pointer, string},
    probes::fanotify,
    sock,
    task::Current,
};
use tracer_abi::{FileRef, NAME_LEN, Offsets, SLOT_CLOEXEC, SLOT_MQUEUE, SLOT_NONBLOCK, SLOT_PRESENT, Slot};

/// Type bits of `st_mode` and their value for a socket (inode(7)).
const S_IFMT: u32 = 0o170_000;
const S_IFSOCK: u32 = 0o140_000;

/// `PID_FS_MAGIC` (include/uapi/linux/magic.h).
const PID_FS_MAGIC: u64 = 0x5049_4446;

/// `MQUEUE_MAGIC` (ipc/mqueue.c).
const MQUEUE_MAGIC: u64 = 0x1980_0202;

/// `SLOT_MQUEUE` where a file is of the file system of message queues.
#[inline(always)]
pub(crate) fn mqueue(file: u64) -> u32 {
    let inode = pointer(file, offset!(file_inode)).unwrap_or(0);
    let sb = pointer(inode, offset!(inode_sb)).unwrap_or(0);
    if field::<u64>(sb, offset!(sb_magic)) == Some(MQUEUE_MAGIC) { SLOT_MQUEUE } else { 0 }
}

/// Makes a slot one that was not read.
#[inline(always)]
pub(crate) fn clear_slot(slot: &mut Slot) {
    clear(slot);
    slot.fd = -1;
}

/// `O_NONBLOCK` (include/uapi/asm-generic/fcntl.h).
pub(crate) const O_NONBLOCK: u32 = 0o4000;

/// Bytes of a `struct inode` that hold what is read of it (include/linux/fs.h).
const INODE: usize = 96;
/// Bytes of a `struct fdtable` likewise (include/linux/fdtable.h).
pub(crate) const FDTABLE: usize = 32;

/// Reads what identifies an open file, and returns its status flags.
// A function of its own, as are `read_slot` and `sock::read`: inlined everywhere, the programs would outgrow the stack
// (512 bytes with everything that is called) and the verifier.
#[inline(never)]
pub(crate) fn file_ref(file: u64, to: &mut FileRef) -> u32 {
    let (address, status) = inode_and_status(file);
    let inode = Block::<INODE>::read(address);
    let sb: u64 = inode.get(address, offset!(inode_sb)).unwrap_or(0);
    to.file = file;
    to.ino = inode.get(address, offset!(inode_ino)).unwrap_or(0);
    to.dev = field(sb, offset!(sb_dev)).unwrap_or(0);
    to.mode = u32::from(inode.get::<u16>(address, offset!(inode_mode)).unwrap_or(0));
    status
}

/// Whether a file is a fanotify group, by the first eight bytes of its own name (`SYSCALL_DEFINE2(fanotify_init)`,
/// `fs/notify/fanotify/fanotify_user.c`).
#[inline(always)]
pub(crate) fn is_fanotify(name: *const u8) -> bool {
    // SAFETY: every caller passes a place of more bytes than that.
    unsafe { name.cast::<[u8; 8]>().read_unaligned() == *b"[fanotif" }
}

/// Whether a file is an io_uring, likewise (`io_uring_get_file`, io_uring/io_uring.c).
#[inline(always)]
pub(crate) fn is_ring(name: *const u8) -> bool {
    // SAFETY: as in `is_fanotify`.
    unsafe { name.cast::<[u8; 8]>().read_unaligned() == *b"[io_urin" }
}

/// Copies the last part of an open file's path.
#[inline(always)]
pub(crate) fn name(file: u64, to: &mut [u8; NAME_LEN]) {
    let Some(dentry) = pointer(file, offset!(file_path) + offset!(path_dentry)) else { return };
    let Some(text) = pointer(dentry, offset!(dentry_name) + offset!(qstr_name)) else { return };
    string(to.as_mut_ptr(), NAME_LEN, text);
    if is_fanotify(to.as_ptr()) {
        fanotify::wake(file);
    }
    // A process file's own name is no name; the link in /proc/PID/fd has its kind (`pidfs_dname`, fs/pidfs.c).
    let [first, ..] = *to;
    if first == b'/' {
        let inode = pointer(file, offset!(file_inode)).unwrap_or(0);
        let sb = pointer(inode, offset!(inode_sb)).unwrap_or(0);
        if field::<u64>(sb, offset!(sb_magic)) == Some(PID_FS_MAGIC) {
            let [place @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = to;
            *place = *b"[pidfd]\0";
        }
    }
}

/// Reads one slot of the table at `files` (`fdget`, fs/file.c) into `slot`; the name only where it is wanted.
#[inline(never)]
pub(crate) fn read_slot(files: u64, fd: i32, slot: &mut Slot, with_name: bool) {
    clear_slot(slot);
    slot.fd = fd;
    let Some(address) = pointer(files, offset!(files_fdt)) else { return };
    let fdt = Block::<FDTABLE>::read(address);
    let capacity: u32 = fdt.get(address, offset!(fdt_max)).unwrap_or(0);
    let index = fd as u32;
    if fd < 0 || index >= capacity {
        return;
    }
    let array: u64 = fdt.get(address, offset!(fdt_fd)).unwrap_or(0);
    let Some(file) = pointer(array + u64::from(index) * 8, 0) else { return };
    let status = file_ref(file, &mut slot.file);
    slot.flags = SLOT_PRESENT
        | cloexec_in(fdt.get(address, offset!(fdt_cloexec)).unwrap_or(0), index)
        | nonblock(status);
    if with_name {
        name(file, &mut slot.name);
    }
}

/// Address of the open file that a number names in the current task's table; 0 for none. Plain loads as far as the
/// verifier knows the types.
#[inline(always)]
pub(crate) fn current(task: Current, fd: i32) -> u64 {
    let (max, array) = task.table();
    if fd as u32 >= max {
        return 0;
    }
    pointer(array + u64::from(fd as u32) * 8, 0).unwrap_or(0)
}

/// Address of the open file that a number names in the table at `files`; 0 for none.
#[inline(always)]
pub(crate) fn at(files: u64, fd: u32) -> u64 {
    let fdt = pointer(files, offset!(files_fdt)).unwrap_or(0);
    let capacity: u32 = field(fdt, offset!(fdt_max)).unwrap_or(0);
    if fd >= capacity {
        return 0;
    }
    let array = pointer(fdt, offset!(fdt_fd)).unwrap_or(0);
    pointer(array + u64::from(fd) * 8, 0).unwrap_or(0)
}

/// Type and permissions of an open file's inode.
#[inline(always)]
fn mode(file: u64) -> u32 {
    let inode = pointer(file, offset!(file_inode)).unwrap_or(0);
    u32::from(field::<u16>(inode, offset!(inode_mode)).unwrap_or(0))
}

/// Inode number of an open file.
#[inline(always)]
pub(crate) fn ino(file: u64) -> u64 {
    let inode = pointer(file, offset!(file_inode)).unwrap_or(0);
    field(inode, offset!(inode_ino)).unwrap_or(0)
}

/// Whether a mode is a socket's.
#[inline(always)]
pub(crate) fn is_socket_mode(mode: u32) -> bool {
    mode & S_IFMT == S_IFSOCK
}

/// Whether a number of the current task's table names a socket.
#[inline(always)]
pub(crate) fn is_socket(task: Current, fd: i32) -> bool {
    is_socket_mode(mode(current(task, fd)))
}

/// Whether it names a unix socket.
#[inline(always)]
pub(crate) fn is_unix_socket(task: Current, fd: i32) -> bool {
    let file = current(task, fd);
    is_socket_mode(mode(file)) && sock::family(sk_in(file)) == sock::AF_UNIX
}

/// Whether it names a datagram socket of the internet protocols that has no port yet. A function of its own: the programs
/// have little room left on the stack.
#[inline(never)]
pub(crate) fn is_unbound(task: Current, fd: i32) -> bool {
    let file = current(task, fd);
    is_socket_mode(mode(file)) && sock::is_unbound(sk_in(file))
}

/// Address of the protocol's socket that a number of the current task's table names; 0 where it names none.
#[inline(always)]
pub(crate) fn current_sk(task: Current, fd: i32) -> u64 {
    let file = current(task, fd);
    if is_socket_mode(mode(file)) { sk_in(file) } else { 0 }
}

/// Lowest bits of a file's address in a ring's file table, which hold flags (`FFS_MASK`, io_uring/filetable.h).
const FILE_FLAGS: u64 = 7;

/// Address of the file in an entry of a ring's file table; 0 for none.
#[inline(always)]
pub(crate) fn direct(ring: u64, index: u32) -> u64 {
    let len: u32 = field(ring, offset!(ring_files_len)).unwrap_or(0);
    if index >= len {
        return 0;
    }
    let array = pointer(ring, offset!(ring_files)).unwrap_or(0);
    let entry = pointer(array + u64::from(index) * 8, 0).unwrap_or(0);
    if offset!(ring_node_file) == Offsets::ABSENT {
        entry & !FILE_FLAGS
    } else {
        pointer(entry, offset!(ring_node_file)).unwrap_or(0) & !FILE_FLAGS
    }
}

/// Whether an entry of a ring's file table is filled.
#[inline(always)]
pub(crate) fn has_direct(ring: u64, index: u32) -> bool {
    direct(ring, index) != 0
}

/// Reads an entry of a ring's file table (`io_rsrc_node_lookup`, io_uring/rsrc.h) into `slot`, its index in place of a
/// number; the name only where it is wanted.
#[inline(never)]
pub(crate) fn read_direct(ring: u64, index: u32, slot: &mut Slot, with_name: bool) {
    clear_slot(slot);
    slot.fd = index as i32;
    let file = direct(ring, index);
    if file == 0 {
        return;
    }
    slot.flags = SLOT_PRESENT | nonblock(file_ref(file, &mut slot.file));
    if with_name {
        name(file, &mut slot.name);
    }
}

/// Address of an open file's inode, and its status flags: one read where they lie side by side (Linux 6.12 and later). The
/// verifier knows the offsets, and walks one of the two ways.
#[inline(always)]
fn inode_and_status(file: u64) -> (u64, u32) {
    let (inode, status) = (offset!(file_inode), offset!(file_flags));
    if status == inode.wrapping_add(8) {
        let [inode, both]: [u64; 2] = field(file, inode).unwrap_or([0; 2]);
        return (inode, both as u32);
    }
    (field(file, inode).unwrap_or(0), field(file, status).unwrap_or(0))
}

/// `SLOT_NONBLOCK` where status flags have `O_NONBLOCK`: without a branch that the verifier would walk twice.
#[inline(always)]
fn nonblock(status: u32) -> u32 {
    status / O_NONBLOCK % 2 * SLOT_NONBLOCK
}

/// `SLOT_CLOEXEC` where the slot's bit is set in the array at `bits`.
#[inline(always)]
fn cloexec_in(bits: u64, index: u32) -> u32 {
    let word: u64 = field(bits, index / 64 * 8).unwrap_or(0);
    if word >> (index % 64) & 1 == 1 { SLOT_CLOEXEC } else { 0 }
}

/// The same for a slot of the table at `files`.
#[inline(always)]
pub(crate) fn cloexec(files: u64, index: u32) -> u32 {
    let fdt = pointer(files, offset!(files_fdt)).unwrap_or(0);
    cloexec_in(pointer(fdt, offset!(fdt_cloexec)).unwrap_or(0), index)
}

/// Address of the protocol's socket behind an open file; 0 where it is none.
#[inline(always)]
pub(crate) fn sk_of(file: &FileRef) -> u64 {
    if is_socket_mode(file.mode) { sk_in(file.file) } else { 0 }
}

/// The same for an open file of which only the address is known.
#[inline(always)]
pub(crate) fn socket_of(file: u64) -> u64 {
    if is_socket_mode(mode(file)) { sk_in(file) } else { 0 }
}

/// The same for an open file that is known to be a socket.
#[inline(always)]
fn sk_in(file: u64) -> u64 {
    pointer(file, offset!(file_private)).and_then(|socket| pointer(socket, offset!(socket_sk))).unwrap_or(0)
}

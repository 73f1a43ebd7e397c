//! Every map.

use crate::{
    kread::Block,
    probes::{Looking, PASSING_LEN, Room, SENT_LEN, Search, Walk},
    task::Scope,
};
use aya_ebpf::{
    bindings::{BPF_F_CLONE, BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE, bpf_map_type},
    helpers::generated::bpf_sk_storage_get,
    macros::{btf_map, map},
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use core::ffi::c_void;
// `AtomicU64::fetch_add` is not there for a target without compare-and-swap; the instruction is.
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use tracer_abi::{
    Acceptor, Asked, Carrier, Counter, Entry, Follow, Header, InFlight, Listener, ListenerRow, LookFound,
    LookWanted, Peeked, Peeking, Phrase, RingFlight, RingMark, RingMarked, SLEEPING_LEN, SYSCALL_TABLE_LEN,
    Sleeping, Slot, SnapshotRow, Sock, Target, Tracked,
};
use tracer_spoken::VERDICT;

/// Records on their way to user space. User space sets the size.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(16 << 20, 0);

/// [`Counter`]s.
#[map]
pub(crate) static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::COUNT, 0);

/// What to do with each system call's number.
#[map]
pub(crate) static SYSCALLS: Array<Entry> = Array::with_max_entries(SYSCALL_TABLE_LEN, 0);

/// Rows of that table that are set when the first fanotify group is seen.
#[map]
pub(crate) static SLEEPING: Array<Sleeping> = Array::with_max_entries(SLEEPING_LEN, 0);

/// Operations of fanotify groups (`fanotify_fops`, `fs/notify/fanotify/fanotify_user.c`); 0 while none was seen.
#[map]
pub(crate) static FANOTIFY_OPS: Array<u64> = Array::with_max_entries(1, 0);

/// Followed processes, by thread group id.
#[map]
pub(crate) static FOLLOW: HashMap<u32, Follow> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Control groups whose path was told. One that is forgotten is told again.
#[map]
pub(crate) static CGROUPS: LruHashMap<u64, u32> = LruHashMap::with_max_entries(16_384, 0);

/// Calls in flight, by thread id.
#[map]
pub(crate) static IN_FLIGHT: HashMap<u32, InFlight> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Addresses that calls in flight were given, by thread id.
#[map]
pub(crate) static ASKED: HashMap<u32, Asked> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Followed sockets, by kernel address. A socket enters when it can first change its state (listen, connect, queued,
/// accepted, found by the snapshot) and leaves when it reaches `TCP_CLOSE`, or when another one changes its state at its address.
#[map]
pub(crate) static SOCKETS: HashMap<u64, Tracked> = HashMap::with_max_entries(1 << 18, BPF_F_NO_PREALLOC);

/// Room for a call that is too large for the stack.
#[map]
pub(crate) static SCRATCH: PerCpuArray<Work> = PerCpuArray::with_max_entries(1, 0);

/// What sends in flight are about to send, by thread, or by request of an io_uring.
#[map]
pub(crate) static SENT: HashMap<u64, Room<SENT_LEN>> = HashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// Calls in flight that give a descriptor to another process, by thread.
#[map]
pub(crate) static TARGETS: HashMap<u32, Target> = HashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// A search for such a process.
#[map]
pub(crate) static SEARCH: PerCpuArray<Search> = PerCpuArray::with_max_entries(1, 0);

/// A walk through control data.
#[map]
pub(crate) static WALK: PerCpuArray<Walk> = PerCpuArray::with_max_entries(1, 0);

/// Room for a record of passed descriptors.
#[map]
pub(crate) static PASSING: PerCpuArray<Room<PASSING_LEN>> = PerCpuArray::with_max_entries(1, 0);

/// The same for an address.
#[map]
pub(crate) static ASKED_SCRATCH: PerCpuArray<Asked> = PerCpuArray::with_max_entries(1, 0);

/// In every followed listener its own address, and so in every socket that it makes: the kernel clones the one from the
/// other, and this storage with it (`bpf_sk_storage_clone` in `sk_clone_lock`, net/core/sock.c).
#[btf_map]
pub(crate) static LISTENER: ListenerStorage = ListenerStorage::new();

/// Followed listeners, by what their connections have of them, see [`Listener`].
#[map]
pub(crate) static LISTENERS: HashMap<u64, Listener> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Threads that accept, where the scheduler is traced; the table is full where more do, and those are unknown.
#[map]
pub(crate) static ACCEPTORS: HashMap<u32, Acceptor> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Ports that followed listeners have, by [`port_key`], and whose they are: a client that sends its SYN again is told where
/// it sends it to one. The least recently used goes first.
#[map]
pub(crate) static PORTS: LruHashMap<u64, Listener> = LruHashMap::with_max_entries(4096, 0);

/// A port of a network namespace.
#[inline(always)]
pub(crate) fn port_key(netns: u32, port: u16) -> u64 {
    u64::from(netns) << 16 | u64::from(port)
}

/// The listener that was read last, for user space, which has one read at a time.
#[map]
pub(crate) static LISTENER_ROW: Array<ListenerRow> = Array::with_max_entries(1, 0);

/// Room for a connection that waits in a queue that is read.
#[map]
pub(crate) static WAITING: PerCpuArray<Sock> = PerCpuArray::with_max_entries(1, 0);

/// Room for a row of the snapshot, its path behind it.
#[map]
pub(crate) static ROW: PerCpuArray<RowBuffer> = PerCpuArray::with_max_entries(1, 0);

/// What a look is for.
#[map]
pub(crate) static LOOK_WANTED: Array<LookWanted> = Array::with_max_entries(1, 0);

/// Room for what a look finds.
#[map]
pub(crate) static LOOK_FOUND: PerCpuArray<LookFound> = PerCpuArray::with_max_entries(1, 0);

/// A socket storage of one address that clones inherit, which the library's own type cannot say. The loader reads the
/// types of the fields (Documentation/bpf/map_sk_storage.rst).
#[repr(C)]
pub(crate) struct ListenerStorage {
    r#type: *const [i32; bpf_map_type::BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const u64,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize],
}

// SAFETY: the fields are never read.
unsafe impl Sync for ListenerStorage {}

impl ListenerStorage {
    const fn new() -> Self {
        let (key, value) = (core::ptr::null(), core::ptr::null());
        Self {
            r#type: core::ptr::null(),
            key,
            value,
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    /// The listener that made the socket; 0 where it has none, or none that was followed.
    ///
    /// # Safety
    ///
    /// The verifier knows `sk` to be a socket.
    #[inline(always)]
    pub(crate) unsafe fn get(&self, sk: *const u8) -> u64 {
        // SAFETY: the caller's promise; the helper gives a valid pointer or none.
        unsafe {
            let value = bpf_sk_storage_get(self.map(), sk.cast_mut().cast(), core::ptr::null_mut(), 0);
            if value.is_null() { 0 } else { *value.cast::<u64>() }
        }
    }

    /// Makes a socket one whose clones know it.
    ///
    /// # Safety
    ///
    /// As for [`Self::get`].
    #[inline(always)]
    pub(crate) unsafe fn set(&self, sk: *const u8) {
        let mut address = sk as u64;
        // SAFETY: the caller's promise; the helper copies the value.
        unsafe {
            let place = bpf_sk_storage_get(
                self.map(),
                sk.cast_mut().cast(),
                (&raw mut address).cast(),
                BPF_SK_STORAGE_GET_F_CREATE.into(),
            );
            if !place.is_null() {
                // It may have been a clone itself.
                *place.cast::<u64>() = address;
            }
        }
    }

    #[inline(always)]
    fn map(&self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }
}

/// What each call, by number, does with the bytes of a connection. Of this and the next three the loader makes the least
/// where nobody asked what is spoken.
#[map]
pub(crate) static CARRIERS: Array<Carrier> = Array::with_max_entries(SYSCALL_TABLE_LEN, 0);

/// States of the automaton that reads first bytes, from user space.
#[map]
pub(crate) static PHRASES: Array<Phrase> = Array::with_max_entries(VERDICT as u32, 0);

/// Connections that are listened to, see [`Peeked`]. The least recently used goes first: what is spoken on it stays unknown.
#[map]
pub(crate) static PEEKED: LruHashMap<u64, Peeked> = LruHashMap::with_max_entries(65_536, 0);

/// Calls in flight that are looked at when they return, by thread.
#[map]
pub(crate) static PEEKING: HashMap<u32, Peeking> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Room for a look at a call.
#[map]
pub(crate) static LOOKING: PerCpuArray<Looking> = PerCpuArray::with_max_entries(1, 0);

/// Requests of io_urings in flight, by address.
#[map]
pub(crate) static REQUESTS: HashMap<u64, RingFlight> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// The same requests, by ring and mark: a completion of one that completes more than once does not name it.
#[map]
pub(crate) static MARKS: HashMap<RingMark, RingMarked> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

/// Room for an operation that is too large for the stack: a tracepoint's and the iterator's.
#[map]
pub(crate) static REQUEST_SCRATCH: PerCpuArray<RingWork> = PerCpuArray::with_max_entries(2, 0);

/// Where the walks through rings' file tables stand: a tracepoint's and the iterator's.
#[map]
pub(crate) static RING_LIST: PerCpuArray<RingWalk> = PerCpuArray::with_max_entries(2, 0);

/// Where the iterator's walk through the requests of a ring stands that wait for their file.
#[map]
pub(crate) static RING_WAITING: PerCpuArray<RingWaiting> = PerCpuArray::with_max_entries(1, 0);

/// Where such a walk stands.
#[repr(C)]
pub(crate) struct RingWaiting {
    /// Head of the requests' records.
    pub(crate) header: Header,
    /// The ring.
    pub(crate) ring: u64,
    /// The next list, and those of the second table; 0 for none.
    pub(crate) lists: u64,
    pub(crate) second: u64,
    /// Place of the next request in its list; 0 at its end.
    pub(crate) request: u64,
    /// How many lists are left.
    pub(crate) left: u32,
}

/// Where a walk through a ring's file table stands.
#[repr(C)]
pub(crate) struct RingWalk {
    /// Head of its records.
    pub(crate) header: Header,
    /// The ring.
    pub(crate) ring: u64,
    /// The ring's own number, then the index of an entry.
    pub(crate) fd: i32,
    /// Set where a snapshot found it.
    pub(crate) found: u32,
    /// `RING_LIST_*`.
    pub(crate) part: u32,
    /// What is told next.
    pub(crate) slot: Slot,
    /// The socket in it.
    pub(crate) sock: Sock,
}

/// Bytes of a `struct io_kiocb` that hold what is read of it.
pub(crate) const REQUEST: usize = 128;

/// An operation under work, and the sockets that are read when it completes.
#[repr(C)]
pub(crate) struct RingWork {
    /// The kernel's object.
    pub(crate) request: Block<REQUEST>,
    /// The operation.
    pub(crate) flight: RingFlight,
    /// The socket that it is about.
    pub(crate) sock: Sock,
    /// For an accept: its listener.
    pub(crate) listening: Sock,
}

/// A call under work: what was kept at entry, and the sockets that are read at exit.
#[repr(C)]
pub(crate) struct Work {
    /// The call.
    pub(crate) flight: InFlight,
    /// The socket that it is about.
    pub(crate) sock: Sock,
    /// For an accept: its listener.
    pub(crate) listening: Sock,
}

/// A row and its path.
#[repr(C)]
pub(crate) struct RowBuffer {
    /// The row.
    pub(crate) row: SnapshotRow,
    /// Its path; `PATH_MAX` would not fit the buffers of most readers, and paths of descriptors are short.
    pub(crate) path: [u8; ROW_PATH_LEN],
    /// Whose the row before was.
    pub(crate) of: RowOf,
}

/// What the rows of one task have in common is read with the first of them and stays in the row.
pub(crate) struct RowOf {
    /// The snapshot (`bpf_iter_meta.session_id`).
    pub(crate) session: u64,
    /// Address of the task.
    pub(crate) task: u64,
    /// Start of the task, boot clock: another may have come to the same address.
    pub(crate) start: u64,
    /// How much of its process is followed.
    pub(crate) scope: Scope,
    /// It is followed by its name.
    pub(crate) by_name: bool,
}

/// Bytes of a snapshot's path.
pub(crate) const ROW_PATH_LEN: usize = 1024;

/// Adds one to a counter of this CPU and returns the value before. Atomic, because a softirq may interrupt a program
/// of a task on the same CPU; sequentially consistent, because LLVM turns a relaxed add into an instruction that does
/// not fetch, and would return the operand.
#[inline(always)]
pub(crate) fn count(counter: Counter) -> u64 {
    match COUNTERS.get_ptr_mut(counter.0) {
        // SAFETY: the map gave a valid, aligned pointer to a value that is only ever accessed as an atomic here.
        Some(value) => unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(value, 1) },
        None => 0,
    }
}

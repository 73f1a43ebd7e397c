//! System calls, and requests of io_urings.

use super::{Slot, Sock, Task};
use crate::{address::Address, ids::BootNs, syscall::Syscall};
use serde::{Deserialize, Serialize};

/// How often a thread had gone to sleep of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sleeps {
    /// When the thread began, boot clock: its number may have been another's before.
    pub thread_start: BootNs,
    /// How often; it wraps around.
    pub count: u32,
}

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Who called.
    pub task: Task,
    /// Which call.
    pub call: Syscall,
    /// When it began; `None` where it was already running when tracing began.
    pub enter: Option<BootNs>,
    /// Return value; `None` while it runs.
    pub ret: Option<i64>,
    /// First four arguments as 32-bit values.
    pub args: [u32; 4],
    /// The slot that the call's descriptor argument named, as it was at entry. For `dup2` and `dup3` the slot that
    /// is replaced (`args[1]`), for `close` the one that is emptied.
    pub subject: Option<Slot>,
    /// The slots that the call filled or changed, as they were at exit: one for most, two for `pipe` and
    /// `socketpair`, every one that control data brought for `recvmsg`. For `sendmsg` the slots that it sent, as they
    /// were at entry.
    pub results: Vec<Slot>,
    /// The sockets in `results` that are sockets (same order), or, without results, the subject's socket after the
    /// call.
    pub socks: Vec<Sock>,
    /// For an accept: kernel address of the listener.
    pub listener: Option<u64>,
    /// For an accept: when the child entered the queue.
    pub queued: Option<BootNs>,
    /// For an accept: length and limit of the listener's queue after the call.
    pub queue: Option<(u32, u32)>,
    /// For an accept: how often its thread had gone to sleep so far.
    pub sleeps: Option<Sleeps>,
    /// The address that the caller passed.
    pub asked: Option<Address>,
    /// The value that the caller passed to `setsockopt`; for `SO_LINGER` its seconds, -1: off.
    pub asked_value: Option<i32>,
    /// The path that the caller passed.
    pub path: Option<Vec<u8>>,
    /// For an operation of an io_uring: its request. A system call has none.
    pub request: Option<Request>,
}

/// A request of an io_uring. Where an entry of the ring's file table is meant, a [`Slot`] has its index as `fd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the kernel's record")]
pub struct Request {
    /// Kernel address of the ring: its identity while it lives.
    pub ring: u64,
    /// What the program marked the request with.
    pub user_data: u64,
    /// The descriptor that the operation names is an entry of the ring's file table.
    pub subject_direct: bool,
    /// The descriptor that it made is one.
    pub result_direct: bool,
    /// The operation was submitted and says nothing if it succeeds (`IOSQE_CQE_SKIP_SUCCESS`, io_uring_enter(2)).
    pub unconfirmed: bool,
    /// Which request a completion belongs to was concluded: several in flight have the same mark.
    pub doubtful: bool,
    /// The completion did not name its request, which was found by its mark.
    pub by_mark: bool,
    /// Kernel address of the ring whose file table the result goes to, where that is another one.
    pub target: Option<u64>,
}

/// A descriptor that a process got from another one's call (`SECCOMP_IOCTL_NOTIF_ADDFD`, `seccomp_unotify(2)`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Who got it; the thread is 0.
    pub task: Task,
    /// The slot, as it was when the other's call returned: without a file where it was emptied by then.
    pub slot: Slot,
    /// The socket in it.
    pub sock: Option<Sock>,
}

/// Part of the list of an io_uring's file table: of what is there when the ring is made or found, and after
/// io_uring_register(2) or `IORING_OP_FILES_UPDATE` changed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingPart {
    /// Who made the ring, changed it or has it open.
    pub task: Task,
    /// Kernel address of the ring.
    pub ring: u64,
    /// A snapshot found it.
    pub found: bool,
    /// Which part.
    pub part: ListPart,
}

/// Parts of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListPart {
    /// It begins; the ring's own descriptor, where that is known.
    Begins(Option<Slot>),
    /// An entry that is filled, its index in place of a number.
    Entry(Slot, Option<Sock>),
    /// It ends: other entries are empty.
    Ends,
}

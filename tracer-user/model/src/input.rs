//! What a source delivers, in order: the model's only way in, and what a recording holds.
//!
//! An input states what was read from the kernel, apart from `asked`, `path` and `spoken`, which the caller's memory
//! held.

use crate::{
    address::Address,
    event::Spoken,
    ids::{BootNs, ProcessKey},
    syscall::Syscall,
};
use serde::{Deserialize, Serialize};

/// One input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// When it happened; for a call, when it returned.
    pub ts: BootNs,
    /// Which record of which CPU it was; `None` for what did not come through the ring buffer.
    pub origin: Option<Origin>,
    /// It arrived after later inputs had been released, and stands as near to its place as was possible.
    pub late: bool,
    /// What happened.
    pub body: Body,
}

/// Place of a record in the stream of its CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// CPU number.
    pub cpu: u32,
    /// Number among the records attempted on that CPU.
    pub cpu_seq: u64,
}

/// Kinds of input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// The boot clock's distance to the epoch, valid from here on. The first input of every stream.
    Anchor {
        /// Nanoseconds to add to a boot-clock time to get nanoseconds since the Unix epoch.
        epoch_minus_boot_ns: i64,
    },
    /// A system call that returned or that has been running for 100 ms.
    Call(Box<Call>),
    /// A new process.
    Fork(Fork),
    /// A process executes another program.
    Exec(Exec),
    /// A process ended.
    Exit(Exit),
    /// A socket changed its state.
    State(State),
    /// A connection entered an accept queue.
    Queued(Queued),
    /// A snapshot begins: rows follow, then its end.
    SnapshotBegin(Reason),
    /// One slot of one table.
    Row(Box<Row>),
    /// A snapshot ends: the rows since its begin are every slot of every followed process.
    SnapshotEnd(Reason),
    /// Every socket whose changes of state the kernel tells, in a snapshot that sets right what is wrong: one that has no
    /// descriptor has no row.
    Followed(Followed),
    /// Something was lost here.
    Lost(Lost),
    /// Slots of a table that a call made from a shared one; the call's own input follows, at the same moment.
    Table(Table),
    /// A thread whose table is not its leader's begins or ends.
    Thread(Thread),
    /// The path of a control group, before the first process that is in it.
    Cgroup(Cgroup),
    /// Another process filled a slot of a process.
    Given(Box<Given>),
    /// Part of the list of a ring's file table.
    Ring(Box<RingPart>),
    /// A look at the machine that explains an error: the input with the error follows, at the same moment.
    Looked(Box<Looked>),
    /// A connection was found in a listener's queue, where it had been before the listener was followed.
    Waiting(Box<Waiting>),
    /// Queues of listeners were sampled.
    Sampled(Box<Sampled>),
    /// The last segment of a handshake met a full queue.
    Overflow(Box<Overflow>),
    /// A client on this machine sent its SYN again.
    Retransmit(Box<Retransmit>),
    /// A thread that accepts runs again.
    Slept(Box<Slept>),
    /// It is known what is spoken on a connection.
    Spoken(Box<Heard>),
}

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Process.
    pub process: ProcessKey,
    /// Thread; 0 where no thread of the process did it (softirq).
    pub tid: u32,
    /// Kernel address of the thread's descriptor table; 0 where there is none.
    pub files: u64,
}

/// An open file, read from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// Kernel address of the open file description: its identity while it lives.
    pub file: u64,
    /// Inode number.
    pub ino: u64,
    /// Device: major << 20 | minor.
    pub dev: u32,
    /// `st_mode` (inode(7)); anonymous inodes may have no type.
    pub mode: u32,
}

/// A slot of a table at the moment it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Descriptor number.
    pub fd: i32,
    /// The file in it; `None` where it was empty.
    pub file: Option<FileRef>,
    /// Close-on-exec.
    pub cloexec: bool,
    /// The open file has `O_NONBLOCK`.
    pub nonblock: bool,
    /// The file's own name: last part of a path, or an anonymous inode's (`[eventpoll]`).
    pub name: Vec<u8>,
}

/// A kernel socket at the moment it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sock {
    /// Kernel address: its identity while it lives.
    pub sk: u64,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Address family (`AF_*`).
    pub family: u16,
    /// Type (`SOCK_*`).
    pub ty: u16,
    /// Protocol.
    pub protocol: u16,
    /// State as the kernel numbers TCP's.
    pub state: u16,
    /// Local address.
    pub local: Address,
    /// Peer's address.
    pub peer: Address,
    /// Accept queue: length. For a TCP listener and a unix one.
    pub queue_len: u32,
    /// Accept queue: limit.
    pub queue_limit: u32,
    /// Of a unix socket: kernel address of the other end; 0 for none.
    pub peer_sk: u64,
    /// Options. `O_NONBLOCK` is the open file's and not read with the socket.
    pub options: Options,
}

/// Options of a socket that explain how it behaves, as the kernel's socket has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches, each by itself")]
pub struct Options {
    /// `SO_REUSEADDR` (socket(7)).
    pub reuseaddr: bool,
    /// `SO_REUSEPORT`.
    pub reuseport: bool,
    /// `IPV6_V6ONLY` (ipv6(7)).
    pub v6only: bool,
    /// `SO_LINGER`: seconds; `None`: off.
    pub linger_s: Option<u32>,
    /// `TCP_DEFER_ACCEPT` (tcp(7)): seconds; 0: off. Not read of a connection, where it has no effect.
    pub defer_accept_s: u32,
    /// `TCP_FASTOPEN`: length of its queue, at most 65,535; 0: off. Not read of a connection.
    pub fastopen: u16,
    /// `O_NONBLOCK` of its open file (fcntl(2)).
    pub nonblock: bool,
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
    /// For an accept: how often the thread had gone to sleep so far; it wraps around.
    pub sleeps: Option<u32>,
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

/// A socket changed its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The socket's owner; `tid` is 0 unless the change happened in one of its calls.
    pub task: Task,
    /// State before.
    pub from: u16,
    /// State after.
    pub to: u16,
    /// Pending error of the socket (`sk_err`), 0 for none.
    pub error: u32,
    /// The socket.
    pub sock: Sock,
    /// What the connection came to, where this ends it.
    pub tcp: Option<Tcp>,
}

/// Counters of a TCP connection, as getsockopt(2) with `TCP_INFO` gives them (tcp(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tcp {
    /// Bytes that the peer acknowledged; a SYN and a FIN count as one each.
    pub acked: u64,
    /// Bytes that were received in order; a FIN counts as one.
    pub received: u64,
    /// Smoothed round trip time, microseconds; 0: not measured.
    pub rtt_us: u32,
    /// Segments that were sent again.
    pub retransmits: u32,
}

/// A connection is complete and waits for an accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// The listener's owner.
    pub task: Task,
    /// Kernel address of the listener.
    pub listener: u64,
    /// Length of its queue, this connection included.
    pub queue_len: u32,
    /// Its limit.
    pub queue_limit: u32,
    /// The connection.
    pub sock: Sock,
}

/// A connection that was found in a listener's queue: nothing told since when it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The listener's owner.
    pub task: Task,
    /// Kernel address of the listener.
    pub listener: u64,
    /// The connection.
    pub sock: Sock,
}

/// One look at the queues of all followed listeners: what has changed since the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sampled {
    /// Time between two looks, nanoseconds.
    pub period_ns: u64,
    /// The scheduler is traced: what threads that accept do is told.
    pub sched: bool,
    /// The first bytes of connections are looked at: what is spoken on them is told.
    pub peek: bool,
    /// Listeners.
    pub listeners: Vec<ListenerSample>,
    /// Network namespaces that listeners are in.
    pub namespaces: Vec<NamespaceSample>,
}

/// What was read of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerSample {
    /// When.
    pub ts: BootNs,
    /// Its owner.
    pub process: ProcessKey,
    /// The listener.
    pub sock: Sock,
    /// Packets that it dropped since it was made (`sk_drops`), modulo 2^32; `None` for a unix socket, which drops none.
    pub drops: Option<u32>,
}

/// What was read of a network namespace (`/proc/PID/net/netstat`), right before the listeners and right after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceSample {
    /// Its inode number.
    pub netns: u32,
    /// `ListenOverflows`: connections that met a full queue.
    pub overflows: (u64, u64),
    /// `ListenDrops`: those, and what listeners dropped for another reason.
    pub drops: (u64, u64),
}

/// A handshake's last segment met a full queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// The listener's owner.
    pub task: Task,
    /// Length of the queue.
    pub queue_len: u32,
    /// Its limit.
    pub queue_limit: u32,
    /// The listener, its peer whose segment it was.
    pub sock: Sock,
}

/// A client on this machine sent its SYN again to a port that a followed listener has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retransmit {
    /// The client where it is followed, otherwise the listener's owner.
    pub task: Task,
    /// The client's socket.
    pub sock: Sock,
}

/// What was heard on a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Whose call carried the bytes.
    pub task: Task,
    /// The descriptor that it named.
    pub fd: i32,
    /// The connection.
    pub sock: Sock,
    /// What is spoken.
    pub spoken: Spoken,
}

/// A thread that accepts was off the processor and runs again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slept {
    /// The thread.
    pub task: Task,
    /// When it left the processor.
    pub off: BootNs,
    /// When it was woken; `None` where it could have run all the time, or that was not seen.
    pub woken: Option<BootNs>,
    /// Its state when it left (`prev_state` of `sched:sched_switch`): 0 where it could have run on.
    pub state: u32,
    /// The system call in which it left, by name; `None` outside of one.
    pub call: Option<String>,
}

/// Why a snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Tracing begins.
    Start,
    /// A process was selected later.
    Selected,
    /// After a loss, to repair.
    Repair,
    /// From time to time, whether or not anything is known to be wrong.
    Check,
}

impl Reason {
    /// Whether it sets right what it finds wrong: it compares tables that are known.
    #[must_use]
    pub const fn repairs(self) -> bool {
        matches!(self, Self::Repair | Self::Check)
    }
}

/// One slot of one table, as a snapshot found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Process.
    pub process: ProcessKey,
    /// Parent's pid.
    pub parent: u32,
    /// Kernel address of the table.
    pub files: u64,
    /// Name of the leader.
    pub comm: Vec<u8>,
    /// Soft limit on descriptors.
    pub fd_limit: u64,
    /// Where the process lives.
    pub place: Place,
    /// The slot. Its name is the file's whole path, or what `/proc/PID/fd` shows (`anon_inode:[eventpoll]`).
    pub slot: Slot,
    /// The socket in it.
    pub sock: Option<Sock>,
    /// Open flags (`f_flags`, open(2)).
    pub open_flags: u32,
    /// The counters of a TCP connection.
    pub tcp: Option<Tcp>,
    /// What a TCP connection received and nobody has read: bytes, and one for a FIN.
    pub unread: u32,
}

/// A one-time look at what has to do with an error, followed or not. It was taken some milliseconds after the error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// Whose error.
    pub task: Task,
    /// Network namespace of the tracer: connections that nobody holds were looked for there.
    pub netns: u32,
    /// Sockets that processes hold.
    pub held: Vec<HeldSock>,
    /// Connections of TCP on the port that nobody holds.
    pub leftovers: Vec<Sock>,
    /// Everything was looked at.
    pub whole: bool,
    /// First port that everybody may bind (`ip_unprivileged_port_start`, ip(7)), in the tracer's namespace.
    pub first_port: Option<u32>,
    /// Open files of the machine and their limit (`file-nr`, proc_sys_fs(5)).
    pub files: Option<(u64, u64)>,
}

/// A socket that a process holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSock {
    /// Process.
    pub process: ProcessKey,
    /// Name of its leader.
    pub comm: Vec<u8>,
    /// Descriptor.
    pub fd: i32,
    /// Inode number.
    pub ino: u64,
    /// The socket.
    pub sock: Sock,
}

/// The sockets whose changes of state the kernel tells: from connect, listen or a place in an accept queue on, until they are
/// closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// When reading them began: what changed since is not known by them.
    pub since: BootNs,
    /// Kernel address, and the state that was told last.
    pub sockets: Vec<(u64, u16)>,
}

/// Something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many records.
    pub count: u64,
    /// Why.
    pub cause: LossCause,
    /// On which CPU, where that is known.
    pub cpu: Option<u32>,
}

/// Why records are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossCause {
    /// The ring buffer had no room.
    RingFull,
    /// The kernel did not run a program (recursion or preemption); records may be missing.
    ProgramSkipped,
    /// A table in the kernel was full: calls or requests in flight, followed sockets or followed processes.
    MapFull,
    /// A record that could not be read.
    Malformed,
    /// A numbered record did not arrive, for none of the reasons above.
    Unknown,
    /// System calls of followed processes made through the 32-bit entry, which are not decoded.
    CompatCall,
    /// No record: a table holds a file of which nothing told.
    UnknownFile,
}

impl LossCause {
    /// Name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::ProgramSkipped => "program_skipped",
            Self::MapFull => "map_full",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::CompatCall => "compat_call",
            Self::UnknownFile => "unknown_file",
        }
    }
}

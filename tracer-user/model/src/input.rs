//! What a source delivers, in order: the model's only way in, and what a recording holds.
//!
//! An input states what was read from the kernel, apart from `asked`, `path` and `spoken`, which the caller's memory
//! held.

mod calls;
mod losses;
mod objects;
mod processes;
mod snapshots;
mod sockets;
mod stacks;

use crate::ids::BootNs;
pub use calls::{Call, Given, ListPart, Request, RingPart, Sleeps};
pub use losses::{LossCause, Lost};
pub use objects::{FileRef, Options, Slot, Sock, Task};
pub use processes::{Cgroup, Exec, Exit, Fork, Held, Place, Table, Thread};
use serde::{Deserialize, Serialize};
pub use snapshots::{Followed, HeldSock, Looked, Reason, Row};
pub use sockets::{
    Heard, ListenerSample, NamespaceSample, Overflow, Queued, Retransmit, Sampled, Slept, State, Tcp, Waiting,
};
pub use stacks::Made;

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
    /// It is known from where descriptors were made.
    Made(Box<Made>),
}

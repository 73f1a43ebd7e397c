//! What became of sockets: states, accept queues, what was heard on them, and the threads that accept.

use super::{Sock, Task};
use crate::{
    event::Spoken,
    ids::{BootNs, ProcessKey},
};
use serde::{Deserialize, Serialize};

/// A socket changed its state, or a call found the other end of a unix socket gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The socket's owner; `tid` is 0 unless the change happened in one of its calls.
    pub task: Task,
    /// State before.
    pub from: u16,
    /// State after; the same where a unix connection stays and was found broken.
    pub to: u16,
    /// Pending error of the socket (`sk_err`), 0 for none; of a unix socket, the call's error.
    pub error: u32,
    /// The socket. Of a unix connection that was found broken, `peer_sk` is 0 where the other end is closed.
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
    /// Stacks of calls that make a descriptor are read: how many could not be so far, for there was no room or their process
    /// had executed another program by then. `None`: they are not read.
    pub stacks: Option<u64>,
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

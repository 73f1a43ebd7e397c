//! Why a call failed or a connection broke: a cause by name, and what it rests on. A sentence is made of it where it is shown.
//!
//! What the model knows of followed processes is looked up in it; of others, in the look at the machine that came with
//! the call ([`Looked`](crate::input::Looked)), if one did.

use crate::{
    address::Address,
    event::{FileKind, SocketKind, named},
    ids::{BootNs, ProcessKey, SocketId},
    input::Options,
};
use serde::{Deserialize, Serialize};

mod ends;
mod full;
mod memory;
mod refused;
mod rules;
mod search;
mod taken;

pub(crate) use ends::{Broken, ShutDown};
pub(crate) use memory::Memory;
pub(crate) use rules::errno;

named! {
    /// Why.
    Cause {
        /// `EADDRINUSE`: a socket that a process holds is in the way.
        AddressHeld "address_held",
        /// `EADDRINUSE`: only connections that nobody holds any more are in the way (`TIME_WAIT` and its kin).
        AddressLeftOver "address_left_over",
        /// `EADDRINUSE`: nothing was found in the way.
        AddressUnknown "address_unknown",
        /// `EMFILE`: the table of the process is full.
        TableFull "table_full",
        /// `ENFILE`: the machine's limit of open files is reached.
        SystemFull "system_full",
        /// `ECONNREFUSED`: nobody listens there.
        NobodyListens "nobody_listens",
        /// `ECONNREFUSED`: a listener was there and was closed.
        ListenerClosed "listener_closed",
        /// `ECONNREFUSED`: a listener has the port on another address.
        OtherAddress "other_address",
        /// `ECONNREFUSED`: a listener has the port, but only for the other version of IP.
        OtherFamily "other_family",
        /// `ECONNREFUSED`: a listener has the port in another network namespace.
        OtherNamespace "other_namespace",
        /// `ECONNREFUSED`: a listener is there now.
        Listens "listens",
        /// `ECONNREFUSED`: the address is not known to be this host's.
        Remote "remote",
        /// `ECONNABORTED`: the connection was reset while it waited to be accepted.
        ResetInQueue "reset_in_queue",
        /// `ECONNABORTED`: the connection was destroyed from outside (`ss -K`).
        Destroyed "destroyed",
        /// `ECONNRESET`: the peer reset the connection.
        PeerReset "peer_reset",
        /// `EPIPE`: the peer had closed and then refused what was still sent.
        PeerGone "peer_gone",
        /// `EPIPE`: the socket was shut down for writing, by whoever has it.
        ShutDown "shut_down",
        /// `EPIPE`: the peer was shut down for reading.
        PeerShutDown "peer_shut_down",
        /// `EACCES`: the port is below the first that everybody may bind.
        LowPort "low_port",
        /// `EAFNOSUPPORT`: the kernel does not have the family of sockets.
        NoFamily "no_family",
        /// `EAFNOSUPPORT`: the address is of another family than the socket.
        FamilyMismatch "family_mismatch",
        /// `EINVAL`: an accept on a socket that does not listen.
        NotListening "not_listening",
        /// `EINVAL`: a listen on a socket that is connected or connects.
        IsConnected "is_connected",
        /// `EINVAL`: a listen on a unix socket without a name.
        NotBound "not_bound",
        /// `EINVAL`: a bind of a socket that has an address.
        AlreadyBound "already_bound",
    }
}

named! {
    /// What an address of another socket has to do with the one that was asked for.
    Relation {
        /// It is the same.
        Same "same",
        /// One of them is every address of the host.
        Wildcard "wildcard",
        /// One of them is IPv6's every address, which takes IPv4 too (ipv6(7)).
        DualStack "dual_stack",
    }
}

named! {
    /// What was not seen, and might say more.
    Unseen {
        /// Processes that are not followed: no look at the machine came with this call (looks are rationed).
        Unfollowed "unfollowed",
        /// The look at the machine was cut short: it may have missed processes.
        CutShort "cut_short",
        /// Connections that nobody holds, in a network namespace that is not the tracer's.
        LeftoversElsewhere "leftovers_elsewhere",
        /// The model itself: too many errors came at once to look each one up.
        Searches "searches",
        /// Reads and writes, which are not traced: the call that was told the error may be one of them.
        ReadsAndWrites "reads_and_writes",
        /// The peer: its process is not followed, or is on another host.
        Peer "peer",
        /// The limit: it was not read.
        Limit "limit",
    }
}

/// A descriptor that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process.
    pub process: ProcessKey,
    /// Its name.
    pub comm: String,
    /// Number of the descriptor.
    pub fd: i32,
}

/// A socket that an explanation rests on, as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its identity, where it is a followed process's.
    pub socket: Option<SocketId>,
    /// Family, type, protocol.
    pub kind: SocketKind,
    /// Network namespace (inode number).
    pub netns: u32,
    /// Local address.
    pub local: Address,
    /// Peer's address.
    pub peer: Option<Address>,
    /// State, as the kernel numbers TCP's.
    pub state: u16,
    /// Options.
    pub options: Options,
    /// What its address has to do with the one that was asked for.
    pub relation: Option<Relation>,
    /// Who holds it, or held it last. At most [`MOST_HOLDERS`].
    pub holders: Vec<Holder>,
}

/// What fills a descriptor table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// Limit on descriptors; for the machine's, on open files.
    pub limit: Option<u64>,
    /// The limit was concluded from the first free number.
    pub inferred: bool,
    /// How many are in use.
    pub used: u64,
    /// What they are: kind, the call that made them, how many. Most first.
    pub kinds: Vec<(FileKind, String, u64)>,
    /// When the oldest of the most frequent was made, where that was seen.
    pub since_ns: Option<u64>,
}

/// The same call that failed in the same way again and again, without a pause of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spin {
    /// How often, this one included.
    pub count: u64,
    /// For how long.
    pub for_ns: u64,
    /// `seq` of the first.
    pub first: u64,
}

/// Why a call failed or a connection broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explain {
    /// Why.
    pub cause: Cause,
    /// It was explained in full a moment before, by the event in `events`, for a call of the same kind.
    pub again: bool,
    /// Options of the socket that the call was about, where they matter.
    pub options: Option<Options>,
    /// The sockets that it rests on, most telling first. At most [`MOST_PARTIES`].
    pub sockets: Vec<Party>,
    /// Further ones of the same kind.
    pub more: u64,
    /// What fills a table.
    pub fill: Option<Fill>,
    /// The same failure again and again.
    pub spin: Option<Spin>,
    /// How long before what explains it happened.
    pub ago_ns: Option<u64>,
    /// First port that everybody may bind.
    pub first_port: Option<u32>,
    /// Events that it rests on, by `seq`.
    pub events: Vec<u64>,
    /// What was not seen, and might say more.
    pub unseen: Vec<Unseen>,
}

/// Most sockets in one explanation.
pub const MOST_PARTIES: usize = 8;
/// Most holders of one socket in it.
pub const MOST_HOLDERS: usize = 8;

impl Explain {
    pub(crate) fn of(cause: Cause) -> Self {
        Self {
            cause,
            again: false,
            options: None,
            sockets: Vec::new(),
            more: 0,
            fill: None,
            spin: None,
            ago_ns: None,
            first_port: None,
            events: Vec::new(),
            unseen: Vec::new(),
        }
    }

    pub(crate) fn without(mut self, unseen: impl IntoIterator<Item = Unseen>) -> Self {
        self.unseen.extend(unseen);
        self
    }

    pub(crate) fn resting_on(mut self, events: impl IntoIterator<Item = u64>) -> Self {
        self.events.extend(events);
        self.events.sort_unstable();
        self.events.dedup();
        self
    }
}

/// A moment that passed between two.
pub(crate) fn between(from: BootNs, to: BootNs) -> u64 {
    to.0.saturating_sub(from.0)
}

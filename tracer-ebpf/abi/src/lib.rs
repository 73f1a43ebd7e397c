//! The contract between sockreel's kernel programs and user space.
//!
//! Every record that travels through the ring buffer, every row that an iterator writes and every value of a shared
//! map is a `repr(C)` structure of this crate. There are no dependencies, no features and no padding (asserted at
//! compile time), so that both sides see the same bytes. All integers are in the machine's own byte order; all times
//! are `CLOCK_BOOTTIME` nanoseconds.
//!
//! A reader accepts a record that is longer than it knows (a newer producer) and skips a kind that it does not know.
#![no_std]
#![forbid(unsafe_code)]

mod call;
mod class;
mod config;
mod counter;
mod layout;
mod look;
mod process;
mod queue;
mod record;
mod ring;
mod snapshot;
mod socket;
mod spoken;
mod stack;

pub use call::{
    Asked, CALLER_FOLLOWED, CHANGES_LEN, Call, CallAddr, CallFds, CallGiven, CallPair, CallPath, CallSock,
    CallStates, InFlight, PASSED_LOCAL, PASSED_PEER, PASSED_SOCK, PATH_LEN, Passed, SOCKADDR_LEN,
    TARGET_FOLLOWED, Target,
};
pub use class::{Class, Entry, SLEEPING_LEN, SYSCALL_TABLE_LEN, Sleeping};
pub use config::{Config, Offsets, SELECT_ALL, SELECT_CGROUP, SELECT_COMM, SELECT_PORT};
pub use counter::Counter;
pub use layout::Field;
pub use look::{LookFound, LookWanted};
pub use process::{
    CGROUP_LEN, CGROUP_NAME_LEN, Cgroup, Exec, Exit, FORK_SHARES_FILES, Follow, Fork, Place, TABLE_SLOTS,
    Table, Thread,
};
pub use queue::{
    Acceptor, LISTENER_LISTED, LISTENER_NETNS_OWN, Listener, ListenerRow, Overflow, Retransmit, Slept, Tcp,
};
pub use record::{
    FileRef, Header, Kind, NAME_LEN, OPTION_LINGER, OPTION_REUSEADDR, OPTION_REUSEPORT, OPTION_V6ONLY,
    SLOT_CLOEXEC, SLOT_MQUEUE, SLOT_NONBLOCK, SLOT_PRESENT, Slot, Sock, UNIX_PATH_LEN, UNNUMBERED, UnixName,
};
pub use ring::{
    RING_ANY_SLOT, RING_BY_MARK, RING_DOUBTFUL, RING_LIST_BEGINS, RING_LIST_ENDS, RING_LIST_ENTRY,
    RING_LIST_LEN, RING_OPERATION, RING_RESULT_DIRECT, RING_SUBJECT_DIRECT, RING_UNCONFIRMED, RingAddr,
    RingCall, RingFds, RingFlight, RingMark, RingMarked, RingPair, RingPath, RingRef, RingSlot,
};
pub use snapshot::{Found, SnapshotRow};
pub use socket::{Change, Queued, State, Tracked};
pub use spoken::{
    Carrier, PEEKED_ACCEPTED, Peeked, Peeking, Phrase, Protocol, SNI_LEN, SPOKEN_INFERRED, SPOKEN_SNI_CUT,
    Spoken,
};
pub use stack::{Chain, STACK_FRAMES, STACK_WORDS, Stack};

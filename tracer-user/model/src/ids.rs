//! Identities. None of them is ever used again for something else within one session.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A moment on the boot clock (`CLOCK_BOOTTIME`, `clock_gettime(2)`): nanoseconds since boot, suspend included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootNs(pub u64);

/// A process: thread group id and the start of its leader. A pid alone is used again by the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessKey {
    /// Thread group id, as the initial pid namespace counts.
    pub pid: u32,
    /// Start of the leader, boot-clock nanoseconds.
    pub start_ns: u64,
}

impl fmt::Display for ProcessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pid, self.start_ns)
    }
}

impl core::str::FromStr for ProcessKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (pid, start) = text.split_once('@').ok_or(())?;
        Ok(Self { pid: pid.parse().map_err(drop)?, start_ns: start.parse().map_err(drop)? })
    }
}

macro_rules! numbered {
    ($($(#[$attr:meta])* $name:ident $prefix:literal,)*) => {$(
        $(#[$attr])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl core::str::FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                text.strip_prefix($prefix).and_then(|number| number.parse().ok()).map(Self).ok_or(())
            }
        }
    )*};
}

numbered! {
    /// A socket (`s41`).
    SocketId "s",
    /// A descriptor: one slot of one table, from filled to emptied (`d7`).
    DescriptorId "d",
    /// A descriptor table, `files_struct` in the kernel (`t3`).
    TableId "t",
    /// An open file description, `struct file` in the kernel (`f12`).
    FileId "f",
    /// The stack of a call (`k5`): the same for every call that comes from the same places.
    StackId "k",
}

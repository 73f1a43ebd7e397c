//! What is missing.

use serde::{Deserialize, Serialize};

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
    /// No record: a table may hold a file of which nothing told.
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

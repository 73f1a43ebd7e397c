//! What can be wrong with a recording.

use std::{io, path::PathBuf};

/// Why a recording could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file could not be made.
    #[error("cannot create the recording {}: {source}", path.display())]
    Create {
        /// As given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is there is neither absent nor a regular file.
    #[error("cannot create the recording {}: it is {what}; name a new file or a regular one", path.display())]
    NotRegular {
        /// As given.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The file could not be written to.
    #[error("cannot write the recording {}: {cause}; it keeps the {kept} inputs written before", path.display())]
    Write {
        /// As given.
        path: PathBuf,
        /// Inputs that can be read back.
        kept: u64,
        /// Why.
        cause: String,
    },
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// As given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is not a sockreel recording: recordings are made with --record FILE", path.display())]
    Foreign {
        /// As given.
        path: PathBuf,
    },
    /// The file is of another format version.
    #[error(
        "{} is a recording of format version {version}, this sockreel reads version {}: use a sockreel like the one \
         that wrote it",
        path.display(), crate::FORMAT_VERSION
    )]
    OtherVersion {
        /// As given.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The file ends early; every input up to there was given out.
    #[error("{} ends early, the recording was cut off: read the {inputs} inputs before that", path.display())]
    Truncated {
        /// As given.
        path: PathBuf,
        /// Inputs that were given out.
        inputs: u64,
    },
    /// The file contradicts itself; every input before that was given out.
    #[error("{} is damaged after {inputs} inputs: {cause}", path.display())]
    Damaged {
        /// As given.
        path: PathBuf,
        /// Inputs that were given out.
        inputs: u64,
        /// What does not fit.
        cause: String,
    },
}

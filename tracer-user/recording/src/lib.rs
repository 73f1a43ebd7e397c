//! Recordings: the ordered inputs of a session in a file, to be replayed through the same model.
//!
//! The container is MCAP (<https://mcap.dev/spec>): records with lengths, chunks with a CRC. A file of format version
//! 3 has the profile `sockreel`, one metadata record `sockreel` ([`Head`]), and one channel `inputs`. Each message is
//! one [`Input`](tracer_model::input::Input) as postcard writes it (<https://postcard.jamesmunns.com/wire-format>),
//! with its time in nanoseconds since the Unix epoch as `log_time`. Chunks are compressed with LZ4.
//!
//! Inputs are recorded, not printed lines: whatever a later version of the model concludes from them, it concludes
//! for old recordings too. A file that was cut off (`kill -9`, a full disk) is readable up to its last whole chunk.
#![forbid(unsafe_code)]

mod error;
mod head;
mod reader;
mod writer;

pub use error::RecordingError;
pub use head::Head;
pub use reader::Reader;
pub use writer::{NewFile, Writer};

/// The format version that is written, and the only one that is read. It grows when the shape of an input changes:
/// postcard does not describe itself.
pub const FORMAT_VERSION: u32 = 5;

/// Profile in the MCAP header, and name of the metadata record: what tells a recording from other MCAP files.
const PROFILE: &str = "sockreel";
/// The channel of the inputs.
const TOPIC: &str = "inputs";
/// Encoding of its messages.
const ENCODING: &str = "postcard";
/// Name of LZ4 in MCAP.
const COMPRESSION: &str = "lz4";
/// A chunk is closed when it holds this much before compression.
const CHUNK_BYTES: usize = 256 << 10;
/// No record and no chunk that is read may be larger than this: what a hostile file can make the reader allocate. A
/// chunk that the writer closes is far smaller; so is an input, whose largest part is a path (`PATH_MAX` is 4096).
const RECORD_LIMIT_BYTES: usize = 16 << 20;

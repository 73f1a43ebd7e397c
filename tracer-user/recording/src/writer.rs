//! Writing a recording.

use crate::{CHUNK_BYTES, ENCODING, Head, PROFILE, RecordingError, TOPIC};
use mcap::{Compression, McapError, WriteOptions, records::MessageHeader, write::NoSeek};
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, Permissions},
    io::{self, Seek},
    os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tracer_model::input::{Body, Input};

/// A file for a recording, made before there is anything to say in it: whoever traces wants to know that it cannot
/// be made before anything is attached.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    file: File,
}

impl NewFile {
    /// Makes the file, readable by its owner only (a recording shows paths, addresses and names), or empties a
    /// regular file that is there. Symbolic links are not followed, so that nobody can aim a privileged recorder at
    /// another file.
    pub fn create(path: &Path) -> Result<Self, RecordingError> {
        let not_regular = |what| RecordingError::NotRegular { path: path.to_owned(), what };
        let create = |source: io::Error| RecordingError::Create { path: path.to_owned(), source };
        // O_NONBLOCK: opening a FIFO without a reader fails instead of waiting (open(2), ENXIO).
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path);
        let file = match opened {
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                return Err(not_regular("a symbolic link"));
            }
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
                return Err(not_regular("a FIFO or a socket"));
            }
            opened => opened.map_err(create)?,
        };
        let kind = file.metadata().map_err(create)?.file_type();
        if !kind.is_file() {
            return Err(not_regular(if kind.is_fifo() { "a FIFO" } else { "a device" }));
        }
        file.set_permissions(Permissions::from_mode(0o600)).map_err(create)?;
        file.set_len(0).map_err(create)?;
        Ok(Self { path: path.to_owned(), file })
    }
}

/// Writes inputs. After an error the recording is over: the file holds what was written before, whole, and every
/// further call gives the error again.
pub struct Writer {
    path: PathBuf,
    /// The same open file as the container's: its length is what was written whole.
    file: File,
    container: mcap::Writer<NoSeek<File>>,
    channel: u16,
    epoch_minus_boot_ns: i64,
    buffer: Vec<u8>,
    in_chunk_bytes: usize,
    /// The chunk holds more than the clocks' distance, which comes every second however quiet it is.
    worth_keeping: bool,
    inputs: u64,
    kept: u64,
    kept_bytes: u64,
}

impl Writer {
    /// Begins a recording.
    pub fn begin(target: NewFile, head: &Head) -> Result<Self, RecordingError> {
        let NewFile { path, file } = target;
        let options = WriteOptions::new()
            .profile(PROFILE)
            .library(format!("sockreel {}", head.program))
            .compression(Some(Compression::Lz4))
            // Chunks are closed by `flush`, and stay in memory until then: no half-written chunk, no seeking.
            .chunk_size(None)
            .disable_seeking(true)
            // 16 bytes a message that no reader of ours needs.
            .emit_message_indexes(false);
        let begin = |file: &File| -> Result<(mcap::Writer<NoSeek<File>>, u16), McapError> {
            let mut container = options.create(NoSeek::new(file.try_clone()?))?;
            container.write_metadata(&head.to_metadata())?;
            let channel = container.add_channel(0, TOPIC, ENCODING, &BTreeMap::new())?;
            Ok((container, channel))
        };
        let (container, channel) = begin(&file).map_err(|error| RecordingError::Write {
            path: path.clone(),
            kept: 0,
            cause: describe(&error),
        })?;
        let mut writer = Self {
            path,
            file,
            container,
            channel,
            epoch_minus_boot_ns: 0,
            buffer: Vec::new(),
            in_chunk_bytes: 0,
            worth_keeping: false,
            inputs: 0,
            kept: 0,
            kept_bytes: 0,
        };
        writer.close_chunk()?;
        Ok(writer)
    }

    /// Adds an input.
    pub fn write(&mut self, input: &Input) -> Result<(), RecordingError> {
        match input.body {
            Body::Anchor { epoch_minus_boot_ns } => self.epoch_minus_boot_ns = epoch_minus_boot_ns,
            _ => self.worth_keeping = true,
        }
        let time = input.ts.0.saturating_add_signed(self.epoch_minus_boot_ns);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.buffer = postcard::to_extend(input, buffer).map_err(|error| self.failed(&error.to_string()))?;
        let header = MessageHeader {
            channel_id: self.channel,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a message's number is 32 bits wide and wraps"
            )]
            sequence: self.inputs as u32,
            log_time: time,
            publish_time: time,
        };
        self.container
            .write_to_known_channel(&header, &self.buffer)
            .map_err(|error| self.failed(&describe(&error)))?;
        self.inputs += 1;
        self.in_chunk_bytes += self.buffer.len();
        if self.in_chunk_bytes >= CHUNK_BYTES { self.close_chunk() } else { Ok(()) }
    }

    /// Closes the chunk and hands it to the kernel: what was written so far outlives the process. A chunk in which
    /// nothing happened is left open.
    pub fn flush(&mut self) -> Result<(), RecordingError> {
        if self.worth_keeping { self.close_chunk() } else { Ok(()) }
    }

    fn close_chunk(&mut self) -> Result<(), RecordingError> {
        self.container.flush().map_err(|error| self.failed(&describe(&error)))?;
        self.whole_up_to_here()
    }

    /// Ends the recording; returns how many inputs it holds.
    pub fn finish(mut self) -> Result<u64, RecordingError> {
        self.close_chunk()?;
        self.container.finish().map_err(|error| self.failed(&describe(&error)))?;
        self.whole_up_to_here()?;
        Ok(self.inputs)
    }

    fn whole_up_to_here(&mut self) -> Result<(), RecordingError> {
        self.kept_bytes = self.file.stream_position().map_err(|error| self.failed(&error.to_string()))?;
        self.kept = self.inputs;
        self.in_chunk_bytes = 0;
        self.worth_keeping = false;
        Ok(())
    }

    /// Cuts a half-written chunk off, so that the file ends where a reader expects an end.
    fn failed(&self, cause: &str) -> RecordingError {
        let cause = match self.file.set_len(self.kept_bytes) {
            Ok(()) => cause.to_owned(),
            Err(error) => format!("{cause} (and cannot cut off its unfinished end: {error})"),
        };
        RecordingError::Write { path: self.path.clone(), kept: self.kept, cause }
    }
}

/// The container wraps the system's errors in a sentence of its own; the system's is the one that helps.
fn describe(error: &McapError) -> String {
    match error {
        McapError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

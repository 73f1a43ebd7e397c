//! Reading a recording, from its beginning to its end, with bounded memory: a file may be larger than memory, and it
//! may be hostile.

use crate::{
    COMPRESSION, ENCODING, Head, PROFILE, RECORD_LIMIT_BYTES, RecordingError, TOPIC, head::NotAHead,
};
use mcap::{
    McapError,
    records::{Record, op},
    sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions},
};
use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};
use tracer_model::input::Input;

/// Gives out the inputs of a recording. It ends after the first error.
///
/// A file that was cut off gives every input of its whole chunks and then [`RecordingError::Truncated`].
pub struct Reader<R = BufReader<File>> {
    path: PathBuf,
    source: R,
    head: Head,
    /// Reads the file's records, chunks as a whole.
    records: LinearReader,
    /// Reads the records inside of chunks. It is fed only with chunks that were looked at, since what it would make
    /// of others is up to the file: each one's CRC is checked before its first record.
    chunks: LinearReader,
    channel: Option<u16>,
    inputs: u64,
    ended: bool,
}

/// Why reading stops, before the path and the count are added to it.
enum Stop {
    Read(io::Error),
    CutOff,
    Foreign,
    OtherVersion(u32),
    Damaged(String),
}

impl From<McapError> for Stop {
    fn from(error: McapError) -> Self {
        match error {
            McapError::UnexpectedEof => Self::CutOff,
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<postcard::Error> for Stop {
    fn from(error: postcard::Error) -> Self {
        Self::Damaged(format!("an input cannot be decoded: {error}"))
    }
}

impl Reader {
    /// Opens a recording and reads its head.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let read = |source| RecordingError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(read)?;
        if file.metadata().map_err(read)?.is_dir() {
            return Err(read(io::ErrorKind::IsADirectory.into()));
        }
        Self::new(path, BufReader::with_capacity(64 << 10, file))
    }
}

impl<R: Read> Reader<R> {
    /// Reads the head of a recording; `path` is for messages.
    pub fn new(path: &Path, source: R) -> Result<Self, RecordingError> {
        let limited = LinearReaderOptions::default().with_record_length_limit(RECORD_LIMIT_BYTES);
        let mut reader = Self {
            path: path.to_owned(),
            source,
            head: Head::default(),
            records: LinearReader::new_with_options(
                limited
                    .clone()
                    .with_emit_chunks(true)
                    .with_validate_data_section_crc(true)
                    .with_validate_summary_section_crc(true)
                    .with_check_finishes_after_end_magic(true),
            ),
            chunks: LinearReader::new_with_options(
                limited
                    .with_skip_start_magic(true)
                    .with_skip_end_magic(true)
                    .with_prevalidate_chunk_crcs(true),
            ),
            channel: None,
            inputs: 0,
            ended: false,
        };
        reader.head = reader.read_head().map_err(|stop| reader.error(stop))?;
        Ok(reader)
    }

    /// What the recording says about itself.
    pub fn head(&self) -> &Head {
        &self.head
    }

    fn read_head(&mut self) -> Result<Head, Stop> {
        let mut magic = [0; mcap::MAGIC.len()];
        match self.source.read_exact(&mut magic) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Stop::Foreign),
            other => other.map_err(Stop::Read)?,
        }
        if magic != mcap::MAGIC {
            return Err(Stop::Foreign);
        }
        self.records.insert(magic.len()).copy_from_slice(&magic);
        self.records.notify_read(magic.len());
        match self.next_record()? {
            Some(Record::Header(header)) if header.profile == PROFILE => {}
            _ => return Err(Stop::Foreign),
        }
        match self.next_record()? {
            Some(Record::Metadata(metadata)) if metadata.name == PROFILE => {
                Head::from_fields(metadata.metadata).map_err(|not_a_head| match not_a_head {
                    NotAHead::OtherVersion(version) => Stop::OtherVersion(version),
                    NotAHead::Unversioned => Stop::Damaged("its head has no format version".to_owned()),
                })
            }
            _ => Err(Stop::Damaged("its head is missing".to_owned())),
        }
    }

    /// The file's next record that matters here; chunks go to `self.chunks` and come back as `None`, so does the
    /// end.
    fn next_record(&mut self) -> Result<Option<Record<'static>>, Stop> {
        loop {
            let Some(event) = self.records.next_event() else {
                self.ended = true;
                return Ok(None);
            };
            match event? {
                LinearReadEvent::ReadRequest(bytes) => {
                    let read = match self.source.read(self.records.insert(bytes)) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        other => other.map_err(Stop::Read)?,
                    };
                    self.records.notify_read(read);
                }
                // Only these kinds are parsed: the others are none of ours, whatever they hold.
                LinearReadEvent::Record { opcode: opcode @ (op::HEADER | op::METADATA), data } => {
                    return Ok(Some(mcap::parse_record(opcode, data)?.into_owned()));
                }
                LinearReadEvent::Record { opcode: op::CHUNK, data } => {
                    let Record::Chunk { header, .. } = mcap::parse_record(op::CHUNK, data)? else {
                        return Err(Stop::Damaged("a chunk is none".to_owned()));
                    };
                    if header.compression != COMPRESSION {
                        return Err(Stop::Damaged(format!("unknown compression {:?}", header.compression)));
                    }
                    let place = self.chunks.insert(1 + 8 + data.len());
                    place[0] = op::CHUNK;
                    place[1..9].copy_from_slice(&(data.len() as u64).to_le_bytes());
                    place[9..].copy_from_slice(data);
                    self.chunks.notify_read(1 + 8 + data.len());
                    return Ok(None);
                }
                LinearReadEvent::Record { .. } => {}
            }
        }
    }

    /// The next input of the chunk at hand.
    fn next_in_chunk(&mut self) -> Result<Option<Input>, Stop> {
        while let Some(event) = self.chunks.next_event() {
            match event? {
                // It has read the chunk to its end.
                LinearReadEvent::ReadRequest(_) => break,
                LinearReadEvent::Record { opcode: op::CHANNEL, data } => {
                    if let Record::Channel(channel) = mcap::parse_record(op::CHANNEL, data)?
                        && channel.topic == TOPIC
                        && channel.message_encoding == ENCODING
                    {
                        self.channel = Some(channel.id);
                    }
                }
                LinearReadEvent::Record { opcode: op::MESSAGE, data } => {
                    let Record::Message { header, data } = mcap::parse_record(op::MESSAGE, data)? else {
                        continue;
                    };
                    if Some(header.channel_id) != self.channel {
                        continue;
                    }
                    let (input, rest) = postcard::take_from_bytes(&data)?;
                    if !rest.is_empty() {
                        return Err(Stop::Damaged("an input is longer than it should be".to_owned()));
                    }
                    return Ok(Some(input));
                }
                LinearReadEvent::Record { .. } => {}
            }
        }
        Ok(None)
    }

    fn next_input(&mut self) -> Result<Option<Input>, Stop> {
        while !self.ended {
            if let Some(input) = self.next_in_chunk()? {
                self.inputs += 1;
                return Ok(Some(input));
            }
            self.next_record()?;
        }
        Ok(None)
    }

    fn error(&self, stop: Stop) -> RecordingError {
        let (path, inputs) = (self.path.clone(), self.inputs);
        match stop {
            Stop::Read(source) => RecordingError::Read { path, source },
            Stop::CutOff => RecordingError::Truncated { path, inputs },
            Stop::Foreign => RecordingError::Foreign { path },
            Stop::OtherVersion(version) => RecordingError::OtherVersion { path, version },
            Stop::Damaged(cause) => RecordingError::Damaged { path, inputs, cause },
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Input, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_input() {
            Ok(input) => input.map(Ok),
            Err(stop) => {
                self.ended = true;
                Some(Err(self.error(stop)))
            }
        }
    }
}

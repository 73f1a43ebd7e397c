//! The bounded log of events: packed in chunks, the oldest chunk is dropped first.

use crate::{event::Event, ids::BootNs};
use std::collections::VecDeque;

/// Most events in one chunk: what a reader decodes in vain at most to find its first event.
const CHUNK_EVENTS: usize = 1024;

/// The newest events, packed with postcard: some 100 bytes each.
#[derive(Debug)]
pub struct History {
    chunks: VecDeque<Chunk>,
    kept: usize,
    chunk_events: usize,
    len: usize,
    last_seq: u64,
    newest: BootNs,
}

/// Events in a row. Number and times of each are stored as differences to those of the first.
#[derive(Debug)]
struct Chunk {
    first_seq: u64,
    first_ts: BootNs,
    first_epoch_ns: u64,
    len: usize,
    /// The newest time of all events up to the end of this chunk.
    newest: BootNs,
    packed: Vec<u8>,
}

impl History {
    /// A log of at least the `kept` newest events, and at most one chunk more; of none where that is 0.
    pub(crate) fn new(kept: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            kept,
            chunk_events: (kept / 16).clamp(1, CHUNK_EVENTS),
            len: 0,
            last_seq: 0,
            newest: BootNs(0),
        }
    }

    /// How many events are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no event is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// `seq` of the oldest kept event; that of the next one where none is kept.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        self.chunks.front().map_or(self.last_seq + 1, |chunk| chunk.first_seq)
    }

    /// `seq` of the newest event; 0 before the first.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Time of the oldest kept event.
    #[must_use]
    pub fn first_ts(&self) -> Option<BootNs> {
        self.chunks.front().map(|chunk| chunk.first_ts)
    }

    /// The kept events from `from_seq` on, oldest first, unpacked as they are asked for.
    pub fn events(&self, from_seq: u64) -> impl Iterator<Item = Event> + '_ {
        let start = self.chunks.partition_point(|chunk| chunk.last_seq() < from_seq);
        self.chunks.range(start..).flat_map(Chunk::events).skip_while(move |event| event.seq < from_seq)
    }

    /// `seq` of the first kept event at or after `ts`; one more than [`Self::last_seq`] where there is none.
    #[must_use]
    pub fn first_seq_at(&self, ts: BootNs) -> u64 {
        let mut events = self.chunks.range(self.chunk_at(ts)..).flat_map(Chunk::events);
        events.find(|event| event.ts >= ts).map_or(self.last_seq + 1, |event| event.seq)
    }

    /// Place of the chunk that the first kept event at or after `ts` is in. Chunks of kept events have places in their order, until
    /// the next event comes.
    #[must_use]
    pub fn chunk_at(&self, ts: BootNs) -> usize {
        self.chunks.partition_point(|chunk| chunk.newest < ts)
    }

    /// The events of the chunk at a place, unpacked: a thousand or so. `None` beyond the newest.
    #[must_use]
    pub fn chunk(&self, place: usize) -> Option<Vec<Event>> {
        Some(self.chunks.get(place)?.events().collect())
    }

    #[cfg(test)]
    pub(crate) fn packed_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.packed.capacity()).sum()
    }

    /// Appends an event, whose `seq` follows on the last one's; it is changed only while it is packed.
    pub(crate) fn push(&mut self, event: &mut Event) {
        self.last_seq = event.seq;
        if self.kept == 0 {
            return;
        }
        if self.chunks.back().is_none_or(|chunk| chunk.len >= self.chunk_events) {
            if let Some(full) = self.chunks.back_mut() {
                full.packed.shrink_to_fit();
            }
            self.chunks.push_back(Chunk::begin(event));
        }
        self.newest = self.newest.max(event.ts);
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.push(event, self.newest);
            self.len += 1;
        }
        while self.chunks.front().is_some_and(|oldest| self.len - oldest.len >= self.kept) {
            self.len -= self.chunks.pop_front().map_or(0, |oldest| oldest.len);
        }
    }
}

impl Chunk {
    fn begin(event: &Event) -> Self {
        Self {
            first_seq: event.seq,
            first_ts: event.ts,
            first_epoch_ns: event.epoch_ns,
            len: 0,
            newest: event.ts,
            packed: Vec::new(),
        }
    }

    fn last_seq(&self) -> u64 {
        self.first_seq + self.len as u64 - 1
    }

    fn push(&mut self, event: &mut Event, newest: BootNs) {
        let (seq, ts, epoch_ns) = (event.seq, event.ts, event.epoch_ns);
        event.seq = seq.wrapping_sub(self.first_seq);
        event.ts = BootNs(ts.0.wrapping_sub(self.first_ts.0));
        event.epoch_ns = epoch_ns.wrapping_sub(self.first_epoch_ns);
        // Writing to memory fails for no event: postcard refuses only sequences of unknown length.
        if let Ok(bytes) = postcard::to_allocvec(event) {
            self.packed.extend_from_slice(&bytes);
        }
        (event.seq, event.ts, event.epoch_ns) = (seq, ts, epoch_ns);
        self.len += 1;
        self.newest = newest;
    }

    fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let mut rest = self.packed.as_slice();
        std::iter::from_fn(move || {
            let (relative, after) = postcard::take_from_bytes::<Event>(rest).ok()?;
            rest = after;
            Some(Event {
                seq: relative.seq.wrapping_add(self.first_seq),
                ts: BootNs(relative.ts.0.wrapping_add(self.first_ts.0)),
                epoch_ns: relative.epoch_ns.wrapping_add(self.first_epoch_ns),
                ..relative
            })
        })
    }
}

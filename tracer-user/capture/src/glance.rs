//! What is open now, and nothing else: one run of the snapshot's iterator. Nothing is attached and nothing stays behind.

use crate::{
    AttachError, CaptureError, Selection,
    capture::rows,
    clock::{boot_now, epoch_minus_boot_ns},
    numbering::numbering,
    programs,
};
use aya::maps::RingBuf;
use tracer_model::{
    decode,
    ids::BootNs,
    input::{Body, Input, LossCause, Lost, Reason},
};

/// Room for the lists of the file tables of io_urings, which come as records.
const RING_BYTES: u32 = 4 << 20;

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum GlanceError {
    /// The iterator cannot be loaded.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] CaptureError),
}

/// Reads every table of the selected processes: inputs in order, as a session takes them.
pub fn glance(selection: &Selection) -> Result<Vec<Input>, GlanceError> {
    let mut programs = programs::iterator(selection, RING_BYTES)?;
    let mut ring = RingBuf::try_from(programs.take_map("EVENTS")?)
        .map_err(|cause| AttachError::Kernel { what: "open a map".to_owned(), cause: cause.to_string() })?;
    let began = boot_now();
    let note = |ts, body| Input { ts, origin: None, late: false, body };
    let mut found = Vec::new();
    let mut whole = rows(&mut programs, |input| found.push(input))?;
    let numbering = numbering();
    while let Some(item) = ring.next() {
        whole &= decode::record(&item, &numbering, |input| found.push(input)).is_ok();
    }
    found.sort_by_key(|input| input.ts);
    let ended = found.last().map_or(began, |input| input.ts).max(boot_now());
    let anchor = |ts| note(ts, Body::Anchor { epoch_minus_boot_ns: epoch_minus_boot_ns() });
    let mut inputs = vec![anchor(began), note(began, Body::SnapshotBegin(Reason::Start))];
    inputs.append(&mut found);
    if !whole {
        let lost = Lost { count: 1, cause: LossCause::Malformed, cpu: None };
        inputs.push(note(ended, Body::Lost(lost)));
    }
    inputs.push(note(ended, Body::SnapshotEnd(Reason::Start)));
    // Time is what the inputs say: rows that are awaited are given up later than this.
    inputs.push(anchor(BootNs(ended.0)));
    Ok(inputs)
}

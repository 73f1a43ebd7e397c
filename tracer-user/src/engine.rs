//! One thread owns the model: inputs go through the session, into the recording, and out as events.

use crate::{
    output::Output,
    source::{Progress, Source},
    summary::Summary,
};
use anyhow::{Context as _, Result};
use std::{
    io,
    time::{Duration, Instant},
};
use tracer_answers::{known::Known, view::Asked, who::Target};
use tracer_model::{
    ids::BootNs,
    input::Input,
    session::{Limits, Session},
};
use tracer_recording::Writer;

/// How long an event may stay in the buffer of an output that nobody looks at.
const OUTPUT_EVERY: Duration = Duration::from_millis(20);
/// Room that is kept for what a source has at once.
const BATCH: usize = 4_096;
/// How much of a recording a `kill -9` may cost.
const RECORDING_EVERY: Duration = Duration::from_secs(1);

/// The session, what feeds it, and what becomes of its events.
pub(crate) struct Engine<S> {
    source: S,
    known: Known,
    batch: Vec<Input>,
    output: Option<Output>,
    recording: Option<Recording>,
    incomplete: bool,
    output_flushed: Instant,
    recording_flushed: Instant,
}

/// A recording under way.
pub(crate) struct Recording {
    pub(crate) writer: Writer,
    pub(crate) path: std::path::PathBuf,
}

/// Limits where nobody asks for what was: the events went out. What ended is kept for as long as another record may still
/// tell of it, and no longer: a small model stays in the processor's cache.
pub(crate) fn without_history() -> Limits {
    Limits { kept_events: 0, kept_descriptors: 8192, kept_sockets: 16_384, kept_processes: 1024 }
}

impl<S: Source> Engine<S> {
    pub(crate) fn new(
        source: S,
        limits: Limits,
        output: Option<Output>,
        recording: Option<Recording>,
    ) -> Self {
        let now = Instant::now();
        Self {
            source,
            known: Known::new(limits),
            batch: Vec::new(),
            output,
            recording,
            incomplete: false,
            output_flushed: now,
            recording_flushed: now,
        }
    }

    /// What the model knows.
    pub(crate) fn session(&self) -> &Session {
        self.known.session()
    }

    /// The same, and what was counted along the way.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Asks the source for what the kernel now says of open connections; a snapshot that begins at that time or later tells it.
    pub(crate) fn reread(&mut self) -> BootNs {
        self.source.reread()
    }

    /// Asks the source what the kernel has of an address.
    pub(crate) fn asked(&mut self, target: &Target) -> Option<Asked> {
        self.source.asked(target)
    }

    /// Nothing becomes of the events any more.
    pub(crate) fn is_pointless(&self) -> bool {
        self.output.is_none() && self.recording.is_none()
    }

    /// Takes what the source has, waiting for it at most `timeout`. A closed pipe is an error of that kind.
    pub(crate) fn step(&mut self, timeout: Duration) -> Result<Progress> {
        let progress = self.source.poll(timeout, &mut self.batch);
        self.consume()?;
        self.flush_what_is_due()?;
        if let Ok(Progress::CutOff(inputs)) = progress {
            self.known.session_mut().cut_off(inputs);
        }
        progress
    }

    /// Ends the source, takes what it still has, and closes output and recording.
    pub(crate) fn finish(mut self) -> Result<Summary> {
        let finished = self.source.finish(&mut self.batch);
        self.consume()?;
        self.output_to(Output::flush)?;
        let recorded = self.recording.take().and_then(|Recording { writer, path }| match writer.finish() {
            Ok(inputs) => Some((path, inputs)),
            Err(error) => {
                self.tell(&error);
                None
            }
        });
        finished.context("tracing did not end as it should")?;
        let (totals, account) = (self.known.session().totals(), self.source.account());
        Ok(Summary { totals, account, recorded, incomplete: self.incomplete })
    }

    fn consume(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        for input in &batch {
            self.record(|writer| writer.write(input));
            for event in self.known.ingest(input) {
                if let Some(output) = &mut self.output
                    && let Err(error) = output.write(event)
                {
                    self.incomplete |= output_failed(&mut self.output, error)?;
                }
            }
        }
        self.batch = batch;
        self.batch.clear();
        // A snapshot's rows may have been a hundred thousand.
        self.batch.shrink_to(BATCH);
        if self.known.session_mut().take_repair_wanted() {
            self.source.repair();
        }
        Ok(())
    }

    fn flush_what_is_due(&mut self) -> Result<()> {
        let now = Instant::now();
        let seen = self.output.as_ref().is_some_and(Output::is_terminal);
        if seen || now.duration_since(self.output_flushed) >= OUTPUT_EVERY {
            self.output_flushed = now;
            self.output_to(Output::flush)?;
        }
        if now.duration_since(self.recording_flushed) >= RECORDING_EVERY {
            self.recording_flushed = now;
            self.record(Writer::flush);
        }
        Ok(())
    }

    fn output_to(&mut self, action: impl FnOnce(&mut Output) -> io::Result<()>) -> Result<()> {
        if let Some(output) = &mut self.output
            && let Err(error) = action(output)
        {
            self.incomplete |= output_failed(&mut self.output, error)?;
        }
        Ok(())
    }

    /// A recording that fails (a full disk) ends, and that is told once; everything else goes on.
    fn record(&mut self, action: impl FnOnce(&mut Writer) -> Result<(), tracer_recording::RecordingError>) {
        if let Some(recording) = &mut self.recording
            && let Err(error) = action(&mut recording.writer)
        {
            self.tell(&error);
            self.recording = None;
        }
    }

    fn tell(&mut self, error: &tracer_recording::RecordingError) {
        eprintln!("sockreel: {error}");
        self.incomplete = true;
    }
}

/// An output that fails ends, and that is told once; whoever closed a pipe has seen enough and ends everything.
fn output_failed(output: &mut Option<Output>, error: io::Error) -> Result<bool> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Err(error.into());
    }
    if let Some(output) = output.take() {
        eprintln!("sockreel: cannot write {}: {error}; it ends here", output.name());
    }
    Ok(true)
}

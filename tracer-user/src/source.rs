//! Where inputs come from: the kernel, or a recording. What follows cannot tell the difference.

use anyhow::Result;
use std::{io, net::Ipv4Addr, time::Duration};
use tracer_answers::{
    view::{Asked, Kernel, Others},
    who::Target,
};
use tracer_capture::{Account, AtAddress, Capture, CaptureError};
use tracer_model::{address::Address, ids::BootNs, input::Input};
use tracer_recording::{Reader, RecordingError};

/// Whether there may be more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There may.
    More,
    /// There is none.
    End,
    /// There is none, though the recording should go on: it was cut off after so many inputs.
    CutOff(u64),
}

/// A source of ordered inputs.
pub(crate) trait Source {
    /// Waits at most `timeout` and appends inputs. What is in `batch` when it fails is to be taken too.
    fn poll(&mut self, timeout: Duration, batch: &mut Vec<Input>) -> Result<Progress>;

    /// A table turned out doubtful: asks for a snapshot that settles it.
    fn repair(&mut self) {}

    /// Asks for what the kernel now says of open connections; a snapshot that begins at that time or later tells it.
    fn reread(&mut self) -> BootNs {
        BootNs(0)
    }

    /// What the kernel has of an address, where there is a kernel to ask and it has not been asked too much.
    fn asked(&mut self, _: &Target) -> Option<Asked> {
        None
    }

    /// Ends the source and appends what is left.
    fn finish(&mut self, batch: &mut Vec<Input>) -> Result<()>;

    /// What became of the kernel's records; it closes after the end.
    fn account(&self) -> Option<Account> {
        None
    }
}

impl Source for Capture {
    fn poll(&mut self, timeout: Duration, batch: &mut Vec<Input>) -> Result<Progress> {
        match Self::poll(self, timeout, batch) {
            // A signal: whoever watches for it gets its turn.
            Err(CaptureError::Wait(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            other => other?,
        }
        Ok(Progress::More)
    }

    fn repair(&mut self) {
        Self::repair(self);
    }

    fn reread(&mut self) -> BootNs {
        Self::reread(self)
    }

    fn asked(&mut self, target: &Target) -> Option<Asked> {
        let address = match target {
            Target::Port(_, port) => Address::Inet(Ipv4Addr::UNSPECIFIED, *port),
            Target::Unix(name) => Address::Unix(name.clone()),
        };
        let AtAddress { held, whole, netns, connections, missed } = self.at_address(&address)?;
        let missed = missed.map(|why| (netns.into(), why)).into_iter().collect();
        let kernel = Kernel { connections, only: Some(netns), missed };
        Some(Asked { others: Others { held, whole }, kernel })
    }

    fn finish(&mut self, batch: &mut Vec<Input>) -> Result<()> {
        Ok(Self::finish(self, batch)?)
    }

    fn account(&self) -> Option<Account> {
        Some(Self::account(self))
    }
}

/// Inputs of a recording between two looks at anything else.
const REPLAY_BATCH: usize = 1024;

impl Source for Reader {
    fn poll(&mut self, _: Duration, batch: &mut Vec<Input>) -> Result<Progress> {
        for _ in 0..REPLAY_BATCH {
            match self.next() {
                Some(Ok(input)) => batch.push(input),
                // Everything that was written whole is here; that is what a recording promises.
                Some(Err(ref truncated @ RecordingError::Truncated { inputs, .. })) => {
                    eprintln!("sockreel: warning: {truncated}");
                    return Ok(Progress::CutOff(inputs));
                }
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(Progress::End),
            }
        }
        Ok(Progress::More)
    }

    fn finish(&mut self, _: &mut Vec<Input>) -> Result<()> {
        Ok(())
    }
}

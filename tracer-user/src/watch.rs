//! When a trace ends: its time is up, what it follows has ended, or somebody asks for it.

use crate::{
    command::Command,
    live::{exists, only_pids},
};
use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tracer_capture::Selection;
use tracer_model::session::Session;

/// How often the processes are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Signals that arrived since they were last looked at.
struct Signals {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl Signals {
    fn register() -> Result<Self> {
        let [interrupt, terminate] = [SIGINT, SIGTERM].map(|signal| {
            let flag = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, Arc::clone(&flag)).map(|_| flag)
        });
        Ok(Self {
            interrupt: interrupt.context("cannot handle SIGINT")?,
            terminate: terminate.context("cannot handle SIGTERM")?,
        })
    }
}

/// Watches for the end of a trace.
pub(crate) struct Watch {
    signals: Signals,
    deadline: Option<Instant>,
    command: Option<Command>,
    /// The selected processes, where they are all that is followed, with their children.
    pids: Option<Vec<u32>>,
    interrupted: bool,
    looked: Instant,
}

impl Watch {
    /// Lets the command run and watches from now on.
    pub(crate) fn begin(
        mut command: Option<Command>,
        selection: &Selection,
        duration: Option<Duration>,
    ) -> Result<Self> {
        let signals = Signals::register()?;
        if let Some(command) = &mut command {
            command.release()?;
        }
        let now = Instant::now();
        Ok(Self {
            signals,
            // A duration beyond the clock's range never ends.
            deadline: duration.and_then(|duration| now.checked_add(duration)),
            command,
            pids: only_pids(selection).then(|| selection.pids.clone()),
            interrupted: false,
            looked: now,
        })
    }

    /// How long the next wait may be.
    pub(crate) fn patience(&self) -> Duration {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY))
    }

    /// Whether the trace is over.
    ///
    /// SIGINT: a terminal sends it to CMD too, so CMD decides; the second one ends the trace without waiting for CMD.
    /// SIGTERM comes to us alone and is passed on. Without a running CMD either ends the trace.
    pub(crate) fn is_over(&mut self, session: &Session) -> bool {
        let running = self.command.as_mut().is_some_and(|command| command.ended().is_none());
        if self.signals.interrupt.swap(false, Ordering::Relaxed) {
            if self.interrupted || !running {
                return true;
            }
            self.interrupted = true;
        }
        if self.signals.terminate.swap(false, Ordering::Relaxed) {
            match &mut self.command {
                Some(command) if running => command.terminate(),
                _ => return true,
            }
        }
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return true;
        }
        if running || now.duration_since(self.looked) < LOOK_EVERY {
            return false;
        }
        self.looked = now;
        self.pids.as_ref().is_some_and(|pids| all_ended(pids, session))
    }

    /// The end: the command's exit code, where it has ended.
    pub(crate) fn end(mut self) -> Option<u8> {
        self.command.as_mut()?.leave()
    }
}

/// Whether the selected processes and every process that they started have ended. The kernel is asked where the model
/// does not know of an end: its record may be among those that were lost.
pub(crate) fn all_ended(pids: &[u32], session: &Session) -> bool {
    let told = |pid| session.process_by_pid(pid).is_some_and(|process| process.ended.is_some());
    pids.iter().all(|pid| told(*pid) || !exists(*pid))
        && session
            .processes()
            .filter(|process| process.ended.is_none())
            .all(|process| !exists(process.key.pid))
}

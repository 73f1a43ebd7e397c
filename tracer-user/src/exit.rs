//! Exit codes, and the last words of a failure.

use std::{io, process::ExitCode};
use tracer_capture::{AttachError, findings};

/// Done.
pub(crate) const DONE: u8 = 0;
/// It failed.
pub(crate) const FAILED: u8 = 1;
// 2 is bad usage: clap's own.
/// Not enough privilege, or the kernel lacks what it takes.
pub(crate) const NOT_POSSIBLE: u8 = 3;
/// A command that could not be executed, as shells have it.
pub(crate) const NOT_EXECUTED: u8 = 127;
/// Plus the signal's number: a command that a signal ended, as shells have it.
pub(crate) const SIGNALLED: u8 = 128;

/// Tells an error on standard error; returns the code that goes with it.
///
/// Whoever closed the pipe that we write to has seen enough (`| head`): nothing failed.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return DONE.into();
    }
    eprintln!("sockreel: {}", sentence(error));
    match error.downcast_ref::<AttachError>() {
        Some(AttachError::NotPermitted(_) | AttachError::NoBtf(_) | AttachError::Kernel { .. }) => {
            let mend = findings().into_iter().filter(|finding| !finding.ok).find_map(|finding| finding.mend);
            eprintln!(
                "sockreel: the way out: {} (`sockreel doctor` tells all that is missing)",
                mend.as_deref().unwrap_or("another kernel")
            );
            NOT_POSSIBLE.into()
        }
        _ => FAILED.into(),
    }
}

/// The error and its causes, each of them once: some errors tell their cause themselves.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

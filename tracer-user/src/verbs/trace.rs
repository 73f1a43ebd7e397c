//! `sockreel trace`: events as they happen.

use crate::{
    cli,
    engine::{Engine, without_history},
    exit,
    live::{Live, Prepared},
    output::Output,
    watch::Watch,
};
use anyhow::Result;
use std::process::ExitCode;

pub(crate) fn run(args: cli::Trace) -> Result<ExitCode> {
    let cli::Trace { target, printing, duration } = args;
    let starts_command = !target.command.is_empty();
    let prepared = Prepared::new(target)?;
    let output = Output::open(printing)?;
    let Live { capture, selection, command, recording } = prepared.attach(&crate::secret::identity()?)?;
    let mut engine = Engine::new(capture, without_history(), Some(output), recording);

    let mut watch = Watch::begin(command, &selection, duration)?;
    loop {
        engine.step(watch.patience())?;
        // With nothing left to write to there is no reason to go on, but to wait for CMD.
        if watch.is_over(engine.session()) || (engine.is_pointless() && !starts_command) {
            break;
        }
    }
    let summary = engine.finish()?;
    eprintln!("{summary}");
    let code = watch.end().unwrap_or(exit::DONE);
    Ok(if summary.incomplete { exit::FAILED } else { code }.into())
}

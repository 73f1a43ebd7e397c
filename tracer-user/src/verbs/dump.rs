//! `sockreel dump`: a recording as `trace` printed it.

use crate::{
    cli,
    engine::{Engine, without_history},
    exit,
    output::Output,
    source::Progress,
};
use anyhow::Result;
use std::{process::ExitCode, time::Duration};
use tracer_recording::Reader;

pub(crate) fn run(args: cli::Dump) -> Result<ExitCode> {
    let cli::Dump { recording, printing } = args;
    let reader = Reader::open(&recording)?;
    let output = Output::open(printing)?;
    let mut engine = Engine::new(reader, without_history(), Some(output), None);
    while engine.step(Duration::ZERO)? == Progress::More && !engine.is_pointless() {}
    let summary = engine.finish()?;
    Ok(if summary.incomplete { exit::FAILED } else { exit::DONE }.into())
}

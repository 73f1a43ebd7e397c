//! `sockreel open`: the page and the API over a recording.

use crate::{
    cli,
    daemon::{About, Door},
    engine::Engine,
    exit,
    secret::{Token, identity},
};
use anyhow::Result;
use std::process::ExitCode;
use tracer_model::session::Limits;
use tracer_recording::{Head, Reader};
use tracer_wire::api::Source;

pub(crate) fn run(args: cli::Open) -> Result<ExitCode> {
    let cli::Open { recording, listen, door } = args;
    let reader = Reader::open(&recording)?;
    let door = Door::bind(listen, Token::new(&door)?)?;
    let Head { selection, attached, missing, .. } = reader.head().clone();
    let about =
        About { source: Source::Recording, session: identity()?, selection, attached, missing, pids: None };
    let engine = Engine::new(reader, Limits::recording(), None, None);
    door.serve(engine, None, about)?;
    Ok(exit::DONE.into())
}

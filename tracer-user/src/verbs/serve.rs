//! `sockreel serve`: the page and the API over what happens.

use crate::{
    cli,
    daemon::{About, Door, Ended},
    engine::Engine,
    exit,
    live::{Live, Prepared, only_pids},
    secret::{Token, identity},
};
use anyhow::Result;
use std::process::ExitCode;
use tracer_model::session::Limits;
use tracer_wire::api::Source;

pub(crate) fn run(args: cli::Serve) -> Result<ExitCode> {
    let cli::Serve { target, listen, door } = args;
    let session = identity()?;
    let prepared = Prepared::new(target)?;
    let door = Door::bind(listen, Token::new(&door)?)?;
    let Live { capture, selection, command, recording } = prepared.attach(&session)?;
    let about = About {
        source: Source::Live,
        session,
        selection: selection.to_string(),
        attached: capture.report().attached.clone(),
        missing: capture.report().missing.clone(),
        pids: only_pids(&selection).then(|| selection.pids.clone()),
    };
    let engine = Engine::new(capture, Limits::default(), None, recording);

    let Ended { summary, command } = door.serve(engine, command, about)?;
    eprintln!("{summary}");
    let code = command.and_then(|mut command| command.leave());
    Ok(if summary.incomplete { exit::FAILED } else { code.unwrap_or(exit::DONE) }.into())
}

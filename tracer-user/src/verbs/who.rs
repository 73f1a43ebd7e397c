//! `sockreel who`: who holds a port or a unix socket.

use crate::{
    ask::{self, Question},
    cli,
};
use anyhow::Result;
use jiff::tz::TimeZone;
use std::process::ExitCode;
use tracer_answers::{view::View, who::Target};
use tracer_wire::answers::who::Who;

struct Asked {
    /// As it was written.
    text: String,
    target: Target,
}

impl Question for Asked {
    type Answer = Who;

    fn endpoint(&self) -> (&'static str, Vec<(&'static str, String)>) {
        ("who", vec![("of", self.text.clone())])
    }

    fn answer(&self, view: &View<'_>, scope: &str) -> Result<Who> {
        Ok(Who::new(view, &self.text, &self.target, scope))
    }

    fn port(&self) -> Option<u16> {
        match self.target {
            Target::Port(_, port) => Some(port),
            Target::Unix(_) => None,
        }
    }

    fn text(answer: &Who, zone: &TimeZone) -> String {
        answer.text(zone)
    }
}

pub(crate) fn run(args: cli::Who) -> Result<ExitCode> {
    let cli::Who { of: (text, target), asking } = args;
    ask::run(&Asked { text, target }, &asking)
}

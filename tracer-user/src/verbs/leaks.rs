//! `sockreel leaks`: what a server leaves behind.

use crate::{
    ask::{self, Question},
    cli,
};
use anyhow::Result;
use jiff::tz::TimeZone;
use std::process::ExitCode;
use tracer_answers::view::View;
use tracer_wire::answers::leaks::Leaks;

struct Asked {
    pids: Vec<u32>,
}

impl Question for Asked {
    type Answer = Leaks;

    fn endpoint(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let pids: Vec<String> = self.pids.iter().map(u32::to_string).collect();
        ("leaks", if pids.is_empty() { Vec::new() } else { vec![("pid", pids.join(","))] })
    }

    fn answer(&self, view: &View<'_>, scope: &str) -> Result<Leaks> {
        Ok(Leaks::new(view, &self.pids, scope))
    }

    fn text(answer: &Leaks, zone: &TimeZone) -> String {
        answer.text(zone)
    }
}

pub(crate) fn run(args: cli::Leaks) -> Result<ExitCode> {
    let cli::Leaks { pids, asking } = args;
    ask::run(&Asked { pids }, &asking)
}

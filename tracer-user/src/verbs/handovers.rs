//! `sockreel handovers`: sockets with several owners over time.

use crate::{
    ask::{self, Question},
    cli,
};
use anyhow::Result;
use jiff::tz::TimeZone;
use std::process::ExitCode;
use tracer_answers::{view::View, who::Target};
use tracer_wire::answers::handover::Handovers;

struct Asked(Option<(String, Target)>);

impl Question for Asked {
    type Answer = Handovers;

    fn endpoint(&self) -> (&'static str, Vec<(&'static str, String)>) {
        ("handovers", self.0.iter().map(|(text, _)| ("of", text.clone())).collect())
    }

    fn answer(&self, view: &View<'_>, scope: &str) -> Result<Handovers> {
        Ok(Handovers::new(view, self.0.as_ref().map(|(_, target)| target), scope))
    }

    fn text(answer: &Handovers, zone: &TimeZone) -> String {
        answer.text(zone)
    }
}

pub(crate) fn run(args: cli::Handovers) -> Result<ExitCode> {
    let cli::Handovers { of, asking } = args;
    ask::run(&Asked(of), &asking)
}

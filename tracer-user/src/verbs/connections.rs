//! `sockreel connections`: both ends of connections on this machine.

use crate::{
    ask::{self, Question},
    cli,
};
use anyhow::Result;
use jiff::tz::TimeZone;
use std::process::ExitCode;
use tracer_answers::{view::View, who::Target};
use tracer_wire::answers::connections::Connections;

struct Asked {
    of: Option<(String, Target)>,
    ended: bool,
}

impl Question for Asked {
    type Answer = Connections;

    fn endpoint(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let of = self.of.iter().map(|(text, _)| ("of", text.clone()));
        ("connections", of.chain([("ended", self.ended.to_string())]).collect())
    }

    fn answer(&self, view: &View<'_>, scope: &str) -> Result<Connections> {
        Ok(Connections::new(view, self.of.as_ref().map(|(_, target)| target), self.ended, scope))
    }

    fn text(answer: &Connections, zone: &TimeZone) -> String {
        answer.text(zone)
    }
}

pub(crate) fn run(args: cli::Connections) -> Result<ExitCode> {
    let cli::Connections { of, ended, asking } = args;
    ask::run(&Asked { of, ended }, &asking)
}

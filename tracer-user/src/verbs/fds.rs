//! `sockreel fds`: descriptor tables, and the difference between two moments.

use crate::{
    ask::{self, Question},
    cli,
};
use anyhow::{Result, anyhow};
use jiff::tz::TimeZone;
use std::process::ExitCode;
use tracer_answers::{
    fds::{NoProcess, Wanted},
    view::View,
};
use tracer_wire::{answers::fds::Fds, instant::Instant};

struct Asked {
    pids: Vec<u32>,
    since: Option<Instant>,
    inherited: bool,
}

impl Question for Asked {
    type Answer = Fds;

    fn endpoint(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let mut parameters = vec![("inherited", self.inherited.to_string())];
        if !self.pids.is_empty() {
            let pids: Vec<_> = self.pids.iter().map(u32::to_string).collect();
            parameters.push(("pid", pids.join(",")));
        }
        parameters.extend(self.since.map(|since| ("since", since.to_string())));
        ("fds", parameters)
    }

    fn answer(&self, view: &View<'_>, scope: &str) -> Result<Fds> {
        let session = view.session();
        let since = self.since.map(|since| since.on_boot_clock(session.now(), session.wall()));
        let wanted = Wanted { pids: self.pids.clone(), since, inherited: self.inherited };
        Fds::new(view, &wanted, scope)
            .map_err(|NoProcess(pid)| anyhow!("process {pid} is not known, or has no descriptor, in {scope}"))
    }

    fn text(answer: &Fds, zone: &TimeZone) -> String {
        answer.text(zone)
    }
}

pub(crate) fn run(args: cli::Fds) -> Result<ExitCode> {
    let cli::Fds { pids, since, inherited, asking } = args;
    ask::run(&Asked { pids, since, inherited }, &asking)
}

//! `sockreel sockets`: sockets and who holds them.

use crate::{
    ask::{self, Question},
    cli,
};
use anyhow::Result;
use jiff::tz::TimeZone;
use std::process::ExitCode;
use tracer_answers::{sockets::Wanted, view::View};
use tracer_wire::answers::sockets::HeldSockets;

impl Question for Wanted {
    type Answer = HeldSockets;

    fn endpoint(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let Self { listening, tcp, udp, unix } = self;
        let switches = [("listening", listening), ("tcp", tcp), ("udp", udp), ("unix", unix)];
        ("sockets", switches.into_iter().map(|(name, set)| (name, set.to_string())).collect())
    }

    fn answer(&self, view: &View<'_>, scope: &str) -> Result<HeldSockets> {
        Ok(HeldSockets::new(view, *self, scope))
    }

    fn text(answer: &HeldSockets, zone: &TimeZone) -> String {
        answer.text(zone)
    }
}

pub(crate) fn run(args: cli::Sockets) -> Result<ExitCode> {
    let cli::Sockets { listening, tcp, udp, unix, asking } = args;
    ask::run(&Wanted { listening, tcp, udp, unix }, &asking)
}

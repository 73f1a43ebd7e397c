//! How many events a second go through without a loss, load and daemon on a CPU each.

use crate::{
    Size,
    harness::Sockreel,
    load::{Kind, Load, as_f64},
    meter,
    table::{Goal, Row},
    tools::{lost, wait_until_attached},
};
use anyhow::{Context as _, Result};
use std::process::Command;

/// Events a second that are tried, in turn, until one loses.
const RATES: &[u64] = &[25_000, 50_000, 100_000, 150_000, 200_000, 300_000];

pub(crate) fn rows(size: Size) -> Result<Vec<Row>> {
    let mut best = 0.0_f64;
    let mut tried = Vec::new();
    for rate in RATES {
        let (reached, lost, busy) = flood(*rate, size)?;
        tried.push(format!("{reached:.0}/s: {lost} lost, daemon busy {busy:.0} %"));
        if lost > 0 {
            break;
        }
        best = best.max(reached);
    }
    let seconds = size.sustained.as_secs_f64();
    let what = format!("sustained for {seconds} s without a loss, one CPU for the daemon");
    Ok(vec![Row::new(what, Goal::AtLeast(200_000.0), "events/s", vec![best]).beside(tried.join("; "))])
}

/// Events a second that were reached, how many were lost, and the daemon's share of its CPU.
fn flood(rate: u64, size: Size) -> Result<(f64, u64, f64)> {
    let dir = tempfile::tempdir()?;
    let marks = dir.path().join("out.jsonl");
    let mut load = Load::start(Kind::Paced)?;
    let pid = load.pid().to_string();
    // The load is on the first.
    let other_cpu = std::thread::available_parallelism()?.get() - 1;
    let mut command = Command::new("taskset");
    command.args(["-c", &other_cpu.to_string()]).arg(Sockreel::program()?);
    command.args(["trace", "--json", "-o"]).arg(&marks).args(["-p", &pid]);
    let mut trace = Sockreel::start_command(dir.path(), "trace", &mut command)?;
    wait_until_attached(&marks, || Ok(()))?;
    let before = meter::cpu_ns(trace.group().pid())?;
    let (mut took, turns) = (0.0, size.sustained.as_secs().max(1));
    for _ in 0..turns {
        load.order(rate / 1000)?;
        took += load.answer()?.as_secs_f64();
    }
    let busy = as_f64(meter::cpu_ns(trace.group().pid())? - before) / 1e7 / took;
    let ended = trace.interrupt()?;
    let lost = lost(&ended.err).context("no summary")?;
    Ok((as_f64(rate / 1000 * 1000 * turns) / took, lost, busy))
}

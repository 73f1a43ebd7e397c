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
    let mut best = Vec::new();
    let mut tried = Vec::new();
    // Later rounds begin with what the first has reached.
    let mut from = 0;
    for _ in 0..size.rounds {
        let (reached, at) = climb(from, size, &mut tried)?;
        best.push(reached);
        from = at;
    }
    let seconds = size.sustained.as_secs_f64();
    let what = format!("sustained for {seconds} s without a loss, one CPU for the daemon");
    Ok(vec![Row::new(what, Goal::AtLeast(200_000.0), "events/s", best).beside(tried.join("; "))])
}

/// Tries rates from one on: upwards until one loses, or, where that one loses already, downwards until one does not. What was
/// reached without a loss, and its place among the rates.
fn climb(from: usize, size: Size, tried: &mut Vec<String>) -> Result<(f64, usize)> {
    let mut holds = |at: usize| -> Result<Option<f64>> {
        let rate = RATES.get(at).context("no such rate")?;
        let (reached, lost, busy) = flood(*rate, size)?;
        tried.push(format!("{reached:.0}/s: {lost} lost, daemon busy {busy:.0} %"));
        Ok((lost == 0).then_some(reached))
    };
    let (mut best, mut at) = (holds(from)?, from);
    while best.is_none() && at > 0 {
        at -= 1;
        best = holds(at)?;
    }
    // One that lost was above.
    while best.is_some() && at >= from && at + 1 < RATES.len() {
        let Some(higher) = holds(at + 1)? else { break };
        (best, at) = (best.map(|best| best.max(higher)), at + 1);
    }
    Ok((best.unwrap_or(0.0), at))
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

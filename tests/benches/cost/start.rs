//! From the start of the program to the first event in its output.

use crate::{
    Size,
    harness::Sockreel,
    load::{Kind, Load},
    profile::{Sampling, Unit},
    table::{Goal, Row},
};
use anyhow::{Result, ensure};
use std::{
    fs,
    time::{Duration, Instant},
};

pub(crate) fn rows(size: Size) -> Result<Vec<Row>> {
    let mut seen = Vec::new();
    for _ in 0..size.rounds.max(3) {
        seen.push(first_event()?.0);
    }
    let sampling = Sampling::begin()?;
    let (took, trace) = first_event()?;
    let profile = sampling.end()?.of(trace)?.parts("on all CPUs", Unit::Milliseconds);
    let how = format!("Where a start of {took:.0} ms and the end after it spend the CPUs, sampled by perf");
    Ok(vec![
        Row::new("start to first event in the output", Goal::AtMost(300.0), "ms", seen).profile(how, profile),
    ])
}

/// How long it took, milliseconds, and who did it.
fn first_event() -> Result<(f64, u32)> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("out.jsonl");
    let mut load = Load::start(Kind::Paced)?;
    // A second each: more than any start takes; it ends with the load.
    for _ in 0..60 {
        load.order(1)?;
    }
    let pid = load.pid().to_string();
    let start = Instant::now();
    let args = ["trace", "--json", "-o", &out.to_string_lossy(), "-p", &pid];
    let mut trace = Sockreel::start(dir.path(), "trace", args)?;
    let own = trace.group().pid();
    // Looked at without a pause that would count.
    let took = loop {
        let text = fs::read_to_string(&out).unwrap_or_default();
        if text.contains("\"via\":\"syscall\"") {
            break start.elapsed();
        }
        ensure!(start.elapsed() < Duration::from_secs(20), "no event: {}", trace.stderr()?);
        std::thread::sleep(Duration::from_micros(500));
    };
    trace.interrupt()?;
    Ok((took.as_secs_f64() * 1e3, own))
}

//! The kernel programs stay within a recorded budget: what the verifier walks decides on which kernels they load, and
//! how long a start takes.

use crate::harness::Sockreel;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

/// Instructions that may be walked for each program. Measured on Linux 6.18, with a third added; a change that needs
/// more raises its number here, and says why.
const BUDGET: &[(&str, u64)] = &[
    ("call_enter", 4_500),
    ("call_exit", 17_500),
    ("exec", 1_000),
    ("exit", 600),
    ("fork", 1_000),
    ("queued", 800),
    ("queued_again", 800),
    ("snapshot", 3_100),
    ("state", 1_000),
    ("state_again", 1_000),
];

#[test]
fn every_program_is_within_its_budget() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let ended = Sockreel::run(dir.path(), "doctor", ["doctor", "--json"])?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let findings: Vec<Value> = ended.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let verifier = findings.iter().find(|finding| finding["subject"] == "verifier");
    let detail = verifier.and_then(|finding| finding["detail"].as_str()).context("doctor tells no counts")?;
    let (_, counts) = detail.split_once(": ").context("no counts")?;
    let counts: BTreeMap<&str, u64> = counts
        .split(", ")
        .map(|pair| {
            let (name, count) = pair.split_once(' ').with_context(|| format!("no count in {pair}"))?;
            Ok((name, count.parse()?))
        })
        .collect::<Result<_>>()?;
    let budget: BTreeMap<&str, u64> = BUDGET.iter().copied().collect();
    ensure!(counts.keys().eq(budget.keys()), "budgets are for {:?}, programs are {counts:?}", budget.keys());
    for (name, count) in counts {
        let most = budget[name];
        ensure!(count <= most, "the verifier walks {count} instructions of {name}, the budget is {most}");
        println!("{name}: {count} of {most}");
    }
    Ok(())
}

//! The kernel programs stay within a recorded budget: what the verifier walks decides on which kernels they load, and
//! how long a start takes.

use crate::harness::Sockreel;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

/// Instructions that may be walked for each program. Measured on Linux 6.18, with a third added; a change that needs
/// more raises its number here, and says why. Records are copied by words, which are walked one by one.
const BUDGET: &[(&str, u64)] = &[
    // With the walk through the control data of messages that send descriptors, and the search for the target of a
    // request that adds one.
    ("call_enter", 25_100),
    // With the same walk for messages that were received, one through the events of a fanotify group, and what a
    // unix socket's connect puts into a queue; and the sends that failed for want of a destination, a class each.
    ("call_exit", 79_000),
    ("dropped", 3_600),
    // With the pid namespace and the control group, whose names are walked, as `fork` and `snapshot`.
    ("exec", 5_500),
    ("exit", 800),
    // With the walk through a table that was copied from a shared one, as `exec`.
    ("fork", 11_600),
    ("leftovers", 1_150),
    // With the walk through a queue.
    ("listener_row", 12_200),
    ("look", 1_600),
    // Bytes are read in steps, each verified once.
    ("peek_enter", 1_300),
    ("peek_exit", 24_800),
    ("retransmit", 1_200),
    // With descriptors that pass in messages and between rings, here and in the other programs of rings.
    ("ring_complete", 51_900),
    ("ring_create", 6_200),
    // With what is read of the current task for all of these, once and first: later it would be read on each way, and each time cost
    // a search through the kernel's types.
    ("ring_overflow", 20_500),
    ("ring_refused", 19_800),
    ("ring_register", 5_600),
    ("ring_submit", 27_000),
    ("sched_switch", 250),
    ("sched_wakeup", 60),
    // With the walks through the file tables of io_urings and through their requests that wait.
    ("snapshot", 20_500),
    // With the filter on what is kept of a stack, and two walks along frame pointers.
    ("stack_exit", 16_500),
    // With what enters an accept queue, and what a connection came to.
    ("state", 4_000),
    ("state_again", 4_000),
];

/// What differs on older kernels, whose verifiers walk loops more often, and which take other programs.
const OLDER: &[(&str, &[(&str, u64)])] = &[
    (
        "6.1",
        &[
            ("call_enter", 45_000),
            ("call_exit", 103_000),
            ("exec", 21_600),
            ("fork", 82_000),
            ("peek_enter", 1_800),
            ("ring_complete_values", 57_000),
            ("ring_create", 7_000),
            ("ring_overflow", 33_100),
            ("ring_refused", 22_500),
            ("ring_register", 6_500),
            ("ring_submit", 52_400),
            ("retransmit", 2_500),
            // With what listens.
            ("snapshot", 51_600),
            ("state", 6_000),
            ("state_again", 6_000),
        ],
    ),
    ("6.12", &[("ring_complete_values", 49_700)]),
];

#[test]
fn every_program_is_within_its_budget() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let ended = Sockreel::run(dir.path(), "doctor", ["doctor", "--json"])?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let findings: Vec<Value> = ended.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let walked = walked(&findings)?;
    let budget = BUDGET.iter().map(|(name, _)| name);
    ensure!(walked.keys().eq(budget), "budgets are for {BUDGET:?}, programs are {walked:?}");
    for (name, count) in &walked {
        println!("{name}: {count}");
    }
    within_budget(&walked, None)
}

/// What `doctor` tells of the verifier: instructions by program.
pub(crate) fn walked(findings: &[Value]) -> Result<BTreeMap<String, u64>> {
    let verifier = findings.iter().find(|finding| finding["subject"] == "verifier");
    let detail = verifier.and_then(|finding| finding["detail"].as_str());
    let detail = detail.with_context(|| format!("doctor tells no counts: {findings:?}"))?;
    let (_, counts) = detail.split_once(": ").context("no counts")?;
    counts
        .split(", ")
        .map(|pair| {
            let (name, count) = pair.split_once(' ').with_context(|| format!("no count in {pair}"))?;
            Ok((name.to_owned(), count.parse()?))
        })
        .collect()
}

/// Whether each program that loaded is within its budget for a kernel of that series, this one if there is none.
pub(crate) fn within_budget(walked: &BTreeMap<String, u64>, series: Option<&str>) -> Result<()> {
    let mut budget: BTreeMap<&str, u64> = BUDGET.iter().copied().collect();
    for (_, differs) in OLDER.iter().filter(|(of, _)| Some(*of) == series) {
        budget.extend(differs.iter().copied());
    }
    for (name, count) in walked {
        let most = budget.get(name.as_str()).with_context(|| format!("no budget for {name}"))?;
        ensure!(count <= most, "the verifier walks {count} instructions of {name}, the budget is {most}");
    }
    Ok(())
}

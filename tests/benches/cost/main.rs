//! What tracing costs, as one table: each row with its goal, what was seen (median and spread over the rounds), by how much
//! a goal is missed, and other tools at the same work in the same run.
//!
//! `cargo xtask bench [--full] [ROW ...]`. It traces only what it starts, and ends only that.

mod calls;
#[path = "../../suite/harness/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod harness;
mod load;
mod many;
mod meter;
mod nginx;
mod profile;
mod start;
mod sustained;
mod table;
mod tools;

use anyhow::{Result, bail};
use std::time::Duration;
use table::Row;

/// How long and how often everything is measured.
#[derive(Clone, Copy)]
struct Size {
    /// Rounds of every comparison.
    rounds: usize,
    /// One load of a server.
    load: Duration,
    /// Calls in one loop.
    calls: u64,
    /// A flood at one rate.
    sustained: Duration,
    /// Processes that are looked at, a hundred sockets each.
    processes: usize,
    /// Events that a daemon keeps.
    events: u64,
}

impl Size {
    const SHORT: Self = Self {
        rounds: 3,
        load: Duration::from_secs(2),
        calls: 500_000,
        sustained: Duration::from_secs(5),
        processes: 1000,
        events: 1_000_000,
    };
    const FULL: Self = Self {
        rounds: 5,
        load: Duration::from_secs(4),
        calls: 2_000_000,
        sustained: Duration::from_mins(1),
        ..Self::SHORT
    };
    /// Only shows that every row comes to its end; the figures mean nothing.
    const TINY: Self = Self {
        rounds: 1,
        load: Duration::from_millis(500),
        calls: 20_000,
        sustained: Duration::from_millis(500),
        processes: 20,
        events: 10_000,
    };
}

/// A part of the bench, by the name that the command line takes.
type Part = (&'static str, fn(Size) -> Result<Vec<Row>>);

const PARTS: &[Part] = &[
    ("nginx", nginx::rows),
    ("calls", calls::rows),
    ("sustained", sustained::rows),
    ("many", many::rows),
    ("start", start::rows),
];

fn main() -> Result<()> {
    // cargo adds `--bench`.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let Some(("--load", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return load::run(rest);
    }
    let (flags, names): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| arg.starts_with("--"));
    let mut size = Size::SHORT;
    for flag in flags {
        size = match flag.as_str() {
            "--full" => Size::FULL,
            "--tiny" => Size::TINY,
            other => bail!("unknown flag {other}; there are --full and --tiny"),
        };
    }
    if let Some(unknown) = names.iter().find(|name| !PARTS.iter().any(|(known, _)| known == *name)) {
        bail!("unknown row {unknown}; there are {}", names_of(PARTS));
    }
    let mut rows = Vec::new();
    let mut failed = 0;
    for (name, part) in PARTS.iter().filter(|(name, _)| names.is_empty() || names.iter().any(|n| n == name)) {
        eprintln!("{name} ...");
        match part(size) {
            Ok(more) => rows.extend(more),
            Err(error) => {
                failed += 1;
                eprintln!("{name} was not measured: {error:#}");
            }
        }
    }
    table::print(&rows);
    if failed > 0 {
        bail!("{failed} parts were not measured");
    }
    Ok(())
}

fn names_of(parts: &[Part]) -> String {
    parts.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

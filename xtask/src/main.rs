//! The developer's verbs. Each is a file of its own; `cargo xtask VERB --help` says what it does.

mod apt;
mod bench;
mod build;
mod count;
mod kernels;
mod run;
mod setup;
mod shell;
mod test;
mod tidy;
mod toolchain;
mod web;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Sets up, builds, runs and tests sockreel")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what the build needs and is missing, and say what it took
    Setup {
        /// Also what the tests need: servers, browser, other kernels
        #[arg(long)]
        tests: bool,
    },
    /// Build target/release/sockreel, the kernel programs and the page inside
    Build,
    /// Set up, build, and start `sockreel serve` over a small server that has visitors, or `sockreel ARGS`
    Run {
        /// Arguments for sockreel instead of the demonstration
        #[arg(last = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Check format, lints (Rust, kernel programs, page) and the rules of the tree
    Check,
    /// Set up, build, and run every check and every test; the last line counts the tests
    Test {
        /// At full sizes
        #[arg(long)]
        full: bool,
    },
    /// Set up, build, and print what tracing costs beside the goals and other tools; the machine should be quiet
    Bench {
        /// At full sizes: takes half an hour
        #[arg(long)]
        full: bool,
        /// Parts of the table instead of all: nginx, calls, sustained, many, start
        parts: Vec<String>,
    },
    /// Check only what no compiler checks: file sizes, marks, machine paths, who names which library
    Tidy,
}

fn main() -> ExitCode {
    let done: Result<ExitCode> = match Cli::parse().verb {
        Verb::Setup { tests } => setup::run(tests).map(|_| ExitCode::SUCCESS),
        Verb::Build => build::run().map(|()| ExitCode::SUCCESS),
        Verb::Run { args } => run::run(&args),
        Verb::Check => check().map(|()| ExitCode::SUCCESS),
        Verb::Test { full } => Ok(test::run(full)),
        Verb::Bench { full, parts } => bench::run(full, &parts).map(|()| ExitCode::SUCCESS),
        Verb::Tidy => tidy::run().map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn check() -> Result<()> {
    test::checks(&setup::run(false)?, &mut count::Count::default())
}

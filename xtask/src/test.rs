//! `cargo xtask test`: every check and every test, in the order in which a failure is cheapest to find.

use crate::{
    apt,
    build::{self, embedding},
    count::Count,
    kernels, setup,
    shell::{self, timed},
    tidy,
    toolchain::Toolchain,
    web,
};
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Command, ExitCode, Stdio},
};

/// Tests of the page over a real daemon.
const PAGE: &str = "page::";

/// Stops at the first stage that fails. The last line counts the tests of every stage that ran.
pub(crate) fn run(full: bool) -> ExitCode {
    let mut count = Count::default();
    let done = timed("everything", || stages(full, &mut count));
    if let Err(error) = &done {
        eprintln!("error: {error:#}");
        // A check that failed is no test, but a run that failed must not look as if nothing had.
        count.failed = count.failed.max(1);
    }
    println!("{count}");
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn stages(full: bool, count: &mut Count) -> Result<()> {
    let toolchain = setup::run(true)?;
    build::run()?;
    checks(&toolchain, count)?;
    // Among them: the page's types as they are generated differ from those in the tree.
    tests("unit tests", &mut cargo(&["test"]), count)?;
    tests("page: unit tests", &mut web::npm(&["test"]), count)?;
    tests("page: in Chromium", &mut web::npm(&["run", "test:browser"]), count)?;
    real_servers(full, &mut cargo(&["test", "--package", "tracer-tests"]), count)
}

/// Format, lints and rules of the tree.
pub(crate) fn checks(toolchain: &Toolchain, count: &mut Count) -> Result<()> {
    const STRICT: [&str; 4] = ["--all-targets", "--", "-D", "warnings"];
    tidy::run()?;
    check("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    check("lints", cargo(&["clippy"]).args(STRICT))?;
    check("lints of the tests", cargo(&["clippy", "--package", "tracer-tests"]).args(STRICT))?;
    kernel_lints(toolchain, count)?;
    check("page: types and lints", &mut web::npm(&["run", "check"]))
}

fn cargo(args: &[&str]) -> Command {
    let mut cargo = shell::cargo();
    embedding(&mut cargo).args(args);
    cargo
}

/// Lints of the kernel programs, by the clippy of the toolchain that builds them.
fn kernel_lints(toolchain: &Toolchain, count: &mut Count) -> Result<()> {
    if toolchain.has_clippy() {
        return check(
            "lints of the kernel programs",
            toolchain.cargo("clippy").args(["--", "-D", "warnings"]),
        );
    }
    eprintln!("skipped: lints of the kernel programs: {} has no clippy", toolchain.name);
    count.skipped += 1;
    Ok(())
}

/// The tests on real servers trace, which only root may do.
fn real_servers(full: bool, cargo: &mut Command, count: &mut Count) -> Result<()> {
    if apt::is_root() {
        if full {
            cargo.env("SOCKREEL_FULL", "1");
        }
        // One at a time: each starts servers and asks for quiet moments.
        // A failure says what was seen; where in the harness that was adds nothing.
        cargo.env("RUST_LIB_BACKTRACE", "0");
        cargo.env("SOCKREEL_BIN", build::program()).args(["--", "--test-threads=1", "--skip", "kernels::"]);
        cargo.args(["--skip", PAGE]);
        let skipped = shell::root().join("target/skipped");
        let _ = fs::remove_file(&skipped);
        tests("real servers", cargo.env("SOCKREEL_SKIPPED", &skipped), count)?;
        // Parts of tests that passed: their reasons are not among the tests' output.
        for why in fs::read_to_string(&skipped).unwrap_or_default().lines() {
            eprintln!("skipped: {why}");
            count.skipped += 1;
        }
        budgets(full, count)?;
        return other_kernels(count);
    }
    let listed =
        shell::output(cargo.args(["--", "--list"])).context("the tests on real servers do not build")?;
    let number = listed.lines().filter(|line| line.ends_with(": test")).count();
    eprintln!("skipped: {number} tests on real servers: loading programs into the kernel takes root");
    count.skipped += u64::try_from(number)?;
    Ok(())
}

/// The page under load; prints what was measured beside what it is held to, also where all of it held.
fn budgets(full: bool, count: &mut Count) -> Result<()> {
    let mut cargo =
        cargo(&["test", "--package", "tracer-tests", "--", "--test-threads=1", "--nocapture", PAGE]);
    if full {
        cargo.env("SOCKREEL_FULL", "1");
    }
    cargo.env("RUST_LIB_BACKTRACE", "0").env("SOCKREEL_BIN", build::program());
    tests("the page under load", &mut cargo, count)
}

/// The core under every kernel that could be fetched; prints the table of what each attaches.
fn other_kernels(count: &mut Count) -> Result<()> {
    for unavailable in kernels::fetch() {
        eprintln!("skipped: {unavailable}");
        count.skipped += 1;
    }
    let mut cargo = cargo(&["test", "--package", "tracer-tests", "--", "--nocapture", "kernels::"]);
    cargo.env("RUST_LIB_BACKTRACE", "0").env("SOCKREEL_BIN", build::program());
    tests("kernels", &mut cargo, count)
}

fn check(name: &str, command: &mut Command) -> Result<()> {
    timed(name, || shell::run(command))
}

/// Runs a test runner; its output is passed on, its closing lines are counted.
fn tests(name: &str, command: &mut Command, count: &mut Count) -> Result<()> {
    timed(name, || {
        eprintln!("+ {}", shell::line(command));
        let mut child = command
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run `{}`", shell::line(command)))?;
        let mut ran = Count::default();
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines() {
                let line = line?;
                ran += Count::of_line(&line);
                writeln!(io::stderr(), "{line}")?;
            }
        }
        let status = child.wait()?;
        *count += ran;
        if !status.success() {
            bail!("`{}` failed: {status}", shell::line(command));
        }
        if ran == Count::default() {
            bail!("`{}` ran no test that could be counted", shell::line(command));
        }
        Ok(())
    })
}

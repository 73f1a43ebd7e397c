//! `cargo xtask run`: sockreel over a small server that has visitors, or sockreel as the user says.

use crate::{
    build::{self, embedding},
    setup,
    shell::{self, root},
};
use anyhow::{Context as _, Result};
use std::{ffi::OsString, os::unix::process::CommandExt as _, process::Command, process::ExitCode};

/// Sets up, builds, and becomes `sockreel`, so that its input, output and exit status are the caller's.
pub(crate) fn run(args: &[OsString]) -> Result<ExitCode> {
    setup::run(false)?;
    build::run()?;
    let mut sockreel = Command::new(build::program());
    if args.is_empty() {
        shell::run(embedding(&mut shell::cargo()).args([
            "build",
            "--release",
            "--package",
            "tracer-tests",
            "--bin",
            "demo-server",
        ]))?;
        sockreel
            .args(["serve", "--listen", "127.0.0.1:0", "--"])
            .arg(root().join("target/release/demo-server"));
    } else {
        sockreel.args(args);
    }
    eprintln!("+ {}", shell::line(&sockreel));
    Err(sockreel.exec()).with_context(|| format!("cannot start {}", build::program().display()))
}

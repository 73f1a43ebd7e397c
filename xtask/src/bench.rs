//! `cargo xtask bench`: what tracing costs, as a table.

use crate::{
    apt,
    build::{self, embedding},
    setup, shell,
};
use anyhow::{Result, bail};

/// Sets up, builds and measures. The bench itself is a bench target of the tests, whose harness it uses.
pub(crate) fn run(full: bool, parts: &[String]) -> Result<()> {
    if !apt::is_root() {
        bail!("loading programs into the kernel takes root");
    }
    setup::run(true)?;
    setup::bench()?;
    build::run()?;
    let mut cargo = shell::cargo();
    embedding(&mut cargo).args(["bench", "--package", "tracer-tests", "--bench", "cost", "--"]);
    cargo.args(full.then_some("--full")).args(parts);
    // The table is what was asked for: it goes to standard output.
    let status = cargo.env("SOCKREEL_BIN", build::program()).env("RUST_LIB_BACKTRACE", "0").status()?;
    if !status.success() {
        bail!("not everything was measured");
    }
    Ok(())
}

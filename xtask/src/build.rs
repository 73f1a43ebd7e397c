//! `cargo xtask build`: kernel programs, then the page, then the one program that carries both.

use crate::{
    shell::{self, root, timed},
    toolchain::Toolchain,
    web,
};
use anyhow::Result;
use std::{path::PathBuf, process::Command};

/// The built program.
pub(crate) fn program() -> PathBuf {
    root().join("target/release/sockreel")
}

/// The built kernel programs.
fn object() -> PathBuf {
    root().join("target/ebpf/bpfel-unknown-none/release/sockreel-ebpf")
}

/// Tells a cargo command what to embed, as far as it is built: the build scripts of tracer-capture and tracer-serve
/// read these. Every cargo run of ours has both, so that none rebuilds what another built.
pub(crate) fn embedding(cargo: &mut Command) -> &mut Command {
    for (name, built) in [("SOCKREEL_EBPF_OBJECT", object()), ("SOCKREEL_WEB_DIST", web::dist())] {
        if built.exists() {
            cargo.env(name, built);
        }
    }
    cargo
}

/// Builds `target/release/sockreel`.
pub(crate) fn run() -> Result<()> {
    let toolchain = Toolchain::find()?;
    timed("kernel programs", || shell::run(&mut toolchain.cargo("build")))?;
    timed("page", || {
        web::setup()?;
        web::build()
    })?;
    timed("program", || {
        shell::run(embedding(&mut shell::cargo()).args(["build", "--release", "--package", "sockreel"]))
    })?;
    eprintln!("built {}", program().display());
    Ok(())
}

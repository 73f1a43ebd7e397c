//! The page: its packages and its build, by npm.

use crate::shell::{self, find, root};
use anyhow::{Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

/// Where the built page lies.
pub(crate) fn dist() -> PathBuf {
    root().join("web/dist")
}

/// `npm ARGS` in the page's directory.
pub(crate) fn npm(args: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(root().join("web")).args(args);
    npm
}

/// Installs the page's packages as the lock file has them, where that is not done yet.
pub(crate) fn setup() -> Result<()> {
    if find("npm").is_none() {
        bail!(
            "the page is built with Node 20 or later and npm, which are not in PATH: install nodejs from nodejs.org"
        );
    }
    let web = root().join("web");
    let installed = modified(&web.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= modified(&web.join("package-lock.json")) {
        return Ok(());
    }
    shell::run(&mut npm(&["ci", "--no-audit", "--no-fund"]))
}

/// Builds the page, where a source is newer than what was built: a new page is a new link of the program.
pub(crate) fn build() -> Result<()> {
    let web = root().join("web");
    let built = modified(&dist().join("index.html"));
    if built.is_some() && built >= newest(&web) {
        return Ok(());
    }
    shell::run(&mut npm(&["run", "build"]))
}

/// The last change of a file.
fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|meta| meta.modified()).ok()
}

/// The last change below a directory, what is installed or built there apart.
fn newest(dir: &Path) -> Option<SystemTime> {
    fs::read_dir(dir)
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| {
            !["node_modules", "dist", "test-results"].iter().any(|name| entry.file_name() == *name)
        })
        .filter_map(|entry| {
            if entry.file_type().ok()?.is_dir() { newest(&entry.path()) } else { modified(&entry.path()) }
        })
        .max()
}

//! Kernels of other series, which a test boots: Debian's images, taken out of their packages; nothing is installed.

use crate::shell::{self, output, root};
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Series, and the package that depends on its newest image: an image's own name changes with every security update.
const KERNELS: &[(&str, &str)] =
    &[("6.1", "linux-image-cloud-amd64"), ("6.12", "linux-image-6.12-cloud-amd64")];

/// Fetches the images that are not in `target/kernels` yet. Says why for each that cannot be had.
pub(crate) fn fetch() -> Vec<String> {
    let unavailable = KERNELS.iter().filter_map(|(series, package)| {
        let why = fetch_one(series, package).err()?;
        Some(format!("no kernel of series {series} to boot: {why:#}"))
    });
    unavailable.collect()
}

fn fetch_one(series: &str, package: &str) -> Result<()> {
    let dir = root().join("target/kernels").join(series);
    let image = dir.join("vmlinuz");
    if image.is_file() {
        return Ok(());
    }
    fs::create_dir_all(&dir)?;
    // The lists may be older than the archive, which keeps few versions of a kernel.
    let unpacked = unpack(series, package, &dir).or_else(|_| {
        shell::run(Command::new("apt-get").args(["update", "--quiet"]))?;
        unpack(series, package, &dir)
    })?;
    // Last: where the image is, it is whole.
    fs::rename(unpacked, image)?;
    fs::remove_dir_all(dir.join("unpacked"))?;
    Ok(())
}

/// Downloads the newest package of a series and unpacks it: the image in it.
fn unpack(series: &str, package: &str, dir: &Path) -> Result<PathBuf> {
    let depends = output(Command::new("apt-cache").args(["depends", package]));
    let depends = depends.with_context(|| format!("apt-cache does not know {package}"))?;
    let prefix = format!("linux-image-{series}.");
    let newest = depends.split_whitespace().find(|word| word.starts_with(&prefix));
    let newest = newest.with_context(|| format!("{package} depends on no {prefix}*"))?;
    let to = dir.join("unpacked");
    if to.exists() {
        fs::remove_dir_all(&to)?;
    }
    fs::create_dir(&to)?;
    shell::run(Command::new("apt-get").args(["download", "--quiet", newest]).current_dir(&to))?;
    let archive = only(&to, |name| name.starts_with(newest))?;
    shell::run(Command::new("dpkg-deb").arg("--extract").args([&archive, &to]))?;
    only(&to.join("boot"), |name| name.starts_with("vmlinuz-"))
}

/// The one file in a directory whose name fits.
fn only(dir: &Path, fits: impl Fn(&str) -> bool) -> Result<PathBuf> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&fits) {
            return Ok(entry.path());
        }
    }
    bail!("{} has no such file", dir.display())
}

//! Debian packages: which are missing, and installing them without starting the services they bring.

use crate::shell::{self, find, output};
use anyhow::{Context as _, Result, bail};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// Installs those of `packages` that are missing, and tells their names.
pub(crate) fn install<'a>(packages: &[&'a str]) -> Result<Vec<&'a str>> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(missing);
    }
    let by_hand = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if find("apt-get").is_none() {
        bail!("this needs Debian's packages {}, and there is no apt-get here", missing.join(" "));
    }
    if !is_root() {
        bail!("packages are missing and only root can install them: run `sudo {by_hand}`");
    }
    let _forbidden = NoServices::begin()?;
    // A fresh machine has no lists, an older one has lists of packages that are gone.
    shell::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    shell::run(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(&missing),
    )
    .with_context(|| format!("packages could not be installed; by hand: `{by_hand}`"))?;
    Ok(missing)
}

/// Whether this process has root's user id.
pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).as_deref() == Some("0")
}

fn is_installed(package: &str) -> bool {
    output(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]))
        .as_deref()
        == Some("installed")
}

/// While it lives, packages may not start services (`policy-rc.d`, deb-systemd-invoke(1p)): tests start the servers
/// that they need themselves, and the machine is left without daemons that it did not have.
struct NoServices {
    aside: Option<PathBuf>,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";
const ASIDE: &str = "/usr/sbin/policy-rc.d.before-sockreel";

impl NoServices {
    fn begin() -> Result<Self> {
        let aside = if Path::new(POLICY).exists() {
            fs::rename(POLICY, ASIDE).with_context(|| format!("cannot move {POLICY} aside"))?;
            Some(PathBuf::from(ASIDE))
        } else {
            None
        };
        let guard = Self { aside };
        fs::write(
            POLICY,
            "#!/bin/sh\n# Forbids services to start while `cargo xtask setup` installs packages.\nexit 101\n",
        )
        .and_then(|()| fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {POLICY}"))?;
        Ok(guard)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        let restored = match &self.aside {
            Some(aside) => fs::rename(aside, POLICY),
            None => fs::remove_file(POLICY),
        };
        if let Err(error) = restored {
            eprintln!("warning: {POLICY} could not be put back: {error}");
        }
    }
}

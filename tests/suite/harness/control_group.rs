//! A control group of ours in the cgroup2 hierarchy.

use anyhow::{Context as _, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Removed again; what is in it goes back to the root.
pub(crate) struct ControlGroup(PathBuf);

impl ControlGroup {
    pub(crate) fn new() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let root = mounts
            .lines()
            .find(|line| line.contains(" - cgroup2 "))
            .and_then(|line| line.split(' ').nth(4))
            .context("no cgroup2 hierarchy is mounted")?;
        let path = Path::new(root).join(format!("sockreel-test-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let pids = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        for pid in pids.lines() {
            let _ = fs::write(self.0.with_file_name("cgroup.procs"), pid);
        }
        let _ = fs::remove_dir(&self.0);
    }
}

//! What to follow.

use std::{fmt, path::PathBuf};

/// The user's selection. Several kinds add up: a process is followed if any of them fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Processes by number, with the children that they start later.
    pub pids: Vec<u32>,
    /// Processes by the name of their leader (`/proc/PID/comm`, at most 15 bytes).
    pub comm: Option<String>,
    /// Processes in this control group or below it.
    pub cgroup: Option<PathBuf>,
    /// Sockets with this local or peer port.
    pub port: Option<u16>,
    /// Every process but the tracer.
    pub all: bool,
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.pids.iter().map(|pid| format!("pid {pid}")).collect();
        parts.extend(self.comm.iter().map(|comm| format!("comm {comm}")));
        parts.extend(self.cgroup.iter().map(|path| format!("cgroup {}", path.display())));
        parts.extend(self.port.iter().map(|port| format!("port {port}")));
        parts.extend(self.all.then(|| "all processes".to_owned()));
        f.write_str(&parts.join(", "))
    }
}

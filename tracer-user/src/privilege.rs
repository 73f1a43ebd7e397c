//! Giving up privileges once the probes are attached.
//!
//! What is kept, and why:
//! - `CAP_BPF`: reading maps and counters, and opening the attached iterators for later snapshots (bpf(2));
//! - `CAP_PERFMON`: the kernel wants it of whoever reads kernel memory with a program (capabilities(7));
//! - `CAP_KILL`, only where CMD was started: SIGTERM is passed on to it.
//!
//! Everything else goes: root becomes `nobody` without supplementary groups, no privilege can be gained again
//! (`no_new_privs`), nothing is inheritable. Files that are open stay open; no other file of the user's can be opened
//! any more, which is the point. The kernel keeps capabilities by thread: this runs before any thread is started.

use anyhow::{Context as _, Result};
use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

/// `nobody` and `nogroup`: what no file belongs to.
const NOBODY: u32 = 65534;

/// Gives up everything that is not needed from now on.
pub(crate) fn drop_what_is_not_needed(command_started: bool) -> Result<()> {
    let held = caps::read(None, CapSet::Permitted).context("cannot read our own capabilities")?;
    let mut needed = vec![Capability::CAP_BPF, Capability::CAP_PERFMON];
    needed.extend(command_started.then_some(Capability::CAP_KILL));
    let kept: CapsHashSet = needed.into_iter().filter(|capability| held.contains(capability)).collect();

    if nix::unistd::geteuid().is_root() {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        nix::sys::prctl::set_keepcaps(true)
            .and_then(|()| setgroups(&[]))
            .and_then(|()| setresgid(group, group, group))
            .and_then(|()| setresuid(user, user, user))
            .context(
                "cannot stop being root after attaching (that takes CAP_SETUID and CAP_SETGID, which containers \
                 have unless they drop them); or run as another user with CAP_BPF and CAP_PERFMON",
            )?;
    }
    // In this order: the effective ones may not exceed the permitted ones at any time.
    caps::clear(None, CapSet::Inheritable)
        .and_then(|()| caps::clear(None, CapSet::Effective))
        .and_then(|()| caps::set(None, CapSet::Permitted, &kept))
        .and_then(|()| caps::set(None, CapSet::Effective, &kept))
        .context("cannot give up capabilities after attaching")?;
    nix::sys::prctl::set_no_new_privs().context("cannot set no_new_privs")
}

//! What this machine allows, what is missing, what that costs and what mends it.

use crate::{Capture, Finding, Selection, Settings, offsets};
use std::path::Path;

/// Looks at everything that tracing rests on; the last finding is a trial.
#[must_use]
pub fn findings() -> Vec<Finding> {
    let mut findings = vec![kernel(), type_information(), privilege(), cgroups()];
    findings.extend(trial());
    findings
}

fn finding(subject: &str, ok: bool, detail: String) -> Finding {
    Finding { subject: subject.to_owned(), ok, detail, cost: None, mend: None }
}

fn kernel() -> Finding {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let mut parts = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let mut found = finding("kernel", version >= (5, 12), format!("Linux {release}"));
    if version < (5, 12) {
        found.cost =
            Some("the programs need atomic adds and BTF tracepoints: nothing can be traced".to_owned());
        found.mend = Some("boot a kernel of version 5.12 or later".to_owned());
    }
    found
}

fn type_information() -> Finding {
    match offsets::resolve() {
        Ok(types) if types.missing.is_empty() => finding(
            "type information",
            true,
            format!("{} describes everything that is read", offsets::VMLINUX),
        ),
        Ok(types) => Finding {
            cost: Some("what these fields tell is left out".to_owned()),
            ..finding("type information", false, format!("this kernel has no {}", types.missing.join(", ")))
        },
        Err(cause) => Finding {
            cost: Some("nothing can be traced".to_owned()),
            mend: Some(
                "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y (every current distribution's is)"
                    .to_owned(),
            ),
            ..finding("type information", false, cause.to_string())
        },
    }
}

/// `CAP_SYS_ADMIN`, `CAP_PERFMON`, `CAP_BPF` (include/uapi/linux/capability.h).
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Whether this process has what the kernel wants of whoever loads programs (capabilities(7)).
pub(crate) fn is_privileged() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok())
        .unwrap_or(0);
    let has = |capability: u32| effective >> capability & 1 == 1;
    has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON))
}

fn privilege() -> Finding {
    if is_privileged() {
        return finding("privilege", true, "CAP_BPF and CAP_PERFMON are held".to_owned());
    }
    Finding {
        cost: Some("nothing can be traced; recordings can be opened and dumped".to_owned()),
        mend: Some("sudo sockreel ...".to_owned()),
        ..finding("privilege", false, "CAP_BPF and CAP_PERFMON are not held".to_owned())
    }
}

fn cgroups() -> Finding {
    match crate::programs::cgroup2_root() {
        Some(root) => {
            finding("control groups", true, format!("the cgroup2 hierarchy is at {}", root.display()))
        }
        None => Finding {
            cost: Some("--cgroup cannot select".to_owned()),
            mend: Some("mount -t cgroup2 none /sys/fs/cgroup/unified".to_owned()),
            ..finding("control groups", false, "no cgroup2 hierarchy is mounted".to_owned())
        },
    }
}

/// Loads and attaches everything, following no process but one that cannot exist.
fn trial() -> Vec<Finding> {
    let nobody = Selection { comm: Some("\u{1}".to_owned()), ..Selection::default() };
    let settings = Settings {
        selection: nobody,
        ring_bytes: 1 << 16,
        check: None,
        sched: true,
        peek: true,
        stacks: true,
    };
    match Capture::attach(&settings) {
        Ok(capture) => {
            let report = capture.report();
            let attached = report.attached.join(", ");
            let programs = if report.missing.is_empty() {
                finding("programs", true, format!("all attach: {attached}"))
            } else {
                Finding {
                    cost: Some(report.missing.join("; ")),
                    ..finding("programs", false, format!("these attach: {attached}"))
                }
            };
            let counts: Vec<_> =
                report.verified.iter().map(|(name, count)| format!("{name} {count}")).collect();
            vec![programs, finding("verifier", true, format!("instructions walked: {}", counts.join(", ")))]
        }
        Err(cause) => vec![Finding {
            cost: Some("nothing can be traced".to_owned()),
            mend: (!Path::new(offsets::VMLINUX).exists()).then(|| "boot a kernel with BTF".to_owned()),
            ..finding("programs", false, cause.to_string())
        }],
    }
}

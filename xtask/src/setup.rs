//! `cargo xtask setup`: installs what is missing, and says what it took.

use crate::{
    apt, kernels,
    shell::timed,
    toolchain::{self, Toolchain},
    web,
};
use anyhow::Result;

/// Debian's compiler with its library sources, and what `bpf-linker` is built with.
const BUILD_PACKAGES: &[&str] = &[
    "g++",
    "llvm-22-dev",
    "libzstd-dev",
    "zlib1g-dev",
    "libxml2-dev",
    "rustc-web",
    "cargo-web",
    "rust-web-src",
];

/// Servers and clients that the tests trace, the browser that opens the page, and the machine that boots other kernels.
const TEST_PACKAGES: &[&str] = &[
    "nginx",
    "redis-server",
    "python3",
    "curl",
    "chromium",
    "util-linux",
    "iproute2",
    "rust-web-clippy",
    "qemu-system-x86",
    "busybox-static",
    "cpio",
    "strace",
    "lsof",
    "postgresql",
    "haproxy",
    "systemd",
    "openjdk-17-jdk-headless",
];

/// What the bench puts beside us, and what makes the load. `perf` is Debian's `linux-perf`.
const BENCH_PACKAGES: &[&str] = &["strace", "linux-perf", "bpftrace", "wrk"];

/// Installs what the bench needs beyond the tests.
pub(crate) fn bench() -> Result<()> {
    timed("set-up of the bench", || {
        report(&apt::install(BENCH_PACKAGES)?);
        eprintln!("bench: {}", BENCH_PACKAGES.join(" "));
        Ok(())
    })
}

/// Installs what the build needs, and with `tests` what the tests need.
pub(crate) fn run(tests: bool) -> Result<Toolchain> {
    timed("set-up", || {
        let toolchain = Toolchain::find().or_else(|_| {
            report(&apt::install(BUILD_PACKAGES)?);
            toolchain::build_linker()?;
            Toolchain::find()
        })?;
        eprintln!("kernel programs: {}", toolchain.name);
        web::setup()?;
        eprintln!("page: npm, packages as web/package-lock.json has them");
        if tests {
            report(&apt::install(TEST_PACKAGES)?);
            eprintln!("tests: {}", TEST_PACKAGES.join(" "));
            for unavailable in kernels::fetch() {
                eprintln!("tests: {unavailable}");
            }
        }
        Ok(toolchain)
    })
}

fn report(installed: &[&str]) {
    if !installed.is_empty() {
        eprintln!("installed Debian's {}", installed.join(" "));
    }
}

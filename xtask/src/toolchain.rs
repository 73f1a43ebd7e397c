//! Which compiler and linker build the kernel programs.
//!
//! Two routes lead there; the first that is complete is taken. A compiler for the BPF target needs the library sources
//! (`core` is built for the target, which no toolchain ships) and a `bpf-linker` with the compiler's own LLVM.

use crate::shell::{self, find, output, root};
use anyhow::{Result, bail};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// Version that the set-up installs.
pub(crate) const LINKER_VERSION: &str = "0.13.0";
/// LLVM that Debian's compiler carries and that `bpf-linker` is built with for it.
pub(crate) const LLVM_MAJOR: u32 = 22;

/// A compiler for the BPF target, and its linker.
pub(crate) struct Toolchain {
    /// In words, for the set-up's report.
    pub(crate) name: String,
    cargo: PathBuf,
    rustc: PathBuf,
    clippy: PathBuf,
    linker_dir: PathBuf,
}

impl Toolchain {
    /// The first complete route; the error says what each lacks.
    pub(crate) fn find() -> Result<Self> {
        let rustup = match rustup_nightly() {
            Ok(toolchain) => return Ok(toolchain),
            Err(why) => why,
        };
        match debian() {
            Ok(toolchain) => Ok(toolchain),
            Err(debian) => bail!(
                "nothing here can build the kernel programs: {rustup}; {debian}. `cargo xtask setup` installs it"
            ),
        }
    }

    /// `cargo VERB` of this toolchain for the kernel programs; a verb of `clippy` runs its own clippy.
    pub(crate) fn cargo(&self, verb: &str) -> Command {
        let mut command = if verb == "clippy" {
            // Called by its path: `cargo clippy` would look into the user's own directory first.
            let mut command = Command::new(&self.clippy);
            command.env("CARGO", &self.cargo);
            command
        } else {
            Command::new(&self.cargo)
        };
        let mut path = OsString::from(&self.linker_dir);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        // The flags are those of aya-build 0.2.0 (debug information becomes BTF, which the kernel asks for), and the
        // third version of the instruction set, which has atomic adds that give the value before (Linux 5.12).
        let arch = format!("--cfg=bpf_target_arch=\"{}\"", std::env::consts::ARCH);
        let flags = [arch.as_str(), "-Cdebuginfo=2", "-Clink-arg=--btf", "-Ctarget-cpu=v3"].join("\x1f");
        command
            .current_dir(root())
            .env("PATH", path)
            .env("RUSTC", &self.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", flags)
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .env_remove("CARGO_INCREMENTAL")
            .args([verb, "-Z", "build-std=core", "--package", "tracer-ebpf", "--bin", "sockreel-ebpf"])
            .args(["--release", "--target", "bpfel-unknown-none", "--target-dir"])
            .arg(root().join("target/ebpf"));
        // A profile that is meant for the program makes other kernel programs, which the verifier may refuse.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Whether this toolchain has a clippy.
    pub(crate) fn has_clippy(&self) -> bool {
        self.clippy.is_file()
    }
}

/// rustup's nightly with `rust-src`, and a `bpf-linker` in `PATH`.
fn rustup_nightly() -> Result<Toolchain, String> {
    if find("rustup").is_none() {
        return Err("rustup is not installed".to_owned());
    }
    let nightly = |program: &str, args: &[&str]| {
        output(Command::new("rustup").args(["run", "nightly", program]).args(args))
    };
    let sysroot = nightly("rustc", &["--print", "sysroot"]).ok_or("rustup has no nightly toolchain")?;
    let bin = Path::new(&sysroot).join("bin");
    if !Path::new(&sysroot).join(LIBRARY).is_file() {
        return Err("rustup's nightly has no rust-src component".to_owned());
    }
    let linker = find("bpf-linker").ok_or("there is no bpf-linker in PATH for rustup's nightly")?;
    Ok(Toolchain {
        name: format!("rustup's nightly with rust-src, and {}", linker.display()),
        cargo: bin.join("cargo"),
        rustc: bin.join("rustc"),
        clippy: bin.join("cargo-clippy"),
        linker_dir: linker.parent().map(Path::to_owned).unwrap_or_default(),
    })
}

/// Debian's packaged compiler with its library sources, and our own build of `bpf-linker`.
fn debian() -> Result<Toolchain, String> {
    if !debian_compiler() {
        return Err("Debian's rustc-web, cargo-web and rust-web-src are not installed".to_owned());
    }
    let linker = linker();
    if !linker.is_file() {
        return Err(format!("{} was not built yet", linker.display()));
    }
    Ok(Toolchain {
        name: format!(
            "Debian's rustc-web with rust-web-src, and bpf-linker {LINKER_VERSION} in target/tools"
        ),
        cargo: "/usr/bin/cargo".into(),
        rustc: "/usr/bin/rustc".into(),
        clippy: "/usr/bin/cargo-clippy".into(),
        linker_dir: linker.parent().map(Path::to_owned).unwrap_or_default(),
    })
}

const LIBRARY: &str = "lib/rustlib/src/rust/library/Cargo.lock";

fn debian_compiler() -> bool {
    Path::new("/usr").join(LIBRARY).is_file()
        && output(Command::new("/usr/bin/rustc").arg("-vV"))
            .is_some_and(|version| version.contains(&format!("LLVM version: {LLVM_MAJOR}.")))
}

fn linker() -> PathBuf {
    root().join("target/tools/bin/bpf-linker")
}

/// Builds `bpf-linker` with the LLVM of Debian's compiler, where that is not done yet. It goes to `target/tools`, so
/// that `cargo clean` removes it and nothing of the user's is touched.
pub(crate) fn build_linker() -> Result<()> {
    if linker().is_file() {
        return Ok(());
    }
    let tools = root().join("target/tools");
    shell::run(
        shell::cargo()
            .env("LLVM_PREFIX", format!("/usr/lib/llvm-{LLVM_MAJOR}"))
            .args(["install", "bpf-linker", "--locked", "--version", LINKER_VERSION, "--no-default-features"])
            .args(["--features", &format!("llvm-{LLVM_MAJOR}"), "--root"])
            .arg(&tools)
            .arg("--target-dir")
            .arg(tools.join("build")),
    )
}

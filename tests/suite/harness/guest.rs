//! A machine with another kernel, by software emulation: it boots, proves, and hands over what it found.

use super::{Group, Sockreel, wait_within};
use anyhow::{Context as _, Result, ensure};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Longer than an emulated machine takes, on a busy one, from its start to its end.
const DEADLINE: Duration = Duration::from_mins(4);

/// What is in the machine, under these names.
const BUSYBOX: &str = "/bin/busybox";

/// A machine that runs.
pub(crate) struct Guest {
    dir: PathBuf,
    group: Group,
}

impl Guest {
    /// The kernels that `cargo xtask setup --tests` fetched: series (`6.1`) to image.
    pub(crate) fn kernels() -> Result<BTreeMap<String, PathBuf>> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/kernels");
        let mut kernels = BTreeMap::new();
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let entry = entry?;
            let image = entry.path().join("vmlinuz");
            if image.is_file() {
                kernels.insert(entry.file_name().to_string_lossy().into_owned(), image);
            }
        }
        Ok(kernels)
    }

    /// Boots a kernel; the machine's files lie in `dir`. `stacks` is what `stacks.c` became.
    pub(crate) fn boot(kernel: &Path, dir: &Path, stacks: &Path) -> Result<Self> {
        let memory = memory(dir, stacks)?;
        let port = |name: &str| format!("file:{}", dir.join(name).display());
        let mut command = Command::new("qemu-system-x86_64");
        // One thread for both processors: with one each, a processor can run what was translated before the other changed the code,
        // and the breakpoint that a kernel writes while it switches a tracepoint on stays for it (QEMU before 8.1): the kernel panics.
        command.args(["-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2"]);
        command.args(["-m", "1024", "-nic", "none"]);
        command.args(["-display", "none", "-monitor", "none", "-no-reboot", "-kernel"]).arg(kernel);
        // The kernel's tests of its ciphers take long by emulation, and have hung; that of the timer counts interrupts while it waits,
        // and a busy machine may bring none in that time: the kernel panics (Documentation/admin-guide/kernel-parameters.txt).
        let line = "console=ttyS0 quiet panic=-1 rdinit=/init cryptomgr.notests no_timer_check";
        command.arg("-initrd").arg(memory).args(["-append", line]);
        command.args(["-serial", &port("console"), "-serial", &port("found.tar")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(dir.join("qemu.err"))?);
        Ok(Self { dir: dir.to_owned(), group: Group::start("qemu-system-x86_64", &mut command)? })
    }

    /// Waits until the machine is off: the directory with what it found.
    pub(crate) fn found(mut self) -> Result<PathBuf> {
        let said = |dir: &Path, name: &str| {
            String::from_utf8_lossy(&fs::read(dir.join(name)).unwrap_or_default()).into_owned()
        };
        let dir = self.dir.clone();
        wait_within(DEADLINE, "the machine's end", || {
            ensure!(!self.group.is_running()?, "it said {}", said(&dir, "console"));
            Ok(())
        })?;
        let found = dir.join("found");
        fs::create_dir(&found)?;
        let unpacked =
            Command::new("tar").arg("xf").arg(dir.join("found.tar")).arg("-C").arg(&found).status()?;
        ensure!(
            unpacked.success(),
            "the machine handed over nothing; it said {}{}",
            said(&dir, "console"),
            said(&dir, "qemu.err")
        );
        Ok(found)
    }
}

/// Makes the archive that is the machine's root.
fn memory(dir: &Path, stacks: &Path) -> Result<PathBuf> {
    let root = dir.join("root");
    for name in ["bin", "dev", "etc", "found", "proc", "sys", "tmp"] {
        fs::create_dir_all(root.join(name))?;
    }
    fs::write(root.join("etc/hostname"), "machine\n")?;
    let programs = [
        ("busybox", PathBuf::from(BUSYBOX)),
        ("sockreel", PathBuf::from(Sockreel::program()?)),
        ("core-proof", PathBuf::from(env!("CARGO_BIN_EXE_core-proof"))),
        ("uring-server", PathBuf::from(env!("CARGO_BIN_EXE_uring-server"))),
        ("speaker", PathBuf::from(env!("CARGO_BIN_EXE_speaker"))),
        ("stacks", stacks.to_owned()),
    ];
    for (name, program) in &programs {
        fs::copy(program, root.join("bin").join(name)).with_context(|| program.display().to_string())?;
        for library in libraries(program)? {
            let to = root.join(library.strip_prefix("/")?);
            fs::create_dir_all(to.parent().context("no directory")?)?;
            fs::copy(&library, to)?;
        }
    }
    let init = root.join("init");
    fs::write(&init, include_str!("init.sh"))?;
    fs::set_permissions(&init, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let archive = dir.join("root.cpio");
    let packed = Command::new("sh")
        .args(["-c", "find . | cpio --create --format=newc --quiet"])
        .current_dir(&root)
        .stdout(File::create(&archive)?)
        .status()?;
    ensure!(packed.success(), "cpio failed: {packed}");
    Ok(archive)
}

/// The shared libraries that a program is loaded with, and its loader (ldd(1)).
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect())
}

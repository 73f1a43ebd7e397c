//! A call through the 32-bit entry has a number of another table: it must not be told as the call that the number means
//! in ours.

use crate::harness::{Group, Sockreel, lines, table, wait_for};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    ffi::OsString,
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

/// Calls `read` (3 in the 32-bit table, `close` in the 64-bit one) by `int 0x80` on an open descriptor, which stays open.
/// Where the kernel has no 32-bit entry, the instruction faults.
const INT80: &str = "
import ctypes, mmap, os, sys
def int80(fd):
    code = b'\\x53\\xbb' + fd.to_bytes(4, 'little') + b'\\xb8\\x03\\0\\0\\0\\x31\\xc9\\x31\\xd2\\xcd\\x80\\x5b\\xc3'
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
";

/// A child does; the program exits with 3 where it faulted.
const ONCE: &str = "
if os.fork() == 0:
    fd = os.open('/dev/null', os.O_RDONLY)
    int80(fd)
    os._exit(0 if os.path.exists(f'/proc/self/fd/{fd}') else 4)
status = os.wait()[1]
sys.exit(3 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status))
";

/// Does once it is told to, and waits.
const WAITS: &str = "
fd = os.open('/dev/null', os.O_RDONLY)
sys.stdin.readline()
int80(fd)
sys.stdin.readline()
";

#[test]
fn a_32_bit_call_is_counted_and_not_told_as_another() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("out.jsonl");
    let mut args: Vec<OsString> = vec![
        "trace".into(),
        "--json".into(),
        "--check".into(),
        "off".into(),
        "-o".into(),
        out.clone().into(),
    ];
    args.extend(["--".into(), "/usr/bin/python3".into(), "-c".into(), format!("{INT80}{ONCE}").into()]);
    let ended = Sockreel::run(dir.path(), "int80", args)?;
    if ended.code == 3 {
        return crate::harness::skipped("this kernel has no 32-bit entry");
    }
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let lines = lines(&out)?;
    let lost: Vec<_> = lines.iter().filter(|line| line["event"] == "lost").collect();
    ensure!(lost.len() == 1 && lost[0]["cause"] == "compat_call" && lost[0]["count"] == 1, "{lost:?}");
    // The program opened it last and never closed it: it ends with the process.
    let opened = lines.iter().rfind(|line| line["event"] == "open" && line["path"] == "/dev/null");
    let (pid, fd) = opened
        .map_or((0, -1), |line| (line["pid"].as_u64().unwrap_or(0), line["new_fd"].as_i64().unwrap_or(-1)));
    let ends: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "close" && line["pid"] == pid && line["call"] == "close")
        .filter(|line| line["seq"].as_u64() > opened.and_then(|line| line["seq"].as_u64()))
        .filter(|line| line["fd"] == fd || line["fd"].as_i64() > Some(1 << 20))
        .collect();
    ensure!(pid != 0 && ends.is_empty(), "{opened:?} was told closed: {ends:?}");
    Ok(())
}

#[test]
fn a_loss_that_costs_nothing_leaves_a_doubt_that_is_settled() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", &format!("{INT80}{WAITS}")]).stdin(Stdio::piped());
    let mut program = Group::start("int80", &mut command)?;
    let pid = program.pid();
    wait_for("its descriptor", || {
        ensure!(table(pid)?.values().filter(|(kind, _)| kind == "char_device").count() > 0, "not open");
        ensure!(
            fs::read_to_string(format!("/proc/{pid}/syscall"))?.starts_with("0 "),
            "it does not wait yet"
        );
        Ok(())
    })?;
    let args = ["serve", "--check", "off", "--listen", "127.0.0.1:0", "-p"].map(OsString::from);
    let mut serve = Sockreel::start(dir.path(), "int80", args.into_iter().chain([pid.to_string().into()]))?;
    let api = serve.api()?;
    let standing = || Ok::<_, anyhow::Error>(api.get("processes")?["processes"][0]["standing"].clone());
    wait_for("its table", || {
        let standing = standing()?;
        ensure!(standing == "exact", "{standing}");
        Ok(())
    })?;
    program.child().stdin.as_mut().context("no stdin")?.write_all(b"\n")?;
    let told = wait_for("a doubt and its end", || {
        if !program.is_running()? {
            return Ok(Vec::new());
        }
        let told: Vec<Value> =
            api.events()?.into_iter().filter(|event| event["event"] == "standing").collect();
        ensure!(told.len() == 2, "{told:?}");
        Ok(told)
    })?;
    let [doubtful, exact] = &told[..] else {
        return crate::harness::skipped("this kernel has no 32-bit entry");
    };
    let events = api.events()?;
    let lost = events.iter().find(|event| event["event"] == "lost").context("no loss")?;
    ensure!(lost["cause"] == "compat_call" && lost["count"] == 1, "{lost}");
    ensure!(doubtful["standing"] == "doubtful" && doubtful["why"] == "compat_call", "{doubtful}");
    ensure!(doubtful["since_ns"] == lost["ts_ns"] && doubtful["repaired"].is_null(), "{lost}, {doubtful}");
    ensure!(exact["standing"] == "exact" && standing()? == "exact", "{exact}");
    ensure!(["why", "since_ns", "repaired"].iter().all(|field| exact[*field].is_null()), "{exact}");
    ensure!(events.iter().all(|event| event["via"] != "repair"), "repaired");
    serve.interrupt()?;
    Ok(())
}

//! A call through the 32-bit entry has a number of another table: it must not be told as the call that the number means
//! in ours.

use crate::harness::{Sockreel, lines};
use anyhow::{Result, ensure};
use std::ffi::OsString;

/// Calls `read` (3 in the 32-bit table, `close` in the 64-bit one) by `int 0x80` on an open descriptor, which stays open.
/// Exits with 3 where the kernel has no 32-bit entry: the instruction then faults.
const INT80: &str = "
import ctypes, mmap, os, sys
if os.fork() == 0:
    fd = os.open('/dev/null', os.O_RDONLY)
    code = b'\\x53\\xbb' + fd.to_bytes(4, 'little') + b'\\xb8\\x03\\0\\0\\0\\x31\\xc9\\x31\\xd2\\xcd\\x80\\x5b\\xc3'
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    os._exit(0 if os.path.exists(f'/proc/self/fd/{fd}') else 4)
status = os.wait()[1]
sys.exit(3 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status))
";

#[test]
fn a_32_bit_call_is_counted_and_not_told_as_another() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("out.jsonl");
    let mut args: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
    args.extend(["--".into(), "/usr/bin/python3".into(), "-c".into(), INT80.into()]);
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

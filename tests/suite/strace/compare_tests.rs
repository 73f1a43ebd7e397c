//! The comparison on a small run: it agrees with itself, and finds every edit.

use super::{
    compare::{Comparison, compare},
    fields::{Agreed, Kind},
    log::Log,
    planted::every_edit_is_found,
};
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A server of two processes: 20 listens, connects to nowhere and accepts, 21 is its child.
const LOG: &str = r#"
20 1.01 execve("/bin/server", ["server"], 0x7ff /* 9 vars */) = 0
20 1.02 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3
20 1.03 bind(3, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0
20 1.04 getsockname(3<socket:[33]>, {sa_family=AF_INET, sin_port=htons(4000), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0
20 1.05 listen(3, 7)                            = 0
20 1.06 fcntl(3, F_GETFD)                       = 0
20 1.07 connect(9, {sa_family=AF_UNIX, sun_path="/run/no"}, 10) = -1 EBADF (Bad file descriptor)
20 1.08 clone(child_stack=NULL, flags=SIGCHLD)  = 21
21 1.09 accept(3,  <unfinished ...>
20 1.10 close(3)                                = 0
21 1.11 <... accept resumed>{sa_family=AF_INET, sin_port=htons(5000), sin_addr=inet_addr("127.0.0.1")}, [16]) = 4
21 1.12 getpeername(4<socket:[44]>, {sa_family=AF_INET, sin_port=htons(5000), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0
21 1.13 close(4)                                = 0
21 1.14 close(5)                                = -1 EBADF (Bad file descriptor)
21 1.15 accept(3,  <unfinished ...>
20 1.16 +++ exited with 3 +++
21 1.17 <... accept resumed> <unfinished ...>)  = ?
21 1.18 +++ killed by SIGKILL +++
"#;

fn log() -> Result<Log> {
    Log::read(LOG.trim_start())
}

/// The lines of that run, strace's own among them.
fn lines() -> Vec<Value> {
    let line = |tid: u32, more: Value| {
        let mut line =
            json!({"ts_ns": 1, "pid": tid, "tid": tid, "process": format!("{tid}@1"), "via": "syscall"});
        for (field, value) in more.as_object().into_iter().flatten() {
            line[field] = value.clone();
        }
        line
    };
    vec![
        line(10, json!({"event": "exec", "call": "execve", "ret": 0, "path": "/usr/bin/strace"})),
        line(10, json!({"event": "fork", "call": "clone", "ret": 19, "child": "19@1"})),
        line(19, json!({"event": "exit", "status": 0, "via": "exit"})),
        line(10, json!({"event": "fork", "call": "clone", "ret": 20, "child": "20@1"})),
        line(20, json!({"event": "close", "call": "close", "fd": 8, "ret": 0})),
        line(20, json!({"event": "exec", "call": "execve", "ret": 0, "path": "/bin/server"})),
        line(
            20,
            json!({"event": "socket", "call": "socket", "ret": 3, "new_fd": 3, "cloexec": false, "family": "inet",
                "type": "stream", "socket": "s1", "inode": 33}),
        ),
        line(
            20,
            json!({"event": "bind", "call": "bind", "fd": 3, "ret": 0, "asked": "127.0.0.1:0",
                "local": "127.0.0.1:4000", "socket": "s1"}),
        ),
        line(
            20,
            json!({"event": "listen", "call": "listen", "fd": 3, "ret": 0, "backlog": 7, "local": "127.0.0.1:4000",
                "socket": "s1"}),
        ),
        line(
            20,
            json!({"event": "connect", "call": "connect", "fd": 9, "ret": -9, "error": "EBADF", "asked": "unix:/run/no"}),
        ),
        line(20, json!({"event": "fork", "call": "clone", "ret": 21, "child": "21@1"})),
        line(21, json!({"event": "accept", "call": "accept", "fd": 3, "pending": true})),
        line(20, json!({"event": "close", "call": "close", "fd": 3, "ret": 0})),
        line(
            21,
            json!({"event": "accept", "call": "accept", "fd": 3, "ret": 4, "new_fd": 4, "cloexec": false,
                "local": "127.0.0.1:4000", "peer": "127.0.0.1:5000", "socket": "s2", "inode": 44}),
        ),
        line(21, json!({"event": "close", "call": "close", "fd": 4, "ret": 0, "socket": "s2"})),
        line(21, json!({"event": "close", "call": "close", "fd": 5, "ret": -9, "error": "EBADF"})),
        line(20, json!({"event": "exit", "status": 0x300, "via": "exit"})),
        line(21, json!({"event": "accept", "call": "accept", "fd": 3, "ret": -512, "error": "ERESTARTSYS"})),
        line(21, json!({"event": "exit", "status": 9, "via": "exit"})),
    ]
}

fn compared(lines: &[Value]) -> Result<Comparison> {
    compare(&log()?, lines)
}

#[test]
fn two_tellings_of_one_run_agree() -> Result<()> {
    let found = compared(&lines())?;
    assert_eq!(found.differences, Vec::<String>::new());
    assert_eq!((found.calls, found.threads, found.ends, found.addresses), ((11, 11), 2, 2, 2));
    assert_eq!(found.untold, 0);
    Ok(())
}

#[test]
fn every_planted_edit_is_found() -> Result<()> {
    let planted = every_edit_is_found(&log()?, &lines(), 12)?;
    assert!(planted > 120, "only {planted} edits fit");
    Ok(())
}

#[test]
fn every_edit_of_a_field_is_found() -> Result<()> {
    let (log, lines) = (log()?, lines());
    let found = compare(&log, &lines)?;
    let planted = Agreed { log: &log, lines: &lines, found: &found }.every_field_is_found()?;
    let of = |call: &str, planted: &BTreeSet<Kind>| {
        planted.iter().filter(|(name, _)| name == call).map(|(_, field)| *field).collect::<Vec<_>>()
    };
    for (call, fields) in [
        ("socket", vec!["call", "cloexec", "error", "family", "new_fd", "ret", "type"]),
        ("bind", vec!["asked", "call", "error", "fd", "ret"]),
        ("listen", vec!["backlog", "call", "error", "fd", "ret"]),
        ("accept", vec!["call", "cloexec", "error", "fd", "new_fd", "peer", "ret"]),
        ("getsockname", vec!["local"]),
        ("getpeername", vec!["peer"]),
    ] {
        assert_eq!(of(call, &planted.in_lines), fields, "{call}");
        let in_log = of(call, &planted.in_log);
        assert!(fields.iter().all(|field| in_log.contains(field)), "{call}: {in_log:?}");
    }
    Ok(())
}

#[test]
fn one_edit_is_one_difference() -> Result<()> {
    for (at, field, value) in [
        (7, "ret", json!(-1)),
        (9, "error", json!("EPERM")),
        (9, "asked", json!("unix:/run/other")),
        (8, "backlog", json!(8)),
        (13, "peer", json!("127.0.0.1:5001")),
        (16, "status", json!(0)),
    ] {
        let mut edited = lines();
        edited[at][field] = value;
        let found = compared(&edited)?;
        // The program's own `getpeername` disagrees too.
        let expected = if field == "peer" { 2 } else { 1 };
        assert_eq!(found.differences.len(), expected, "{field}: {:?}", found.differences);
    }
    let mut edited = lines();
    edited.remove(8);
    assert_eq!(compared(&edited)?.differences.len(), 1);
    Ok(())
}

#[test]
fn what_the_program_was_told_of_its_address_is_compared() -> Result<()> {
    let mut edited = lines();
    for at in [7, 8] {
        edited[at]["local"] = json!("127.0.0.1:4001");
    }
    let found = compared(&edited)?;
    assert_eq!(found.differences.len(), 1, "{:?}", found.differences);
    assert!(found.differences[0].contains("getsockname"), "{:?}", found.differences);
    Ok(())
}

#[test]
fn a_call_in_which_its_thread_was_killed_may_have_no_line() -> Result<()> {
    let mut edited = lines();
    edited.remove(17);
    let found = compared(&edited)?;
    assert_eq!((found.differences.len(), found.untold), (0, 1));
    Ok(())
}

#[test]
fn a_repair_is_a_difference() -> Result<()> {
    let mut edited = lines();
    edited.push(json!({"event": "repair", "process": "20@1", "fd": 3}));
    assert_eq!(compared(&edited)?.differences.len(), 1);
    Ok(())
}

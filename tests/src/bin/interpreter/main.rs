//! Runs programs of descriptor calls and logs what each call came to: the independent witness of the tests that trace
//! it. Between two calls of a program it makes only calls that are not traced.
//!
//! `interpreter drive PROGRAMS LOG DIR [forever]` runs the programs of a file, one JSON object a line, each in processes
//! of its own, and writes a line for each to LOG; with `forever` again and again, without a log.
//! `interpreter resume PROGRAMS MEMORY NUMBER:ACTOR:STEP` goes on after an exec.

mod actor;
mod call;
mod memory;
mod message;
mod steps;

use crate::{
    actor::{Actor, Shared, ends_well, handle_interrupts, limit},
    call::call,
    memory::{Memory, Raw, RawSlot, Span},
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    ffi::{CStr, CString, OsString},
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};
use tracer_tests::{
    log::{End, Entry, Log, Slot},
    program::{MAX_FDS, Program},
};

fn main() -> Result<()> {
    let args: Vec<OsString> = std::env::args_os().collect();
    let text = |at: usize| args.get(at).map_or("", |arg| arg.to_str().unwrap_or(""));
    match (text(1), args.len()) {
        ("drive", 5 | 6) => drive(Path::new(&args[2]), &args[3], Path::new(&args[4]), text(5) == "forever"),
        ("resume", 5) => resume(Path::new(&args[2]), Path::new(&args[3]), text(4)),
        _ => bail!("interpreter drive PROGRAMS LOG DIR [forever]"),
    }
}

fn programs(file: &Path) -> Result<Vec<Program>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn lasting(path: &Path) -> Result<&'static CStr> {
    Ok(Box::leak(CString::new(path.as_os_str().as_bytes())?.into_boxed_c_str()))
}

fn shared(
    memory: Memory,
    number: usize,
    program: &Program,
    file: &Path,
    log: &Path,
) -> Result<&'static Shared> {
    Ok(Box::leak(Box::new(Shared {
        memory,
        plan: program.plan(),
        number,
        exe: lasting(&std::env::current_exe()?)?,
        programs: lasting(file)?,
        log: lasting(log)?,
    })))
}

fn drive(file: &Path, log: &OsString, dir: &Path, forever: bool) -> Result<()> {
    let all = programs(file)?;
    let place = dir.join("memory");
    let memory = Memory::map(&place)?;
    std::env::set_current_dir(dir)?;
    // Every process of a program ends as our child.
    // SAFETY: PR_SET_CHILD_SUBREAPER (prctl(2)) takes a number.
    ensure!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) } == 0, "not a subreaper");
    let mut out = File::create(log)?;
    loop {
        for (number, program) in all.iter().enumerate() {
            let begin = format!("/sockreel/program/{number}");
            mark(&begin);
            memory.reset();
            let shared = shared(memory, number, program, file, &place)?;
            let first = call(libc::SYS_fork, [0; 6]);
            if first == 0 {
                limit(MAX_FDS);
                handle_interrupts();
                Actor::new(shared, 0).run(0);
            }
            let ends = await_all();
            let bad = ends.iter().find(|end| !ends_well(end.status.cast_signed()));
            let trouble = bad
                .map(|end| format!("process {} ended with wait status {:#x}", end.pid, end.status))
                .or_else(|| memory.stuck().map(|actor| format!("actor {actor} waits in vain")));
            mark(&format!("/sockreel/done/{number}"));
            for name in 0..10 {
                let _ = fs::remove_file(format!("u{name}"));
            }
            if !forever {
                let missing = -i64::from(libc::ENOENT);
                let own = [own("openat", missing, Some(begin)), own("fork", first, None)];
                let entries =
                    own.into_iter().chain(memory.entries().iter().map(|raw| entry(raw, memory))).collect();
                let mut line = serde_json::to_vec(&Log { number, trouble, ends, entries })?;
                line.push(b'\n');
                out.write_all(&line)?;
            }
        }
        if !forever {
            return Ok(());
        }
    }
}

/// Goes on after an exec.
fn resume(file: &Path, log: &Path, numbers: &str) -> Result<()> {
    let numbers: Vec<usize> = numbers.split(':').map(str::parse).collect::<Result<_, _>>()?;
    let [number, actor, step] = numbers[..] else { bail!("{numbers:?}") };
    let program = programs(file)?.into_iter().nth(number).context("no such program")?;
    let memory = Memory::map(log)?;
    let shared = shared(memory, number, &program, file, log)?;
    limit(MAX_FDS);
    handle_interrupts();
    Actor::new(shared, actor).resume(step)
}

/// A failed open whose path stands in the record.
fn mark(path: &str) {
    let _ = File::open(path);
}

/// Waits until nothing that we started runs.
fn await_all() -> Vec<End> {
    let mut ends = Vec::new();
    loop {
        let mut status = 0;
        // SAFETY: `status` is valid for writes.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        if pid < 0 {
            return ends;
        }
        ends.push(End { pid: pid.unsigned_abs(), status: status.cast_unsigned() });
    }
}

const NAMES: &[(i64, &str)] = &[
    (libc::SYS_socket, "socket"),
    (libc::SYS_socketpair, "socketpair"),
    (libc::SYS_pipe, "pipe"),
    (libc::SYS_pipe2, "pipe2"),
    (libc::SYS_bind, "bind"),
    (libc::SYS_connect, "connect"),
    (libc::SYS_listen, "listen"),
    (libc::SYS_accept, "accept"),
    (libc::SYS_accept4, "accept4"),
    (libc::SYS_shutdown, "shutdown"),
    (libc::SYS_dup, "dup"),
    (libc::SYS_dup2, "dup2"),
    (libc::SYS_dup3, "dup3"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_ioctl, "ioctl"),
    (libc::SYS_close, "close"),
    (libc::SYS_close_range, "close_range"),
    (libc::SYS_eventfd, "eventfd"),
    (libc::SYS_eventfd2, "eventfd2"),
    (libc::SYS_epoll_create, "epoll_create"),
    (libc::SYS_epoll_create1, "epoll_create1"),
    (libc::SYS_timerfd_create, "timerfd_create"),
    (libc::SYS_signalfd4, "signalfd4"),
    (libc::SYS_inotify_init, "inotify_init"),
    (libc::SYS_inotify_init1, "inotify_init1"),
    (libc::SYS_memfd_create, "memfd_create"),
    (libc::SYS_pidfd_open, "pidfd_open"),
    (libc::SYS_open, "open"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_openat2, "openat2"),
    (libc::SYS_sendmsg, "sendmsg"),
    (libc::SYS_recvmsg, "recvmsg"),
    (libc::SYS_sendmmsg, "sendmmsg"),
    (libc::SYS_recvmmsg, "recvmmsg"),
    (libc::SYS_pidfd_getfd, "pidfd_getfd"),
    (libc::SYS_fork, "fork"),
    (libc::SYS_vfork, "vfork"),
    (libc::SYS_clone, "clone"),
    (libc::SYS_clone3, "clone3"),
    (libc::SYS_execve, "execve"),
    (libc::SYS_unshare, "unshare"),
    (libc::SYS_exit_group, "exit_group"),
];

/// What the process does that runs the programs.
fn own(call: &str, ret: i64, asked: Option<String>) -> Entry {
    let pid = std::process::id();
    Entry { pid, tid: pid, call: Some(call.to_owned()), ret, asked, ..Entry::default() }
}

fn entry(raw: &Raw, memory: Memory) -> Entry {
    let call =
        NAMES.iter().find(|(number, _)| *number == i64::from(raw.number)).map(|(_, name)| (*name).to_owned());
    let with_address = matches!(call.as_deref(), Some("bind" | "connect"));
    let slots = |span: Span| memory.slots(span).map(|slots| slots.iter().map(slot).collect::<Vec<_>>());
    let numbers = raw.numbers.get(..raw.numbers_len as usize).unwrap_or_default();
    Entry {
        pid: raw.pid.unsigned_abs(),
        tid: raw.tid.unsigned_abs(),
        actor: raw.actor as usize,
        call,
        args: raw.args,
        ret: raw.ret,
        alone: raw.alone,
        asked: raw.asked.get().map(|bytes| {
            if with_address { address(bytes) } else { String::from_utf8_lossy(bytes).into_owned() }
        }),
        local: raw.local.get().map(address),
        peer: raw.peer.get().map(address),
        numbers: numbers.to_vec(),
        made: slots(raw.made).unwrap_or_default(),
        table: slots(raw.table),
    }
}

fn slot(slot: &RawSlot) -> Slot {
    Slot { fd: slot.fd, cloexec: slot.cloexec != 0, ino: slot.ino, dev: slot.dev, mode: slot.mode }
}

/// A `sockaddr` in the contract's words.
fn address(bytes: &[u8]) -> String {
    let family = bytes.first_chunk().map_or(0, |family| u16::from_ne_bytes(*family));
    let rest = bytes.get(2..).unwrap_or_default();
    match (i32::from(family), rest.len()) {
        (libc::AF_INET, 6..) => {
            let port = u16::from_be_bytes([rest[0], rest[1]]);
            format!("{}:{port}", Ipv4Addr::new(rest[2], rest[3], rest[4], rest[5]))
        }
        (libc::AF_INET6, 22..) => {
            let port = u16::from_be_bytes([rest[0], rest[1]]);
            let ip = rest[6..].first_chunk::<16>().map_or(Ipv6Addr::UNSPECIFIED, |ip| Ipv6Addr::from(*ip));
            format!("[{ip}]:{port}")
        }
        (libc::AF_UNSPEC, _) => "unspec".to_owned(),
        (libc::AF_UNIX, 0) => "unix:".to_owned(),
        (libc::AF_UNIX, _) if rest[0] == 0 => format!("unix:@{}", String::from_utf8_lossy(&rest[1..])),
        (libc::AF_UNIX, _) => {
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            format!("unix:{}", String::from_utf8_lossy(&rest[..end]))
        }
        _ => {
            let mut text = format!("family-{family}:");
            for byte in rest {
                let _ = write!(text, "{byte:02x}");
            }
            text
        }
    }
}

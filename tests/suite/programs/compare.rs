//! A program's log against the record: every call of every thread in its order, with everything that both sides know,
//! and every table.

use super::{
    ends::{Ends, compare_ends},
    replay::{Marked, Told},
};
use nix::errno::Errno;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tracer_tests::log::{Entry, Log, Slot};

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) calls: usize,
    pub(super) failures: usize,
    /// Of the failures: those that programs make on purpose.
    pub(super) emfile: usize,
    pub(super) ebadf: usize,
    pub(super) eaddrinuse: usize,
    pub(super) eintr: usize,
    pub(super) tables: usize,
    pub(super) descriptors: usize,
    pub(super) ends: Ends,
}

impl std::ops::AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.emfile += other.emfile;
        self.ebadf += other.ebadf;
        self.eaddrinuse += other.eaddrinuse;
        self.eintr += other.eintr;
        self.tables += other.tables;
        self.descriptors += other.descriptors;
        self.ends += other.ends;
    }
}

impl Size {
    fn count(&mut self, ret: i64) {
        self.failures += usize::from(ret < 0);
        match i32::try_from(-ret) {
            Ok(libc::EMFILE) => self.emfile += 1,
            Ok(libc::EBADF) => self.ebadf += 1,
            Ok(libc::EADDRINUSE) => self.eaddrinuse += 1,
            Ok(libc::EINTR) => self.eintr += 1,
            _ => {}
        }
    }
}

/// `ERESTARTSYS`, `ERESTARTNOINTR`, `ERESTARTNOHAND`, `ERESTART_RESTARTBLOCK` (include/linux/errno.h): the kernel's own
/// return value of an interrupted call, which a signal handler's return turns into EINTR.
const RESTARTS: [(i64, &str); 4] = [
    (-512, "ERESTARTSYS"),
    (-513, "ERESTARTNOINTR"),
    (-514, "ERESTARTNOHAND"),
    (-516, "ERESTART_RESTARTBLOCK"),
];

/// Calls whose first argument is a descriptor, which their lines name.
const NAMES_FD: &[&str] = &[
    "bind",
    "listen",
    "accept",
    "accept4",
    "connect",
    "shutdown",
    "close",
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "ioctl",
    "recvmsg",
    "sendmsg",
    "recvmmsg",
    "sendmmsg",
    "pidfd_getfd",
];

/// Calls that a program logs; a line of another one is left alone.
const LOGGED: &[&str] = &[
    "socket",
    "socketpair",
    "pipe",
    "pipe2",
    "bind",
    "connect",
    "listen",
    "accept",
    "accept4",
    "shutdown",
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "ioctl",
    "close",
    "close_range",
    "eventfd",
    "eventfd2",
    "epoll_create",
    "epoll_create1",
    "timerfd_create",
    "signalfd4",
    "inotify_init",
    "inotify_init1",
    "memfd_create",
    "pidfd_open",
    "open",
    "openat",
    "openat2",
    "sendmsg",
    "recvmsg",
    "sendmmsg",
    "recvmmsg",
    "pidfd_getfd",
    "fork",
    "vfork",
    "clone",
    "clone3",
    "execve",
    "unshare",
];

/// Compares; every difference in words.
pub(super) fn compare(log: &Log, lines: &[Value], marked: &HashMap<String, Marked>) -> (Size, Vec<String>) {
    let mut comparison = Comparison::default();
    if let Some(trouble) = &log.trouble {
        comparison.differ(format!("the program itself: {trouble}"));
    }
    for line in lines.iter().filter(|line| line["event"] == "lost" || line["event"] == "repair") {
        comparison.differ(format!("the record is not whole: {line}"));
    }
    comparison.calls(log, lines);
    comparison.tables(log, marked);
    let (ends, differences) = compare_ends(log, lines);
    comparison.size.ends = ends;
    comparison.differences.extend(differences);
    (comparison.size, comparison.differences)
}

#[derive(Default)]
struct Comparison {
    size: Size,
    differences: Vec<String>,
}

/// A thread's calls on both sides.
#[derive(Default)]
struct Stream<'a> {
    entries: Vec<&'a Entry>,
    lines: Vec<&'a Value>,
    /// What a program's start-up does is not logged: from an exec to the mark behind it nothing is compared. Of all else there
    /// is: a thread begins with its mark, and who runs the programs with that of the program.
    apart: bool,
}

impl Comparison {
    fn differ(&mut self, what: String) {
        self.differences.push(what);
    }

    fn calls(&mut self, log: &Log, lines: &[Value]) {
        let mut streams: BTreeMap<u32, Stream<'_>> = BTreeMap::new();
        let logged = |entry: &&Entry| entry.call.as_deref().is_some_and(|call| LOGGED.contains(&call));
        for entry in log.entries.iter().filter(logged) {
            // A message without descriptors has no line, unless it gave a datagram socket its port.
            if is_message(entry.call.as_deref()) && entry.numbers.is_empty() && !lacks_destination(entry) {
                continue;
            }
            // Who executes a program has its leader's number when the call returns.
            let is_exec = entry.call.as_deref() == Some("execve") && entry.ret == 0;
            let tid = if is_exec { entry.pid } else { entry.tid };
            streams.entry(tid).or_default().entries.push(entry);
        }
        for line in lines {
            let Some(call) = line["call"].as_str() else { continue };
            if line["via"] != "syscall" || line["pending"] == true || !LOGGED.contains(&call) {
                continue;
            }
            // Of the messages of one call, one may have given the socket its port: of which call, no program knows.
            if call == "sendmmsg" && line["event"] == "bind" {
                continue;
            }
            let tid = line["tid"].as_u64().and_then(|tid| u32::try_from(tid).ok());
            let Some(stream) = tid.and_then(|tid| streams.get_mut(&tid)) else {
                self.differ(format!("of no thread that is known: {line}"));
                continue;
            };
            if line["path"].as_str().is_some_and(|path| path.starts_with("/sockreel/begin/")) {
                stream.apart = false;
            }
            if stream.apart {
                continue;
            }
            stream.apart = call == "execve" && line["ret"] == 0;
            stream.lines.push(line);
        }
        for (tid, stream) in &streams {
            self.stream(*tid, stream);
        }
    }

    /// One thread's calls, one by one; after the first that is not the same call the rest says nothing.
    fn stream(&mut self, tid: u32, stream: &Stream<'_>) {
        for (at, entry) in stream.entries.iter().enumerate() {
            self.size.calls += 1;
            self.size.count(entry.ret);
            let line = stream.lines.get(at);
            let Some(line) = line.filter(|line| line["call"].as_str() == entry.call.as_deref()) else {
                let before: Vec<_> =
                    stream.entries[at.saturating_sub(3)..at].iter().map(|e| brief(e)).collect();
                let told = line.map_or_else(|| "nothing more".to_owned(), |line| format!("{line}"));
                self.differ(format!(
                    "thread {tid}, after {before:?}: it made {}, told is {told}",
                    brief(entry)
                ));
                return;
            };
            for (field, told, known) in fields(entry, line) {
                if told != known {
                    let entry = brief(entry);
                    self.differ(format!(
                        "thread {tid}: {field} is told as {told}, known is {known}: {entry}; {line}"
                    ));
                }
            }
        }
        if let Some(line) = stream.lines.get(stream.entries.len()) {
            self.differ(format!("thread {tid}: told but not made: {line}"));
        }
    }

    /// Tables at marks.
    fn tables(&mut self, log: &Log, marked: &HashMap<String, Marked>) {
        for entry in log.entries.iter().filter(|entry| entry.call.is_none()) {
            let (Some(path), Some(known)) = (&entry.asked, &entry.table) else { continue };
            self.size.tables += 1;
            self.size.descriptors += known.len();
            let Some(found) = marked.get(path) else {
                self.differ(format!("no mark {path} in the recording"));
                continue;
            };
            let own = table_differences(known, &found.process);
            let same = own.is_empty()
                || entry.tid != entry.pid
                    && found.all.iter().any(|told| table_differences(known, told).is_empty());
            if !same {
                self.differ(format!("table at {path} of process {}: {}", entry.pid, own.join("; ")));
            }
        }
    }
}

type Field = (&'static str, Value, Value);

/// What both sides know of a call: field, told, known.
fn fields(entry: &Entry, line: &Value) -> Vec<Field> {
    let call = entry.call.as_deref().unwrap_or_default();
    let mut fields: Vec<Field> = Vec::new();
    let mut field = |name, known: Value| fields.push((name, line[name].clone(), known));
    field("pid", entry.pid.into());
    let restart =
        RESTARTS.iter().find(|(ret, _)| line["ret"] == *ret && entry.ret == -i64::from(libc::EINTR));
    field("ret", restart.map_or(entry.ret, |(ret, _)| *ret).into());
    if entry.ret < 0 {
        field("error", restart.map_or_else(|| errno(entry.ret), |(_, name)| (*name).to_owned()).into());
    }
    let [first, second, ..] = entry.args;
    if NAMES_FD.contains(&call) {
        field("fd", first.into());
    }
    match call {
        "open" | "openat" | "openat2" | "execve" => field("path", entry.asked.clone().into()),
        "bind" | "connect" => field("asked", entry.asked.clone().into()),
        "listen" => field("backlog", second.into()),
        "shutdown" => {
            let known = ["SHUT_RD", "SHUT_WR", "SHUT_RDWR"].get(usize::try_from(second).unwrap_or(9));
            field("how", known.map_or_else(|| second.to_string(), |how| (*how).to_owned()).into());
        }
        _ => {}
    }
    if lacks_destination(entry) {
        field("event", "bind".into());
    } else if is_message(Some(call)) {
        // A negative number is no descriptor; where it was the only one, nothing was to be sent.
        let passed: Vec<i32> = entry.numbers.iter().copied().filter(|fd| *fd >= 0).collect();
        field("fds", if passed.is_empty() { Value::Null } else { passed.into() });
        field("dir", if call.starts_with("send") { "out" } else { "in" }.into());
    } else if call == "pidfd_getfd" {
        field("dir", "in".into());
    }
    if entry.ret < 0 {
        field("new_fd", Value::Null);
        return fields;
    }
    let is_setfd = call == "ioctl" || call == "fcntl" && second == i64::from(libc::F_SETFD);
    match call {
        "socketpair" | "pipe" | "pipe2" => field("fds", sorted(entry.numbers.iter().copied())),
        "socket" | "accept" | "accept4" | "dup" | "dup2" | "dup3" | "open" | "openat" | "openat2"
        | "pidfd_getfd" => {
            field("new_fd", entry.ret.into());
        }
        "fcntl" if !is_setfd => field("new_fd", entry.ret.into()),
        _ => {}
    }
    if !entry.alone {
        return fields;
    }
    whole_table(entry, line, &mut fields);
    names(entry, line, &mut fields);
    let unchanged = call == "dup2" && first == second;
    // The line of a pair describes its first; of several that were received the tables have the descriptions.
    let receives = call.starts_with("recv");
    let several = receives && entry.numbers.len() > 1;
    if let Some(made) = entry.made.first().filter(|_| !unchanged && !several) {
        let mut field = |name, known: Value| fields.push((name, line[name].clone(), known));
        field("cloexec", made.cloexec.into());
        field("inode", made.ino.into());
        if let Some(kind) = kind(call, made) {
            field("kind", kind.into());
        }
        if receives {
            field("new_fd", made.fd.into());
        }
    }
    fields
}

/// Whether a call moves messages.
fn is_message(call: Option<&str>) -> bool {
    matches!(call, Some("sendmsg" | "recvmsg" | "sendmmsg" | "recvmmsg"))
}

/// Whether a message had nowhere to go: only a datagram socket of the internet protocols fails so (`udp_sendmsg`,
/// net/ipv4/udp.c), and has its port by then.
fn lacks_destination(entry: &Entry) -> bool {
    entry.call.as_deref() == Some("sendmsg") && entry.ret == -i64::from(libc::EDESTADDRREQ)
}

/// Numbers that a call about the whole table names.
fn whole_table(entry: &Entry, line: &Value, fields: &mut Vec<Field>) {
    let Some(table) = &entry.table else { return };
    let [first, second, ..] = entry.args;
    let told = line["fds"].as_array().cloned().unwrap_or_default();
    let told = sorted(told.iter().filter_map(|fd| i32::try_from(fd.as_i64()?).ok()));
    let shares = first & i64::from(libc::CLONE_FILES) != 0;
    let known = match entry.call.as_deref() {
        Some("close_range") => {
            table.iter().filter(|slot| (first..=second).contains(&slot.fd.into())).collect()
        }
        Some("clone") if shares => Vec::new(),
        Some("execve") => table.iter().filter(|slot| slot.cloexec).collect(),
        Some("fork" | "vfork" | "clone" | "clone3") => table.iter().collect::<Vec<_>>(),
        _ => return,
    };
    fields.push(("fds", told, sorted(known.iter().map(|slot| slot.fd))));
}

/// Addresses as the program itself asked for them.
fn names(entry: &Entry, line: &Value, fields: &mut Vec<Field>) {
    let mut field = |name, known: &Option<String>| {
        fields.push((name, set(line[name].as_str()), set(known.as_deref())));
    };
    match entry.call.as_deref() {
        Some("bind" | "listen") => field("local", &entry.local),
        Some("accept" | "accept4" | "connect") => {
            field("local", &entry.local);
            field("peer", &entry.peer);
        }
        _ => {}
    }
}

/// An address that says something.
fn set(address: Option<&str>) -> Value {
    address.filter(|address| !["0.0.0.0:0", "[::]:0", "unix:"].contains(address)).into()
}

pub(super) fn sorted(numbers: impl Iterator<Item = i32>) -> Value {
    let mut numbers: Vec<i32> = numbers.collect();
    numbers.sort_unstable();
    numbers.into()
}

fn errno(ret: i64) -> String {
    let errno = Errno::from_raw(i32::try_from(-ret).unwrap_or(0));
    format!("{errno:?}")
}

/// The kind that a call makes, or that the mode tells.
fn kind(call: &str, made: &Slot) -> Option<&'static str> {
    Some(match call {
        "eventfd" | "eventfd2" => "eventfd",
        "epoll_create" | "epoll_create1" => "epoll",
        "timerfd_create" => "timerfd",
        "signalfd4" => "signalfd",
        "inotify_init" | "inotify_init1" => "inotify",
        "memfd_create" => "memfd",
        "pidfd_open" => "pidfd",
        _ => return by_mode(made.mode),
    })
}

fn by_mode(mode: u32) -> Option<&'static str> {
    match mode & libc::S_IFMT {
        libc::S_IFSOCK => Some("socket"),
        libc::S_IFDIR => Some("directory"),
        libc::S_IFCHR => Some("char_device"),
        libc::S_IFIFO => Some("pipe"),
        _ => None,
    }
}

fn table_differences(known: &[Slot], told: &Told) -> Vec<String> {
    let mut differences = Vec::new();
    let numbers: BTreeSet<i32> = known.iter().map(|slot| slot.fd).chain(told.keys().copied()).collect();
    for fd in numbers {
        let known = known.iter().find(|slot| slot.fd == fd);
        let same = match (known, told.get(&fd)) {
            (Some(known), Some(told)) => {
                let dev = (libc::major(known.dev), libc::minor(known.dev));
                let kind = by_mode(known.mode).is_none_or(|kind| kind == told.kind);
                (known.ino, known.cloexec, dev) == (told.ino, told.cloexec, told.dev) && kind
            }
            _ => false,
        };
        if !same {
            differences.push(format!("{fd} is {known:?}, told is {:?}", told.get(&fd)));
        }
    }
    differences
}

fn brief(entry: &Entry) -> String {
    let call = entry.call.as_deref().unwrap_or("-");
    let Entry { args, ret, asked, .. } = entry;
    format!("{call}{args:?} = {ret} {}", asked.as_deref().unwrap_or(""))
}

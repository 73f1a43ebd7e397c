//! What a call in strace's log says that the line of the same call has to say.

use super::{
    log::{Call, Outcome},
    nonblocking::{NonBlocking, Sets},
    text::{address, field, inside, string},
};
use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::LazyLock};

/// Every call that is compared; names of section 2 of the manual.
pub(super) const COVERED: &[&str] = &[
    "socket",
    "socketpair",
    "bind",
    "listen",
    "accept",
    "accept4",
    "connect",
    "shutdown",
    "setsockopt",
    "close",
    "close_range",
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "ioctl",
    "open",
    "creat",
    "openat",
    "openat2",
    "open_by_handle_at",
    "open_tree",
    "fsopen",
    "fsmount",
    "fspick",
    "pipe",
    "pipe2",
    "eventfd",
    "eventfd2",
    "epoll_create",
    "epoll_create1",
    "timerfd_create",
    "signalfd",
    "signalfd4",
    "inotify_init",
    "inotify_init1",
    "fanotify_init",
    "memfd_create",
    "memfd_secret",
    "pidfd_open",
    "pidfd_getfd",
    "userfaultfd",
    "perf_event_open",
    "io_uring_setup",
    "mq_open",
    "landlock_create_ruleset",
    "recvmsg",
    "recvmmsg",
    "sendmsg",
    "sendmmsg",
    "lseek",
    "bpf",
    "seccomp",
    "open_tree_attr",
    "fork",
    "vfork",
    "clone",
    "clone3",
    "execve",
    "execveat",
    "unshare",
];

/// Calls by which the program itself asks for a socket's addresses.
pub(super) const ASKING: &[&str] = &["getsockname", "getpeername"];

/// Options of setsockopt(2) that explain how a socket behaves.
const OPTIONS: &[&str] =
    &["SO_REUSEADDR", "SO_REUSEPORT", "SO_LINGER", "TCP_DEFER_ACCEPT", "TCP_FASTOPEN", "IPV6_V6ONLY"];

/// Commands of bpf(2) whose result is a new descriptor.
const BPF_MAKES: &[&str] = &[
    "BPF_MAP_CREATE",
    "BPF_PROG_LOAD",
    "BPF_OBJ_GET",
    "BPF_PROG_GET_FD_BY_ID",
    "BPF_MAP_GET_FD_BY_ID",
    "BPF_RAW_TRACEPOINT_OPEN",
    "BPF_BTF_LOAD",
    "BPF_BTF_GET_FD_BY_ID",
    "BPF_LINK_CREATE",
    "BPF_LINK_GET_FD_BY_ID",
    "BPF_ENABLE_STATS",
    "BPF_ITER_CREATE",
    "BPF_TOKEN_CREATE",
];

/// Bytes of a path that a line carries at most, with room for the terminating zero (`PATH_LEN` of a record).
const PATH_LEN: usize = 255;

/// A call that a line has to tell.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    /// Fields of the line and what they hold; `null` where there must be none.
    pub(super) says: BTreeMap<&'static str, Value>,
    /// There may be no line: the thread ended inside the call, and what came of it strace does not know either; or the
    /// call may have changed nothing.
    pub(super) optional: bool,
    /// As strace has it.
    pub(super) text: String,
}

impl Fact {
    /// `None` for the uses of a call that are not covered, since they move no descriptor. Calls are given in the order
    /// of the log.
    pub(super) fn of(call: &Call, sockets: &mut NonBlocking) -> Result<Option<Self>> {
        if !COVERED.contains(&call.name.as_str()) {
            return Ok(None);
        }
        let sets = sockets.see(call);
        let mut optional = call.outcome == Outcome::Unfinished;
        let Some(mut says) = says(call, &sets).with_context(|| format!("in {}", call.text))? else {
            return Ok(None);
        };
        if let Sets::To(nonblock) | Sets::Perhaps(nonblock) = sets {
            optional |= sets == Sets::Perhaps(nonblock);
            if matches!(call.outcome, Outcome::Returned(_)) {
                says.insert("nonblock", json!(nonblock));
            }
        }
        Ok(Some(Self { says, optional, text: call.text.clone() }))
    }
}

fn says(call: &Call, sets: &Sets) -> Result<Option<BTreeMap<&'static str, Value>>> {
    let mut says = BTreeMap::from([("call", json!(call.name))]);
    let arg = |at: usize| call.args.get(at).map_or("", String::as_str);
    let number = |at: usize| descriptor(arg(at)).with_context(|| format!("argument {at} is no number"));
    let (ret, ok) = match &call.outcome {
        Outcome::Returned(ret) => (Some(*ret), true),
        Outcome::Failed(name) => {
            says.insert("error", json!(name));
            (Some(-errno(name)?), false)
        }
        Outcome::Unfinished => (None, false),
    };
    if let Some(ret) = ret {
        says.insert("ret", json!(ret));
        if ok {
            says.insert("error", Value::Null);
        }
    }
    let flags = || call.args.iter().any(|arg| !arg.starts_with('"') && arg.contains("CLOEXEC"));
    let mut makes = false;
    let mut path = None;
    match call.name.as_str() {
        "socket" => {
            makes = true;
            if ok {
                says.insert("family", json!(lower(arg(0), "AF_")));
                says.insert("type", json!(lower(arg(1).split('|').next().unwrap_or_default(), "SOCK_")));
            }
        }
        "socketpair" | "pipe" | "pipe2" if ok => {
            let place = if call.name == "socketpair" { 3 } else { 0 };
            says.insert("fds", descriptors(arg(place))?);
            says.insert("cloexec", json!(flags()));
        }
        "bind" | "connect" => {
            says.insert("fd", json!(number(0)?));
            says.insert("asked", json!(address(arg(1))?));
        }
        "listen" => {
            says.insert("fd", json!(number(0)?));
            // A C int to strace, an unsigned one to the kernel (`__sys_listen`, net/socket.c).
            says.insert("backlog", json!(number(1)?));
        }
        "accept" | "accept4" => {
            says.insert("fd", json!(number(0)?));
            makes = true;
            if let Some(peer) = address(arg(1))?.filter(|_| ok) {
                says.insert("peer", json!(peer));
            }
        }
        "shutdown" => {
            says.insert("fd", json!(number(0)?));
            says.insert("how", json!(arg(1)));
        }
        "close" => {
            says.insert("fd", json!(number(0)?));
        }
        "dup" | "dup2" | "dup3" | "pidfd_getfd" => {
            says.insert("fd", json!(number(0)?));
            makes = true;
        }
        "fcntl" => {
            says.insert("fd", json!(number(0)?));
            match arg(1) {
                "F_DUPFD" | "F_DUPFD_CLOEXEC" => makes = true,
                "F_SETFD" if ok => {
                    says.insert("cloexec", json!(arg(2) == "FD_CLOEXEC"));
                }
                "F_SETFD" => {}
                "F_SETFL" if *sets != Sets::Nothing => {}
                _ => return Ok(None),
            }
        }
        "ioctl" => {
            says.insert("fd", json!(number(0)?));
            match arg(1) {
                "FIOCLEX" | "FIONCLEX" if ok => {
                    says.insert("cloexec", json!(arg(1) == "FIOCLEX"));
                }
                "FIOCLEX" | "FIONCLEX" => {}
                "FIONBIO" if *sets != Sets::Nothing => {}
                "TIOCGPTPEER" | "SIOCGSKNS" | "NS_GET_USERNS" | "NS_GET_PARENT" => makes = true,
                _ => return Ok(None),
            }
        }
        "setsockopt" if OPTIONS.contains(&arg(2)) && arg(0).contains("<socket:") => {
            says.insert("fd", json!(number(0)?));
            says.insert("level", json!(arg(1)));
            says.insert("option", json!(arg(2)));
            says.insert("asked_value", option_value(arg(3))?);
        }
        "open" | "creat" | "mq_open" => (makes, path) = (true, Some(arg(0))),
        "openat" | "openat2" | "open_tree" | "fspick" => (makes, path) = (true, Some(arg(1))),
        "execve" => path = Some(arg(0)),
        "execveat" if !ok => path = Some(arg(1)),
        // A thread is no process and shares its leader's table: nothing is told of it.
        "clone" | "clone3" if ok && call.text.contains("CLONE_THREAD") => return Ok(None),
        "socketpair" | "pipe" | "pipe2" | "close_range" | "execveat" | "clone" | "clone3" | "fork"
        | "vfork" => {}
        // Passed descriptors are told, not messages; what was not received was not passed.
        "recvmsg" | "recvmmsg" if !ok => return Ok(None),
        "recvmsg" | "recvmmsg" | "sendmsg" | "sendmmsg" => {
            let Some(fds) = passed(&call.name, arg(1))? else { return Ok(None) };
            says.insert("fd", json!(number(0)?));
            says.insert("fds", fds);
            says.insert("dir", json!(if call.name.starts_with("recv") { "in" } else { "out" }));
        }
        // A socket has no place to seek to; elsewhere it moves no descriptor.
        "lseek" if !ok && arg(0).contains("<socket:") => {
            says.insert("fd", json!(number(0)?));
        }
        "bpf" if BPF_MAKES.contains(&arg(0)) => makes = true,
        "seccomp" if arg(1).contains("NEW_LISTENER") => makes = true,
        "unshare" if arg(0).contains("CLONE_FILES") => {}
        "setsockopt" | "lseek" | "bpf" | "seccomp" | "unshare" => return Ok(None),
        _ => makes = true,
    }
    if let (true, true, Some(ret)) = (makes, ok, ret) {
        says.insert("new_fd", json!(ret));
        if cloexec_is_shown(&call.name) {
            says.insert("cloexec", json!(flags()));
        }
    }
    if let Some(path) = path.and_then(string).filter(|path| path.len() < PATH_LEN) {
        says.insert("path", json!(String::from_utf8_lossy(&path)));
    }
    Ok(Some(says))
}

/// Whether the call's flags alone decide about close-on-exec.
fn cloexec_is_shown(call: &str) -> bool {
    !matches!(
        call,
        "pidfd_open"
            | "pidfd_getfd"
            | "fanotify_init"
            | "userfaultfd"
            | "io_uring_setup"
            | "mq_open"
            | "memfd_secret"
            | "openat2"
            | "landlock_create_ruleset"
            | "signalfd"
            | "signalfd4"
    )
}

/// Number of an error (errno(3)); those that only a tracer sees from include/linux/errno.h.
fn errno(name: &str) -> Result<i64> {
    static NUMBERS: LazyLock<BTreeMap<String, i64>> = LazyLock::new(|| {
        let mut numbers: BTreeMap<String, i64> =
            (1..=133).map(|number| (format!("{:?}", Errno::from_raw(number)), i64::from(number))).collect();
        let further = [
            ("ERESTARTSYS", 512),
            ("ERESTARTNOINTR", 513),
            ("ERESTARTNOHAND", 514),
            ("ERESTART_RESTARTBLOCK", 516),
        ];
        numbers.extend(further.map(|(name, number)| (name.to_owned(), number)));
        numbers
    });
    NUMBERS.get(name).copied().with_context(|| format!("{name} is no error"))
}

/// `AF_INET` becomes `inet`.
fn lower(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

/// `3`, or with what it stands for, `3<socket:[123]>`.
fn descriptor(text: &str) -> Result<i64> {
    Ok(text.split('<').next().unwrap_or_default().parse()?)
}

/// `[3, 4]`.
fn descriptors(text: &str) -> Result<Value> {
    Ok(json!(inside(text)?.iter().map(|number| descriptor(number)).collect::<Result<Vec<i64>>>()?))
}

/// `[1]`, or `{l_onoff=1, l_linger=5}`: the seconds, -1 where it is off; `null` for what strace could not read.
fn option_value(text: &str) -> Result<Value> {
    Ok(match text.chars().next() {
        Some('[') => json!(inside(text)?.concat().parse::<i64>()?),
        Some('{') if field(text, "l_onoff")?.as_deref() == Some("0") => json!(-1),
        Some('{') => json!(field(text, "l_linger")?.context("no l_linger")?.parse::<i64>()?),
        _ => Value::Null,
    })
}

/// The descriptors in the control data of a `struct msghdr`, or of an array of `struct mmsghdr`; `None` without any.
fn passed(call: &str, text: &str) -> Result<Option<Value>> {
    let messages = match call {
        _ if !text.starts_with(['{', '[']) => Vec::new(),
        "recvmsg" | "sendmsg" => vec![text.to_owned()],
        _ => inside(text)?
            .iter()
            .filter_map(|each| field(each, "msg_hdr").transpose())
            .collect::<Result<_>>()?,
    };
    let mut all = Vec::new();
    for message in messages {
        let control = field(&message, "msg_control")?.filter(|control| control.starts_with('['));
        for part in control.map(|control| inside(&control)).transpose()?.unwrap_or_default() {
            if field(&part, "cmsg_type")?.as_deref() == Some("SCM_RIGHTS") {
                let data = field(&part, "cmsg_data")?.context("no descriptors in SCM_RIGHTS")?;
                ensure!(!data.contains("..."), "strace cut the descriptors");
                all.extend(descriptors(&data)?.as_array().into_iter().flatten().cloned());
            }
        }
    }
    Ok((!all.is_empty()).then_some(Value::Array(all)))
}

#[cfg(test)]
mod tests {
    use super::{super::log::Log, Fact, NonBlocking};
    use serde_json::{Value, json};

    fn facts(call: &str) -> Option<Value> {
        let log = Log::read(&format!("7 1.0 {call}\n")).unwrap();
        Fact::of(&log.calls[0], &mut NonBlocking::default()).unwrap().map(|fact| json!(fact.says))
    }

    #[test]
    fn each_call_says_what_its_arguments_and_its_result_say() {
        assert_eq!(
            facts("socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 3"),
            Some(
                json!({"call": "socket", "ret": 3, "error": null, "new_fd": 3, "cloexec": true, "family": "inet", "type": "stream"})
            )
        );
        assert_eq!(
            facts(
                "connect(4, {sa_family=AF_UNIX, sun_path=\"/x\"}, 5) = -1 ENOENT (No such file or directory)"
            ),
            Some(json!({"call": "connect", "ret": -2, "error": "ENOENT", "fd": 4, "asked": "unix:/x"}))
        );
        assert_eq!(
            facts("accept4(3, {sa_family=AF_UNIX}, [128 => 2], SOCK_NONBLOCK) = 5"),
            Some(
                json!({"call": "accept4", "ret": 5, "error": null, "fd": 3, "new_fd": 5, "cloexec": false, "peer": "unix:"})
            )
        );
        assert_eq!(
            facts("accept(3, NULL, NULL) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)"),
            Some(json!({"call": "accept", "ret": -512, "error": "ERESTARTSYS", "fd": 3}))
        );
        assert_eq!(
            facts("pipe2([3, 4], O_CLOEXEC) = 0"),
            Some(json!({"call": "pipe2", "ret": 0, "error": null, "fds": [3, 4], "cloexec": true}))
        );
    }

    #[test]
    fn options_and_flags_of_sockets_are_compared() {
        assert_eq!(
            facts("setsockopt(3<socket:[1]>, SOL_SOCKET, SO_LINGER, {l_onoff=1, l_linger=5}, 8) = 0"),
            Some(
                json!({"call": "setsockopt", "ret": 0, "error": null, "fd": 3, "level": "SOL_SOCKET", "option": "SO_LINGER", "asked_value": 5})
            )
        );
        assert_eq!(facts("setsockopt(3<socket:[1]>, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0"), None);
        assert_eq!(
            facts("fcntl(3<socket:[1]>, F_SETFL, O_RDWR|O_NONBLOCK) = 0"),
            Some(json!({"call": "fcntl", "ret": 0, "error": null, "fd": 3, "nonblock": true}))
        );
        assert_eq!(facts("fcntl(3<pipe:[1]>, F_SETFL, O_RDONLY|O_NONBLOCK) = 0"), None);
    }

    #[test]
    fn uses_that_move_no_descriptor_are_not_covered() {
        assert_eq!(facts("fcntl(3, F_GETFD) = 0x1 (flags FD_CLOEXEC)"), None);
        assert_eq!(facts("ioctl(3, TCGETS, 0x7ff) = -1 ENOTTY (Inappropriate ioctl for device)"), None);
        assert_eq!(facts("clone3({flags=CLONE_FILES|CLONE_THREAD, exit_signal=0}, 88) = 9"), None);
        assert_eq!(
            facts(
                "recvmsg(3, {msg_name=NULL, msg_control=[{cmsg_len=28, cmsg_level=SOL_SOCKET, cmsg_type=SCM_CREDENTIALS, cmsg_data={pid=1, uid=0, gid=0}}], msg_controllen=32}, 0) = 1"
            ),
            None
        );
    }

    #[test]
    fn received_descriptors_are_those_of_all_control_messages() {
        assert_eq!(
            facts(
                "recvmsg(3, {msg_name=NULL, msg_control=[{cmsg_len=24, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[6, 7]}], msg_controllen=24, msg_flags=0}, 0) = 1"
            ),
            Some(json!({"call": "recvmsg", "ret": 1, "error": null, "fd": 3, "fds": [6, 7], "dir": "in"}))
        );
    }
}

//! Makes the calls that servers make, one by one, and writes down what each returned and what it then knows: the source
//! that a trace of it is compared with, on any kernel.
//!
//! Usage: core-proof LOG [files]. The log is one JSON object a line: `{"pid","call","ret"}` and, where the call is about a
//! socket's address, `local` and `peer` as getsockname(2) and getpeername(2) have them; or `{"pid","mark","table"}`, the
//! process's table by proc(5). An accept before which the process slept has `slept_ns`. Calls are made by number (syscall(2)), so that nothing else comes in between. A process's
//! part begins and ends with an attempt to open a name that does not exist.

use serde_json::{Value, json};
use std::{
    ffi::{CStr, CString},
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    mem,
    net::{Ipv4Addr, Ipv6Addr},
    os::{
        fd::{AsRawFd as _, FromRawFd as _},
        unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    },
    thread,
    time::{Duration, Instant},
};

type Result<T> = io::Result<T>;

/// The log's descriptor: above all that the proof makes.
const LOG: i32 = 300;
/// How long a connection waits at least before it is accepted.
const SLEEP: Duration = Duration::from_millis(20);
/// For how long the machine has no file to give: samples and checks are due meanwhile.
const HELD: Duration = Duration::from_millis(2500);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    match args.as_slice() {
        [_, log] => first(log),
        [_, log, verb] if verb == "executed" => executed(log),
        [_, log, verb] if verb == "files" => all_files(log),
        _ => Err(io::Error::other("usage: core-proof LOG [files]")),
    }
}

/// Everything before `execve`.
fn first(log: &str) -> Result<()> {
    let mut proof = Proof::new(log)?;
    proof.mark("/core-proof-begin")?;
    for family in [libc::AF_INET, libc::AF_INET6] {
        proof.connections(family)?;
    }
    proof.unix()?;
    proof.kinds()?;
    proof.numbers()?;
    proof.table("/core-proof-table")?;
    thread(log)?;
    proof.passed()?;
    proof.child(log)?;
    proof.table("/core-proof-last")?;
    proof.mark("/core-proof-end")
}

/// What `execve` left open.
fn executed(log: &str) -> Result<()> {
    let mut proof = Proof::new(log)?;
    proof.mark("/core-proof-begin")?;
    proof.table("/core-proof-executed")?;
    proof.mark("/core-proof-end")
}

/// Opens files as `nobody` until the machine has no more to give (`ENFILE`), and keeps them for a while; with a connection in the
/// accept queue that it cannot take before it has closed some.
fn all_files(log: &str) -> Result<()> {
    const NOBODY: i64 = 65534;
    let (mut proof, counted) = (Proof::new(log)?, File::open("/proc/sys/fs/file-nr")?);
    if raw(libc::SYS_setresuid, &[NOBODY, NOBODY, NOBODY]) != 0 {
        return Err(io::Error::last_os_error());
    }
    proof.mark("/core-proof-begin")?;
    let listener = proof.socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    proof.bind(listener, &loopback(libc::AF_INET, 0))?;
    proof.call("listen", libc::SYS_listen, &[listener.into(), 7])?;
    let served = of_socket(listener)?;
    for accepted in [true, false] {
        let client = proof.socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
        proof.connect(client, &served)?;
        // What a thread did is known from its first accept on.
        if accepted {
            proof.accept(listener)?;
        }
    }
    let mut opened = Vec::new();
    while let fd @ 0.. = proof.open(c"/dev/null")? {
        opened.push(fd);
    }
    let mut text = [0; 128];
    let len = counted.read_at(&mut text, 0)?;
    let text = String::from_utf8_lossy(text.get(..len).unwrap_or_default()).into_owned();
    proof.write(json!({"file_nr": text.split_whitespace().collect::<Vec<_>>()}))?;
    for _ in 0..3 {
        proof.accept(listener)?;
    }
    // More than one: whoever traces opens some for a moment.
    for fd in opened.iter().rev().take(32) {
        proof.close(*fd)?;
    }
    proof.accept(listener)?;
    thread::sleep(HELD);
    proof.mark("/core-proof-end")
}

struct Proof {
    log: File,
    pid: u32,
    slept: Option<Duration>,
}

/// A socket address as the kernel takes it.
struct Address {
    bytes: Vec<u8>,
}

impl Proof {
    fn new(path: &str) -> Result<Self> {
        let file = OpenOptions::new().append(true).create(true).custom_flags(libc::O_CLOEXEC).open(path)?;
        // SAFETY: duplicates a descriptor that is open, to a number that nothing else uses.
        let fd = unsafe { libc::dup3(file.as_raw_fd(), LOG, libc::O_CLOEXEC) };
        drop(file);
        if fd != LOG {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and is ours alone.
        let log = unsafe { File::from_raw_fd(fd) };
        Ok(Self { log, pid: std::process::id(), slept: None })
    }

    fn write(&mut self, mut entry: Value) -> Result<()> {
        entry["pid"] = json!(self.pid);
        // SAFETY: the call has no preconditions.
        entry["tid"] = json!(unsafe { libc::gettid() });
        if let Some(slept) = self.slept.take() {
            entry["slept_ns"] = json!(u64::try_from(slept.as_nanos()).map_err(io::Error::other)?);
        }
        self.log.write_all((entry.to_string() + "\n").as_bytes())
    }

    /// Makes a call and writes down its result.
    fn call(&mut self, name: &str, number: i64, args: &[i64]) -> Result<i32> {
        let ret = raw(number, args);
        self.write(json!({"call": name, "ret": ret}))?;
        i32::try_from(ret).map_err(io::Error::other)
    }

    /// The same for a call after which the socket at `fd` (for an accept: the new one) has addresses.
    fn call_named(&mut self, name: &str, number: i64, args: &[i64], fd: Option<i32>) -> Result<i32> {
        let ret = raw(number, args);
        let ret = i32::try_from(ret).map_err(io::Error::other)?;
        let fd = fd.unwrap_or(ret);
        let known = |number| name_of(number, fd);
        self.write(json!({
            "call": name, "ret": ret, "fd": fd,
            "local": known(libc::SYS_getsockname), "peer": known(libc::SYS_getpeername),
        }))?;
        Ok(ret)
    }

    fn mark(&mut self, name: &str) -> Result<()> {
        let path = CString::new(name)?;
        let ret = raw(libc::SYS_openat, &[i64::from(libc::AT_FDCWD), address_of(path.as_ptr()), 0]);
        self.write(json!({"mark": name, "call": "openat", "ret": ret}))
    }

    /// A mark with the table as it is then: number to link, mode, inode and close-on-exec.
    fn table(&mut self, name: &str) -> Result<()> {
        let mut table = serde_json::Map::new();
        for fd in 0..=LOG {
            let link = format!("/proc/self/fd/{fd}");
            let Ok(text) = fs::read_link(&link) else { continue };
            let meta = fs::metadata(&link)?;
            let cloexec = raw(libc::SYS_fcntl, &[i64::from(fd), i64::from(libc::F_GETFD)]) & 1 == 1;
            table.insert(
                fd.to_string(),
                json!({"link": text.to_string_lossy(), "mode": meta.mode(), "ino": meta.ino(), "cloexec": cloexec}),
            );
        }
        let path = CString::new(name)?;
        let ret = raw(libc::SYS_openat, &[i64::from(libc::AT_FDCWD), address_of(path.as_ptr()), 0]);
        self.write(json!({"mark": name, "call": "openat", "ret": ret, "table": table}))
    }

    fn socket(&mut self, family: i32, ty: i32, protocol: i32) -> Result<i32> {
        self.call("socket", libc::SYS_socket, &[family.into(), ty.into(), protocol.into()])
    }

    fn close(&mut self, fd: i32) -> Result<()> {
        self.call("close", libc::SYS_close, &[fd.into()]).map(drop)
    }

    fn bind(&mut self, fd: i32, address: &Address) -> Result<()> {
        self.call_named("bind", libc::SYS_bind, &address.args(fd), Some(fd)).map(drop)
    }

    fn connect(&mut self, fd: i32, address: &Address) -> Result<()> {
        self.call_named("connect", libc::SYS_connect, &address.args(fd), Some(fd)).map(drop)
    }

    fn accept(&mut self, fd: i32) -> Result<i32> {
        self.call_named("accept4", libc::SYS_accept4, &[fd.into(), 0, 0, libc::SOCK_CLOEXEC.into()], None)
    }

    /// Sleeps while a connection waits; the next entry of the log says for how long, by this process's own clock.
    fn sleep(&mut self) {
        let began = Instant::now();
        thread::sleep(SLEEP);
        self.slept = Some(began.elapsed());
    }

    /// A listener and its children, and each way in which that fails.
    fn connections(&mut self, family: i32) -> Result<()> {
        let stream = libc::SOCK_STREAM;
        let listener = self.socket(family, stream | libc::SOCK_CLOEXEC, 0)?;
        self.bind(listener, &loopback(family, 0))?;
        self.call("listen", libc::SYS_listen, &[listener.into(), 7])?;
        let served = of_socket(listener)?;

        let second = self.socket(family, stream, 0)?;
        self.bind(second, &served)?;
        self.call("accept", libc::SYS_accept, &[second.into(), 0, 0])?;
        self.close(second)?;
        self.call("accept", libc::SYS_accept, &[250, 0, 0])?;

        for closes_first in [true, false] {
            let client = self.socket(family, stream, 0)?;
            self.connect(client, &served)?;
            self.sleep();
            let child = self.accept(listener)?;
            self.call("shutdown", libc::SYS_shutdown, &[child.into(), libc::SHUT_WR.into()])?;
            let (one, other) = if closes_first { (child, client) } else { (client, child) };
            self.close(one)?;
            self.close(other)?;
        }

        let gone = self.socket(family, stream, 0)?;
        self.bind(gone, &loopback(family, 0))?;
        let nobody = of_socket(gone)?;
        self.close(gone)?;
        let refused = self.socket(family, stream, 0)?;
        self.connect(refused, &nobody)?;
        self.close(refused)?;

        let datagrams = self.socket(family, libc::SOCK_DGRAM, 0)?;
        self.connect(datagrams, &served)?;
        self.close(datagrams)?;

        // One waits unaccepted while its listener is closed.
        let waiting = self.socket(family, stream, 0)?;
        self.connect(waiting, &served)?;
        self.close(listener)?;
        self.close(waiting)
    }

    /// The same over a unix socket with an abstract name.
    fn unix(&mut self) -> Result<()> {
        let stream = libc::SOCK_STREAM;
        let name = unix_name(&format!("\0core-proof-{}", self.pid));
        let listener = self.socket(libc::AF_UNIX, stream, 0)?;
        self.bind(listener, &name)?;
        self.call("listen", libc::SYS_listen, &[listener.into(), 3])?;
        let client = self.socket(libc::AF_UNIX, stream, 0)?;
        self.connect(client, &name)?;
        let child = self.accept(listener)?;
        for fd in [child, client, listener] {
            self.close(fd)?;
        }
        let nobody = self.socket(libc::AF_UNIX, stream, 0)?;
        self.connect(nobody, &name)?;
        self.close(nobody)
    }

    /// One descriptor of every kind; they stay open.
    fn kinds(&mut self) -> Result<()> {
        let mut pair = [0_i32; 2];
        let to_pair = address_of(pair.as_mut_ptr());
        self.call("pipe2", libc::SYS_pipe2, &[to_pair, libc::O_CLOEXEC.into()])?;
        self.call("pipe", libc::SYS_pipe, &[to_pair])?;
        self.call(
            "socketpair",
            libc::SYS_socketpair,
            &[libc::AF_UNIX.into(), libc::SOCK_SEQPACKET.into(), 0, to_pair],
        )?;
        self.call("eventfd2", libc::SYS_eventfd2, &[0, libc::EFD_CLOEXEC.into()])?;
        self.call("epoll_create1", libc::SYS_epoll_create1, &[0])?;
        self.call("timerfd_create", libc::SYS_timerfd_create, &[libc::CLOCK_MONOTONIC.into(), 0])?;
        let mask = 0_u64;
        self.call("signalfd4", libc::SYS_signalfd4, &[-1, address_of(&raw const mask), 8, 0])?;
        self.call("inotify_init1", libc::SYS_inotify_init1, &[0])?;
        self.call("memfd_create", libc::SYS_memfd_create, &[address_of(c"core-proof".as_ptr()), 0])?;
        self.call("pidfd_open", libc::SYS_pidfd_open, &[self.pid.into(), 0])?;
        self.open(c"/dev/null")?;
        self.open(c"/proc")?;
        self.socket(libc::AF_NETLINK, libc::SOCK_RAW, 0)?;
        self.socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        self.socket(libc::AF_INET6, libc::SOCK_DGRAM, 0)?;
        self.socket(99, libc::SOCK_STREAM, 0).map(drop)
    }

    fn open(&mut self, path: &CStr) -> Result<i32> {
        self.call("openat", libc::SYS_openat, &[libc::AT_FDCWD.into(), address_of(path.as_ptr()), 0])
    }

    /// Copies, moves and ends of numbers.
    fn numbers(&mut self) -> Result<()> {
        let null = self.open(c"/dev/null")?;
        let copy = self.call("dup", libc::SYS_dup, &[null.into()])?;
        self.call("dup2", libc::SYS_dup2, &[null.into(), 50])?;
        self.call("dup2", libc::SYS_dup2, &[3, 50])?;
        self.call("dup2", libc::SYS_dup2, &[50, 50])?;
        self.call("dup3", libc::SYS_dup3, &[null.into(), 51, libc::O_CLOEXEC.into()])?;
        self.call("dup3", libc::SYS_dup3, &[null.into(), null.into(), 0])?;
        self.call("fcntl", libc::SYS_fcntl, &[null.into(), libc::F_DUPFD.into(), 60])?;
        self.call("fcntl", libc::SYS_fcntl, &[null.into(), libc::F_DUPFD_CLOEXEC.into(), 60])?;
        self.call("fcntl", libc::SYS_fcntl, &[copy.into(), libc::F_SETFD.into(), libc::FD_CLOEXEC.into()])?;
        for (number, request) in [(60, libc::FIOCLEX), (61, libc::FIONCLEX)] {
            self.call("ioctl", libc::SYS_ioctl, &[number, request.cast_signed()])?;
        }
        for number in 70..75 {
            self.call("dup2", libc::SYS_dup2, &[null.into(), number])?;
        }
        self.call("close_range", libc::SYS_close_range, &[71, 73, 0])?;
        self.call("close_range", libc::SYS_close_range, &[74, 80, libc::CLOSE_RANGE_CLOEXEC.into()])?;
        self.call("close_range", libc::SYS_close_range, &[3000, 2000, 0])?;
        self.close(50)?;
        self.close(50)
    }

    /// A descriptor that comes over a socket.
    fn passed(&mut self) -> Result<()> {
        let mut pair = [0_i32; 2];
        let to_pair = address_of(pair.as_mut_ptr());
        self.call(
            "socketpair",
            libc::SYS_socketpair,
            &[libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0, to_pair],
        )?;
        let mut byte = [b'x'];
        let mut data = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
        // Room for one descriptor (cmsg(3)), aligned as a `cmsghdr`.
        let mut control = [0_u64; 3];
        // SAFETY: all of its fields may be zero.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = &raw mut data;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = 24;
        // SAFETY: the control buffer has room for one header and one descriptor.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = 20;
            libc::CMSG_DATA(header).cast::<i32>().write_unaligned(LOG);
        }
        self.call("sendmsg", libc::SYS_sendmsg, &[pair[0].into(), address_of(&raw const message), 0])?;
        self.call("recvmsg", libc::SYS_recvmsg, &[pair[1].into(), address_of(&raw mut message), 0])?;
        self.close(pair[0])?;
        self.close(pair[1])
    }

    /// A child that changes its own table and executes.
    fn child(&mut self, log: &str) -> Result<()> {
        let ret = raw(libc::SYS_fork, &[]);
        if ret == 0 {
            self.pid = std::process::id();
            self.mark("/core-proof-begin")?;
            self.close(51)?;
            self.call("dup", libc::SYS_dup, &[0])?;
            self.table("/core-proof-child")?;
            let (program, log, verb) = (c"/proc/self/exe", CString::new(log)?, c"executed");
            let argv = [program.as_ptr(), log.as_ptr(), verb.as_ptr(), std::ptr::null()];
            let envp = [std::ptr::null::<i8>()];
            self.write(json!({"call": "execve", "ret": 0}))?;
            raw(
                libc::SYS_execve,
                &[address_of(program.as_ptr()), address_of(argv.as_ptr()), address_of(envp.as_ptr())],
            );
            return Err(io::Error::last_os_error());
        }
        self.write(json!({"call": "fork", "ret": ret}))?;
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        let ended =
            unsafe { libc::waitpid(i32::try_from(ret).map_err(io::Error::other)?, &raw mut status, 0) };
        if i64::from(ended) == ret && status == 0 {
            Ok(())
        } else {
            Err(io::Error::other("the child failed"))
        }
    }
}

/// A thread, which shares the table.
fn thread(log: &str) -> Result<()> {
    let log = log.to_owned();
    let thread = thread::spawn(move || {
        let log = OpenOptions::new().append(true).open(log)?;
        let mut proof = Proof { log, pid: std::process::id(), slept: None };
        proof.mark("/core-proof-begin")?;
        let shared = proof.call("dup", libc::SYS_dup, &[0])?;
        proof.call("dup2", libc::SYS_dup2, &[0, 90])?;
        proof.close(shared)?;
        proof.mark("/core-proof-pause")?;
        drop(proof);
        Ok(())
    });
    thread.join().map_err(|_| io::Error::other("the thread panicked"))?
}

impl Address {
    /// Arguments of `bind` and `connect`.
    fn args(&self, fd: i32) -> [i64; 3] {
        [fd.into(), address_of(self.bytes.as_ptr()), i64::try_from(self.bytes.len()).unwrap_or(0)]
    }
}

/// The system call of that number: its result, or `-errno`.
fn raw(number: i64, args: &[i64]) -> i64 {
    let arg = |at: usize| args.get(at).copied().unwrap_or(0);
    // SAFETY: pointers among the arguments are to objects that outlive the call.
    let ret = unsafe { libc::syscall(number, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)) };
    if ret == -1 { -i64::from(io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { ret }
}

/// A pointer as an argument.
fn address_of<T>(pointer: *const T) -> i64 {
    pointer.addr().cast_signed() as i64
}

/// The first field of every address (`sa_family_t`).
fn family_bytes(family: i32) -> Vec<u8> {
    u16::try_from(family).unwrap_or_default().to_ne_bytes().to_vec()
}

/// The loopback address of a family, as `struct sockaddr_in` (ip(7)) and `struct sockaddr_in6` (ipv6(7)) have it.
fn loopback(family: i32, port: u16) -> Address {
    let mut bytes = family_bytes(family);
    bytes.extend(port.to_be_bytes());
    if family == libc::AF_INET {
        bytes.extend(Ipv4Addr::LOCALHOST.octets());
        bytes.extend([0; 8]);
    } else {
        bytes.extend([0; 4]);
        bytes.extend(Ipv6Addr::LOCALHOST.octets());
        bytes.extend([0; 4]);
    }
    Address { bytes }
}

/// A `struct sockaddr_un` (unix(7)).
fn unix_name(name: &str) -> Address {
    let mut bytes = family_bytes(libc::AF_UNIX);
    bytes.extend(name.bytes());
    Address { bytes }
}

/// What getsockname(2) or getpeername(2) gives.
fn asked_name(number: i64, fd: i32) -> Option<Vec<u8>> {
    let mut bytes = vec![0_u8; 128];
    let mut len = 128_u32;
    let ret = raw(number, &[fd.into(), address_of(bytes.as_mut_ptr()), address_of(&raw mut len)]);
    bytes.truncate(len as usize);
    (ret == 0).then_some(bytes)
}

/// A socket's own address.
fn of_socket(fd: i32) -> Result<Address> {
    let bytes = asked_name(libc::SYS_getsockname, fd).ok_or_else(io::Error::last_os_error)?;
    Ok(Address { bytes })
}

/// The same in words: `127.0.0.1:80`, `[::1]:80`, `unix:@name`, `unix:`.
fn name_of(number: i64, fd: i32) -> Option<String> {
    let bytes = asked_name(number, fd)?;
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let port = || Some(u16::from_be_bytes(*rest.first_chunk()?));
    match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => Some(format!("{}:{}", Ipv4Addr::from(*rest.get(2..)?.first_chunk::<4>()?), port()?)),
        libc::AF_INET6 => {
            Some(format!("[{}]:{}", Ipv6Addr::from(*rest.get(6..)?.first_chunk::<16>()?), port()?))
        }
        libc::AF_UNIX => Some(match rest {
            [0, name @ ..] => format!("unix:@{}", String::from_utf8_lossy(name)),
            name => format!("unix:{}", String::from_utf8_lossy(name)),
        }),
        _ => None,
    }
}

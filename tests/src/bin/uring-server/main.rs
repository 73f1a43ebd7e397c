//! A server that does everything by an io_uring and writes down what came of it: no tracer of system calls sees that.
//!
//! `uring-server LOG [plain|sqpoll|async] [hold|waits|unseen]` writes one JSON object a completion, in the words of sockreel's
//! lines, and with `hold` waits to be ended. With `waits` it does only what waits for SIGUSR1, once `LOG.ready` is there; with
//! `unseen` only what makes descriptors and tells nothing of it.

mod accepting;
mod passing;
mod silent;
mod waiting;

use anyhow::{Context as _, Result, bail, ensure};
use io_uring::{
    IoUring, Probe, cqueue, opcode,
    squeue::{Entry, Flags},
    types::{DestinationSlot, Fd, Fixed, OpenHow},
};
use serde_json::{Value, json};
use std::{
    env, fs, mem,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    os::fd::{AsRawFd as _, FromRawFd as _, IntoRawFd as _, RawFd},
    process, thread,
};

/// `AF_INET` as an address has it, and the length of such an address.
const INET: libc::sa_family_t = 2;
const SOCKADDR_IN: libc::socklen_t = 16;

struct Server {
    ring: IoUring,
    /// Flags of every request.
    flags: Flags,
    /// The kernel binds, listens and gives numbers to direct descriptors by an io_uring (Linux 6.11).
    binds: bool,
    /// Which operations the kernel has.
    probe: Probe,
    mark: u64,
    /// Who submits: process and thread, where that is known.
    submitter: Option<(u32, u32)>,
    log: Vec<Value>,
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let log = arguments.next().context("usage: uring-server LOG [plain|sqpoll|async] [hold]")?;
    let (mut builder, mut flags) = (IoUring::builder(), Flags::empty());
    let (mut hold, mut waits, mut unseen) = (false, false, false);
    for argument in arguments {
        match argument.as_str() {
            "plain" => {}
            // The kernel's own thread reads the queue; it sleeps after 50 ms without work.
            "sqpoll" => drop(builder.setup_sqpoll(50)),
            "async" => flags = Flags::ASYNC,
            "hold" => hold = true,
            "waits" => waits = true,
            "unseen" => unseen = true,
            other => bail!("what is {other}?"),
        }
    }
    let ring: IoUring = builder.build(64)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    let binds = probe.is_supported(opcode::Bind::CODE);
    let mut server = Server { ring, flags, binds, probe, mark: 0, submitter: None, log: Vec::new() };
    if waits {
        server.waits(&format!("{log}.ready"))?;
        return server.write(&log);
    }
    server.submitter = Some((process::id(), submitting_thread()?));
    if unseen {
        server.unseen()?;
        server.write(&log)?;
        return stay();
    }
    let listener = server.listener()?;
    let port = local(listener)?.port();
    let kept = server.accepts(listener, port)?;
    server.connects(listener, port)?;
    server.refused(listener, port)?;
    server.files()?;
    server.multishot(listener, port)?;
    server.chains(listener, port)?;
    server.direct()?;
    server.accepts_to_direct()?;
    server.register(listener)?;
    server.pipes()?;
    server.messages()?;
    server.many_messages()?;
    server.between_rings()?;
    server.one_mark_for_two()?;
    server.one_mark_for_two_accepts()?;
    server.silent_sockets()?;
    server.write(&log)?;
    if hold {
        return stay();
    }
    drop(kept);
    Ok(())
}

/// Waits to be ended.
fn stay() -> Result<()> {
    loop {
        thread::park();
    }
}

/// The thread that submits what is in the queue, before there are others: the kernel's own, where there is one (`iou-sqp-*`,
/// io_uring/sqpoll.c), else this one.
fn submitting_thread() -> Result<u32> {
    let mut submits = process::id();
    for task in fs::read_dir("/proc/self/task")? {
        let tid = task?.file_name().to_string_lossy().parse()?;
        if tid != process::id() {
            submits = tid;
        }
    }
    Ok(submits)
}

impl Server {
    /// Writes what was noted, as a whole.
    fn write(&self, log: &str) -> Result<()> {
        fs::write(format!("{log}.new"), json!(self.log).to_string())?;
        Ok(fs::rename(format!("{log}.new"), log)?)
    }

    fn push(&mut self, entry: Entry) -> Result<u64> {
        self.mark += 1;
        let entry = entry.flags(self.flags).user_data(self.mark);
        // SAFETY: what a request points to lives until its completion was taken: every caller waits for it.
        unsafe { self.ring.submission().push(&entry)? };
        Ok(self.mark)
    }

    /// Requests of which each waits for the one before. The kernel's thread must not see a part of a chain.
    fn push_chain<const N: usize>(&mut self, entries: [Entry; N]) -> Result<[u64; N]> {
        let (first, flags) = (self.mark + 1, self.flags);
        let mark = |place: usize| first + place as u64;
        let mut place = 0;
        let entries = entries.map(|entry| {
            let link = if place + 1 < N { Flags::IO_LINK } else { Flags::empty() };
            let entry = entry.flags(flags | link).user_data(mark(place));
            place += 1;
            entry
        });
        self.mark = mark(N) - 1;
        // SAFETY: as in `push`.
        unsafe { self.ring.submission().push_multiple(&entries)? };
        Ok(std::array::from_fn(mark))
    }

    /// Waits until everything is submitted: what completes at once comes behind it.
    fn submitted(&mut self) -> Result<()> {
        let nop = self.push(opcode::Nop::new().build())?;
        ensure!(self.next()? == (nop, 0));
        Ok(())
    }

    /// Submits and takes the next completion: mark and result.
    fn next(&mut self) -> Result<(u64, i32)> {
        self.next_buffer().map(|(mark, result, _)| (mark, result))
    }

    /// The same with the buffer that the kernel chose.
    fn next_buffer(&mut self) -> Result<(u64, i32, Option<u16>)> {
        loop {
            if let Some(entry) = self.ring.completion().next() {
                return Ok((entry.user_data(), entry.result(), cqueue::buffer_select(entry.flags())));
            }
            self.ring.submit_and_wait(1)?;
        }
    }

    /// Runs one operation and writes down its result with the line's other fields.
    fn run(&mut self, call: &str, entry: Entry, mut fields: Value) -> Result<i32> {
        let mark = self.push(entry)?;
        let (completed, result) = self.next()?;
        ensure!(completed == mark, "{completed} completed in place of {mark}");
        self.note(call, result, &mut fields);
        Ok(result)
    }

    fn note(&mut self, call: &str, result: i32, fields: &mut Value) {
        fields["call"] = json!(call);
        fields["ring"] = json!(self.ring.as_raw_fd());
        fields["ret"] = json!(result);
        if let Some((pid, tid)) = self.submitter {
            (fields["pid"], fields["tid"]) = (json!(pid), json!(tid));
        }
        self.log.push(fields.take());
    }

    /// Adds to the newest line.
    fn add(&mut self, key: &str, value: Value) {
        if let Some(line) = self.log.last_mut() {
            line[key] = value;
        }
    }

    fn socket(&mut self) -> Result<RawFd> {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let fd = self.run(
            "IORING_OP_SOCKET",
            opcode::Socket::new(libc::AF_INET, kind, 0).build(),
            json!({"event": "socket", "cloexec": true, "family": "inet"}),
        )?;
        ensure!(fd >= 0, "no socket: {fd}");
        self.add("new_fd", json!(fd));
        Ok(fd)
    }

    fn bind(&mut self, fd: RawFd, to: SocketAddrV4) -> Result<i32> {
        let (address, len) = sockaddr(to);
        let entry = opcode::Bind::new(Fd(fd), (&raw const address).cast(), len).build();
        let result =
            self.run("IORING_OP_BIND", entry, json!({"event": "bind", "fd": fd, "asked": text(to)}))?;
        if result == 0 {
            let local = local(fd)?;
            self.add("local", json!(local.to_string()));
        }
        Ok(result)
    }

    fn connect(&mut self, fd: RawFd, to: SocketAddrV4) -> Result<i32> {
        let (address, len) = sockaddr(to);
        let entry = opcode::Connect::new(Fd(fd), (&raw const address).cast(), len).build();
        let fields = json!({"event": "connect", "fd": fd, "asked": text(to)});
        let result = self.run("IORING_OP_CONNECT", entry, fields)?;
        if result == 0 {
            self.add_ends(fd)?;
        }
        Ok(result)
    }

    fn add_ends(&mut self, fd: RawFd) -> Result<()> {
        self.add("local", json!(local(fd)?.to_string()));
        self.add("peer", json!(peer(fd)?.to_string()));
        Ok(())
    }

    fn accept(&mut self, listener: RawFd) -> Result<RawFd> {
        let mark = self.begin_accept(listener)?;
        self.end_accept(listener, mark)
    }

    fn begin_accept(&mut self, listener: RawFd) -> Result<u64> {
        let entry = opcode::Accept::new(Fd(listener), std::ptr::null_mut(), std::ptr::null_mut())
            .flags(libc::SOCK_CLOEXEC)
            .build();
        let mark = self.push(entry)?;
        self.ring.submit()?;
        Ok(mark)
    }

    fn end_accept(&mut self, listener: RawFd, mark: u64) -> Result<RawFd> {
        let (completed, fd) = self.next()?;
        ensure!(completed == mark && fd >= 0, "not accepted: {fd}");
        let mut fields = json!({"event": "accept", "fd": listener, "cloexec": true});
        self.note("IORING_OP_ACCEPT", fd, &mut fields);
        self.add("new_fd", json!(fd));
        self.add_ends(fd)?;
        Ok(fd)
    }

    fn close(&mut self, fd: RawFd) -> Result<i32> {
        let entry = opcode::Close::new(Fd(fd)).build();
        self.run("IORING_OP_CLOSE", entry, json!({"event": "close", "fd": fd}))
    }

    /// A socket that listens.
    fn listener(&mut self) -> Result<RawFd> {
        if !self.binds {
            return Ok(TcpListener::bind(loopback(0))?.into_raw_fd());
        }
        let fd = self.socket()?;
        ensure!(self.bind(fd, loopback(0))? == 0);
        let entry = opcode::Listen::new(Fd(fd), 5).build();
        let fields = json!({"event": "listen", "fd": fd, "backlog": 5, "local": local(fd)?.to_string(), "queue_limit": 5});
        ensure!(self.run("IORING_OP_LISTEN", entry, fields)? == 0);
        Ok(fd)
    }

    /// Accepts one visitor that was there before and one that comes later.
    fn accepts(&mut self, listener: RawFd, port: u16) -> Result<Vec<TcpStream>> {
        let visitor = TcpStream::connect(loopback(port))?;
        let first = self.accept(listener)?;
        ensure!(self.close(first)? == 0);
        let mark = self.begin_accept(listener)?;
        let late = TcpStream::connect(loopback(port))?;
        self.end_accept(listener, mark)?;
        Ok(vec![visitor, late])
    }

    /// Connects to itself, shuts down and closes.
    fn connects(&mut self, listener: RawFd, port: u16) -> Result<()> {
        let fd = self.socket()?;
        ensure!(self.connect(fd, loopback(port))? == 0);
        let other = self.accept(listener)?;
        let entry = opcode::Shutdown::new(Fd(other), libc::SHUT_WR).build();
        let fields = json!({"event": "shutdown", "fd": other, "how": "SHUT_WR"});
        ensure!(self.run("IORING_OP_SHUTDOWN", entry, fields)? == 0);
        ensure!(self.close(other)? == 0);
        ensure!(self.close(fd)? == 0);
        ensure!(self.close(fd)? == -libc::EBADF);
        Ok(())
    }

    /// What is refused: an address in use, a port where nobody listens, a descriptor that is not there.
    fn refused(&mut self, listener: RawFd, port: u16) -> Result<()> {
        let fd = self.socket()?;
        ensure!(!self.binds || self.bind(fd, loopback(port))? == -libc::EADDRINUSE);
        let nobody = TcpListener::bind(loopback(0))?;
        let SocketAddr::V4(gone) = nobody.local_addr()? else { bail!("not IPv4") };
        drop(nobody);
        ensure!(self.connect(fd, gone)? == -libc::ECONNREFUSED);
        ensure!(self.close(fd)? == 0);
        let entry = opcode::Listen::new(Fd(fd), 1).build();
        let fields = json!({"event": "listen", "fd": fd, "backlog": 1});
        ensure!(!self.binds || self.run("IORING_OP_LISTEN", entry, fields)? == -libc::EBADF);
        // An operation that its arguments make invalid is refused before it is submitted.
        let flags = libc::O_NONBLOCK | libc::SOCK_CLOEXEC | 1;
        let entry = opcode::Accept::new(Fd(listener), std::ptr::null_mut(), std::ptr::null_mut())
            .flags(flags)
            .build();
        let fields = json!({"event": "accept", "fd": listener});
        ensure!(self.run("IORING_OP_ACCEPT", entry, fields)? == -libc::EINVAL);
        Ok(())
    }

    fn files(&mut self) -> Result<()> {
        let how = OpenHow::new().flags((libc::O_RDONLY | libc::O_CLOEXEC).try_into()?);
        for (path, expected) in [(c"/dev/null", 0), (c"/nonexistent/file", -libc::ENOENT)] {
            let here = Fd(libc::AT_FDCWD);
            let first = opcode::OpenAt::new(here, path.as_ptr()).flags(libc::O_RDONLY | libc::O_CLOEXEC);
            let second = opcode::OpenAt2::new(here, path.as_ptr(), &raw const how);
            for (call, entry) in [("IORING_OP_OPENAT", first.build()), ("IORING_OP_OPENAT2", second.build())]
            {
                let fields = json!({"event": "open", "path": path.to_str()?});
                let result = self.run(call, entry, fields)?;
                ensure!(result.min(0) == expected, "{result}");
                if result >= 0 {
                    self.add("new_fd", json!(result));
                    self.add("cloexec", json!(true));
                    self.add("kind", json!("char_device"));
                }
            }
        }
        Ok(())
    }

    /// Operations of which each waits for the one before.
    fn chains(&mut self, listener: RawFd, port: u16) -> Result<()> {
        let _visitor = TcpStream::connect(loopback(port))?;
        let fd = self.accept(listener)?;
        let shutdown = opcode::Shutdown::new(Fd(fd), libc::SHUT_RDWR).build();
        let [first, second] = self.push_chain([shutdown, opcode::Close::new(Fd(fd)).build()])?;
        ensure!(self.next()? == (first, 0));
        ensure!(self.next()? == (second, 0));
        self.note("IORING_OP_SHUTDOWN", 0, &mut json!({"event": "shutdown", "fd": fd, "how": "SHUT_RDWR"}));
        self.note("IORING_OP_CLOSE", 0, &mut json!({"event": "close", "fd": fd}));

        // The first fails, the second is not tried.
        let kept = self.socket()?;
        let failing = opcode::Shutdown::new(Fd(9999), libc::SHUT_RD).build();
        let [first, second] = self.push_chain([failing, opcode::Close::new(Fd(kept)).build()])?;
        ensure!(self.next()? == (first, -libc::EBADF));
        ensure!(self.next()? == (second, -libc::ECANCELED));
        let mut fields = json!({"event": "shutdown", "fd": 9999, "how": "SHUT_RD"});
        self.note("IORING_OP_SHUTDOWN", -libc::EBADF, &mut fields);
        self.note("IORING_OP_CLOSE", -libc::ECANCELED, &mut json!({"event": "close", "fd": kept}));
        Ok(())
    }

    /// Descriptors that have no number, only a place in the ring's file table.
    fn direct(&mut self) -> Result<()> {
        self.ring.submitter().register_files_sparse(8)?;
        let socket = |slot| {
            let slot = DestinationSlot::try_from_slot_target(slot).ok();
            opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).file_index(slot).build()
        };
        let any = opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0)
            .file_index(Some(DestinationSlot::auto_target()))
            .build();
        let fields = |index: u32| json!({"event": "socket", "new_direct": index, "kind": "socket"});
        ensure!(self.run("IORING_OP_SOCKET", any, fields(0))? == 0);
        ensure!(self.run("IORING_OP_SOCKET", socket(3), fields(3))? == 0);
        self.use_direct(3)?;
        self.open_direct(5)?;
        if !self.binds {
            return self.close_direct(&[(3, 0), (3, -libc::EBADF)]);
        }

        // A chain from a socket to a listener, of which nobody needs a number.
        let (address, len) = sockaddr(loopback(0));
        let chain = [
            socket(4),
            opcode::Bind::new(Fixed(4), (&raw const address).cast(), len).build(),
            opcode::Listen::new(Fixed(4), 3).build(),
        ];
        let calls = ["IORING_OP_SOCKET", "IORING_OP_BIND", "IORING_OP_LISTEN"];
        let told = [
            fields(4),
            json!({"event": "bind", "direct": 4, "asked": "127.0.0.1:0"}),
            json!({"event": "listen", "direct": 4, "backlog": 3, "queue_limit": 3}),
        ];
        for mark in self.push_chain(chain)? {
            ensure!(self.next()? == (mark, 0));
        }
        for (call, mut fields) in calls.into_iter().zip(told) {
            self.note(call, 0, &mut fields);
        }
        // A number for it tells its address.
        let install = opcode::FixedFdInstall::new(Fixed(4), 0).build();
        let fd = self.run("IORING_OP_FIXED_FD_INSTALL", install, json!({"event": "dup", "direct": 4}))?;
        self.add("new_fd", json!(fd));
        self.add("cloexec", json!(true));
        let listening = local(fd)?;
        for back in [2, 3] {
            let place = self.log.len() - back;
            self.log[place]["local"] = json!(listening.to_string());
        }
        ensure!(self.close(fd)? == 0);

        let visitor = TcpStream::connect(listening)?;
        let entry = opcode::Accept::new(Fixed(4), std::ptr::null_mut(), std::ptr::null_mut())
            .file_index(Some(DestinationSlot::auto_target()))
            .build();
        let fields = json!({
            "event": "accept", "direct": 4, "local": listening.to_string(),
            "peer": visitor.local_addr()?.to_string(),
        });
        let child = self.run("IORING_OP_ACCEPT", entry, fields)?;
        self.add("new_direct", json!(child));
        let child = u32::try_from(child)?;
        self.close_direct(&[(child, 0), (child, -libc::EBADF), (3, 0)])
    }

    /// A socket in an entry is connected and shut down.
    fn use_direct(&mut self, index: u32) -> Result<()> {
        let listener = TcpListener::bind(loopback(0))?;
        let SocketAddr::V4(to) = listener.local_addr()? else { bail!("an address of another family") };
        let (address, len) = sockaddr(to);
        let connect = opcode::Connect::new(Fixed(index), (&raw const address).cast(), len).build();
        let fields = json!({"event": "connect", "direct": index, "asked": text(to), "peer": text(to)});
        ensure!(self.run("IORING_OP_CONNECT", connect, fields)? == 0);
        let (_child, from) = listener.accept()?;
        self.add("local", json!(from.to_string()));
        let shutdown = opcode::Shutdown::new(Fixed(index), libc::SHUT_WR).build();
        let fields = json!({"event": "shutdown", "direct": index, "how": "SHUT_WR"});
        ensure!(self.run("IORING_OP_SHUTDOWN", shutdown, fields)? == 0);
        Ok(())
    }

    /// A file that has no number.
    fn open_direct(&mut self, index: u32) -> Result<()> {
        let (here, path) = (Fd(libc::AT_FDCWD), c"/dev/null");
        let how = OpenHow::new().flags(libc::O_RDONLY.try_into()?);
        let slot = || DestinationSlot::try_from_slot_target(index).ok();
        let first = opcode::OpenAt::new(here, path.as_ptr()).flags(libc::O_RDONLY).file_index(slot());
        let second = opcode::OpenAt2::new(here, path.as_ptr(), &raw const how).file_index(slot());
        for (call, entry) in [("IORING_OP_OPENAT", first.build()), ("IORING_OP_OPENAT2", second.build())] {
            let fields =
                json!({"event": "open", "path": path.to_str()?, "new_direct": index, "kind": "char_device"});
            ensure!(self.run(call, entry, fields)? == 0);
            self.close_direct(&[(index, 0)])?;
        }
        Ok(())
    }

    fn close_direct(&mut self, closes: &[(u32, i32)]) -> Result<()> {
        for (index, expected) in closes {
            let entry = opcode::Close::new(Fixed(*index)).build();
            let fields = json!({"event": "close", "direct": index});
            ensure!(self.run("IORING_OP_CLOSE", entry, fields)? == *expected);
        }
        Ok(())
    }

    /// A call fills and empties entries as well.
    fn register(&mut self, listener: RawFd) -> Result<()> {
        let ring = self.ring.as_raw_fd();
        for (fd, event) in [(listener, "register"), (-1, "close")] {
            self.ring.submitter().register_files_update(6, &[fd])?;
            self.log.push(json!({"event": event, "direct": 6, "ring": ring, "kind": "socket"}));
        }
        Ok(())
    }
}

fn loopback(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

fn text(address: SocketAddrV4) -> String {
    address.to_string()
}

/// The address in the kernel's form, and its length (ip(7)).
fn sockaddr(address: SocketAddrV4) -> (libc::sockaddr_in, libc::socklen_t) {
    let address = libc::sockaddr_in {
        sin_family: INET,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    };
    (address, SOCKADDR_IN)
}

/// The kernel's answer to getsockname(2).
fn local(fd: RawFd) -> Result<SocketAddr> {
    Ok(borrowed(fd).local_addr()?)
}

/// The kernel's answer to getpeername(2).
fn peer(fd: RawFd) -> Result<SocketAddr> {
    Ok(borrowed(fd).peer_addr()?)
}

fn borrowed(fd: RawFd) -> mem::ManuallyDrop<TcpStream> {
    // SAFETY: the descriptor is open, and not closed by this value.
    mem::ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(fd) })
}

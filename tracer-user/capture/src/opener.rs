//! A process that opens files for the tracer, which has given up the privileges that this takes.
//!
//! It opens two things: the list of a process's mappings, and files that are mapped there as code. It gives out descriptors to
//! read from and reads nothing of them itself, has no network, and ends with the tracer.

use caps::{CapSet, Capability, CapsHashSet};
use nix::{
    cmsg_space,
    errno::Errno,
    fcntl::{OFlag, open, openat},
    sched::{CloneFlags, unshare},
    sys::{
        signal::{SigHandler, Signal, kill, signal},
        socket::{
            AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
            sendmsg, socketpair,
        },
        stat::{Mode, SFlag, fstat},
        wait::waitpid,
    },
    unistd::{ForkResult, Gid, Pid, Uid, dup2_stdin, fork, setgroups, setresgid, setresuid},
};
use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read as _},
    ops::Range,
    os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};
use tracer_model::ids::ProcessKey;

/// `nobody` and `nogroup`: what no file belongs to.
const NOBODY: u32 = 65534;
/// Bytes of a request: pid, start, and the begin and end of a mapping, or zeros.
const REQUEST: usize = 32;
/// Nanoseconds of a tick of `/proc/PID/stat` (`USER_HZ`, proc_pid_stat(5)): 100 a second on this architecture.
const TICK_NS: u64 = 10_000_000;

/// The way to that process. Dropping it ends the process.
pub(crate) struct Opener {
    pid: Pid,
    /// `None` once it is dropped.
    socket: Option<OwnedFd>,
}

impl Opener {
    /// Forks. No thread may run: the child is a copy of the calling thread alone.
    pub(crate) fn start() -> nix::Result<Self> {
        let (ours, its) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        // SAFETY: no thread was started so far, so the child may call anything.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(ours);
                let done = serve(&its);
                // SAFETY: ends the process at once, as a child that shares its parent's buffers must.
                unsafe { libc::_exit(i32::from(done.is_err())) }
            }
            ForkResult::Parent { child } => Ok(Self { pid: child, socket: Some(ours) }),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// The mappings of a process (proc_pid_maps(5)).
    pub(crate) fn maps(&self, process: ProcessKey) -> io::Result<File> {
        self.ask(process, 0..0)
    }

    /// The file that is mapped there.
    pub(crate) fn mapped(&self, process: ProcessKey, at: Range<u64>) -> io::Result<File> {
        self.ask(process, at)
    }

    fn ask(&self, process: ProcessKey, at: Range<u64>) -> io::Result<File> {
        let socket = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let mut request = [0; REQUEST];
        let words = [u64::from(process.pid), process.start_ns, at.start, at.end];
        for (to, word) in request.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&request)], &[], MsgFlags::MSG_NOSIGNAL, None)?;
        let mut error = [0; 4];
        let mut parts = [IoSliceMut::new(&mut error)];
        let mut space = cmsg_space!([RawFd; 1]);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let reply = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        let passed = reply.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
            _ => None,
        });
        match passed {
            // SAFETY: the kernel made this descriptor for us with the message, and nobody else knows it.
            Some(fd) => Ok(unsafe { File::from_raw_fd(fd) }),
            None => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(error))),
        }
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        // It ends when nobody can ask any more; where it waits for a file system that does not answer, it ends too.
        self.socket = None;
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}

/// The child's side: keeps what it takes to open files, and answers until the tracer is gone.
fn serve(socket: &OwnedFd) -> nix::Result<()> {
    // The terminal's signals are for the tracer, whose end ends this process.
    for ignored in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: no handler is installed.
        unsafe { signal(ignored, SigHandler::SigIgn) }?;
    }
    // Nothing of the tracer's stays open, its output among it.
    dup2_stdin(socket)?;
    // SAFETY: closes numbers that only the tracer's values know, none of which is used in this process from here on.
    Errno::result(unsafe { libc::close_range(1, libc::c_uint::MAX, 0) })?;
    // SAFETY: the number is open: the socket was put there.
    let socket = unsafe { BorrowedFd::borrow_raw(libc::STDIN_FILENO) };
    let proc = open("/proc", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    confine()?;
    let mut request = [0; REQUEST];
    loop {
        let mut parts = [IoSliceMut::new(&mut request)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, None, MsgFlags::empty()) {
            Ok(message) if message.bytes == REQUEST => {}
            Err(Errno::EINTR) => continue,
            _ => return Ok(()),
        }
        let found = look(proc.as_fd(), &request);
        let error = found.as_ref().err().map_or(0, |error| *error as i32).to_ne_bytes();
        let fds: Vec<RawFd> = found.iter().map(AsRawFd::as_raw_fd).collect();
        let control = [ControlMessage::ScmRights(&fds)];
        let control = if fds.is_empty() { &[][..] } else { &control };
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&error)], control, MsgFlags::MSG_NOSIGNAL, None)?;
    }
}

/// Gives up all but: looking into other processes (`/proc/PID/maps`, `/proc/PID/map_files`; proc(5)), and reading files that are
/// mapped there whoever owns them.
fn confine() -> nix::Result<()> {
    // Where this is not allowed, neither is much else.
    let _ = unshare(CloneFlags::CLONE_NEWNET);
    let failed = |_: caps::errors::CapsError| Errno::EPERM;
    let held = caps::read(None, CapSet::Permitted).map_err(failed)?;
    let needed =
        [Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH, Capability::CAP_CHECKPOINT_RESTORE];
    let kept: CapsHashSet = needed.into_iter().filter(|capability| held.contains(capability)).collect();
    if nix::unistd::geteuid().is_root() {
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        nix::sys::prctl::set_keepcaps(true)?;
        setgroups(&[])?;
        setresgid(group, group, group)?;
        setresuid(user, user, user)?;
    }
    caps::clear(None, CapSet::Inheritable)
        .and_then(|()| caps::clear(None, CapSet::Effective))
        .and_then(|()| caps::set(None, CapSet::Permitted, &kept))
        .and_then(|()| caps::set(None, CapSet::Effective, &kept))
        .map_err(failed)?;
    nix::sys::prctl::set_no_new_privs()
}

/// Opens what is asked for, of that very process.
fn look(proc: BorrowedFd<'_>, request: &[u8; REQUEST]) -> nix::Result<OwnedFd> {
    let word = |place: usize| {
        let bytes = request.get(place * 8..).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    let [pid, start, begin, end] = [0, 1, 2, 3].map(word);
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    // A directory of /proc stays that of its process, also when its number is given to another.
    let process = openat(proc, pid.to_string().as_str(), directory, Mode::empty())?;
    let readable = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    if begin == 0 {
        let maps = openat(&process, "maps", readable, Mode::empty())?;
        return if started(&process)? == start / TICK_NS { Ok(maps) } else { Err(Errno::ESRCH) };
    }
    let name = format!("map_files/{begin:x}-{end:x}");
    let file = openat(&process, name.as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    // To open a device, or a FIFO, may do something.
    if SFlag::from_bits_truncate(fstat(&file)?.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(Errno::EINVAL);
    }
    openat(proc, format!("self/fd/{}", file.as_raw_fd()).as_str(), readable, Mode::empty())
}

/// When a process started, in ticks since the machine did: the 22nd field of `/proc/PID/stat` (proc_pid_stat(5)).
fn started(process: &OwnedFd) -> nix::Result<u64> {
    let stat = openat(process, "stat", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut text = String::new();
    File::from(stat).read_to_string(&mut text).map_err(|_| Errno::EIO)?;
    let behind_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    behind_name.split_whitespace().nth(19).and_then(|ticks| ticks.parse().ok()).ok_or(Errno::EIO)
}

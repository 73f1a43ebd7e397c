//! Operations that pass descriptors and that make two: their numbers are in the program's memory, or they have none.

use crate::Server;
use anyhow::{Context as _, Result, ensure};
use io_uring::{
    IoUring, opcode,
    types::{DestinationSlot, Fd, Fixed, RecvMsgOut},
};
use serde_json::{Value, json};
use std::{
    io::Write as _,
    mem,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::net::UnixStream,
    },
    ptr,
};

/// Mark of what completes more than once.
const MULTISHOT: u64 = 2_000_000;

/// Groups of buffers that the kernel chooses from, how many each has and their length. One that is over is not used again:
/// its buffers are gone.
const MESSAGES: u16 = 7;
pub(crate) const BYTES: u16 = 8;
const BUFFERS: u16 = 8;
pub(crate) const BUFFER: usize = 512;

/// Control data with two descriptors (cmsg(3), unix(7)).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Control {
    len: usize,
    level: i32,
    kind: i32,
    fds: [i32; 2],
}

impl Control {
    const fn of(fds: [i32; 2]) -> Self {
        Self { len: size_of::<Self>(), level: libc::SOL_SOCKET, kind: libc::SCM_RIGHTS, fds }
    }
}

/// A message of one byte, with control data.
struct Message {
    data: [u8; 1],
    vector: libc::iovec,
    control: Control,
    header: libc::msghdr,
}

impl Message {
    fn new(control: Control) -> Self {
        // SAFETY: all zeros are a `struct iovec` and a `struct msghdr`.
        let (vector, header) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Self { data: [b'x'], vector, control, header }
    }

    /// Its header, for as long as it stays where it is.
    fn header(&mut self) -> *mut libc::msghdr {
        self.vector = libc::iovec { iov_base: self.data.as_mut_ptr().cast(), iov_len: 1 };
        (self.header.msg_iov, self.header.msg_iovlen) = (&raw mut self.vector, 1);
        self.header.msg_control = (&raw mut self.control).cast();
        self.header.msg_controllen = size_of::<Control>();
        &raw mut self.header
    }
}

impl Server {
    /// Two ends with numbers and two without.
    pub(crate) fn pipes(&mut self) -> Result<()> {
        if !self.probe.is_supported(opcode::Pipe::CODE) {
            return Ok(());
        }
        let flags = u32::try_from(libc::O_CLOEXEC)?;
        let mut ends = [-1; 2];
        let entry = opcode::Pipe::new(ends.as_mut_ptr()).flags(flags).build();
        let fields = json!({"event": "pipe", "kind": "pipe", "cloexec": true});
        ensure!(self.run("IORING_OP_PIPE", entry, fields)? == 0);
        // SAFETY: valid for reads; the kernel wrote it behind the compiler's back.
        let [read, write] = unsafe { (&raw const ends).read_volatile() };
        self.add("fds", json!([read, write]));
        ensure!(self.close(read)? == 0 && self.close(write)? == 0);
        let chosen = DestinationSlot::try_from_slot_target(2).ok();
        for (slot, told) in [(chosen, Some([2, 3])), (Some(DestinationSlot::auto_target()), None)] {
            let entry = opcode::Pipe::new(ends.as_mut_ptr()).file_index(slot).build();
            let fields = json!({"event": "pipe", "kind": "pipe"});
            ensure!(self.run("IORING_OP_PIPE", entry, fields)? == 0);
            // The kernel writes the places that it chose itself.
            // SAFETY: as above.
            let places = told.unwrap_or_else(|| unsafe { (&raw const ends).read_volatile() });
            self.add("directs", json!(places));
            let [first, second] = places;
            self.close_direct(&[(u32::try_from(first)?, 0), (u32::try_from(second)?, 0)])?;
        }
        let mut nowhere = ptr::null_mut::<i32>().cast::<RawFd>();
        nowhere = nowhere.wrapping_add(1);
        let fields = json!({"event": "pipe"});
        ensure!(self.run("IORING_OP_PIPE", opcode::Pipe::new(nowhere).build(), fields)? == -libc::EFAULT);
        Ok(())
    }

    /// Descriptors in messages over a unix socket; messages that pass none are not told.
    pub(crate) fn messages(&mut self) -> Result<()> {
        let (one, other) = UnixStream::pair()?;
        let (from, to) = (one.as_raw_fd(), other.as_raw_fd());
        for flags in [0, libc::MSG_CMSG_CLOEXEC] {
            let passed = self.send(from, [from, to])?;
            let received = self.receive(to, u32::try_from(flags)?)?;
            ensure!(received.iter().all(|fd| !passed.contains(fd)), "{passed:?} {received:?}");
            for fd in received {
                ensure!(self.close(fd)? == 0);
            }
        }
        let plain = opcode::Send::new(Fd(from), b"y".as_ptr(), 1).build();
        let mark = self.push(plain)?;
        ensure!(self.next()? == (mark, 1));
        let mut message = Message::new(Control::of([-1; 2]));
        let mark = self.push(opcode::RecvMsg::new(Fd(to), message.header()).build())?;
        ensure!(self.next()? == (mark, 1));
        // What is not sent was tried.
        drop(other);
        let mut message = Message::new(Control::of([from; 2]));
        let flags = u32::try_from(libc::MSG_NOSIGNAL)?;
        let entry = opcode::SendMsg::new(Fd(from), message.header()).flags(flags).build();
        let fields = json!({"event": "pass", "dir": "out", "fd": from, "fds": [from, from]});
        ensure!(self.run("IORING_OP_SENDMSG", entry, fields)? == -libc::EPIPE);
        Ok(())
    }

    pub(crate) fn send(&mut self, over: RawFd, fds: [i32; 2]) -> Result<[i32; 2]> {
        let mut message = Message::new(Control::of(fds));
        let entry = opcode::SendMsg::new(Fd(over), message.header()).build();
        let fields = json!({"event": "pass", "dir": "out", "fd": over, "fds": fds});
        ensure!(self.run("IORING_OP_SENDMSG", entry, fields)? == 1);
        Ok(fds)
    }

    fn receive(&mut self, over: RawFd, flags: u32) -> Result<[i32; 2]> {
        let mut message = Message::new(Control::of([-1; 2]));
        let entry = opcode::RecvMsg::new(Fd(over), message.header()).flags(flags).build();
        let fields = json!({"event": "pass", "dir": "in", "fd": over});
        ensure!(self.run("IORING_OP_RECVMSG", entry, fields)? == 1);
        // SAFETY: valid for reads; the kernel wrote it behind the compiler's back.
        let fds = unsafe { (&raw const message.control.fds).read_volatile() };
        self.add("fds", json!(fds));
        Ok(fds)
    }

    /// One `recvmsg` for many messages, which go to buffers that the kernel chooses.
    pub(crate) fn many_messages(&mut self) -> Result<()> {
        let (one, other) = UnixStream::pair()?;
        let (from, to) = (one.as_raw_fd(), other.as_raw_fd());
        let mut buffers = vec![0_u8; usize::from(BUFFERS) * BUFFER];
        self.provide(&mut buffers, MESSAGES)?;
        // SAFETY: all zeros are a `struct msghdr`.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_controllen = size_of::<Control>();
        let entry =
            opcode::RecvMsgMulti::new(Fd(to), &raw const header, MESSAGES).build().user_data(MULTISHOT);
        // SAFETY: the header and the buffers live until the last completion was taken.
        unsafe { self.ring.submission().push(&entry)? };
        self.ring.submit()?;
        for _ in 0..2 {
            self.send(from, [from, to])?;
            let (mark, result, buffer) = self.next_buffer()?;
            ensure!(mark == MULTISHOT && result > 0, "{mark} {result}");
            let fds = descriptors(&buffers, buffer, &header)?;
            let mut fields = json!({"event": "pass", "dir": "in", "fd": to, "fds": fds});
            self.note("IORING_OP_RECVMSG", result, &mut fields);
            for fd in fds {
                ensure!(self.close(fd)? == 0);
            }
        }
        self.cancel(MULTISHOT)
    }

    /// Gives the kernel buffers to choose from.
    pub(crate) fn provide(&mut self, buffers: &mut [u8], group: u16) -> Result<()> {
        let len = i32::try_from(BUFFER)?;
        let entry = opcode::ProvideBuffers::new(buffers.as_mut_ptr(), len, BUFFERS, group, 0).build();
        let mark = self.push(entry)?;
        let (completed, result) = self.next()?;
        ensure!(completed == mark && result >= 0, "{result}");
        Ok(())
    }

    /// Ends what completes more than once, which is not told: it is no operation that moves descriptors then.
    pub(crate) fn cancel(&mut self, what: u64) -> Result<()> {
        let cancel = self.push(opcode::AsyncCancel::new(what).build())?;
        let mut ended = [self.next()?, self.next()?];
        ended.sort_unstable();
        ensure!(ended == [(cancel, 0), (what, -libc::ECANCELED)], "{ended:?}");
        Ok(())
    }

    /// Copies entries of the ring's file table to another ring's.
    pub(crate) fn between_rings(&mut self) -> Result<()> {
        let other: IoUring = IoUring::builder().build(4)?;
        other.submitter().register_files_sparse(4)?;
        let ring = other.as_raw_fd();
        let entry = opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0)
            .file_index(DestinationSlot::try_from_slot_target(5).ok())
            .build();
        let fields = json!({"event": "socket", "new_direct": 5, "kind": "socket"});
        ensure!(self.run("IORING_OP_SOCKET", entry, fields)? == 0);
        let send = |from, to| opcode::MsgRingSendFd::new(Fd(ring), Fixed(from), to, 99).build();
        let chosen = DestinationSlot::try_from_slot_target(2).ok().context("no slot")?;
        let fields = json!({
            "event": "pass", "dir": "out", "direct": 5, "new_direct": 2, "new_ring": ring, "kind": "socket",
        });
        ensure!(self.run("IORING_OP_MSG_RING", send(5, chosen), fields)? == 0);
        if self.binds {
            let fields =
                json!({"event": "pass", "dir": "out", "direct": 5, "new_ring": ring, "kind": "socket"});
            let index = self.run("IORING_OP_MSG_RING", send(5, DestinationSlot::auto_target()), fields)?;
            ensure!(index >= 0 && index != 2, "{index}");
            self.add("new_direct", json!(index));
        }
        let fields = json!({"event": "pass", "dir": "out", "direct": 7, "new_ring": ring});
        ensure!(self.run("IORING_OP_MSG_RING", send(7, chosen), fields)? == -libc::EBADF);
        // A message without a descriptor.
        let data = opcode::MsgRingData::new(Fd(ring), 5, 99, None).build();
        let mark = self.push(data)?;
        ensure!(self.next()? == (mark, 0));
        self.close_direct(&[(5, 0)])
    }

    /// An accept and a `recv` that both complete more than once, with one mark.
    pub(crate) fn one_mark_for_two(&mut self) -> Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let mut buffers = vec![0_u8; usize::from(BUFFERS) * BUFFER];
        self.provide(&mut buffers, BYTES)?;
        let (one, mut other) = UnixStream::pair()?;
        let (from, to) = (listener.as_raw_fd(), one.as_raw_fd());
        for entry in
            [opcode::AcceptMulti::new(Fd(from)).build(), opcode::RecvMulti::new(Fd(to), BYTES).build()]
        {
            // SAFETY: the buffers live until the last completion was taken.
            unsafe { self.ring.submission().push(&entry.user_data(MULTISHOT))? };
        }
        self.ring.submit()?;
        let mut visitors = Vec::new();
        // So many bytes that they are the number of a socket, of a ring, of nothing, of a descriptor that is no socket.
        for bytes in [from, self.ring.as_raw_fd(), 200, 0] {
            let bytes = usize::try_from(bytes)?;
            if bytes > 0 {
                other.write_all(&vec![b'z'; bytes])?;
                let (mark, result, _) = self.next_buffer()?;
                ensure!(mark == MULTISHOT && usize::try_from(result)? == bytes, "{mark} {result}");
            }
            visitors.push(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?);
            let (mark, fd) = self.next()?;
            ensure!(mark == MULTISHOT && fd > 0, "{mark} {fd}");
            let mut fields = json!({"event": "accept", "fd": from, "new_fd": fd, "doubtful": Value::Null});
            self.note("IORING_OP_ACCEPT", fd, &mut fields);
            self.add_ends(fd)?;
            ensure!(self.close(fd)? == 0);
        }
        drop(other);
        ensure!(self.next()? == (MULTISHOT, 0));
        self.cancel(MULTISHOT)?;
        let mut fields = json!({"event": "accept", "fd": from});
        self.note("IORING_OP_ACCEPT", -libc::ECANCELED, &mut fields);
        Ok(())
    }
}

/// The descriptors of a message in a buffer that the kernel chose.
pub(crate) fn descriptors(buffers: &[u8], buffer: Option<u16>, header: &libc::msghdr) -> Result<Vec<i32>> {
    let start = usize::from(buffer.context("no buffer")?) * BUFFER;
    // The kernel wrote it behind the compiler's back.
    let bytes: Vec<u8> = (start..start + BUFFER)
        // SAFETY: valid for reads.
        .map(|at| unsafe { (&raw const buffers[at]).read_volatile() })
        .collect();
    let message = RecvMsgOut::parse(&bytes, header).ok().context("no message")?;
    let control = message.control_data().get(16..24).context("no control data")?;
    Ok(control.chunks_exact(4).map(|fd| i32::from_ne_bytes([fd[0], fd[1], fd[2], fd[3]])).collect())
}

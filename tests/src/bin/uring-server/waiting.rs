//! Requests that wait since before anybody looked.

use crate::{
    Server,
    passing::{BUFFER, BYTES, Control, descriptors},
};
use anyhow::{Context as _, Result, ensure};
use io_uring::{opcode, types::Fd};
use serde_json::json;
use std::{
    fs, mem,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::{fd::AsRawFd as _, unix::net::UnixStream},
    ptr,
};

/// Marks of the accept that completes more than once, of the one that does not, of the `recvmsg`.
const MANY: u64 = 3_000_000;
const ONE: u64 = 3_000_001;
const MESSAGES: u64 = 3_000_002;

impl Server {
    /// Has requests wait, writes the file `ready`, and waits itself for SIGUSR1; then they complete.
    pub(crate) fn waits(&mut self, ready: &str) -> Result<()> {
        let signals = blocked(libc::SIGUSR1);
        let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let [many, one] = listeners.map(|listener| listener.context("no listener"));
        let (many, one) = (many?, one?);
        let (from, to) = UnixStream::pair()?;
        let mut buffers = vec![0_u8; 8 * BUFFER];
        self.provide(&mut buffers, BYTES)?;
        // SAFETY: all zeros are a `struct msghdr`.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_controllen = size_of::<Control>();
        let accept = opcode::Accept::new(Fd(one.as_raw_fd()), ptr::null_mut(), ptr::null_mut());
        for entry in [
            opcode::AcceptMulti::new(Fd(many.as_raw_fd())).build().user_data(MANY),
            accept.build().user_data(ONE),
            opcode::RecvMsgMulti::new(Fd(to.as_raw_fd()), &raw const header, BYTES)
                .build()
                .user_data(MESSAGES),
        ] {
            // SAFETY: the header and the buffers live until the program ends.
            unsafe { self.ring.submission().push(&entry)? };
        }
        self.submitted()?;
        fs::write(ready, "")?;
        let mut signal = 0;
        // SAFETY: both are valid, and the signal is blocked.
        ensure!(unsafe { libc::sigwait(&raw const signals, &raw mut signal) } == 0, "no signal");

        for (mark, listener) in [(MANY, &many), (MANY, &many), (ONE, &one)] {
            let SocketAddr::V4(address) = listener.local_addr()? else { continue };
            let visitor = TcpStream::connect(address)?;
            let (completed, fd) = self.next()?;
            ensure!(completed == mark && fd > 0, "{completed} {fd}");
            let mut fields = json!({"event": "accept", "fd": listener.as_raw_fd(), "new_fd": fd});
            self.note("IORING_OP_ACCEPT", fd, &mut fields);
            self.add_ends(fd)?;
            drop(visitor);
            ensure!(self.close(fd)? == 0);
        }
        self.send(from.as_raw_fd(), [from.as_raw_fd(), to.as_raw_fd()])?;
        let (completed, result, buffer) = self.next_buffer()?;
        ensure!(completed == MESSAGES && result > 0, "{completed} {result}");
        let fds = descriptors(&buffers, buffer, &header)?;
        let mut fields = json!({"event": "pass", "dir": "in", "fd": to.as_raw_fd(), "fds": fds});
        self.note("IORING_OP_RECVMSG", result, &mut fields);
        for waits in [MESSAGES, MANY] {
            self.cancel(waits)?;
        }
        let mut fields = json!({"event": "accept", "fd": many.as_raw_fd()});
        self.note("IORING_OP_ACCEPT", -libc::ECANCELED, &mut fields);
        Ok(())
    }
}

/// Blocks a signal: it is waited for.
fn blocked(signal: i32) -> libc::sigset_t {
    // SAFETY: all zeros are a `sigset_t`, which the calls fill.
    unsafe {
        let mut signals = mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::sigaddset(&raw mut signals, signal);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const signals, ptr::null_mut());
        signals
    }
}

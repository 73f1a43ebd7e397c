//! Accepts that complete more than once: alone, two with one mark, and to direct descriptors.

use crate::{Server, loopback};
use anyhow::{Result, ensure};
use io_uring::{
    opcode,
    types::{CancelBuilder, Fd},
};
use serde_json::json;
use std::{
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd, RawFd},
};

/// Marks of one accept, of two at once, and of one to direct descriptors.
const MANY: u64 = 1_000_000;
const TWO: u64 = 4_000_000;
const DIRECT: u64 = 4_000_001;

impl Server {
    /// One accept for many visitors, which is then cancelled.
    pub(crate) fn multishot(&mut self, listener: RawFd, port: u16) -> Result<()> {
        let entry = opcode::AcceptMulti::new(Fd(listener)).build().user_data(MANY);
        // SAFETY: the request points to nothing.
        unsafe { self.ring.submission().push(&entry)? };
        let mut accepted = Vec::new();
        let mut visitors = Vec::new();
        for _ in 0..3 {
            self.ring.submit()?;
            visitors.push(TcpStream::connect(loopback(port))?);
            let (mark, fd) = self.next()?;
            ensure!(mark == MANY && fd >= 0, "{mark} {fd}");
            let mut fields = json!({"event": "accept", "fd": listener, "new_fd": fd, "cloexec": false});
            self.note("IORING_OP_ACCEPT", fd, &mut fields);
            self.add_ends(fd)?;
            accepted.push(fd);
        }
        let cancel = self.push(opcode::AsyncCancel::new(MANY).build())?;
        let mut ended = [self.next()?, self.next()?];
        ended.sort_unstable();
        ensure!(ended == [(cancel, 0), (MANY, -libc::ECANCELED)], "{ended:?}");
        self.note("IORING_OP_ACCEPT", -libc::ECANCELED, &mut json!({"event": "accept", "fd": listener}));
        // Closed without a completion, where it succeeds.
        let [first, second, third] = accepted.try_into().map_err(|fds| anyhow::anyhow!("{fds:?}"))?;
        self.close_silently([first, second])?;
        ensure!(self.close(third)? == 0);
        Ok(())
    }

    /// Which of two accepts with one mark completed, nobody says. Once one has ended, it is the other.
    pub(crate) fn one_mark_for_two_accepts(&mut self) -> Result<()> {
        let listeners = [TcpListener::bind(loopback(0))?, TcpListener::bind(loopback(0))?];
        let [first, second] = listeners.each_ref().map(AsRawFd::as_raw_fd);
        for fd in [first, second] {
            let entry = opcode::AcceptMulti::new(Fd(fd)).build().user_data(TWO);
            // SAFETY: the request points to nothing.
            unsafe { self.ring.submission().push(&entry)? };
        }
        self.submitted()?;
        let [one, other] = &listeners;
        for listener in [one, other, one] {
            self.accepted_of_two(listener)?;
            self.add("either", json!([first, second]));
            self.add("doubtful", json!(true));
        }
        self.ends(second)?;
        self.accepted_of_two(one)?;
        self.add("fd", json!(first));
        self.add("doubtful", json!(null));
        self.ends(first)
    }

    fn accepted_of_two(&mut self, listener: &TcpListener) -> Result<()> {
        let _visitor = TcpStream::connect(listener.local_addr()?)?;
        let (mark, fd) = self.next()?;
        ensure!(mark == TWO && fd >= 0, "{mark} {fd}");
        self.note("IORING_OP_ACCEPT", fd, &mut json!({"event": "accept", "new_fd": fd, "cloexec": false}));
        self.add_ends(fd)
    }

    /// One of the two is cancelled.
    fn ends(&mut self, listener: RawFd) -> Result<()> {
        let cancel = self.push(opcode::AsyncCancel2::new(CancelBuilder::fd(Fd(listener))).build())?;
        let mut ended = [self.next()?, self.next()?];
        ended.sort_unstable();
        ensure!(ended == [(cancel, 0), (TWO, -libc::ECANCELED)], "{ended:?}");
        self.note("IORING_OP_ACCEPT", -libc::ECANCELED, &mut json!({"event": "accept", "fd": listener}));
        Ok(())
    }

    /// The kernel chooses each connection's entry of the ring's file table.
    pub(crate) fn accepts_to_direct(&mut self) -> Result<()> {
        let listener = TcpListener::bind(loopback(0))?;
        let fd = listener.as_raw_fd();
        let entry = opcode::AcceptMulti::new(Fd(fd)).allocate_file_index(true).build().user_data(DIRECT);
        // SAFETY: the request points to nothing.
        unsafe { self.ring.submission().push(&entry)? };
        let mut entries = Vec::new();
        for _ in 0..2 {
            self.ring.submit()?;
            let visitor = TcpStream::connect(listener.local_addr()?)?;
            let (mark, index) = self.next()?;
            ensure!(mark == DIRECT && index >= 0, "{mark} {index}");
            let mut fields = json!({
                "event": "accept", "fd": fd, "new_direct": index, "kind": "socket",
                "local": listener.local_addr()?.to_string(), "peer": visitor.local_addr()?.to_string(),
            });
            self.note("IORING_OP_ACCEPT", index, &mut fields);
            entries.push((u32::try_from(index)?, 0));
        }
        self.cancel(DIRECT)?;
        self.note("IORING_OP_ACCEPT", -libc::ECANCELED, &mut json!({"event": "accept", "fd": fd}));
        self.close_direct(&entries)
    }
}

//! Messages that pass descriptors.

use crate::{
    actor::Actor,
    call::{self, address_of, address_of_mut},
    memory::Raw,
};
use tracer_tests::program::{Pick, Planned};

/// Descriptors that one message can pass here.
const MOST: usize = 16;

/// Control data with `SCM_RIGHTS` (cmsg(3), unix(7)).
#[repr(C)]
#[derive(Clone, Copy)]
struct Control {
    len: usize,
    level: i32,
    kind: i32,
    fds: [i32; MOST],
}

impl Control {
    fn new() -> Self {
        Self { len: 0, level: libc::SOL_SOCKET, kind: libc::SCM_RIGHTS, fds: [-1; MOST] }
    }
}

const NO_VECTOR: libc::iovec = libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 };

/// What a message points to: one byte, and control data with room for so many descriptors.
struct Message {
    data: [u8; 1],
    vector: libc::iovec,
    control: Control,
    room: usize,
}

impl Message {
    /// A message that passes these.
    fn with(fds: impl ExactSizeIterator<Item = i32>) -> Self {
        let mut control = Control::new();
        let room = fds.len().min(MOST);
        for (place, fd) in control.fds.iter_mut().zip(fds) {
            *place = fd;
        }
        control.len = 16 + 4 * room;
        Self { data: [b'x'], vector: NO_VECTOR, control, room }
    }

    /// A message that takes so many.
    fn of(room: usize) -> Self {
        Self { data: [0], vector: NO_VECTOR, control: Control::new(), room: room.min(MOST) }
    }

    /// Its header. The kernel's own control data end at a word.
    fn header(&mut self, aligned: bool) -> libc::msghdr {
        self.vector = libc::iovec { iov_base: self.data.as_mut_ptr().cast(), iov_len: 1 };
        // SAFETY: all zeros are a `struct msghdr`.
        let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
        (header.msg_iov, header.msg_iovlen) = (&raw mut self.vector, 1);
        if self.room > 0 {
            let len = 16 + 4 * self.room;
            header.msg_control = (&raw mut self.control).cast();
            header.msg_controllen = if aligned { len.next_multiple_of(8) } else { len };
        }
        header
    }

    fn passed(&self) -> &[i32] {
        &self.control.fds[..self.room]
    }

    /// What came: the kernel wrote it behind the compiler's back.
    fn received(&self, header: &libc::msghdr) -> ([i32; MOST], usize) {
        // SAFETY: both are valid for reads.
        let (control, used) = unsafe {
            (
                core::ptr::read_volatile(&raw const self.control),
                core::ptr::read_volatile(&raw const header.msg_controllen),
            )
        };
        let rights = control.level == libc::SOL_SOCKET && control.kind == libc::SCM_RIGHTS;
        let count = if used >= 16 && rights { control.len.saturating_sub(16) / 4 } else { 0 };
        (control.fds, count.min(self.room))
    }
}

/// Adds numbers to those of a call.
fn add(entry: &mut Raw, fds: &[i32]) {
    let from = entry.numbers_len as usize;
    for (place, fd) in entry.numbers.iter_mut().skip(from).zip(fds) {
        *place = *fd;
        entry.numbers_len += 1;
    }
}

/// Only unix sockets pass descriptors (unix(7)).
fn is_unix(fd: i32) -> bool {
    call::option(fd, libc::SO_DOMAIN) == Some(libc::AF_UNIX)
}

const SENDS: i32 = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;

fn receives(cloexec: bool) -> i64 {
    (libc::MSG_DONTWAIT | if cloexec { libc::MSG_CMSG_CLOEXEC } else { 0 }).into()
}

impl Actor {
    fn message(&self, passed: &[Pick]) -> Message {
        Message::with(passed.iter().map(|pick| self.pick(*pick)))
    }

    pub(crate) fn send(&self, step: &Planned, fd: i32, passed: &[Pick]) {
        let mut message = self.message(passed);
        let header = message.header(true);
        let unix = is_unix(fd);
        let args = [fd.into(), address_of(&header), SENDS.into(), 0, 0, 0];
        let entry = self.make(step.alone, libc::SYS_sendmsg, args);
        if unix {
            add(entry, message.passed());
        }
    }

    /// Of two messages, those count that were sent; where none was, both were tried.
    pub(crate) fn send_many(&self, step: &Planned, fd: i32, passed: &[Pick]) {
        let (first, second) = passed.split_at(passed.len().div_ceil(2));
        let mut messages = [self.message(first), self.message(second)];
        let headers = messages.each_mut().map(|message| many(message.header(true)));
        let unix = is_unix(fd);
        let args = [fd.into(), address_of(&headers), 2, SENDS.into(), 0, 0];
        let entry = self.make(step.alone, libc::SYS_sendmmsg, args);
        let sent = usize::try_from(entry.ret).unwrap_or(2);
        for message in messages.iter().take(sent).filter(|_| unix) {
            add(entry, message.passed());
        }
    }

    pub(crate) fn receive(&self, step: &Planned, fd: i32, room: usize, cloexec: bool) {
        let mut message = Message::of(room);
        let mut header = message.header(false);
        let args = [fd.into(), address_of_mut(&mut header), receives(cloexec), 0, 0, 0];
        let entry = self.make(step.alone, libc::SYS_recvmsg, args);
        if entry.ret >= 0 {
            let (fds, count) = message.received(&header);
            add(entry, &fds[..count]);
            self.look_at(entry, &fds[..count]);
        }
    }

    pub(crate) fn receive_many(&self, step: &Planned, fd: i32, room: usize, cloexec: bool) {
        let mut messages = [Message::of(room), Message::of(room)];
        let mut headers = messages.each_mut().map(|message| many(message.header(false)));
        let args = [fd.into(), address_of_mut(&mut headers), 2, receives(cloexec), 0, 0];
        let entry = self.make(step.alone, libc::SYS_recvmmsg, args);
        let came = usize::try_from(entry.ret).unwrap_or(0);
        for (message, header) in messages.iter().zip(&headers).take(came) {
            let (fds, count) = message.received(&header.msg_hdr);
            add(entry, &fds[..count]);
        }
        let (fds, count) = (entry.numbers, entry.numbers_len as usize);
        self.look_at(entry, &fds[..count]);
    }
}

/// As sendmmsg(2) and recvmmsg(2) have it.
const fn many(msg_hdr: libc::msghdr) -> libc::mmsghdr {
    libc::mmsghdr { msg_hdr, msg_len: 0 }
}

//! Both ends of connections, each spoken on in its own way: `speaker LOG` writes one JSON object a connection, with what each
//! end says by the calls that it makes, in sockreel's words.

use anyhow::{Context as _, Result, ensure};
use io_uring::{IoUring, opcode, types::Fd};
use serde_json::json;
use std::{
    env, fs,
    io::{Read as _, Seek as _, Write as _},
    mem,
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::{
        fd::{AsRawFd as _, RawFd},
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    ptr,
};

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const REQUEST: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// A call that moves bytes: it is given a descriptor and a buffer, and says how many it moved.
type Mover = fn(RawFd, &mut [u8]) -> isize;

/// The two ends of a connection.
struct Ends {
    client: TcpStream,
    server: TcpStream,
}

impl Ends {
    /// From the client to the server, by plain calls.
    fn ask(&mut self, bytes: &[u8]) -> Result<()> {
        self.client.write_all(bytes)?;
        self.server.read_exact(&mut vec![0; bytes.len()])?;
        Ok(())
    }

    /// From the server to the client.
    fn answer(&mut self, bytes: &[u8]) -> Result<()> {
        self.server.write_all(bytes)?;
        self.client.read_exact(&mut vec![0; bytes.len()])?;
        Ok(())
    }
}

/// A part of a test: its name, what happens, and what the client's end and the server's end say.
type Case = (&'static str, fn(&mut Ends) -> Result<()>, &'static [&'static str], &'static [&'static str]);

const CASES: &[Case] = &[
    ("write, read", |ends| moved(ends, write, read), &["redis"], &["redis"]),
    ("writev, readv", |ends| moved(ends, writev, readv), &["redis"], &["redis"]),
    ("pwritev2, preadv2", |ends| moved(ends, pwritev2, preadv2), &["redis"], &["redis"]),
    ("sendto, recvfrom", |ends| moved(ends, sendto, recvfrom), &["redis"], &["redis"]),
    ("sendmsg, recvmsg", |ends| moved(ends, sendmsg, recvmsg), &["redis"], &["redis"]),
    ("sendmmsg, recvmmsg", |ends| moved(ends, sendmmsg, recvmmsg), &["redis"], &["redis"]),
    ("http/1", |ends| ends.ask(b"HEAD /x HTTP/1.0\r\n\r\n"), &["http/1"], &["http/1"]),
    ("http/2", |ends| ends.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), &["http/2"], &["http/2"]),
    (
        "cancel",
        |ends| ends.ask(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02"),
        &["postgresql"],
        &["postgresql"],
    ),
    ("another", |ends| ends.ask(b"SSH-2.0-x\r\n"), &["unknown"], &["unknown"]),
    ("only the server speaks", |ends| ends.answer(b"220 ready\r\n"), &[], &[]),
    ("an answer alone", |ends| ends.answer(OK), &[], &[]),
    ("byte by byte", byte_by_byte, &["http/1"], &["http/1"]),
    ("looked at before", looked_at_before, &["redis"], &["redis"]),
    ("websocket", websocket, &["http/1", "websocket"], &["http/1", "websocket"]),
    ("a body like a switch", body_like_a_switch, &["http/1"], &["http/1"]),
    ("sendfile", sent_from_a_file, &["unknown"], &["redis"]),
    ("splice in", spliced_in, &["unknown"], &["redis"]),
    ("splice out", spliced_out, &["redis"], &["unknown"]),
    ("io_uring alone", by_ring, &["redis"], &[]),
    ("io_uring first", by_ring_first, &["redis"], &["unknown"]),
    ("truncated", truncated, &["redis"], &["unknown"]),
];

fn main() -> Result<()> {
    let log = env::args().nth(1).context("usage: speaker LOG")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut told = Vec::new();
    for (name, speak, client_says, server_says) in CASES {
        let client = TcpStream::connect(listener.local_addr()?)?;
        let mut ends = Ends { client, server: listener.accept()?.0 };
        let (client, server) = (ends.client.local_addr()?.to_string(), ends.server.local_addr()?.to_string());
        speak(&mut ends).context(*name)?;
        told.push(json!({ "case": name, "local": client, "peer": server, "spoken": client_says }));
        told.push(json!({ "case": name, "local": server, "peer": client, "spoken": server_says }));
    }
    let name = format!("sockreel-speaker-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name)?;
    let listener = UnixListener::bind_addr(&address)?;
    let mut client = UnixStream::connect_addr(&address)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(PING)?;
    server.read_exact(&mut [0; PING.len()])?;
    let name = format!("unix:@{name}");
    told.push(json!({ "case": "unix", "local": "unix:", "peer": name, "spoken": ["redis"] }));
    told.push(json!({ "case": "unix", "local": name, "peer": "unix:", "spoken": ["redis"] }));
    let lines: Vec<_> = told.iter().map(|line| format!("{line}\n")).collect();
    fs::write(log, lines.concat())?;
    Ok(())
}

fn moved(ends: &mut Ends, send: Mover, receive: Mover) -> Result<()> {
    let mut bytes = PING.to_vec();
    let all = isize::try_from(PING.len())?;
    ensure!(send(ends.client.as_raw_fd(), &mut bytes) == all, "sent: {}", std::io::Error::last_os_error());
    bytes.fill(0);
    ensure!(
        receive(ends.server.as_raw_fd(), &mut bytes) == all,
        "received: {}",
        std::io::Error::last_os_error()
    );
    ensure!(bytes == PING, "{bytes:?}");
    Ok(())
}

/// Three parts of a buffer: one byte, none, and the rest.
fn parts(bytes: &mut [u8]) -> [libc::iovec; 3] {
    let (one, rest) = bytes.split_at_mut(1);
    let part = |bytes: &mut [u8]| libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    [part(one), part(&mut []), part(rest)]
}

/// A message of these parts.
fn message(parts: &mut [libc::iovec; 3]) -> libc::msghdr {
    // SAFETY: a header of zeros is one without address, data and control data.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (parts.as_mut_ptr(), parts.len());
    message
}

/// A system call that is given pointers into what the caller has.
macro_rules! mover {
    ($name:ident, $bytes:ident, $fd:ident, $call:expr) => {
        fn $name($fd: RawFd, $bytes: &mut [u8]) -> isize {
            // SAFETY: every pointer is to a value of the right type and length that outlives the call.
            unsafe { $call }
        }
    };
}

mover!(write, bytes, fd, libc::write(fd, bytes.as_ptr().cast(), bytes.len()));
mover!(read, bytes, fd, libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len()));
mover!(writev, bytes, fd, libc::writev(fd, parts(bytes).as_ptr(), 3));
mover!(readv, bytes, fd, libc::readv(fd, parts(bytes).as_ptr(), 3));
mover!(pwritev2, bytes, fd, libc::pwritev2(fd, parts(bytes).as_ptr(), 3, -1, 0));
mover!(preadv2, bytes, fd, libc::preadv2(fd, parts(bytes).as_ptr(), 3, -1, 0));
mover!(sendto, bytes, fd, libc::sendto(fd, bytes.as_ptr().cast(), bytes.len(), 0, ptr::null(), 0));
mover!(recvfrom, bytes, fd, {
    libc::recvfrom(fd, bytes.as_mut_ptr().cast(), bytes.len(), 0, ptr::null_mut(), ptr::null_mut())
});
mover!(sendmsg, bytes, fd, libc::sendmsg(fd, &message(&mut parts(bytes)), 0));
mover!(recvmsg, bytes, fd, libc::recvmsg(fd, &mut message(&mut parts(bytes)), 0));
mover!(sendmmsg, bytes, fd, {
    let mut parts = parts(bytes);
    let mut one = libc::mmsghdr { msg_hdr: message(&mut parts), msg_len: 0 };
    libc::sendmmsg(fd, &raw mut one, 1, 0);
    isize::try_from(one.msg_len).unwrap_or(-1)
});
mover!(recvmmsg, bytes, fd, {
    let mut parts = parts(bytes);
    let mut one = libc::mmsghdr { msg_hdr: message(&mut parts), msg_len: 0 };
    libc::recvmmsg(fd, &raw mut one, 1, 0, ptr::null_mut());
    isize::try_from(one.msg_len).unwrap_or(-1)
});

fn byte_by_byte(ends: &mut Ends) -> Result<()> {
    for byte in b"GET / HTTP/1.1\r\n\r\n" {
        ends.client.write_all(&[*byte])?;
        ends.server.read_exact(&mut [0])?;
    }
    Ok(())
}

fn looked_at_before(ends: &mut Ends) -> Result<()> {
    ends.client.write_all(PING)?;
    for _ in 0..3 {
        ensure!(ends.server.peek(&mut [0; 64])? == PING.len());
    }
    ends.server.read_exact(&mut [0; PING.len()])?;
    Ok(())
}

fn websocket(ends: &mut Ends) -> Result<()> {
    ends.ask(b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n")?;
    ends.answer(OK)?;
    ends.ask(REQUEST)?;
    ends.answer(SWITCHING)?;
    ends.ask(b"\x81\x80\0\0\0\0")?;
    ends.answer(b"\x81\0")
}

fn body_like_a_switch(ends: &mut Ends) -> Result<()> {
    ends.ask(REQUEST)?;
    ends.answer(OK)?;
    ends.answer(SWITCHING)
}

/// A file that holds a command.
fn file() -> Result<fs::File> {
    let name = c"command";
    // SAFETY: the name ends with a zero; the result is a descriptor of its own, or -1.
    let mut file = unsafe {
        let fd = libc::memfd_create(name.as_ptr(), 0);
        ensure!(fd >= 0, "memfd_create");
        <fs::File as std::os::fd::FromRawFd>::from_raw_fd(fd)
    };
    file.write_all(PING)?;
    file.rewind()?;
    Ok(file)
}

fn sent_from_a_file(ends: &mut Ends) -> Result<()> {
    let file = file()?;
    // SAFETY: two descriptors, no offset.
    let sent =
        unsafe { libc::sendfile(ends.client.as_raw_fd(), file.as_raw_fd(), ptr::null_mut(), PING.len()) };
    ensure!(sent == isize::try_from(PING.len())?, "{}", std::io::Error::last_os_error());
    ends.server.read_exact(&mut [0; PING.len()])?;
    Ok(())
}

/// Moves a command from one descriptor to another.
fn splice(from: RawFd, to: RawFd) -> Result<()> {
    // SAFETY: two descriptors, no offsets.
    let moved = unsafe { libc::splice(from, ptr::null_mut(), to, ptr::null_mut(), PING.len(), 0) };
    ensure!(moved == isize::try_from(PING.len())?, "{}", std::io::Error::last_os_error());
    Ok(())
}

fn spliced_in(ends: &mut Ends) -> Result<()> {
    let (out, mut into) = std::io::pipe()?;
    into.write_all(PING)?;
    splice(out.as_raw_fd(), ends.client.as_raw_fd())?;
    ends.server.read_exact(&mut [0; PING.len()])?;
    Ok(())
}

fn spliced_out(ends: &mut Ends) -> Result<()> {
    let (mut out, into) = std::io::pipe()?;
    ends.client.write_all(PING)?;
    splice(ends.server.as_raw_fd(), into.as_raw_fd())?;
    out.read_exact(&mut [0; PING.len()])?;
    Ok(())
}

fn by_ring(ends: &mut Ends) -> Result<()> {
    ends.client.write_all(PING)?;
    let mut ring = IoUring::new(2)?;
    let mut bytes = [0_u8; PING.len()];
    let receive =
        opcode::Recv::new(Fd(ends.server.as_raw_fd()), bytes.as_mut_ptr(), u32::try_from(bytes.len())?)
            .build();
    // SAFETY: the buffer outlives the request, which is waited for.
    unsafe { ring.submission().push(&receive)? };
    ring.submit_and_wait(1)?;
    let result = ring.completion().next().context("no completion")?.result();
    ensure!(usize::try_from(result)? == PING.len() && bytes == PING, "{result}");
    Ok(())
}

fn by_ring_first(ends: &mut Ends) -> Result<()> {
    by_ring(ends)?;
    ends.ask(PING)
}

/// What is received so is thrown away (tcp(7)).
fn truncated(ends: &mut Ends) -> Result<()> {
    ends.client.write_all(PING)?;
    let len = PING.len();
    // SAFETY: with MSG_TRUNC nothing is written to the buffer, which is none.
    let thrown = unsafe {
        libc::recv(ends.server.as_raw_fd(), ptr::null_mut(), len, libc::MSG_TRUNC | libc::MSG_WAITALL)
    };
    ensure!(thrown == isize::try_from(len)?, "{}", std::io::Error::last_os_error());
    Ok(())
}

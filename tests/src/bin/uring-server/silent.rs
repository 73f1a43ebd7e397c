//! Operations that tell nothing of their success: what they came to stands under `then`, from the socket itself.

use super::{Server, borrowed, local, loopback, peer, sockaddr, text};
use anyhow::{Result, ensure};
use io_uring::{
    opcode,
    squeue::{Entry, Flags},
    types::Fd,
};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::Read as _,
    mem,
    net::{TcpListener, TcpStream},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    ptr,
};

impl Server {
    /// Closes descriptors, and one that is none: that it fails is told.
    pub(super) fn close_silently(&mut self, fds: [i32; 2]) -> Result<()> {
        for fd in fds {
            self.silently("IORING_OP_CLOSE", opcode::Close::new(Fd(fd)).build(), close(fd))?;
        }
        let mark = self.push_silent("IORING_OP_CLOSE", opcode::Close::new(Fd(9999)).build(), close(9999))?;
        ensure!(self.next()? == (mark, -libc::EBADF));
        self.note("IORING_OP_CLOSE", -libc::EBADF, &mut close(9999));
        Ok(())
    }

    /// Makes a listener and a connection to it, and ends the connection's sending. All stay open.
    pub(super) fn silent_sockets(&mut self) -> Result<()> {
        if !self.binds {
            return Ok(());
        }
        let listener = self.socket()?;
        let (address, len) = sockaddr(loopback(0));
        let bind = opcode::Bind::new(Fd(listener), (&raw const address).cast(), len).build();
        let fields = json!({"event": "bind", "fd": listener, "asked": text(loopback(0))});
        self.silently("IORING_OP_BIND", bind, fields)?;
        let listening = local(listener)?;
        self.add("then", json!({"local": listening.to_string()}));
        let listen = opcode::Listen::new(Fd(listener), 4).build();
        let fields = json!({"event": "listen", "fd": listener, "backlog": 4});
        self.silently("IORING_OP_LISTEN", listen, fields)?;
        self.add("then", json!({"local": listening.to_string()}));

        let client = self.socket()?;
        let to = loopback(listening.port());
        let (address, len) = sockaddr(to);
        let connect = opcode::Connect::new(Fd(client), (&raw const address).cast(), len).build();
        let fields = json!({"event": "connect", "fd": client, "asked": text(to)});
        self.silently("IORING_OP_CONNECT", connect, fields)?;
        let place = self.log.len() - 1;
        let accepted = self.accept(listener)?;
        let ends = json!({"local": local(client)?.to_string(), "peer": peer(client)?.to_string()});
        self.log[place]["then"] = ends.clone();
        let shutdown = opcode::Shutdown::new(Fd(client), libc::SHUT_WR).build();
        let fields = json!({"event": "shutdown", "fd": client, "how": "SHUT_WR"});
        self.silently("IORING_OP_SHUTDOWN", shutdown, fields)?;
        self.add("then", ends);
        // A worker runs it, which the ring's end would cancel.
        ensure!(borrowed(accepted).read(&mut [0])? == 0, "the end of what was sent did not come");
        Ok(())
    }

    /// Makes descriptors without a completion that has their number: what came of each stands under `then`. All stay open.
    pub(super) fn unseen(&mut self) -> Result<()> {
        let listener = TcpListener::bind(loopback(0))?;
        let visitor = TcpStream::connect(listener.local_addr()?)?;
        let at = listener.as_raw_fd();
        let socket = opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build();
        let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), c"/dev/null".as_ptr()).build();
        let accept = opcode::Accept::new(Fd(at), ptr::null_mut(), ptr::null_mut()).build();
        for (call, event, kind, entry) in [
            ("IORING_OP_SOCKET", "socket", "socket", socket),
            ("IORING_OP_OPENAT", "open", "char_device", open),
            ("IORING_OP_ACCEPT", "accept", "socket", accept),
        ] {
            // The lowest number that is free (open(2)).
            let made = File::open("/dev/null")?.as_raw_fd();
            self.silently(call, entry, json!({"event": event}))?;
            let inode = fs::metadata(format!("/proc/self/fd/{made}"))?.ino();
            self.add("then", json!({"fd": made, "kind": kind, "inode": inode}));
        }
        mem::forget((listener, visitor));
        Ok(())
    }

    /// Submits an operation, and waits until the one behind it has run.
    fn silently(&mut self, call: &str, entry: Entry, fields: Value) -> Result<()> {
        self.push_silent(call, entry, fields)?;
        self.submitted()
    }

    fn push_silent(&mut self, call: &str, entry: Entry, mut fields: Value) -> Result<u64> {
        let flags = mem::replace(&mut self.flags, Flags::SKIP_SUCCESS);
        let mark = self.push(entry)?;
        self.flags = flags;
        fields["call"] = json!(call);
        fields["unconfirmed"] = json!(true);
        if let Some((pid, tid)) = self.submitter {
            (fields["pid"], fields["tid"]) = (json!(pid), json!(tid));
        }
        self.log.push(fields);
        Ok(mark)
    }
}

fn close(fd: i32) -> Value {
    json!({"event": "close", "fd": fd})
}

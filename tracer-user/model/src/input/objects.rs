//! Tasks, files, slots and sockets, as they were read.

use crate::{address::Address, ids::ProcessKey};
use serde::{Deserialize, Serialize};

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Process.
    pub process: ProcessKey,
    /// Thread; 0 where no thread of the process did it (softirq).
    pub tid: u32,
    /// Kernel address of the thread's descriptor table; 0 where there is none.
    pub files: u64,
}

/// An open file, read from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// Kernel address of the open file description: its identity while it lives.
    pub file: u64,
    /// Inode number.
    pub ino: u64,
    /// Device: major << 20 | minor.
    pub dev: u32,
    /// `st_mode` (inode(7)); anonymous inodes may have no type.
    pub mode: u32,
}

/// A slot of a table at the moment it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Descriptor number.
    pub fd: i32,
    /// The file in it; `None` where it was empty.
    pub file: Option<FileRef>,
    /// Close-on-exec.
    pub cloexec: bool,
    /// The open file has `O_NONBLOCK`.
    pub nonblock: bool,
    /// The file's own name: last part of a path, or an anonymous inode's (`[eventpoll]`).
    pub name: Vec<u8>,
}

/// A kernel socket at the moment it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sock {
    /// Kernel address: its identity while it lives.
    pub sk: u64,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Address family (`AF_*`).
    pub family: u16,
    /// Type (`SOCK_*`).
    pub ty: u16,
    /// Protocol.
    pub protocol: u16,
    /// State as the kernel numbers TCP's.
    pub state: u16,
    /// Local address.
    pub local: Address,
    /// Peer's address.
    pub peer: Address,
    /// Accept queue: length. For a TCP listener and a unix one.
    pub queue_len: u32,
    /// Accept queue: limit.
    pub queue_limit: u32,
    /// Of a unix socket: kernel address of the other end; 0 for none.
    pub peer_sk: u64,
    /// Options. `O_NONBLOCK` is the open file's and not read with the socket.
    pub options: Options,
}

/// Options of a socket that explain how it behaves, as the kernel's socket has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches, each by itself")]
pub struct Options {
    /// `SO_REUSEADDR` (socket(7)).
    pub reuseaddr: bool,
    /// `SO_REUSEPORT`.
    pub reuseport: bool,
    /// `IPV6_V6ONLY` (ipv6(7)).
    pub v6only: bool,
    /// `SO_LINGER`: seconds; `None`: off.
    pub linger_s: Option<u32>,
    /// `TCP_DEFER_ACCEPT` (tcp(7)): seconds; 0: off. Not read of a connection, where it has no effect.
    pub defer_accept_s: u32,
    /// `TCP_FASTOPEN`: length of its queue, at most 65,535; 0: off. Not read of a connection.
    pub fastopen: u16,
    /// `O_NONBLOCK` of its open file (fcntl(2)).
    pub nonblock: bool,
}

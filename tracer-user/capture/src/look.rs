//! A one-time look at sockets beyond what is followed, where an error may be explained by them: who holds the port or the
//! name that a call asked for. It is not tracing: nothing is followed and nothing stays.
//!
//! The stream does not wait for it: a look gives up after [`LIMIT_NS`], well below what the ring buffer holds, and looks are
//! rationed to one part in [`SHARE`] of the time, some at once. An error without a look is explained by what is followed alone, and
//! says so.

use crate::{
    AttachError,
    clock::boot_now,
    pod::PodOf,
    programs::{LEFTOVERS, LOOK, Programs},
};
use aya::maps::{Array, MapData};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
};
use tracer_abi::LookWanted;
use tracer_model::{
    address::Address,
    decode,
    event::EventKind,
    ids::BootNs,
    input::{Body, Call, HeldSock, Input, Looked, Sock, State, Task},
};

/// How long a look may take.
const LIMIT_NS: u64 = 20_000_000;
/// Looks take at most one part in so many of the time.
const SHARE: u64 = 100;
/// The same of looks that somebody asks for.
const ASKED_LIMIT_NS: u64 = 100_000_000;
const ASKED_SHARE: u64 = 20;
/// A look counts as at least so long.
const LEAST_NS: u64 = 200_000;
/// So much of that time may be saved up.
const SAVED_NS: u64 = 200_000_000;
/// Sockets that are kept of one look; those that listen are always among them.
const KEPT: usize = 256;

/// errno(3).
const EACCES: i64 = 13;
const ENFILE: i64 = 23;
const EADDRINUSE: i64 = 98;
const ECONNREFUSED: i64 = 111;

/// What an error asks about.
struct Question<'a> {
    task: Task,
    address: Option<&'a Address>,
    error: i64,
}

/// What the kernel has of an address, whether or not it is followed.
#[derive(Debug)]
pub struct AtAddress {
    /// Who holds sockets with it, apart from connections.
    pub held: Vec<HeldSock>,
    /// All were looked at.
    pub whole: bool,
    /// The network namespace (inode number) whose connections were looked through: the tracer's.
    pub netns: u32,
    /// Connections of TCP there with its port, held or not.
    pub connections: Vec<Sock>,
    /// Why some are missing.
    pub missed: Option<String>,
}

pub(crate) struct Look {
    wanted: Array<MapData, PodOf<LookWanted>>,
    /// How many files the machine has open and may have. Opened beforehand: once there are too many, it cannot be.
    files: Option<File>,
    /// Network namespace of this process.
    netns: u32,
    /// Up to when the time for looks is spent, in time that passes.
    spent: u64,
    /// When the next look that somebody asks for may be taken.
    next_asked: u64,
    /// The newest error that was looked after: its thread and when.
    newest: Option<(Task, BootNs)>,
}

impl Look {
    pub(crate) fn new(programs: &mut Programs) -> Result<Self, AttachError> {
        let wanted = Array::try_from(programs.take_map("LOOK_WANTED")?).map_err(|cause| {
            AttachError::Kernel { what: "open a map".to_owned(), cause: cause.to_string() }
        })?;
        let netns = fs::metadata("/proc/self/ns/net").map_or(0, |namespace| namespace.ino());
        let files = File::open("/proc/sys/fs/file-nr").ok();
        Ok(Self {
            wanted,
            files,
            netns: u32::try_from(netns).unwrap_or(0),
            spent: 0,
            next_asked: 0,
            newest: None,
        })
    }

    /// What is to stand before an input that tells of an error.
    pub(crate) fn before(&mut self, input: &Input, programs: &mut Programs) -> Option<Input> {
        let question = question(&input.body)?;
        // A refused connection is told twice, as a change of state within the call and by the call.
        if let Body::Call(call) = &input.body
            && self.newest.is_some_and(|(task, ts)| task == question.task && Some(ts) >= call.enter)
        {
            return None;
        }
        let began = boot_now().0;
        let spent = self.spent.max(began.saturating_sub(SAVED_NS * SHARE));
        if spent >= began {
            return None;
        }
        let looked = self.look(&question, programs, began + LIMIT_NS);
        let took = (boot_now().0 - began).max(LEAST_NS);
        self.spent = spent + took * SHARE;
        self.newest = Some((question.task, input.ts));
        let body = Body::Looked(Box::new(looked));
        Some(Input { ts: input.ts, origin: None, late: false, body })
    }

    fn look(&mut self, question: &Question<'_>, programs: &mut Programs, deadline: u64) -> Looked {
        let mut looked = Looked {
            task: question.task,
            netns: self.netns,
            held: Vec::new(),
            leftovers: Vec::new(),
            whole: true,
            first_port: None,
            files: None,
        };
        match question.error {
            EACCES => looked.first_port = first_number("/proc/sys/net/ipv4/ip_unprivileged_port_start"),
            ENFILE => {
                let text = self.files.as_ref().and_then(|files| beginning(files).ok()).unwrap_or_default();
                let number = |place| text.split_whitespace().nth(place)?.parse().ok();
                looked.files = number(0).zip(number(2));
            }
            _ => {
                looked.whole = self.sockets(question, programs, deadline, &mut looked).is_ok();
            }
        }
        looked
    }

    /// What the kernel has of an address; `None` where looks have taken their share of the time.
    pub(crate) fn at_address(&mut self, address: &Address, programs: &mut Programs) -> Option<AtAddress> {
        let began = boot_now().0;
        if began < self.next_asked {
            return None;
        }
        let mut held = Vec::new();
        let read = self.held(address, programs, began + ASKED_LIMIT_NS, &mut held);
        let mut connections = Vec::new();
        let missed = address.port().and_then(|port| {
            let wanted =
                LookWanted { deadline: boot_now().0 + ASKED_LIMIT_NS, port: port.into(), name_len: 0 };
            let asked = self.wanted.set(0, PodOf(wanted), 0).map_err(io::Error::other);
            asked.and_then(|()| read_connections(programs, &mut connections)).err()
        });
        let ended = boot_now().0;
        self.next_asked = ended + (ended - began) * ASKED_SHARE;
        held.retain(|held| held.sock.peer.is_unset());
        let whole = read.is_ok() && held.len() <= KEPT;
        held.sort_by_key(|held| held.sock.state != LISTEN);
        held.truncate(KEPT);
        let missed = missed.map(|cause| cause.to_string());
        Some(AtAddress { held, whole, netns: self.netns, connections, missed })
    }

    /// Every descriptor of a socket with that address's port or name.
    fn held(
        &mut self,
        address: &Address,
        programs: &mut Programs,
        deadline: u64,
        held: &mut Vec<HeldSock>,
    ) -> io::Result<()> {
        let (port, name_len) = match address {
            // The kernel ends a path with a zero and counts it (`unix_mkname_bsd`, `net/unix/af_unix.c`).
            Address::Unix(name) => (0, name.len() + usize::from(name.first() != Some(&0))),
            address => (address.port().unwrap_or(0), 0),
        };
        if port == 0 && name_len < 2 {
            return Ok(());
        }
        let name_len = u32::try_from(name_len).unwrap_or(0);
        let wanted = LookWanted { deadline, port: port.into(), name_len };
        self.wanted.set(0, PodOf(wanted), 0).map_err(io::Error::other)?;
        let read = read(programs, LOOK, |found| held.extend(found.ok()));
        held.retain(|held| port != 0 || held.sock.local == *address);
        read
    }

    fn sockets(
        &mut self,
        question: &Question<'_>,
        programs: &mut Programs,
        deadline: u64,
        looked: &mut Looked,
    ) -> io::Result<()> {
        let Some(address) = question.address else { return Ok(()) };
        self.held(address, programs, deadline, &mut looked.held)?;
        if question.error == EADDRINUSE && address.port().is_some_and(|port| port != 0) {
            read_connections(programs, &mut looked.leftovers)?;
        }
        if looked.held.len() > KEPT {
            // Stable: those that listen first, otherwise as they were found.
            looked.held.sort_by_key(|held| held.sock.state != LISTEN);
            looked.held.truncate(KEPT);
            looked.whole = false;
        }
        looked.leftovers.retain(|sock| looked.held.iter().all(|held| held.sock.sk != sock.sk));
        looked.leftovers.truncate(KEPT);
        Ok(())
    }
}

/// Connections of TCP of the port that is looked for, held or not, in the network namespace of this thread.
pub(crate) fn read_connections(programs: &mut Programs, found: &mut Vec<Sock>) -> io::Result<()> {
    read(programs, LEFTOVERS, |sock| found.extend(sock.err()))
}

/// `TCP_LISTEN`.
const LISTEN: u16 = 10;

/// Runs an iterator and takes what it writes. One that gives up fails, what it wrote before is there.
fn read(
    programs: &mut Programs,
    iterator: &str,
    mut take: impl FnMut(Result<HeldSock, Sock>),
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let read = programs.iterate(iterator)?.read_to_end(&mut bytes);
    let mut rest = bytes.as_slice();
    while let Ok((found, len)) = decode::look_found(rest) {
        take(found);
        rest = rest.get(len..).unwrap_or_default();
    }
    read.map(drop)
}

/// The first number of a file.
fn first_number<T: std::str::FromStr>(path: &str) -> Option<T> {
    fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

/// What a short file of proc(5) says now.
fn beginning(file: &File) -> io::Result<String> {
    let mut bytes = [0; 128];
    let len = file.read_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(bytes.get(..len).unwrap_or_default()).into_owned())
}

/// What an input asks about, if it tells of an error that a look may explain.
fn question(body: &Body) -> Option<Question<'_>> {
    match body {
        Body::Call(call) => of_call(call),
        Body::State(State { task, error, sock, .. }) if i64::from(*error) == ECONNREFUSED => {
            Some(Question { task: *task, address: Some(&sock.peer), error: ECONNREFUSED })
        }
        _ => None,
    }
}

fn of_call(call: &Call) -> Option<Question<'_>> {
    let error = call.ret.filter(|ret| *ret < 0).map(|ret| -ret)?;
    let address = match (error, call.kind()) {
        (ENFILE, _) => None,
        (EADDRINUSE | EACCES, EventKind::Bind) | (ECONNREFUSED, EventKind::Connect) => {
            Some(call.asked.as_ref()?)
        }
        (EADDRINUSE, EventKind::Listen) => Some(&call.socks.first()?.local),
        _ => return None,
    };
    Some(Question { task: call.task, address, error })
}

//! Programs that make one thing happen again and again: this binary, started as its own child.
//!
//! Each line on standard input is a number of turns; each answer is how many nanoseconds they took.

use crate::harness::Group;
use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sched::{CpuSet, sched_setaffinity},
    unistd::{Pid, getppid},
};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _, pipe, stdin, stdout},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd as _,
    process::{ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a load does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call that nothing traces.
    Getppid,
    /// A traced call in a use that the kernel programs leave out.
    Getfd,
    /// The same call in a use that is recorded.
    Setfd,
    /// A descriptor that is made and closed: two recorded calls.
    Dup,
    /// A datagram to itself: two untraced calls, and one segment received.
    Datagram,
    /// A datagram that is not there: one untraced call.
    NoDatagram,
    /// Two threads on one CPU take turns: two changes of threads, two wake-ups and four untraced calls.
    Turns,
    /// The same, and one of them has accepted a connection before.
    AcceptorTurns,
    /// A write and a read of a connection on which a first command said what is spoken.
    Stream,
    /// A request and an answer in HTTP/1: four calls.
    Exchange,
    /// 1,000 recorded calls a second for each turn, for one second.
    Paced,
}

const KINDS: &[(&str, Kind)] = &[
    ("getppid", Kind::Getppid),
    ("getfd", Kind::Getfd),
    ("setfd", Kind::Setfd),
    ("dup", Kind::Dup),
    ("datagram", Kind::Datagram),
    ("no-datagram", Kind::NoDatagram),
    ("turns", Kind::Turns),
    ("acceptor-turns", Kind::AcceptorTurns),
    ("stream", Kind::Stream),
    ("exchange", Kind::Exchange),
    ("paced", Kind::Paced),
];

/// A load under way, on the first CPU.
pub(crate) struct Load {
    group: Group,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Load {
    pub(crate) fn start(kind: Kind) -> Result<Self> {
        let (name, _) = KINDS.iter().find(|(_, known)| *known == kind).context("no such load")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--load", name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut group = Group::start(name, &mut command)?;
        let orders = group.child().stdin.take().context("no standard input")?;
        let answers = BufReader::new(group.child().stdout.take().context("no standard output")?);
        Ok(Self { group, orders, answers })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.group.pid()
    }

    /// Orders turns without waiting for their end.
    pub(crate) fn order(&mut self, turns: u64) -> Result<()> {
        Ok(writeln!(self.orders, "{turns}")?)
    }

    /// Waits for the end of what was ordered: how long it took.
    pub(crate) fn answer(&mut self) -> Result<Duration> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(Duration::from_nanos(line.trim().parse().with_context(|| format!("the load said {line:?}"))?))
    }

    /// Nanoseconds of one turn.
    pub(crate) fn turn_ns(&mut self, turns: u64) -> Result<f64> {
        self.order(turns)?;
        Ok(self.answer()?.as_secs_f64() * 1e9 / as_f64(turns))
    }
}

/// A count as a figure; counts here are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "the counts here are far below 2^53")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

/// The child's side.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let [name] = args else { bail!("one load") };
    let (_, kind) = KINDS.iter().find(|(known, _)| known == name).context("no such load")?;
    let mut first = CpuSet::new();
    first.set(0)?;
    sched_setaffinity(Pid::from_raw(0), &first)?;
    for line in stdin().lines() {
        let turns: u64 = line?.parse()?;
        // Anew each time: what a connection is, is decided when it is made.
        let turn = turn(*kind)?;
        let start = Instant::now();
        if *kind == Kind::Paced {
            paced(turns, start)?;
        } else {
            for _ in 0..turns {
                turn()?;
            }
        }
        println!("{}", start.elapsed().as_nanos());
        stdout().flush()?;
    }
    Ok(())
}

type Turn = Box<dyn Fn() -> Result<()>>;

/// A new connection over the loopback.
fn connection() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    client.set_nodelay(true)?;
    let server = listener.accept()?.0;
    server.set_nodelay(true)?;
    Ok((client, server))
}

/// Bytes from one end to the other.
fn say(mut from: &TcpStream, mut to: &TcpStream, bytes: &[u8]) -> Result<()> {
    from.write_all(bytes)?;
    // They come as one: the loopback loses nothing and cuts nothing as short.
    ensure!(to.read(&mut [0; 64])? == bytes.len(), "bytes came in parts");
    Ok(())
}

fn turn(kind: Kind) -> Result<Turn> {
    Ok(match kind {
        Kind::Getppid => Box::new(|| {
            getppid();
            Ok(())
        }),
        Kind::Getfd => Box::new(|| {
            fcntl(stdin(), FcntlArg::F_GETFD)?;
            Ok(())
        }),
        Kind::Setfd | Kind::Paced => Box::new(set_flag),
        Kind::Dup => Box::new(|| {
            stdin().as_fd().try_clone_to_owned()?;
            Ok(())
        }),
        Kind::Turns => turns()?,
        Kind::AcceptorTurns => {
            connection()?;
            turns()?
        }
        Kind::Stream => {
            let (client, server) = connection()?;
            say(&client, &server, b"*1\r\n$4\r\nPING\r\n")?;
            Box::new(move || say(&client, &server, b"x"))
        }
        Kind::Exchange => {
            let (client, server) = connection()?;
            Box::new(move || {
                say(&client, &server, b"GET / HTTP/1.1\r\n\r\n")?;
                say(&server, &client, b"HTTP/1.1 204 No Content\r\n\r\n")
            })
        }
        Kind::NoDatagram => {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            Box::new(move || {
                ensure!(socket.recv(&mut [0]).is_err(), "a datagram from nowhere");
                Ok(())
            })
        }
        Kind::Datagram => {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(socket.local_addr()?)?;
            Box::new(move || {
                socket.send(b"x")?;
                socket.recv(&mut [0])?;
                Ok(())
            })
        }
    })
}

/// Another thread, which answers each byte with one.
fn turns() -> Result<Turn> {
    let (mut asked, asks) = pipe()?;
    let (answers, mut answered) = pipe()?;
    // It inherits the CPU, and ends with the pipe.
    thread::spawn(move || {
        let mut byte = [0];
        while asked.read_exact(&mut byte).is_ok() && answered.write_all(&byte).is_ok() {}
    });
    Ok(Box::new(move || {
        (&asks).write_all(b"x")?;
        Ok((&answers).read_exact(&mut [0])?)
    }))
}

fn set_flag() -> Result<()> {
    fcntl(stdin(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// Every millisecond `a_millisecond` calls, for a second; a machine that cannot keep up takes longer.
fn paced(a_millisecond: u64, start: Instant) -> Result<()> {
    for millisecond in 1..=1000 {
        for _ in 0..a_millisecond {
            set_flag()?;
        }
        let due = start + Duration::from_millis(millisecond);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

//! Many processes with many connections each, to see how sockreel and its page bear them:
//! `crowd PROCESSES CONNECTIONS PER_SECOND`. Every process listens on a loopback port that the kernel gives, connects to
//! itself, and keeps its newest connections open. `PER_SECOND` holds for each process; 0 is as fast as it goes.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Connections that a process keeps open.
const KEPT: usize = 8;
/// Files that are opened and closed for each connection, so that events outnumber sockets as they do in servers.
const FILES: usize = 3;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or_default();
    match args.first().map(String::as_str) {
        Some("one") => one(number(1), number(2)),
        _ => crowd(number(0), &args),
    }
}

fn crowd(processes: u64, args: &[String]) -> io::Result<()> {
    let program = std::env::current_exe()?;
    let children: io::Result<Vec<_>> =
        (0..processes).map(|_| Command::new(&program).arg("one").args(args.iter().skip(1)).spawn()).collect();
    for mut child in children? {
        child.wait()?;
    }
    Ok(())
}

fn one(connections: u64, per_second: u64) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let mut kept = VecDeque::new();
    let start = Instant::now();
    for nth in 0..connections {
        let client = TcpStream::connect(address)?;
        let (served, _) = listener.accept()?;
        for _ in 0..FILES {
            drop(File::open("/dev/null")?);
        }
        kept.push_back((client, served));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        let due =
            ((nth + 1) * 1_000_000_000).checked_div(per_second).map_or(Duration::ZERO, Duration::from_nanos);
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    Ok(())
}

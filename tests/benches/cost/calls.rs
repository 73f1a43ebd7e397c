//! What a single call or segment costs more while something is traced.

use crate::{
    Size,
    harness::{Group, Sockreel, wait_for},
    load::{Kind, Load, as_f64},
    profile::{Profile, Sampling, Unit},
    table::{Goal, Row, median, with_spread},
    tools::{wait_until_attached, with_tracefs},
};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use std::{fs, process::Stdio};

pub(crate) fn rows(size: Size) -> Result<Vec<Row>> {
    let untraced = more_ns(Kind::Getppid, false, &[], size)?;
    let floor = floor_ns(size)?;
    let filtered = more_ns(Kind::Getfd, true, &[], size)?;
    let recorded = more_ns(Kind::Setfd, true, &[], size)?;
    let no_datagram = more_ns(Kind::NoDatagram, false, &[], size)?;
    let datagram = more_ns(Kind::Datagram, false, &[], size)?;
    let stream = more_ns(Kind::Stream, true, &["--peek"], size)?;
    let exchange = more_ns(Kind::Exchange, true, &["--peek"], size)?;
    let turns = more_ns(Kind::Turns, false, &["--sched"], size)?;
    let acceptor = more_ns(Kind::AcceptorTurns, true, &["--sched"], size)?;
    let made = more_ns(Kind::Dup, true, &[], size)?;
    let stacks = more_ns(Kind::Dup, true, &["--stacks"], size)?;
    let without_stack = median(&made.more).context("no figure")?;
    let each = |figures: &Figures, calls: f64| figures.more.iter().map(|more| more / calls).collect();
    // A datagram to oneself is one segment and two calls of those that tell of a connection's end where they fail.
    let ends = 2.0 * median(&no_datagram.more).context("no figure")?;
    let segment = datagram.more.iter().map(|more| more - ends).collect();
    let calls = 2.0 * median(&untraced.more).context("no figure")?;
    // Two changes of threads and four untraced calls; of the two threads one has accepted.
    let change = |figures: &Figures, changes: f64| {
        figures.more.iter().map(|more| (more - 2.0 * calls) / changes).collect()
    };
    let parts = |figures: &Figures| figures.profile.parts("more", Unit::Nanoseconds);
    let alone = |figures: &Figures| format!("{} without", with_spread(&figures.alone, "ns"));
    Ok(vec![
        Row::new("a call of a process that is not followed", Goal::AtMost(60.0), "ns", untraced.more.clone())
            .profile(HOW, parts(&untraced))
            .beside(format!(
                "{}; an empty program of bpftrace on `raw_syscalls:sys_exit` {}",
                alone(&untraced),
                with_spread(&floor, "ns")
            )),
        Row::new(
            "a traced call, filtered out in the kernel",
            Goal::AtMost(100.0),
            "ns",
            filtered.more.clone(),
        )
        .profile(HOW, parts(&filtered))
        .beside(alone(&filtered)),
        Row::new("a traced call, recorded", Goal::AtMost(250.0), "ns", recorded.more.clone())
            .profile(HOW, parts(&recorded))
            .beside(alone(&recorded)),
        Row::new("a received segment on a socket that is not traced", Goal::AtMost(30.0), "ns", segment)
            .profile(HOW, parts(&datagram))
            .beside(format!(
                "{}, two calls and one segment; without, a call of these costs {} more",
                alone(&datagram),
                with_spread(&no_datagram.more, "ns")
            )),
        // Asked for: as much as a call that is traced.
        Row::new(
            "a read or write where what is spoken is known (--peek)",
            Goal::AtMost(100.0),
            "ns",
            each(&stream, 2.0),
        )
        .profile(HOW, parts(&stream))
        .beside(format!("{}, two calls and two segments", alone(&stream))),
        Row::new("a read or write of HTTP/1 (--peek)", Goal::AtMost(250.0), "ns", each(&exchange, 4.0))
            .profile(HOW, parts(&exchange))
            .beside(format!("{}, four calls", alone(&exchange))),
        Row::new(
            "a change of threads and a wake-up that are not told (--sched)",
            Goal::AtMost(60.0),
            "ns",
            change(&turns, 2.0),
        )
        .profile(HOW, parts(&turns))
        .beside(format!("{}, two changes and four calls", alone(&turns))),
        Row::new(
            "a time off the processor of a thread that accepts (--sched)",
            Goal::AtMost(250.0),
            "ns",
            change(&acceptor, 1.0),
        )
        .profile(HOW, parts(&acceptor))
        .beside(format!("{}, two changes and four calls", alone(&acceptor))),
        Row::new(
            "the stack of a call that makes a descriptor (--stacks)",
            Goal::AtMost(1_000.0),
            "ns",
            stacks.more.iter().map(|more| more - without_stack).collect(),
        )
        .profile(HOW, parts(&stacks))
        .beside(format!("{without_stack:.0} ns for the call and a close that are traced without")),
    ])
}

/// `epoll_wait` (arch/x86/entry/syscalls/syscall_64.tbl), as `/proc/PID/syscall` begins in it.
const EPOLL_WAIT: &str = "232 ";

/// What a call costs more while another tool has a program on the tracepoint of every call's end, which finds nothing to do.
fn floor_ns(size: Size) -> Result<Vec<f64>> {
    let mut load = Load::start(Kind::Getppid)?;
    load.turn_ns(size.calls / 10)?;
    let mut more = Vec::new();
    for _ in 0..size.rounds {
        let before = load.turn_ns(size.calls)?;
        let program = "tracepoint:raw_syscalls:sys_exit /pid == 0/ { @ = count(); }";
        let mut command = with_tracefs(&["bpftrace", "-e", program]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut group = Group::start("bpftrace", &mut command)?;
        let waits = format!("/proc/{}/syscall", group.pid());
        wait_for("bpftrace to wait for events, once it is attached", || {
            let call = fs::read_to_string(&waits)?;
            ensure!(call.starts_with(EPOLL_WAIT), "it is in {call}");
            Ok(())
        })?;
        let traced = load.turn_ns(size.calls)?;
        group.signal(Signal::SIGINT)?;
        group.code()?;
        more.push(traced - f64::midpoint(before, load.turn_ns(size.calls)?));
    }
    Ok(more)
}

struct Figures {
    /// A turn while nothing is traced.
    alone: Vec<f64>,
    /// What it costs more while something is.
    more: Vec<f64>,
    /// Where a turn spends that, by turns with and without that are sampled.
    profile: Profile,
}

/// How a turn's profile came about.
const HOW: &str = "Where one turn of the load spends more than without tracing, sampled by perf";

/// Compares turns with and without tracing, in alternation: of the load itself, or of another process.
fn more_ns(kind: Kind, itself: bool, asked: &[&str], size: Size) -> Result<Figures> {
    let dir = tempfile::tempdir()?;
    let mut load = Load::start(kind)?;
    let other = Load::start(Kind::Getppid)?;
    let followed = if itself { load.pid() } else { other.pid() }.to_string();
    load.turn_ns(size.calls / 10)?;
    let traced = |round: &str, run: &mut dyn FnMut() -> Result<()>| {
        let out = dir.path().join(format!("{round}.jsonl"));
        let out_text = out.to_string_lossy();
        let args =
            ["trace", "--json", "-o", &out_text, "-p", &followed].into_iter().chain(asked.iter().copied());
        let trace = Sockreel::start(dir.path(), "trace", args)?;
        wait_until_attached(&out, || Ok(()))?;
        run()?;
        trace.interrupt()
    };
    let mut figures = Figures { alone: Vec::new(), more: Vec::new(), profile: Profile::default() };
    for round in 0..size.rounds {
        let (before, mut with) = (load.turn_ns(size.calls)?, 0.0);
        traced(&round.to_string(), &mut || {
            with = load.turn_ns(size.calls)?;
            Ok(())
        })?;
        let alone = f64::midpoint(before, load.turn_ns(size.calls)?);
        figures.alone.push(alone);
        figures.more.push(with - alone);
    }
    let sampled = |load: &mut Load| -> Result<Profile> {
        let sampling = Sampling::begin()?;
        load.turn_ns(size.calls)?;
        Ok(sampling.end()?.of(load.pid())?.each(as_f64(size.calls)))
    };
    let alone = sampled(&mut load)?;
    traced("sampled", &mut || {
        figures.profile = sampled(&mut load)?.more_than(&alone);
        Ok(())
    })?;
    Ok(figures)
}

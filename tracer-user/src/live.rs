//! Tracing from its beginning: the order in which everything has to happen.

use crate::{
    cli::Target,
    command::{Command, Program},
    engine::Recording,
    privilege,
};
use anyhow::{Context as _, Result, bail};
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use std::{path::PathBuf, time::Duration};
use tracer_capture::{Capture, Selection, Settings};
use tracer_model::input::Reason;
use tracer_recording::{Head, NewFile, Writer};

/// What was asked for, before anything is attached: everything that can fail without it has not failed.
pub(crate) struct Prepared {
    selection: Selection,
    command: Option<Command>,
    record: Option<(PathBuf, NewFile)>,
    check: Option<Duration>,
    ring_bytes: u32,
    sched: bool,
    peek: bool,
    stacks: bool,
}

/// Tracing under way, with fewer privileges. The command still waits.
pub(crate) struct Live {
    pub(crate) capture: Capture,
    pub(crate) selection: Selection,
    pub(crate) command: Option<Command>,
    pub(crate) recording: Option<Recording>,
}

impl Prepared {
    /// Forks the command (first of all: it inherits what is there) and makes the recording's file.
    pub(crate) fn new(target: Target) -> Result<Self> {
        let Target { select, record, check, sched, peek, stacks, buffer, command } = target;
        let command = Program::resolve(&command)?.map(|program| program.spawn_stopped()).transpose()?;
        let selection = select.resolve(command.as_ref().map(Command::pid));
        selection.pids.iter().try_for_each(|pid| is_process(*pid))?;
        let record = record.map(|path| NewFile::create(&path).map(|file| (path, file))).transpose()?;
        Ok(Self { selection, command, record, check: check.0, ring_bytes: buffer, sched, peek, stacks })
    }

    /// Attaches, takes the first snapshot, and gives up privileges. No thread may run yet.
    pub(crate) fn attach(self, session: &str) -> Result<Live> {
        let Self { selection, command, record, check, ring_bytes, sched, peek, stacks } = self;
        let settings = Settings { selection: selection.clone(), ring_bytes, check, sched, peek, stacks };
        let mut capture = Capture::attach(&settings)?;
        capture.snapshot(Reason::Start)?;
        let recording = record
            .map(|(path, file)| {
                let writer = Writer::begin(file, &head(&selection, &capture, session)?)?;
                Ok::<_, anyhow::Error>(Recording { writer, path })
            })
            .transpose()?;
        privilege::drop_what_is_not_needed(command.is_some())?;

        let (left, gone): (Vec<u32>, Vec<u32>) = selection.pids.iter().partition(|pid| exists(**pid));
        for pid in &gone {
            eprintln!("sockreel: process {pid} ended while tracing was set up");
        }
        if left.is_empty() && only_pids(&selection) {
            bail!("no selected process is left");
        }
        Ok(Live { capture, selection, command, recording })
    }
}

/// Whether the selection is a list of processes and nothing else: then it can come to an end.
pub(crate) fn only_pids(selection: &Selection) -> bool {
    let Selection { pids, comm, cgroup, port, all } = selection;
    !pids.is_empty() && comm.is_none() && cgroup.is_none() && port.is_none() && !all
}

/// Refuses numbers of nothing, and of threads: kill(2) and /proc know those too, but they are not processes.
fn is_process(pid: u32) -> Result<()> {
    if !exists(pid) {
        bail!("there is no process {pid}: `pgrep -a NAME` or `ps` tells which there are");
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let leader = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse::<u32>().ok());
    match leader {
        Some(leader) if leader != pid => bail!("{pid} is a thread of process {leader}: use -p {leader}"),
        _ => Ok(()),
    }
}

/// Whether a process exists, whoever owns it (kill(2): signal 0 only checks).
pub(crate) fn exists(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
}

/// What the recording says about this session.
fn head(selection: &Selection, capture: &Capture, session: &str) -> Result<Head> {
    let host = nix::sys::utsname::uname().context("cannot read the kernel's name")?;
    let text = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
    let report = capture.report();
    Ok(Head {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        session: session.to_owned(),
        selection: selection.to_string(),
        attached: report.attached.clone(),
        missing: report.missing.clone(),
        host: text(host.nodename()),
        kernel: text(host.release()),
        machine: text(host.machine()),
    })
}

//! Loads the programs and attaches them to their tracepoints.

use crate::{
    AttachError, Report, Selection, Settings, clock,
    doctor::is_privileged,
    numbering::numbering,
    offsets, peek,
    pod::PodOf,
    probes::{FIRST_BYTES, MOMENTS, PROGRAMS, Probe, SCHEDULER, STACKS},
};
use aya::{
    Btf, BtfError, Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{Array, HashMap, Map, MapError},
    programs::{
        BtfTracePoint, Iter, Program, ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun as _,
        tp_btf::BtfTracePointLinkId,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap as HashMapOf},
    ffi::OsStr,
    fs::File,
    io,
    num::NonZero,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
};
use tracer_abi::{
    Class, Config, Entry, Follow, Listener, ListenerRow, SELECT_ALL, SELECT_CGROUP, SELECT_COMM, SELECT_PORT,
    Sleeping,
};
use tracer_model::ids::BootNs;

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sockreel-ebpf"));

/// Names of the iterators in the object, and what they go over.
pub(crate) const SNAPSHOT: &str = "snapshot";
pub(crate) const LOOK: &str = "look";
pub(crate) const LEFTOVERS: &str = "leftovers";
const ITERATORS: &[(&str, &str)] = &[(SNAPSHOT, "task_file"), (LOOK, "task_file"), (LEFTOVERS, "tcp")];
/// The program that is run for one listener after the other, and what it reads.
const LISTENER: (&str, &str) = ("listener_row", "accept queues");
/// The most listeners that are read, as many as their map has room for. One that is removed while they are listed sends the
/// list back to its begin.
const LISTENERS: usize = 16_384;

/// What is attached: the program's name and its link.
type Links = Vec<(&'static str, BtfTracePointLinkId)>;

/// The loaded object with everything attached.
pub(crate) struct Programs {
    pub(crate) ebpf: Ebpf,
    pub(crate) report: Report,
    links: Links,
    /// A moment before the first program ran.
    pub(crate) since: BootNs,
}

/// Creates the maps and opens the object; no program is in the kernel yet. Names what this kernel does not have.
fn open(settings: &Settings, opener: u32) -> Result<(Ebpf, Btf, Vec<String>), AttachError> {
    if OBJECT.is_empty() {
        return Err(AttachError::NoPrograms);
    }
    let (mut loader, btf, types) = kernels_types();
    let btf = btf.map_err(|cause| AttachError::NoBtf(cause.to_string()))?;
    let offsets::Types { offsets, missing: absent, overflow_reason } = types?;
    let config = Config {
        overflow_reason,
        sched: settings.sched.into(),
        opener_pid: opener,
        ..config(&settings.selection)?
    };
    let (offsets, config) = (PodOf(offsets), PodOf(config));
    if !settings.peek {
        peek::leave_out(&mut loader);
    }
    let mut ebpf = loader
        .override_global("OFFSETS", &offsets, true)
        .override_global("CONFIG", &config, true)
        .map_max_entries("EVENTS", settings.ring_bytes)
        .load(OBJECT)
        .map_err(|cause| refused("load the kernel programs", &cause))?;
    follow_pids(&mut ebpf, &settings.selection).map_err(|cause| refused("select processes", &cause))?;
    Ok((ebpf, btf, absent.iter().map(|name| format!("this kernel has no {name}")).collect()))
}

/// The kernel's types, for everyone who wants them: the loader reads them for itself, programs are loaded with another
/// copy, and the offsets have a reader of their own. Side by side: each takes as long as a program's verification.
fn kernels_types<'a>() -> (EbpfLoader<'a>, Result<Btf, BtfError>, Result<offsets::Types, AttachError>) {
    thread::scope(|scope| {
        let btf = scope.spawn(Btf::from_sys_fs);
        let (loader, types) = (EbpfLoader::new(), offsets::resolve());
        // A thread that cannot tell what it read is as good as one that could not read.
        let btf = btf.join().unwrap_or_else(|_| Btf::from_sys_fs());
        (loader, btf, types)
    })
}

/// Iterators alone: nothing is attached.
pub(crate) fn iterators(settings: &Settings) -> Result<Programs, AttachError> {
    let (mut ebpf, btf, missing) = open(settings, 0)?;
    let iterators = ITERATORS.iter().filter(|(name, _)| matches!(*name, SNAPSHOT | LEFTOVERS));
    let wanted = iterators.chain([&LISTENER]);
    let mut loaded = load(&mut ebpf, wanted.clone().copied(), &btf);
    for program in wanted {
        has_loaded(program, &mut loaded)?;
    }
    let report = Report { missing, ..Report::default() };
    Ok(Programs { ebpf, report, links: Links::new(), since: clock::boot_now() })
}

/// Loads and attaches what was asked for; the process `opener` is the tracer's, as this one is.
pub(crate) fn attach(settings: &Settings, opener: u32) -> Result<Programs, AttachError> {
    let (mut ebpf, btf, missing) = open(settings, opener)?;
    fill_syscalls(&mut ebpf).map_err(|cause| refused("fill the table of system calls", &cause))?;
    if settings.peek {
        peek::fill(&mut ebpf).map_err(|cause| refused("fill the automaton of first bytes", &cause))?;
    }
    let since = clock::boot_now();
    let (mut report, mut links) = (Report { missing, ..Report::default() }, Links::new());
    let scheduler = SCHEDULER.iter().filter(|_| settings.sched);
    let first_bytes = FIRST_BYTES.iter().filter(|_| settings.peek);
    let stacks = STACKS.iter().filter(|_| settings.stacks);
    let probes: Vec<_> = stacks.chain(PROGRAMS).chain(MOMENTS).chain(scheduler).chain(first_bytes).collect();
    let names = probes.iter().flat_map(|probe| probe.names.iter().map(|names| (*names, probe.tracepoint)));
    let run = || ITERATORS.iter().chain([&LISTENER]);
    let mut loaded = load(&mut ebpf, run().copied().chain(names), &btf);
    for program in probes {
        match attach_one(&mut ebpf, program, &mut loaded, &mut links) {
            Ok(tracepoint) => report.attached.push(format!("{} ({tracepoint})", program.tells)),
            Err(cause) => match program.without {
                Some(without) if report.missing.iter().any(|missing| missing.starts_with(without)) => {}
                Some(without) => report.missing.push(format!("{without}{}", why(&cause))),
                None => return Err(refused(&format!("attach to {}", program.tracepoint), &cause)),
            },
        }
    }
    for program in run() {
        has_loaded(program, &mut loaded)?;
    }
    report.attached.push("snapshots of descriptor tables (iterator task_file)".to_owned());
    report.attached.push("samples of accept queues (BPF_PROG_TEST_RUN)".to_owned());
    report.verified = verified(&ebpf);
    Ok(Programs { ebpf, report, links, since })
}

fn verified(ebpf: &Ebpf) -> Vec<(String, u32)> {
    let mut verified: Vec<_> = ebpf
        .programs()
        .filter_map(|(name, program)| {
            Some((name.to_owned(), program.info().ok()?.verified_instruction_count()?))
        })
        .collect();
    verified.sort();
    verified
}

/// What became of loading the programs of each name: the program and the tracepoint or objects that this kernel takes.
type Loaded = BTreeMap<&'static str, Result<(&'static str, &'static str), ProgramError>>;

/// Loads programs, as many at a time as there are CPUs: most of a start is the verifier's work, and it verifies those of a privileged
/// loader side by side (`bpf_check`, kernel/bpf/verifier.c). What is wanted is their names, and the tracepoints that they are for or the
/// objects that they iterate over.
fn load(ebpf: &mut Ebpf, wanted: impl Iterator<Item = (&'static str, &'static str)>, btf: &Btf) -> Loaded {
    let mut programs: HashMapOf<&str, &mut Program> = ebpf.programs_mut().collect();
    // Taken from the end: what takes longest, the programs of calls, is near it.
    let waiting: Vec<_> = wanted
        .map(|(names, places)| {
            let ways = names.split('|').filter_map(|name| Some((name, programs.remove(name)?))).collect();
            Waiting { names, ways, places }
        })
        .collect();
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(waiting.len());
    let waiting = Mutex::new(waiting);
    let loaded = Mutex::new(Loaded::new());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(waiting) = next() {
                    let (names, outcome) = (waiting.names, waiting.load(btf));
                    loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(names, outcome);
                }
            });
        }
    });
    loaded.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The programs of one name, which wait to be loaded.
struct Waiting<'a> {
    names: &'static str,
    ways: Vec<(&'static str, &'a mut Program)>,
    places: &'static str,
}

impl Waiting<'_> {
    /// Loads the first program that the kernel takes, for the first place that it has.
    fn load(self, btf: &Btf) -> Result<(&'static str, &'static str), ProgramError> {
        let mut outcome = Err(ProgramError::NotLoaded);
        for (name, program) in self.ways {
            for place in self.places.split('|') {
                outcome = match &mut *program {
                    Program::BtfTracePoint(program) => program.load(place, btf),
                    Program::Iter(program) => program.load(place, btf),
                    Program::RawTracePoint(program) => program.load(),
                    _ => Err(ProgramError::UnexpectedProgramType),
                }
                .map(|()| (name, place));
                if outcome.is_ok() {
                    return outcome;
                }
            }
        }
        outcome
    }
}

/// Attaches every program of a probe; its tracepoint.
fn attach_one(
    ebpf: &mut Ebpf,
    probe: &Probe,
    loaded: &mut Loaded,
    links: &mut Links,
) -> Result<&'static str, ProgramError> {
    let mut attached = Err(ProgramError::NotLoaded);
    for names in probe.names {
        let (name, tracepoint) = loaded.remove(names).unwrap_or(Err(ProgramError::NotLoaded))?;
        let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?;
        let program: &mut BtfTracePoint = program.try_into()?;
        links.push((name, program.attach()?));
        attached = Ok(tracepoint);
    }
    attached
}

/// What is run at will has nothing to be attached to, and none of it is missing on a kernel that has the rest.
fn has_loaded((name, over): &(&'static str, &'static str), loaded: &mut Loaded) -> Result<(), AttachError> {
    let outcome = loaded.remove(name).unwrap_or(Err(ProgramError::NotLoaded));
    outcome.map(|_| ()).map_err(|cause| refused(&format!("load what reads {over}"), &cause))
}

impl Programs {
    /// Takes a map out of the object.
    pub(crate) fn take_map(&mut self, name: &str) -> Result<Map, AttachError> {
        self.ebpf.take_map(name).ok_or_else(|| AttachError::Kernel {
            what: format!("find the map {name}"),
            cause: "the object does not have it".to_owned(),
        })
    }

    /// Programs that run only in tasks, where nothing can run them a second time on the same CPU, or with interrupts off, as the
    /// scheduler's do: a run that the kernel skipped is a loss. The others are attached twice and make up for each other.
    pub(crate) fn alone(&self) -> impl Iterator<Item = &Program> {
        let alone = PROGRAMS
            .iter()
            .chain(FIRST_BYTES)
            .chain(STACKS)
            .chain(SCHEDULER)
            .filter_map(|probe| if let [name] = probe.names { Some(*name) } else { None });
        alone.flat_map(|names| names.split('|')).filter_map(|name| self.ebpf.program(name))
    }

    /// Ends every program but the iterators. They stay loaded: what the kernel counted of their runs can still be read.
    pub(crate) fn detach(&mut self) {
        for (name, link) in self.links.drain(..) {
            if let Some(Program::BtfTracePoint(tracepoint)) = self.ebpf.program_mut(name) {
                // The link was made by this very program, which is all that can be wrong with it.
                drop(tracepoint.detach(link));
            }
        }
    }

    /// Has the kernel read every followed listener. Where one is read for the first time, what waits in its queue comes as
    /// records.
    pub(crate) fn listeners(&self) -> io::Result<Vec<ListenerRow>> {
        let loaded = self.ebpf.program(LISTENER.0).ok_or(io::ErrorKind::NotFound)?;
        let program: &RawTracePoint = loaded.try_into().map_err(io::Error::other)?;
        let listeners = self.ebpf.map("LISTENERS").ok_or(io::ErrorKind::NotFound)?;
        let listeners: HashMap<_, u64, PodOf<Listener>> =
            HashMap::try_from(listeners).map_err(io::Error::other)?;
        let row = self.ebpf.map("LISTENER_ROW").ok_or(io::ErrorKind::NotFound)?;
        let row: Array<_, PodOf<ListenerRow>> = Array::try_from(row).map_err(io::Error::other)?;
        let keys: BTreeSet<u64> = listeners.keys().take(LISTENERS).flatten().collect();
        let mut rows = Vec::new();
        for key in keys {
            let mut options = RawTracePointRunOptions::default();
            options.args[0] = key;
            let run = program.test_run(options).map_err(system)?;
            if run.return_value == 1 {
                rows.push(row.get(&0, 0).map_err(io::Error::other)?.0);
            }
        }
        Ok(rows)
    }

    /// A new run of an iterator; reading the file runs it.
    pub(crate) fn iterate(&mut self, name: &str) -> Result<File, io::Error> {
        let loaded = self.ebpf.program_mut(name).ok_or(io::ErrorKind::NotFound)?;
        let iterator: &mut Iter = loaded.try_into().map_err(io::Error::other)?;
        let id = iterator.attach().map_err(system)?;
        iterator.take_link(id).map_err(io::Error::other)?.into_file().map_err(io::Error::other)
    }
}

/// What the system said, where it is that which failed.
fn system(cause: ProgramError) -> io::Error {
    match cause {
        ProgramError::SyscallError(call) => call.io_error,
        other => io::Error::other(other),
    }
}

/// Why the verifier refused a program, in its last words; nothing where the kernel does not have the tracepoint.
fn why(cause: &ProgramError) -> String {
    let ProgramError::LoadError { verifier_log, .. } = cause else { return String::new() };
    let log = verifier_log.to_string();
    let counts = ["processed ", "verification time ", "stack depth ", "peak_states "];
    let words = log
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !counts.iter().any(|count| line.starts_with(count)));
    words.map_or_else(String::new, |words| format!(" (the kernel refuses the program: {})", words.trim()))
}

/// `EPERM` (errno(3)). The verifier's own refusals are `EACCES`, `EINVAL` and others.
const EPERM: i32 = 1;

/// Lines that are kept of a refusal: the verifier's last words are the ones that tell why.
const LAST_WORDS: usize = 12;

/// Tells a refusal for want of privilege apart from a kernel that cannot.
fn refused(what: &str, cause: &(dyn std::error::Error + 'static)) -> AttachError {
    let mut text = cause.to_string();
    let mut next = cause.source();
    let mut denied = false;
    while let Some(inner) = next {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            denied |= io.raw_os_error() == Some(EPERM);
        }
        // Some errors say their cause themselves.
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        next = inner.source();
    }
    let lines: Vec<&str> = text.lines().collect();
    let text = lines.get(lines.len().saturating_sub(LAST_WORDS)..).unwrap_or_default().join("\n");
    // A kernel may forbid a kind of program to everybody.
    if denied && !is_privileged() {
        AttachError::NotPermitted(text)
    } else {
        AttachError::Kernel { what: what.to_owned(), cause: text }
    }
}

fn fill_syscalls(ebpf: &mut Ebpf) -> Result<(), MapError> {
    let map = ebpf.map_mut("SYSCALLS").ok_or(MapError::InvalidName { name: "SYSCALLS".to_owned() })?;
    let mut table: Array<_, PodOf<Entry>> = Array::try_from(map)?;
    let mut sleeping = Vec::new();
    for (number, call) in numbering().iter() {
        let entry = Entry { class: call.class().0, pointer_arg: call.pointer_arg() };
        let row = if call.class().sleeps() {
            sleeping.push(Sleeping { number, entry });
            Entry { class: Class::RECEIVE.0, pointer_arg: 0 }
        } else {
            entry
        };
        table.set(number, PodOf(row), 0)?;
    }
    let map = ebpf.map_mut("SLEEPING").ok_or(MapError::InvalidName { name: "SLEEPING".to_owned() })?;
    let mut rows: Array<_, PodOf<Sleeping>> = Array::try_from(map)?;
    for (place, row) in (0..).zip(sleeping) {
        rows.set(place, PodOf(row), 0)?;
    }
    Ok(())
}

fn follow_pids(ebpf: &mut Ebpf, selection: &Selection) -> Result<(), MapError> {
    let map = ebpf.map_mut("FOLLOW").ok_or(MapError::InvalidName { name: "FOLLOW".to_owned() })?;
    let mut follow: HashMap<_, u32, PodOf<Follow>> = HashMap::try_from(map)?;
    let members = selection.cgroup.iter().flat_map(|path| cgroup_members(path));
    for pid in selection.pids.iter().copied().chain(members) {
        follow.insert(pid, PodOf(Follow { sockets_only: 0 }), 0)?;
    }
    Ok(())
}

/// Processes in a control group and below it (`cgroup.procs`, cgroups(7)).
fn cgroup_members(path: &Path) -> Vec<u32> {
    let mut pids: Vec<u32> = std::fs::read_to_string(path.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            pids.extend(cgroup_members(&entry.path()));
        }
    }
    pids
}

fn config(selection: &Selection) -> Result<Config, AttachError> {
    let mut config = Config {
        select: 0,
        own_pid: std::process::id(),
        cgroup_id: 0,
        cgroup_level: 0,
        port: 0,
        orphans_end: orphans_end().into(),
        overflow_reason: 0,
        sched: 0,
        hz: clock::ticks_per_second(),
        opener_pid: 0,
        reserved: 0,
        comm: [0; 16],
    };
    for pid in &selection.pids {
        if !Path::new("/proc").join(pid.to_string()).exists() {
            return Err(AttachError::NoProcess(*pid));
        }
    }
    if selection.all {
        config.select |= SELECT_ALL;
    }
    if let Some(comm) = &selection.comm {
        config.select |= SELECT_COMM;
        // The kernel keeps 15 bytes and a zero (TASK_COMM_LEN).
        for (to, from) in config.comm.iter_mut().take(15).zip(comm.bytes()) {
            *to = from;
        }
    }
    if let Some(port) = selection.port {
        config.select |= SELECT_PORT;
        config.port = port.into();
    }
    if let Some(path) = &selection.cgroup {
        config.select |= SELECT_CGROUP;
        (config.cgroup_id, config.cgroup_level) = cgroup(path)?;
    }
    Ok(config)
}

/// Whether a closed connection whose FIN was acknowledged leaves its socket at once: it does unless it may wait for longer
/// than `TCP_TIMEWAIT_LEN`, 60 seconds (`tcp_fin_timeout`, tcp(7)). Another network namespace may say otherwise; there the
/// connection's `FIN_WAIT2` is told with its end.
fn orphans_end() -> bool {
    let seconds = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_fin_timeout").unwrap_or_default();
    seconds.trim().parse::<u32>().is_ok_and(|seconds| seconds <= 60)
}

/// Identifier of a control group and its depth below the root of the cgroup2 hierarchy.
fn cgroup(path: &Path) -> Result<(u64, u32), AttachError> {
    let problem = |cause: String| AttachError::NoCgroup { path: path.display().to_string(), cause };
    let path = path.canonicalize().map_err(|cause| problem(cause.to_string()))?;
    let id = path.metadata().map_err(|cause| problem(cause.to_string()))?.ino();
    let root = cgroup2_root().ok_or_else(|| problem("no cgroup2 hierarchy is mounted".to_owned()))?;
    let below = path.strip_prefix(&root).map_err(|_| {
        problem(format!("it is not below {}, where the cgroup2 hierarchy is mounted", root.display()))
    })?;
    Ok((id, u32::try_from(below.iter().count()).unwrap_or(u32::MAX)))
}

/// Where the cgroup2 hierarchy is mounted (proc_pid_mountinfo(5)).
pub(crate) fn cgroup2_root() -> Option<std::path::PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let is_cgroup2 = file_system.split(' ').next() == Some("cgroup2");
        is_cgroup2.then(|| mount.split(' ').nth(4).map(|path| OsStr::new(path).into()))?
    })
}

//! Stacks of calls that make a descriptor: from addresses to places in files and names of functions.
//!
//! A thread of its own looks them up, since files may be large, and slow to answer: records are read meanwhile. What it has no
//! room for, and what it read of a process that has executed another program since, is counted and not told.

mod maps;
mod module;
mod unwind;

use crate::{AttachError, opener::Opener};
use maps::Mapping;
use module::Module;
use std::{
    collections::{HashMap, VecDeque},
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};
use tracer_abi::Stack as Taken;
use tracer_model::{
    ids::{BootNs, ProcessKey, StackId},
    input::{Body, Made, Task},
    stacks::{Cut, Frame, STACKS, Stack},
};
use unwind::{Rule, unwind};

/// Stacks that wait for the thread, and answers that wait for the tracer.
const WAITING: usize = 4096;
/// Processes whose mappings are kept, and files of which something is: when there are more, all are read again.
const KEPT: usize = 512;
/// Bytes of a list of mappings that are read.
const MAPS: u64 = 16 << 20;
/// Mappings are not read again sooner than this: an address may be none at all.
const AGAIN_NS: u64 = 100_000_000;
/// How long the end waits for answers.
const SETTLE: Duration = Duration::from_secs(1);

/// The tracer's side.
pub(crate) struct Stacks {
    opener: u32,
    state: State,
    /// How often processes have executed a program since tracing began.
    executed: HashMap<ProcessKey, u64>,
    missed: Arc<AtomicU64>,
}

enum State {
    /// The thread begins with the first stack: when tracing is set up, none may run.
    Idle(Opener),
    Working {
        to: SyncSender<(Box<Taken>, u64)>,
        from: Receiver<(Made, u64)>,
    },
    /// No stack comes any more.
    Ended {
        left: VecDeque<(Made, u64)>,
    },
}

impl Stacks {
    /// Starts the process that opens files; no thread may run.
    pub(crate) fn new() -> Result<Self, AttachError> {
        let opener = Opener::start().map_err(|cause| AttachError::Kernel {
            what: "start the process that opens files".to_owned(),
            cause: cause.to_string(),
        })?;
        Ok(Self {
            opener: opener.pid(),
            state: State::Idle(opener),
            executed: HashMap::new(),
            missed: Arc::default(),
        })
    }

    /// Its number.
    pub(crate) const fn opener(&self) -> u32 {
        self.opener
    }

    /// How many stacks were not told.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Looks a stack up.
    pub(crate) fn take(&mut self, stack: Box<Taken>) {
        if let State::Idle(_) = self.state
            && let State::Idle(opener) =
                std::mem::replace(&mut self.state, State::Ended { left: VecDeque::new() })
        {
            let (to, stacks) = sync_channel(WAITING);
            let (answers, from) = sync_channel(WAITING);
            let reader = Reader::new(opener, Arc::clone(&self.missed));
            let thread = thread::Builder::new().name("stacks".to_owned());
            if thread.spawn(move || reader.run(&stacks, &answers)).is_ok() {
                self.state = State::Working { to, from };
            }
        }
        let executed = self.executed.get(&caller(&stack).process).copied().unwrap_or(0);
        let sent = match &self.state {
            State::Working { to, .. } => to.try_send((stack, executed)),
            State::Idle(_) | State::Ended { .. } => Err(TrySendError::Disconnected((stack, executed))),
        };
        if sent.is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes which processes execute programs: what was mapped before is gone.
    pub(crate) fn see(&mut self, body: &Body) {
        match body {
            Body::Exec(exec) => *self.executed.entry(exec.task.process).or_default() += 1,
            Body::Exit(exit) => {
                self.executed.remove(&exit.task.process);
            }
            _ => {}
        }
    }

    /// The next stack that has been looked up.
    pub(crate) fn read(&mut self) -> Option<Made> {
        loop {
            let (made, executed) = match &mut self.state {
                State::Working { from, .. } => from.try_recv().ok()?,
                State::Ended { left } => left.pop_front()?,
                State::Idle(_) => return None,
            };
            if self.executed.get(&made.task.process).is_none_or(|now| *now == executed) {
                return Some(made);
            }
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// No stack comes any more: waits for those that are being looked up, for [`SETTLE`] at most.
    pub(crate) fn settle(&mut self) {
        let mut left = VecDeque::new();
        if let State::Working { to, from } =
            std::mem::replace(&mut self.state, State::Ended { left: VecDeque::new() })
        {
            drop(to);
            let deadline = Instant::now() + SETTLE;
            while let Ok(read) = from.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                left.push_back(read);
            }
        }
        self.state = State::Ended { left };
    }
}

/// Who called.
fn caller(stack: &Taken) -> Task {
    let Taken { header, .. } = stack;
    Task {
        process: ProcessKey { pid: header.pid, start_ns: header.start },
        tid: header.tid,
        files: header.files,
    }
}

/// A process's mappings, and what they are of.
struct Mapped {
    /// How often it had executed a program.
    executed: u64,
    /// When the stack was taken for which they were read.
    read: u64,
    /// `None` where they could not be.
    mappings: Option<Vec<Mapping>>,
}

/// The thread's side.
struct Reader {
    opener: Opener,
    missed: Arc<AtomicU64>,
    processes: HashMap<ProcessKey, Mapped>,
    /// By device and inode number; `None` for what cannot be read.
    files: HashMap<(Vec<u8>, u64), Option<Module>>,
    told: HashMap<Stack, StackId>,
}

impl Reader {
    fn new(opener: Opener, missed: Arc<AtomicU64>) -> Self {
        Self { opener, missed, processes: HashMap::new(), files: HashMap::new(), told: HashMap::new() }
    }

    fn run(mut self, stacks: &Receiver<(Box<Taken>, u64)>, answers: &SyncSender<(Made, u64)>) {
        while let Ok((taken, executed)) = stacks.recv() {
            let Some(made) = self.look_up(&taken, executed) else {
                self.missed.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            // Where answers wait stacks do, and then the newest is left out.
            if answers.send((made, executed)).is_err() {
                return;
            }
        }
    }

    /// What a stack is; `None` where there are too many different ones.
    fn look_up(&mut self, taken: &Taken, executed: u64) -> Option<Made> {
        let task = caller(taken);
        self.read_mappings(task.process, taken, executed);
        let Self { opener, processes, files, .. } = self;
        let mappings = processes.get(&task.process).and_then(|mapped| mapped.mappings.as_deref());
        let stack = if let Some(mappings) = mappings {
            let (places, cut) = unwind(taken, |address| {
                let Some(mapping) = maps::find(mappings, address) else { return Rule::Unknown };
                let module = module(opener, files, task.process, mapping);
                module.map_or(Rule::Unknown, |module| module.rule(mapping.place(address)))
            });
            let frame = |address: &u64| match maps::find(mappings, *address) {
                Some(mapping) if !mapping.name.is_empty() => Frame {
                    file: Some(mapping.name.clone()),
                    offset: mapping.place(*address),
                    symbol: module(opener, files, task.process, mapping)
                        .and_then(|module| module.symbol(mapping.place(*address))),
                },
                _ => bare(*address),
            };
            let frames: Vec<Frame> = places.iter().map(frame).collect();
            // What calls `main` is the C library's, and the end.
            let cut = cut.filter(|_| !matches!(frames.as_slice(), [.., main, _] if is_main(main)));
            Stack { frames, cut }
        } else {
            let (places, _) = unwind(taken, |_| Rule::Unknown);
            Stack { frames: places.into_iter().map(bare).collect(), cut: Some(Cut::Unread) }
        };
        let known = self.told.get(&stack).copied();
        let id = match known {
            Some(id) => id,
            None if self.told.len() >= STACKS => return None,
            None => {
                let id = StackId(u32::try_from(self.told.len()).unwrap_or(u32::MAX));
                self.told.insert(stack.clone(), id);
                id
            }
        };
        let fds = taken.fds.iter().copied().filter(|fd| *fd >= 0).collect();
        let new = known.is_none().then_some(stack);
        Some(Made { task, taken: BootNs(taken.header.ts), fds, stack: id, new })
    }

    /// Reads a process's mappings, unless they are known, and again where an address of the stack is in none: there may be new ones.
    fn read_mappings(&mut self, process: ProcessKey, taken: &Taken, executed: u64) {
        let ts = taken.header.ts;
        if let Some(mapped) = self.processes.get(&process)
            && mapped.executed == executed
        {
            let known = |mappings: &Vec<Mapping>| {
                let backs = taken.chain.backs.iter().take_while(|back| **back != 0);
                backs.chain([&taken.ip]).all(|address| maps::find(mappings, *address).is_some())
            };
            let all_known = mapped.mappings.as_ref().is_none_or(known);
            if all_known || ts < mapped.read.saturating_add(AGAIN_NS) {
                return;
            }
        }
        if self.processes.len() >= KEPT {
            self.processes.clear();
        }
        let mut text = Vec::new();
        let read = self.opener.maps(process).and_then(|file| file.take(MAPS).read_to_end(&mut text));
        let mappings = read.is_ok().then(|| maps::executable(&text)).filter(|mappings| !mappings.is_empty());
        self.processes.insert(process, Mapped { executed, read: ts, mappings });
    }
}

fn is_main(frame: &Frame) -> bool {
    frame.symbol.as_ref().is_some_and(|(name, _)| name == "main")
}

/// A frame of which nothing is known but its address.
const fn bare(address: u64) -> Frame {
    Frame { file: None, offset: address, symbol: None }
}

/// The file of a mapping.
fn module<'a>(
    opener: &Opener,
    files: &'a mut HashMap<(Vec<u8>, u64), Option<Module>>,
    process: ProcessKey,
    mapping: &Mapping,
) -> Option<&'a mut Module> {
    let file = mapping.file.as_ref()?;
    if !files.contains_key(file) {
        if files.len() >= KEPT {
            files.clear();
        }
        let module = opener.mapped(process, mapping.at.clone()).ok().and_then(Module::read);
        files.insert(file.clone(), module);
    }
    files.get_mut(file)?.as_mut()
}

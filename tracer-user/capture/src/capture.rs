//! Tracing under way: drains the ring buffer, watches over losses, takes snapshots.
//!
//! Queues and their policies: the ring buffer drops the newest record when it is full (counted, and its number leaves
//! a gap); the order stage releases early when it is full (see [`crate::order`]). Nobody else queues here.

use crate::{
    Account, AttachError, CaptureError, Report, Settings,
    clock::{boot_now, epoch_minus_boot_ns},
    health::{Counted, Health},
    look::{AtAddress, Look},
    numbering::numbering,
    order::Order,
    pending::Pending,
    pod::PodOf,
    programs::{self, Programs, SNAPSHOT},
    sampler::{self, Sampler},
    stacks::Stacks,
};
use aya::maps::{HashMap, MapData, MapError, PerCpuArray, RingBuf};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::AsFd as _,
    time::Duration,
};
use tracer_abi::Tracked;
use tracer_model::{
    address::Address,
    decode,
    ids::BootNs,
    input::{Body, Exec, Followed, Input, LossCause, Lost, Reason},
    syscall::Numbering,
};

/// How often running calls are looked at.
const PENDING_EVERY_NS: u64 = 50_000_000;
/// How often losses without a gap are looked for, and the clocks are compared.
const HEALTH_EVERY_NS: u64 = 1_000_000_000;
/// A repair waits until nothing has been lost for this long.
const QUIET_NS: u64 = 50_000_000;
/// Rows of a repair or a check are judged this long after they were read: a call that was under way then has returned,
/// and has told what it did, also where its thread was kept from a processor on the way out, or its processor from the
/// machine by what else the host runs.
const JUDGE_NS: u64 = 300_000_000;
/// A check costs at most one part in so many of the time.
const CHECK_SHARE: u64 = 1000;
/// Snapshots that are asked for cost at most one part in so many of the time.
const ASKED_SHARE: u64 = 20;
/// The programs do not wake the reader for every record (a wake-up costs more than the record): this is how long a
/// record waits at most, unless the buffer fills up.
const NAP: Duration = Duration::from_millis(10);
/// Steps of a walk through the map of followed sockets, which has room for a quarter of that.
const FOLLOWED_STEPS: usize = 1 << 20;
/// Snapshots for which the machine has no file to give are tried again after this long.
const SHORTAGE_NS: u64 = 1_000_000_000;
/// How long the end waits for records that are being written.
const END_NS: u64 = 200_000_000;

/// A run of the snapshot's iterator.
pub(crate) fn run_of_snapshot(programs: &mut Programs) -> Result<File, CaptureError> {
    programs.iterate(SNAPSHOT).map_err(CaptureError::Snapshot)
}

/// Gives out the rows of a run; false where one of them could not be read.
pub(crate) fn rows(mut run: File, mut row: impl FnMut(Input)) -> Result<bool, CaptureError> {
    let mut bytes = Vec::new();
    run.read_to_end(&mut bytes).map_err(CaptureError::Snapshot)?;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let Ok((input, len)) = decode::row(rest) else { return Ok(false) };
        row(input);
        rest = rest.get(len..).unwrap_or_default();
    }
    Ok(true)
}

/// Whether the machine has nothing to give just now: files (`ENFILE`, `EMFILE`) or memory. Whoever looks for the cause of that
/// traces just then, and a run of an iterator takes two files: tracing goes on without it.
fn is_shortage(cause: &io::Error) -> bool {
    let shortage = [Errno::ENFILE, Errno::EMFILE, Errno::ENOMEM];
    cause.raw_os_error().is_some_and(|number| shortage.contains(&Errno::from_raw(number)))
}

/// Tracing under way. Dropping it detaches everything.
///
/// Snapshots are taken one after the other: one is judged before the next is read. After a loss comes a repair, for a process
/// that is selected late a snapshot of its own, and from time to time a check, no sooner after the last one than a
/// thousand times what that took; where somebody asks for what only a snapshot tells, twenty times.
pub struct Capture {
    programs: Programs,
    ring: RingBuf<MapData>,
    health: Health,
    pending: Pending,
    sampler: Sampler,
    stacks: Option<Stacks>,
    order: Order,
    look: Look,
    numbering: Numbering,
    followed: HashMap<MapData, u64, PodOf<Tracked>>,
    /// Numbers that had been given on each CPU at the last look.
    given: Vec<u64>,
    next_pending: u64,
    next_health: u64,
    next_sample: u64,
    repair_at: Option<u64>,
    /// A process was selected and its table is not read yet.
    selected: bool,
    check: Option<u64>,
    next_check: u64,
    /// A snapshot is asked for, although nothing is wrong.
    asked: bool,
    next_asked: u64,
    /// When the newest snapshot began, and when it is judged.
    read_at: BootNs,
    judged_at: u64,
    delivered: u64,
    /// Of what was lost: records that could not be read, and numbers that nothing explains.
    malformed: u64,
    unknown: u64,
    lost: u64,
    begun: bool,
}

impl Capture {
    /// Loads and attaches every program.
    pub fn attach(settings: &Settings) -> Result<Self, AttachError> {
        let stacks = if settings.stacks { Some(Stacks::new()?) } else { None };
        let opener = stacks.as_ref().map_or(0, Stacks::opener);
        let mut programs = programs::attach(settings, opener)?;
        let maps =
            |cause: MapError| AttachError::Kernel { what: "open a map".to_owned(), cause: cause.to_string() };
        let ring = RingBuf::try_from(programs.take_map("EVENTS")?).map_err(maps)?;
        let counters = PerCpuArray::try_from(programs.take_map("COUNTERS")?).map_err(maps)?;
        let in_flight = HashMap::try_from(programs.take_map("IN_FLIGHT")?).map_err(maps)?;
        let asked = HashMap::try_from(programs.take_map("ASKED")?).map_err(maps)?;
        let look = Look::new(&mut programs)?;
        let followed = HashMap::try_from(programs.take_map("SOCKETS")?).map_err(maps)?;
        Ok(Self {
            programs,
            ring,
            health: Health::new(counters),
            pending: Pending::new(in_flight, asked),
            sampler: Sampler::new(settings.sched, settings.peek),
            stacks,
            order: Order::default(),
            look,
            numbering: numbering(),
            followed,
            given: Vec::new(),
            next_pending: 0,
            next_health: 0,
            next_sample: 0,
            repair_at: None,
            selected: false,
            check: settings.check.map(|every| u64::try_from(every.as_nanos()).unwrap_or(u64::MAX)),
            next_check: 0,
            asked: false,
            next_asked: 0,
            read_at: BootNs(0),
            judged_at: 0,
            delivered: 0,
            malformed: 0,
            unknown: 0,
            lost: 0,
            begun: false,
        })
    }

    /// What was attached.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.programs.report
    }

    /// Reads every followed process's table; the rows come out of [`Self::poll`] at their place.
    pub fn snapshot(&mut self, reason: Reason) -> Result<(), CaptureError> {
        self.begin();
        let began = boot_now();
        let run = run_of_snapshot(&mut self.programs)?;
        // Every snapshot reads every followed process, and sets right what was lost up to now.
        self.selected = false;
        if reason == Reason::Repair {
            self.repair_at = None;
        }
        self.note(began, Body::SnapshotBegin(reason));
        let whole = rows(run, |input| self.order.push(input))?;
        if !whole {
            // No record: it does not stand in the account.
            self.tell_lost(boot_now(), Lost { count: 1, cause: LossCause::Malformed, cpu: None });
        }
        if reason == Reason::Repair {
            self.list_followed();
        }
        let ended = boot_now().0;
        (self.read_at, self.asked) = (began, false);
        self.next_asked = ended.saturating_add((ended - began.0).saturating_mul(ASKED_SHARE));
        // At the start there is nothing to compare with.
        self.judged_at = if reason == Reason::Start { ended } else { ended + JUDGE_NS };
        self.note(BootNs(self.judged_at), Body::SnapshotEnd(reason));
        if let Some(every) = self.check {
            self.next_check = ended.saturating_add(every.max((ended - began.0).saturating_mul(CHECK_SHARE)));
        }
        Ok(())
    }

    /// Reads the queue of every followed listener. While the machine has no file to give there is no sample: answers say when the
    /// last one was.
    fn sample(&mut self) -> Result<(), CaptureError> {
        let stacks = self.stacks.as_ref().map(Stacks::missed);
        match self.sampler.sample(&self.programs, stacks) {
            Ok(input) => self.order.push(input),
            Err(cause) if is_shortage(&cause) => {}
            Err(cause) => return Err(CaptureError::Sample(cause)),
        }
        // What waits in queues that were read for the first time: at the end nobody else takes it.
        self.selected |= self.drain();
        Ok(())
    }

    /// What the kernel has of an address now; `None` where looks have taken their share of the time.
    pub fn at_address(&mut self, address: &Address) -> Option<AtAddress> {
        self.look.at_address(address, &mut self.programs)
    }

    /// Lists the sockets that the programs follow. An entry that is removed while it is looked at sends the walk back to its
    /// begin: one that takes too long is given up, and the next repair lists them.
    fn list_followed(&mut self) {
        let since = boot_now();
        let found = self.followed.iter().take(FOLLOWED_STEPS).flatten();
        // States are numbered as TCP's, far below that.
        let state = |told| u16::try_from(told).unwrap_or(u16::MAX);
        let sockets: Vec<_> = found.map(|(sk, PodOf(tracked))| (sk, state(tracked.told))).collect();
        if sockets.len() < FOLLOWED_STEPS {
            self.note(boot_now(), Body::Followed(Followed { since, sockets }));
        }
    }

    /// Asks for a snapshot that sets right what is wrong, as after a loss.
    pub fn repair(&mut self) {
        self.repair_at.get_or_insert(0);
    }

    /// Asks for what the kernel now says of open connections. A snapshot that begins at that time or later tells it: the next
    /// one, or, where one was taken just now, that.
    pub fn reread(&mut self) -> BootNs {
        let now = boot_now();
        if now.0 < self.next_asked {
            return self.read_at;
        }
        self.asked = true;
        now
    }

    /// What became of every record. It closes after [`Self::finish`].
    #[must_use]
    pub fn account(&self) -> Account {
        let Counted { attempted, without_room, beside } = self.health.counted(&self.programs);
        let mut account = Account {
            attempted: attempted + beside.iter().map(|(_, count)| count).sum::<u64>(),
            delivered: self.delivered,
            lost: self.lost,
            causes: Vec::new(),
        };
        let numbered = [
            (LossCause::RingFull, without_room),
            (LossCause::Malformed, self.malformed),
            (LossCause::Unknown, self.unknown),
        ];
        for (cause, count) in numbered.into_iter().chain(beside).filter(|(_, count)| *count > 0) {
            match account.causes.iter_mut().find(|(known, _)| *known == cause) {
                Some((_, known)) => *known += count,
                None => account.causes.push((cause, count)),
            }
        }
        account
    }

    /// The snapshot that is due, if any.
    fn due(&self, now: u64) -> Option<Reason> {
        if now < self.judged_at {
            return None;
        }
        if self.repair_at.is_some_and(|due| due <= now) {
            return Some(Reason::Repair);
        }
        if self.selected {
            return Some(Reason::Selected);
        }
        (self.asked || self.check.is_some() && self.next_check <= now).then_some(Reason::Check)
    }

    /// Waits at most `timeout` and appends inputs in order; the first one ever is an anchor.
    pub fn poll(&mut self, timeout: Duration, out: &mut Vec<Input>) -> Result<(), CaptureError> {
        self.begin();
        self.wait(timeout.min(NAP))?;
        // Before the buffer is read: every record with an earlier time is in it, or about to be within the hold.
        let now = boot_now();
        self.selected |= self.drain();
        self.tell_stacks(now);
        if now.0 >= self.next_pending {
            self.next_pending = now.0 + PENDING_EVERY_NS;
            for input in self.pending.look(now, &self.numbering) {
                self.order.push(input);
            }
            // A loss with no record behind it shows no gap: numbers that were given before the last look must have
            // arrived by this one.
            let given = std::mem::replace(&mut self.given, self.health.attempted());
            self.tell_tails(&given, now);
        }
        if now.0 >= self.next_health {
            self.next_health = now.0 + HEALTH_EVERY_NS;
            self.note(now, Body::Anchor { epoch_minus_boot_ns: epoch_minus_boot_ns() });
            for lost in self.health.losses(&self.programs) {
                self.lose(now, lost);
            }
        }
        self.tell_gaps(now);
        if now.0 >= self.next_sample {
            self.next_sample = now.0 + sampler::EVERY_NS;
            self.sample()?;
        }
        if let Some(reason) = self.due(now.0) {
            match self.snapshot(reason) {
                Err(CaptureError::Snapshot(cause)) if is_shortage(&cause) => {
                    self.judged_at = now.0 + SHORTAGE_NS;
                }
                taken => taken?,
            }
        }
        self.order.release(now, out);
        Ok(())
    }

    /// Detaches and appends everything that is left.
    pub fn finish(&mut self, out: &mut Vec<Input>) -> Result<(), CaptureError> {
        self.begin();
        self.programs.detach();
        // A program that runs while it is detached still finishes its record.
        let deadline = boot_now().0 + END_NS;
        loop {
            self.drain();
            let attempted = self.health.attempted();
            let all_seen = (0_u32..).zip(&attempted).all(|(cpu, count)| self.order.next_of(cpu) >= *count);
            if all_seen || boot_now().0 >= deadline {
                break;
            }
            self.wait(Duration::from_millis(1))?;
        }
        if let Some(stacks) = &mut self.stacks {
            stacks.settle();
        }
        self.tell_stacks(boot_now());
        self.sample()?;
        let now = boot_now();
        self.tell_gaps(BootNs(u64::MAX));
        let given = self.health.attempted();
        self.tell_tails(&given, now);
        for lost in self.health.losses(&self.programs) {
            self.lose(now, lost);
        }
        self.note(now, Body::Anchor { epoch_minus_boot_ns: epoch_minus_boot_ns() });
        self.order.flush(out);
        Ok(())
    }

    /// The first input is the anchor, so that everything after it has a date.
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            // Earlier than every record: the programs began to run before this.
            self.note(self.programs.since, Body::Anchor { epoch_minus_boot_ns: epoch_minus_boot_ns() });
            self.next_health = boot_now().0 + HEALTH_EVERY_NS;
        }
    }

    fn wait(&self, timeout: Duration) -> Result<(), CaptureError> {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(self.ring.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(cause) => Err(CaptureError::Wait(cause.into())),
        }
    }

    /// Takes every record that is there; says whether one of them began to follow a process.
    fn drain(&mut self) -> bool {
        let mut newly_followed = false;
        let mut malformed = Vec::new();
        while let Some(item) = self.ring.next() {
            if let Some(stacks) = &mut self.stacks
                && let Some(stack) = decode::stack(&item)
            {
                stacks.take(stack);
                self.delivered += 1;
                continue;
            }
            let read = decode::record(&item, &self.numbering, |input| {
                newly_followed |= matches!(input.body, Body::Exec(Exec { newly_followed: true, .. }));
                if let Some(stacks) = &mut self.stacks {
                    stacks.see(&input.body);
                }
                if let Some(looked) = self.look.before(&input, &mut self.programs) {
                    self.order.push(looked);
                }
                self.order.push(input);
            });
            match read {
                Ok(()) => self.delivered += 1,
                Err(_) => malformed.push(decode::origin(&item)),
            }
        }
        for origin in malformed {
            let now = boot_now();
            if let Some(origin) = origin {
                self.order.note(origin, now);
            }
            let cpu = origin.map(|origin| origin.cpu);
            self.lose(now, Lost { count: 1, cause: LossCause::Malformed, cpu });
        }
        newly_followed
    }

    /// Tells the stacks that have been read.
    fn tell_stacks(&mut self, now: BootNs) {
        while let Some(made) = self.stacks.as_mut().and_then(Stacks::read) {
            self.note(now, Body::Made(Box::new(made)));
        }
    }

    fn tell_gaps(&mut self, now: BootNs) {
        for gap in self.order.gaps(now) {
            for lost in self.health.blame(gap) {
                self.lose(gap.noticed, lost);
            }
        }
    }

    /// Tells the numbers that were given, up to `given` of each CPU, and did not arrive.
    fn tell_tails(&mut self, given: &[u64], now: BootNs) {
        for (cpu, count) in (0_u32..).zip(given) {
            if let Some(gap) = self.order.tail(cpu, *count, now) {
                for lost in self.health.blame(gap) {
                    self.lose(now, lost);
                }
            }
        }
    }

    fn lose(&mut self, ts: BootNs, lost: Lost) {
        self.lost += lost.count;
        match lost.cause {
            LossCause::Malformed => self.malformed += lost.count,
            LossCause::Unknown => self.unknown += lost.count,
            _ => {}
        }
        self.tell_lost(ts, lost);
    }

    fn tell_lost(&mut self, ts: BootNs, lost: Lost) {
        self.repair_at = Some(boot_now().0 + QUIET_NS);
        self.note(ts, Body::Lost(lost));
    }

    fn note(&mut self, ts: BootNs, body: Body) {
        self.order.push(Input { ts, origin: None, late: false, body });
    }
}

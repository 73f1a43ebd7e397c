//! Tracing under way: drains the ring buffer, watches over losses, takes snapshots.
//!
//! Queues and their policies: the ring buffer drops the newest record when it is full (counted, and its number leaves
//! a gap); the order stage releases early when it is full (see [`crate::order`]). Nobody else queues here.

use crate::{
    AttachError, CaptureError, Report, Settings,
    clock::{boot_now, epoch_minus_boot_ns},
    health::Health,
    numbering::numbering,
    order::Order,
    pending::Pending,
    programs::{self, Programs},
};
use aya::maps::{HashMap, MapData, MapError, PerCpuArray, RingBuf};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{io::Read as _, os::fd::AsFd as _, time::Duration};
use tracer_model::{
    decode,
    ids::BootNs,
    input::{Body, Exec, Input, LossCause, Lost, Reason},
    syscall::Numbering,
};

/// How often running calls are looked at.
const PENDING_EVERY_NS: u64 = 50_000_000;
/// How often losses without a gap are looked for, and the clocks are compared.
const HEALTH_EVERY_NS: u64 = 1_000_000_000;
/// A repair waits until nothing has been lost for this long.
const QUIET_NS: u64 = 50_000_000;
/// The programs do not wake the reader for every record (a wake-up costs more than the record): this is how long a
/// record waits at most, unless the buffer fills up.
const NAP: Duration = Duration::from_millis(10);
/// How long the end waits for records that are being written.
const END_NS: u64 = 200_000_000;

/// Tracing under way. Dropping it detaches everything.
pub struct Capture {
    programs: Programs,
    ring: RingBuf<MapData>,
    health: Health,
    pending: Pending,
    order: Order,
    numbering: Numbering,
    /// Numbers that had been given on each CPU at the last look.
    given: Vec<u64>,
    next_pending: u64,
    next_health: u64,
    repair_at: Option<u64>,
    begun: bool,
}

impl Capture {
    /// Loads and attaches every program.
    pub fn attach(settings: &Settings) -> Result<Self, AttachError> {
        let mut programs = programs::attach(settings)?;
        let maps =
            |cause: MapError| AttachError::Kernel { what: "open a map".to_owned(), cause: cause.to_string() };
        let ring = RingBuf::try_from(programs.take_map("EVENTS")?).map_err(maps)?;
        let counters = PerCpuArray::try_from(programs.take_map("COUNTERS")?).map_err(maps)?;
        let in_flight = HashMap::try_from(programs.take_map("IN_FLIGHT")?).map_err(maps)?;
        let asked = HashMap::try_from(programs.take_map("ASKED")?).map_err(maps)?;
        Ok(Self {
            programs,
            ring,
            health: Health::new(counters),
            pending: Pending::new(in_flight, asked),
            order: Order::default(),
            numbering: numbering(),
            given: Vec::new(),
            next_pending: 0,
            next_health: 0,
            repair_at: None,
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
        self.note(boot_now(), Body::SnapshotBegin(reason));
        let mut bytes = Vec::new();
        let mut file = self.programs.snapshot().map_err(CaptureError::Snapshot)?;
        file.read_to_end(&mut bytes).map_err(CaptureError::Snapshot)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let Ok((input, len)) = decode::row(rest) else {
                self.lose(boot_now(), Lost { count: 1, cause: LossCause::Malformed, cpu: None });
                break;
            };
            self.order.push(input);
            rest = rest.get(len..).unwrap_or_default();
        }
        self.note(boot_now(), Body::SnapshotEnd(reason));
        Ok(())
    }

    /// Waits at most `timeout` and appends inputs in order; the first one ever is an anchor.
    pub fn poll(&mut self, timeout: Duration, out: &mut Vec<Input>) -> Result<(), CaptureError> {
        self.begin();
        self.wait(timeout.min(NAP))?;
        // Before the buffer is read: every record with an earlier time is in it, or about to be within the hold.
        let now = boot_now();
        let newly_followed = self.drain();
        if newly_followed {
            self.snapshot(Reason::Selected)?;
        }
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
        if self.repair_at.is_some_and(|due| due <= now.0) {
            self.repair_at = None;
            self.snapshot(Reason::Repair)?;
        }
        self.order.release(now, out);
        Ok(())
    }

    /// Detaches and appends everything that is left.
    pub fn finish(&mut self, out: &mut Vec<Input>) -> Result<(), CaptureError> {
        self.begin();
        for lost in self.health.losses(&self.programs) {
            self.lose(boot_now(), lost);
        }
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
        let now = boot_now();
        self.tell_gaps(BootNs(u64::MAX));
        let given = self.health.attempted();
        self.tell_tails(&given, now);
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
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(cause) => Err(CaptureError::Wait(cause.into())),
        }
    }

    /// Takes every record that is there; says whether one of them began to follow a process.
    fn drain(&mut self) -> bool {
        let mut newly_followed = false;
        let mut malformed = Vec::new();
        while let Some(item) = self.ring.next() {
            let read = decode::record(&item, &self.numbering, |input| {
                newly_followed |= matches!(input.body, Body::Exec(Exec { newly_followed: true, .. }));
                self.order.push(input);
            });
            if read.is_err() {
                malformed.push(decode::origin(&item));
            }
        }
        for origin in malformed {
            let now = boot_now();
            let cpu = origin.as_ref().ok().map(|origin| origin.cpu);
            if let Ok(origin) = origin {
                self.order.note(origin, now);
            }
            self.lose(now, Lost { count: 1, cause: LossCause::Malformed, cpu });
        }
        newly_followed
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
        self.repair_at = Some(boot_now().0 + QUIET_NS);
        self.note(ts, Body::Lost(lost));
    }

    fn note(&mut self, ts: BootNs, body: Body) {
        self.order.push(Input { ts, origin: None, late: false, body });
    }
}

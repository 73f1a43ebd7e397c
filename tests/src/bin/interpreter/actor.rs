//! One thread of a program: does its steps when it is their turn, and logs each. It asks for no memory, since a child of
//! a raw `fork` may find the allocator locked.

use crate::{
    call::{self, MADE, address_of, address_of_mut, call, look, table},
    memory::{Memory, Raw, Span, Text},
};
use core::{cell::Cell, ffi::CStr, fmt::Write as _};
use tracer_tests::program::{MAX_ACTORS, Op, Pick, Plan, Planned};

/// How long a call may block before it is interrupted (EINTR), and how often from then on.
const INTERRUPT_NS: i64 = 3_000_000;

/// Exit status of the first actor; the others count on from there. No failure's is as high, and [`Memory`]'s is higher.
const FIRST_STATUS: i32 = 16;

/// What every actor of a program knows.
pub(crate) struct Shared {
    pub(crate) memory: Memory,
    pub(crate) plan: Plan,
    /// Number of the program in the run.
    pub(crate) number: usize,
    /// The interpreter, its programs and the file of the log: what it takes to go on after an exec.
    pub(crate) exe: &'static CStr,
    pub(crate) programs: &'static CStr,
    pub(crate) log: &'static CStr,
}

/// A thread that runs a part of the program.
pub(crate) struct Actor {
    pub(crate) shared: &'static Shared,
    pub(crate) me: usize,
    pub(crate) pid: i32,
    tid: i32,
    timer: i32,
    /// What it made last, the newest first.
    made: Cell<[i32; MADE]>,
}

/// A text that is written without asking for memory; what is too long is cut.
pub(crate) struct Line {
    bytes: [u8; 96],
    len: usize,
}

impl Line {
    pub(crate) fn of(arguments: core::fmt::Arguments<'_>) -> Self {
        let mut line = Self { bytes: [0; 96], len: 0 };
        let _ = line.write_fmt(arguments);
        line
    }

    pub(crate) fn get(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

impl core::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            // The last byte stays zero.
            if self.len + 1 < self.bytes.len() {
                self.bytes[self.len] = byte;
                self.len += 1;
            }
        }
        Ok(())
    }
}

/// Whether a wait status is one that an actor ends with, or the child of a vfork.
pub(crate) fn ends_well(status: i32) -> bool {
    if libc::WIFSIGNALED(status) {
        return libc::WTERMSIG(status) == libc::SIGKILL;
    }
    let actors = FIRST_STATUS..FIRST_STATUS + i32::try_from(MAX_ACTORS).unwrap_or(0);
    status == 0 || actors.contains(&libc::WEXITSTATUS(status))
}

extern "C" fn interrupted(_: i32) {}

/// Calls that block are interrupted by SIGUSR1.
pub(crate) fn handle_interrupts() {
    // SAFETY: all zeros are a `struct sigaction`; the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = interrupted as *const () as usize;
        libc::sigaction(libc::SIGUSR1, &raw const action, core::ptr::null_mut());
    }
}

/// Sets the soft limit on descriptors.
pub(crate) fn limit(fds: usize) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for reads and writes.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = fds as u64;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
}

impl Actor {
    pub(crate) fn new(shared: &'static Shared, me: usize) -> Self {
        let id = |number| i32::try_from(call(number, [0; 6])).unwrap_or(0);
        let (pid, tid) = (id(libc::SYS_getpid), id(libc::SYS_gettid));
        let mut timer = 0_i32;
        // SAFETY: all zeros are a `struct sigevent`; the call reads it and writes `timer`.
        unsafe {
            let mut event: libc::sigevent = core::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = libc::SIGUSR1;
            event.sigev_notify_thread_id = tid;
            let clock = i64::from(libc::CLOCK_MONOTONIC);
            call(libc::SYS_timer_create, [clock, address_of(&event), address_of_mut(&mut timer), 0, 0, 0]);
        }
        Self { shared, me, pid, tid, timer, made: Cell::new([0; MADE]) }
    }

    /// Begins, and runs its steps from number `first` on.
    pub(crate) fn run(&self, first: usize) -> ! {
        let Shared { memory, number, .. } = self.shared;
        self.mark(&Line::of(format_args!("/sockreel/begin/{number}/{}", self.me)));
        memory.begin(self.me);
        self.go_on(first)
    }

    /// Goes on after the exec that step `exec` was.
    pub(crate) fn resume(&self, exec: usize) -> ! {
        let Shared { memory, number, .. } = self.shared;
        self.mark(&Line::of(format_args!("/sockreel/begin/{number}/{}", self.me)));
        self.log_table(exec);
        memory.step_done();
        self.go_on(exec + 1)
    }

    /// Runs what is left, and ends the process.
    fn go_on(&self, first: usize) -> ! {
        let Shared { memory, plan, .. } = self.shared;
        for step in plan.steps.iter().skip(first).filter(|step| step.actor == self.me) {
            memory.await_done(step.after, self.me);
            self.step(step);
            memory.step_done();
            if step.op == Op::Exit {
                self.end()
            }
        }
        memory.await_done(plan.steps.len(), self.me);
        if plan.left.contains(&self.me) {
            self.log_table(plan.steps.len());
            memory.finish(plan.left.len(), self.me);
        }
        self.end()
    }

    /// Ends the process with all its threads, by a signal or with a status that says who did it.
    fn end(&self) -> ! {
        if self.me % 2 == 1 {
            call(libc::SYS_kill, [self.pid.into(), libc::SIGKILL.into(), 0, 0, 0, 0]);
        }
        // SAFETY: it ends the process.
        unsafe { libc::_exit(FIRST_STATUS + i32::try_from(self.me).unwrap_or(0)) }
    }

    pub(crate) fn blank(&self, alone: bool) -> Raw {
        Raw {
            pid: self.pid,
            tid: self.tid,
            actor: u32::try_from(self.me).unwrap_or(0),
            number: -1,
            args: [0; 4],
            ret: 0,
            alone,
            asked: Text::NONE,
            local: Text::NONE,
            peer: Text::NONE,
            numbers_len: 0,
            numbers: [0; 32],
            made: Span::NONE,
            table: Span::NONE,
        }
    }

    /// A failed open whose path says where in the program it stands.
    fn mark(&self, path: &Line) {
        let (place, text) = call::path(path.get());
        self.make(true, libc::SYS_openat, [libc::AT_FDCWD.into(), place, 0, 0, 0, 0]).asked = text;
    }

    /// Logs the whole table, and marks when it was read.
    pub(crate) fn log_table(&self, at: usize) {
        let number = self.shared.number;
        let entry = self.shared.memory.entry(&self.blank(true));
        entry.table = self.shared.memory.keep(table());
        let path = Line::of(format_args!("/sockreel/table/{number}/{at}/{}", self.me));
        entry.asked = call::path(path.get()).1;
        self.mark(&path);
    }

    /// Makes a call and logs it.
    pub(crate) fn make(&self, alone: bool, number: i64, args: [i64; 6]) -> &'static mut Raw {
        let entry = self.shared.memory.entry(&self.blank(alone));
        let [a, b, c, d, ..] = args;
        (entry.number, entry.args) = (i32::try_from(number).unwrap_or(-1), [a, b, c, d]);
        entry.ret = call(number, args);
        entry
    }

    /// The same for a call that may block.
    pub(crate) fn make_interrupted(&self, alone: bool, number: i64, args: [i64; 6]) -> &'static mut Raw {
        self.interrupt_after(INTERRUPT_NS);
        let entry = self.make(alone, number, args);
        self.interrupt_after(0);
        entry
    }

    fn interrupt_after(&self, nanoseconds: i64) {
        let moment = libc::timespec { tv_sec: 0, tv_nsec: nanoseconds };
        let times = libc::itimerspec { it_interval: moment, it_value: moment };
        call(libc::SYS_timer_settime, [self.timer.into(), 0, address_of(&times), 0, 0, 0]);
    }

    /// Looks at what a call made, where nothing else could have changed it since.
    pub(crate) fn look_at(&self, entry: &mut Raw, fds: &[i32]) {
        if entry.alone && entry.ret >= 0 {
            entry.made = self.shared.memory.keep(fds.iter().copied().filter_map(look));
        }
    }

    /// The same for the call's result.
    pub(crate) fn look_at_result(&self, entry: &mut Raw) {
        if let Ok(fd) = i32::try_from(entry.ret) {
            self.look_at(entry, &[fd]);
            self.remember(fd);
        }
    }

    pub(crate) fn remember(&self, fd: i32) {
        let [first, second, _] = self.made.get();
        if fd >= 0 {
            self.made.set([fd, first, second]);
        }
    }

    pub(crate) fn pick(&self, pick: Pick) -> i32 {
        call::pick(pick, self.made.get())
    }

    /// A call whose result is a descriptor.
    pub(crate) fn fill(&self, step: &Planned, number: i64, args: [i64; 6]) -> &'static mut Raw {
        let entry = self.make(step.alone, number, args);
        self.look_at_result(entry);
        entry
    }
}

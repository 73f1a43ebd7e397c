//! What each step of a program does: one call, or a few, and what of it is logged.

use crate::{
    actor::{Actor, Line, Shared, limit},
    call::{self, Named, address_of, address_of_mut, call, sockaddr, table},
    memory::{Raw, Span},
};
use core::arch::asm;
use std::thread;
use tracer_tests::program::{
    Address, Family, Flags, Forker, MAX_FDS, Maker, Op, Opener, Path, Planned, Type,
};

impl Actor {
    pub(crate) fn step(&self, step: &Planned) {
        match &step.op {
            Op::Socket { family, ty, flags } => {
                let family = match family {
                    Family::Inet => libc::AF_INET,
                    Family::Inet6 => libc::AF_INET6,
                    Family::Unix => libc::AF_UNIX,
                };
                self.fill(step, libc::SYS_socket, [family.into(), kind(*ty, *flags), 0, 0, 0, 0]);
            }
            Op::Socketpair { ty, flags } => {
                let (family, kind) = (libc::AF_UNIX.into(), kind(*ty, *flags));
                self.pair(step, libc::SYS_socketpair, |to| [family, kind, 0, to, 0, 0]);
            }
            Op::Pipe { flags: None } => self.pair(step, libc::SYS_pipe, |to| [to, 0, 0, 0, 0, 0]),
            Op::Pipe { flags: Some(flags) } => {
                let flags = open_flags(*flags);
                self.pair(step, libc::SYS_pipe2, |to| [to, flags, 0, 0, 0, 0]);
            }
            Op::Bind { fd, to } => self.with_address(step, libc::SYS_bind, self.pick(*fd), *to),
            Op::Connect { fd, to } => self.with_address(step, libc::SYS_connect, self.pick(*fd), *to),
            Op::Listen { fd, backlog } => {
                let fd = self.pick(*fd);
                let entry =
                    self.make(step.alone, libc::SYS_listen, [fd.into(), (*backlog).into(), 0, 0, 0, 0]);
                Self::name(entry, fd);
            }
            Op::Accept { fd, flags } => {
                let fd = self.pick(*fd).into();
                let mut peer = Named::new();
                let (bytes, len) = peer.room();
                let entry = match flags {
                    None => self.make_interrupted(step.alone, libc::SYS_accept, [fd, bytes, len, 0, 0, 0]),
                    Some(flags) => {
                        let flags = kind_flags(*flags);
                        self.make_interrupted(step.alone, libc::SYS_accept4, [fd, bytes, len, flags, 0, 0])
                    }
                };
                self.look_at_result(entry);
                if let Ok(fd) = i32::try_from(entry.ret) {
                    Self::name(entry, fd);
                    // A connection that was reset while it was queued has no peer any more; accept(2) gave it.
                    entry.peer = peer.text();
                }
            }
            Op::Shutdown { fd, how } => {
                let args = [self.pick(*fd).into(), (*how).into(), 0, 0, 0, 0];
                self.make(step.alone, libc::SYS_shutdown, args);
            }
            Op::Dup { fd } => {
                self.fill(step, libc::SYS_dup, [self.pick(*fd).into(), 0, 0, 0, 0, 0]);
            }
            Op::Dup2 { fd, to } => {
                self.fill(step, libc::SYS_dup2, [self.pick(*fd).into(), (*to).into(), 0, 0, 0, 0]);
            }
            Op::Dup3 { fd, to, cloexec } => {
                let flags = open_flags(Flags { cloexec: *cloexec, nonblock: false });
                self.fill(step, libc::SYS_dup3, [self.pick(*fd).into(), (*to).into(), flags, 0, 0, 0]);
            }
            Op::DupFrom { fd, min, cloexec } => {
                let command = if *cloexec { libc::F_DUPFD_CLOEXEC } else { libc::F_DUPFD };
                let args = [self.pick(*fd).into(), command.into(), (*min).into(), 0, 0, 0];
                self.fill(step, libc::SYS_fcntl, args);
            }
            Op::SetFd { fd, cloexec } => {
                let fd = self.pick(*fd);
                let args = [fd.into(), libc::F_SETFD.into(), (*cloexec).into(), 0, 0, 0];
                let entry = self.make(step.alone, libc::SYS_fcntl, args);
                self.look_at(entry, &[fd]);
            }
            Op::Ioctl { fd, cloexec } => {
                // `FIOCLEX`, `FIONCLEX` (ioctl_tty(2)).
                let fd = self.pick(*fd);
                let request = if *cloexec { 0x5451 } else { 0x5450 };
                let entry = self.make(step.alone, libc::SYS_ioctl, [fd.into(), request, 0, 0, 0, 0]);
                self.look_at(entry, &[fd]);
            }
            Op::Close { fd } => {
                self.make(step.alone, libc::SYS_close, [self.pick(*fd).into(), 0, 0, 0, 0, 0]);
            }
            Op::CloseRange { first, last, unshare, cloexec } => {
                // `CLOSE_RANGE_UNSHARE`, `CLOSE_RANGE_CLOEXEC` (close_range(2)).
                let flags = i64::from(*unshare) * 2 + i64::from(*cloexec) * 4;
                let args = [(*first).into(), (*last).into(), flags, 0, 0, 0];
                let before = self.table_if(step.alone);
                self.make(step.alone, libc::SYS_close_range, args).table = before;
            }
            Op::Make { maker, cloexec } => self.make_one(step, *maker, *cloexec),
            Op::Open { opener, path, cloexec } => self.open(step, *opener, *path, *cloexec),
            Op::Send { fd, passed } => self.send(step, self.pick(*fd), passed),
            Op::Receive { fd, room, cloexec } => self.receive(step, self.pick(*fd), (*room).into(), *cloexec),
            Op::SendMany { fd, passed } => self.send_many(step, self.pick(*fd), passed),
            Op::ReceiveMany { fd, room, cloexec } => {
                self.receive_many(step, self.pick(*fd), (*room).into(), *cloexec);
            }
            Op::GetFd { pidfd, fd } => {
                let args = [self.pick(*pidfd).into(), self.pick(*fd).into(), 0, 0, 0, 0];
                self.fill(step, libc::SYS_pidfd_getfd, args);
            }
            Op::Limit { above } => {
                let highest = table().last().map_or(0, |slot| usize::try_from(slot.fd).unwrap_or(0));
                limit(if *above == 0 { MAX_FDS } else { MAX_FDS.min(highest + usize::from(*above)) });
            }
            Op::Fork { how } => self.fork(step, *how),
            Op::Vfork => self.vfork(),
            Op::Thread => self.thread(step),
            Op::Exit => {
                let entry = self.shared.memory.entry(&self.blank(true));
                entry.number = i32::try_from(libc::SYS_exit_group).unwrap_or(-1);
                entry.table = self.table_if(true);
            }
            Op::Exec { missing } => self.exec(step, *missing),
            Op::Unshare => {
                self.make(step.alone, libc::SYS_unshare, [libc::CLONE_FILES.into(), 0, 0, 0, 0, 0]);
            }
            Op::Table => self.log_table(self.place_of(step)),
        }
    }

    fn place_of(&self, step: &Planned) -> usize {
        self.shared.plan.steps.iter().position(|other| core::ptr::eq(other, step)).unwrap_or(0)
    }

    /// The table before a call that is about all of it.
    fn table_if(&self, alone: bool) -> Span {
        if alone { self.shared.memory.keep(table()) } else { Span::NONE }
    }

    /// A call that writes two numbers to the place it is given.
    fn pair(&self, step: &Planned, number: i64, args: impl Fn(i64) -> [i64; 6]) {
        let mut pair = [-1; 2];
        let entry = self.make(step.alone, number, args(address_of_mut(&mut pair)));
        if entry.ret == 0 {
            // SAFETY: `pair` is valid for reads; the kernel wrote it behind the compiler's back.
            let made = unsafe { core::ptr::read_volatile(&raw const pair) };
            entry.numbers[..2].copy_from_slice(&made);
            entry.numbers_len = 2;
            self.look_at(entry, &made);
            self.remember(made[1]);
            self.remember(made[0]);
        }
    }

    fn with_address(&self, step: &Planned, number: i64, fd: i32, to: Address) {
        let address = sockaddr(to, fd);
        let args = [fd.into(), address_of(&address.bytes), address.len.into(), 0, 0, 0];
        let entry = self.make_interrupted(step.alone, number, args);
        entry.asked = address;
        Self::name(entry, fd);
    }

    /// What a socket is called after the call.
    fn name(entry: &mut Raw, fd: i32) {
        if entry.alone && entry.ret >= 0 {
            entry.local = call::name(libc::SYS_getsockname, fd);
            entry.peer = call::name(libc::SYS_getpeername, fd);
        }
    }

    fn make_one(&self, step: &Planned, maker: Maker, cloexec: bool) {
        // The flags of all of these are `O_CLOEXEC`, but for memfd_create(2).
        let flags = open_flags(Flags { cloexec, nonblock: false });
        let mask = [0_u64];
        let (number, args) = match maker {
            Maker::Eventfd => (libc::SYS_eventfd, [0; 4]),
            Maker::Eventfd2 => (libc::SYS_eventfd2, [0, flags, 0, 0]),
            Maker::EpollCreate => (libc::SYS_epoll_create, [1, 0, 0, 0]),
            Maker::EpollCreate1 => (libc::SYS_epoll_create1, [flags, 0, 0, 0]),
            Maker::TimerfdCreate => (libc::SYS_timerfd_create, [1, flags, 0, 0]),
            Maker::Signalfd4 => (libc::SYS_signalfd4, [-1, address_of(&mask), 8, flags]),
            Maker::InotifyInit => (libc::SYS_inotify_init, [0; 4]),
            Maker::InotifyInit1 => (libc::SYS_inotify_init1, [flags, 0, 0, 0]),
            Maker::MemfdCreate => {
                (libc::SYS_memfd_create, [address_of(c"program".to_bytes_with_nul()), cloexec.into(), 0, 0])
            }
            Maker::PidfdOpen => (libc::SYS_pidfd_open, [self.pid.into(), 0, 0, 0]),
        };
        let [a, b, c, d] = args;
        self.fill(step, number, [a, b, c, d, 0, 0]);
    }

    fn open(&self, step: &Planned, opener: Opener, path: Path, cloexec: bool) {
        let path = match path {
            Path::Null => c"/dev/null",
            Path::Root => c"/",
            Path::Program => self.shared.programs,
            Path::Missing => c"/sockreel/missing",
        };
        let (place, text) = call::path(path);
        let flags = open_flags(Flags { cloexec, nonblock: false });
        let here = libc::AT_FDCWD.into();
        // `struct open_how` (openat2(2)).
        let how = [flags, 0, 0];
        let entry = match opener {
            Opener::Open => self.fill(step, libc::SYS_open, [place, flags, 0, 0, 0, 0]),
            Opener::Openat => self.fill(step, libc::SYS_openat, [here, place, flags, 0, 0, 0]),
            Opener::Openat2 => self.fill(step, libc::SYS_openat2, [here, place, address_of(&how), 24, 0, 0]),
        };
        entry.asked = text;
    }

    fn fork(&self, step: &Planned, how: Forker) {
        let before = self.table_if(step.alone);
        let signal = i64::from(libc::SIGCHLD);
        // `struct clone_args` (clone(2)), its first version: only the signal is set.
        let clone_args = [0, 0, 0, 0, signal, 0, 0, 0];
        let (number, args) = match how {
            Forker::Fork => (libc::SYS_fork, [0; 6]),
            Forker::Clone => (libc::SYS_clone, [signal, 0, 0, 0, 0, 0]),
            Forker::CloneFiles => (libc::SYS_clone, [signal | i64::from(libc::CLONE_FILES), 0, 0, 0, 0, 0]),
            Forker::Clone3 => (libc::SYS_clone3, [address_of(&clone_args), 64, 0, 0, 0, 0]),
        };
        let entry = self.shared.memory.entry(&self.blank(step.alone));
        entry.number = i32::try_from(number).unwrap_or(-1);
        (entry.args, entry.table) = ([args[0], 0, 0, 0], before);
        let ret = call(number, args);
        let Some(made) = step.makes else { return };
        if ret == 0 {
            Self::new(self.shared, made).run(self.place_of(step) + 1);
        }
        entry.ret = ret;
        self.shared.memory.await_begin(made, self.me);
    }

    /// The child shares our memory and our stack: it does nothing but exit.
    fn vfork(&self) {
        let entry = self.shared.memory.entry(&self.blank(true));
        entry.number = i32::try_from(libc::SYS_vfork).unwrap_or(-1);
        entry.table = self.table_if(true);
        let ret: i64;
        // SAFETY: the child makes one call, by registers alone, and does not return from it; the parent goes on after
        // that.
        unsafe {
            asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "mov eax, 60",
                "xor edi, edi",
                "syscall",
                "2:",
                inlateout("rax") libc::SYS_vfork => ret,
                lateout("rcx") _,
                lateout("r11") _,
                lateout("rdi") _,
            );
        }
        entry.ret = ret;
    }

    fn thread(&self, step: &Planned) {
        let Some(made) = step.makes else { return };
        let (shared, first) = (self.shared, self.place_of(step) + 1);
        let spawned = thread::Builder::new().spawn(move || Self::new(shared, made).run(first));
        if spawned.is_ok() {
            self.shared.memory.await_begin(made, self.me);
        }
    }

    fn exec(&self, step: &Planned, missing: bool) {
        let Shared { exe, programs, log, number, memory, .. } = self.shared;
        let entry = memory.entry(&self.blank(true));
        entry.number = i32::try_from(libc::SYS_execve).unwrap_or(-1);
        // It is there in the log if the call does not return.
        entry.table = memory.keep(table());
        let path = if missing { c"/sockreel/missing" } else { *exe };
        entry.asked = call::path(path).1;
        let numbers = Line::of(format_args!("{number}:{}:{}", self.me, self.place_of(step)));
        let arguments = [
            exe.as_ptr(),
            c"resume".as_ptr(),
            programs.as_ptr(),
            log.as_ptr(),
            numbers.get().as_ptr(),
            core::ptr::null(),
        ];
        if !missing {
            // The new program opens what it needs.
            limit(4 * MAX_FDS);
        }
        let environment = [core::ptr::null::<libc::c_char>()];
        entry.ret = call(
            libc::SYS_execve,
            [address_of(path.to_bytes_with_nul()), address_of(&arguments), address_of(&environment), 0, 0, 0],
        );
        limit(MAX_FDS);
    }
}

fn open_flags(flags: Flags) -> i64 {
    let of = |flag, value: i32| if flag { i64::from(value) } else { 0 };
    of(flags.cloexec, libc::O_CLOEXEC) | of(flags.nonblock, libc::O_NONBLOCK)
}

/// `SOCK_CLOEXEC` and `SOCK_NONBLOCK` are the flags of open(2) (socket(2)).
fn kind_flags(flags: Flags) -> i64 {
    open_flags(flags)
}

fn kind(ty: Type, flags: Flags) -> i64 {
    let ty = match ty {
        Type::Stream => libc::SOCK_STREAM,
        Type::Dgram => libc::SOCK_DGRAM,
        Type::Seqpacket => libc::SOCK_SEQPACKET,
    };
    i64::from(ty) | kind_flags(flags)
}

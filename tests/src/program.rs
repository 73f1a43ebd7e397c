//! Programs of descriptor calls, made at random by a test and run by `interpreter`.
//!
//! A step names no number that only a run can know: what it works on is picked among what is open then. So any list of
//! steps is a program, also after steps were taken out of it.

use serde::{Deserialize, Serialize};

/// Actors (threads of any process) of one program.
pub const MAX_ACTORS: usize = 12;

/// Every descriptor of a program lies below: its soft limit (`RLIMIT_NOFILE`, getrlimit(2)).
pub const MAX_FDS: usize = 256;

/// What is to be done, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The steps.
    pub steps: Vec<Step>,
}

/// One step of one actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which of the living actors, modulo their number.
    pub actor: u8,
    /// It runs at the same time as the step before, where both can.
    pub together: bool,
    /// What to do.
    pub op: Op,
}

/// An open descriptor, picked when the step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pick {
    /// Among which.
    pub want: Want,
    /// Which of them, modulo their number.
    pub nth: u8,
}

/// What a pick is among; where there is none, among all open descriptors.
#[expect(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Want {
    Any,
    Socket,
    Listener,
    /// What the actor made last.
    Made,
    /// A number that is not open.
    Bad,
}

/// Flags of a new descriptor.
#[expect(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    pub cloexec: bool,
    pub nonblock: bool,
}

/// `AF_*`.
#[expect(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    Inet,
    Inet6,
    Unix,
}

/// `SOCK_*`.
#[expect(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Type {
    Stream,
    Dgram,
    Seqpacket,
}

/// An address for `bind` and `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// 127.0.0.1; port 0, or one of a few.
    Inet(u8),
    /// ::1 likewise.
    Inet6(u8),
    /// ::ffff:127.0.0.1 likewise.
    Mapped(u8),
    /// The unspecified address of IPv6 likewise.
    Any6(u8),
    /// One of a few abstract names.
    Abstract(u8),
    /// One of a few paths.
    Path(u8),
    /// No name: `bind` makes one (unix(7), "Autobind feature").
    Autobind,
    /// `AF_UNSPEC`: `connect` dissolves the association.
    Unspecified,
    /// That of an open listening socket.
    Listening(u8),
}

/// Calls that make one descriptor out of nothing.
#[expect(missing_docs, reason = "each is the call of that name")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Maker {
    Eventfd,
    Eventfd2,
    EpollCreate,
    EpollCreate1,
    TimerfdCreate,
    Signalfd4,
    InotifyInit,
    InotifyInit1,
    MemfdCreate,
    PidfdOpen,
}

/// Calls that open a path.
#[expect(missing_docs, reason = "each is the call of that name")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opener {
    Open,
    Openat,
    Openat2,
}

/// What is opened.
#[expect(missing_docs, reason = "the names say it")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Path {
    Null,
    Root,
    Program,
    Missing,
}

/// How a process comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forker {
    /// `fork`.
    Fork,
    /// `clone` without flags.
    Clone,
    /// `clone` with `CLONE_FILES`: both have one table.
    CloneFiles,
    /// `clone3` without flags.
    Clone3,
}

/// What a step does.
#[expect(missing_docs, reason = "each is the call of that name with its arguments")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    Socket {
        family: Family,
        ty: Type,
        flags: Flags,
    },
    Socketpair {
        ty: Type,
        flags: Flags,
    },
    Bind {
        fd: Pick,
        to: Address,
    },
    Listen {
        fd: Pick,
        backlog: i8,
    },
    /// `accept`, or `accept4` with flags.
    Accept {
        fd: Pick,
        flags: Option<Flags>,
    },
    Connect {
        fd: Pick,
        to: Address,
    },
    Shutdown {
        fd: Pick,
        how: u8,
    },
    Dup {
        fd: Pick,
    },
    Dup2 {
        fd: Pick,
        to: i16,
    },
    Dup3 {
        fd: Pick,
        to: i16,
        cloexec: bool,
    },
    /// `fcntl` with `F_DUPFD` or `F_DUPFD_CLOEXEC`.
    DupFrom {
        fd: Pick,
        min: i16,
        cloexec: bool,
    },
    /// `fcntl` with `F_SETFD`.
    SetFd {
        fd: Pick,
        cloexec: bool,
    },
    /// `ioctl` with `FIOCLEX` or `FIONCLEX`.
    Ioctl {
        fd: Pick,
        cloexec: bool,
    },
    Close {
        fd: Pick,
    },
    CloseRange {
        first: u16,
        last: u16,
        unshare: bool,
        cloexec: bool,
    },
    Make {
        maker: Maker,
        cloexec: bool,
    },
    Open {
        opener: Opener,
        path: Path,
        cloexec: bool,
    },
    /// `pipe`, or `pipe2` with flags.
    Pipe {
        flags: Option<Flags>,
    },
    /// `sendmsg` with `SCM_RIGHTS`.
    Send {
        fd: Pick,
        passed: Vec<Pick>,
    },
    /// `recvmsg` with room for so many descriptors.
    Receive {
        fd: Pick,
        room: u8,
        cloexec: bool,
    },
    /// `sendmmsg` of two messages, with a half of the descriptors each; the first has the larger one.
    SendMany {
        fd: Pick,
        passed: Vec<Pick>,
    },
    /// `recvmmsg` of two messages, with room for so many descriptors each.
    ReceiveMany {
        fd: Pick,
        room: u8,
        cloexec: bool,
    },
    /// `pidfd_getfd`: a copy of what the process of `pidfd` has as `fd`.
    GetFd {
        pidfd: Pick,
        fd: Pick,
    },
    /// `RLIMIT_NOFILE` so little above the highest open number; 0: back to [`MAX_FDS`].
    Limit {
        above: u8,
    },
    Fork {
        how: Forker,
    },
    /// `vfork`; the child exits at once.
    Vfork,
    Thread,
    /// `exit_group`, or SIGKILL that it sends itself.
    Exit,
    /// `execve` of the interpreter, which goes on with the program; or of a file that is not there.
    Exec {
        missing: bool,
    },
    /// `unshare` with `CLONE_FILES`.
    Unshare,
    /// No call: the table is logged.
    Table,
}

impl Op {
    /// Whether it can run at the same time as others: it changes who takes part in nothing.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !matches!(
            self,
            Self::Limit { .. }
                | Self::Fork { .. }
                | Self::Vfork
                | Self::Thread
                | Self::Exit
                | Self::Exec { .. }
                | Self::Table
        )
    }
}

/// A program with its actors settled.
#[derive(Debug, Default)]
pub struct Plan {
    /// The steps that can be done.
    pub steps: Vec<Planned>,
    /// Actors that live to the end.
    pub left: Vec<usize>,
}

/// A step whose actor is settled.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Who does it.
    pub actor: usize,
    /// All steps before this one are done when it begins.
    pub after: usize,
    /// No other step runs at the same time.
    pub alone: bool,
    /// The actor that it makes.
    pub makes: Option<usize>,
    /// What to do.
    pub op: Op,
}

impl Program {
    /// Settles who does what: who has ended does nothing more, and the last process does not end before the program.
    #[must_use]
    pub fn plan(&self) -> Plan {
        // The process that each living actor belongs to.
        let mut living = vec![(0_usize, 0_usize)];
        let (mut actors, mut processes) = (1, 1);
        let mut steps: Vec<Planned> = Vec::new();
        for Step { actor, together, op } in &self.steps {
            let Some((actor, process)) = living.get(usize::from(*actor) % living.len()).copied() else {
                break;
            };
            let mut makes = None;
            match op {
                Op::Fork { .. } | Op::Thread => {
                    if actors == MAX_ACTORS {
                        continue;
                    }
                    makes = Some(actors);
                    if *op == Op::Thread {
                        living.push((actors, process));
                    } else {
                        living.push((actors, processes));
                        processes += 1;
                    }
                    actors += 1;
                }
                Op::Exit => {
                    if living.iter().all(|(_, of)| *of == process) {
                        continue;
                    }
                    living.retain(|(_, of)| *of != process);
                }
                Op::Exec { missing: false } => {
                    living.retain(|(other, of)| *of != process || *other == actor);
                }
                _ => {}
            }
            let at = steps.len();
            let before = steps.last().filter(|before| *together && before.op.is_plain() && op.is_plain());
            let after = before.map_or(at, |before| before.after);
            let alone = after == at;
            if !alone && let Some(before) = steps.last_mut() {
                before.alone = false;
            }
            steps.push(Planned { actor, after, alone, makes, op: op.clone() });
        }
        Plan { steps, left: living.into_iter().map(|(actor, _)| actor).collect() }
    }
}

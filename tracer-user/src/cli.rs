//! What can be typed. Nothing here does anything: it is checked for meaning that needs no look at the machine.

use crate::{ask::Asking, select::Select};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};
use tracer_answers::who;
use tracer_wire::{answers::who::target, filter::Filter, instant::Instant};

/// Sees what sockets and descriptors of real servers do, as it happens.
#[derive(Debug, Parser)]
#[command(
    name = "sockreel",
    version,
    arg_required_else_help = true,
    propagate_version = true,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 bad usage, 3 not enough privilege or kernel support, \
    else CMD's own (128+n for a signal)."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Print every event as it happens: text for people, --json for programs
    Trace(Trace),
    /// Serve the page and the API over what happens; prints the URL
    Serve(Serve),
    /// Serve the page and the API over a recording, without privileges
    Open(Open),
    /// Print a recording as trace printed it, without privileges
    Dump(Dump),
    /// List open descriptors, as lsof does; or what changed between two moments
    Fds(Fds),
    /// List sockets and who holds them, as ss does
    Sockets(Sockets),
    /// Tell who holds a port or a unix socket, since when, and how each holder came by it
    Who(Who),
    /// Tell which sockets had several owners: inherited, handed over at a reload, activated; and who holds one by accident
    Handovers(Handovers),
    /// Tell what a server leaves behind: descriptors that only grow, connections whose peer hung up or that were never read,
    /// sockets that survived an exec, and the time until the limit on descriptors is reached
    #[command(long_about = LEAKS)]
    Leaks(Leaks),
    /// Tell what waits in accept queues and since when, how long connections waited, what was dropped, and what is wrong
    Queues(Listeners),
    /// Tell where the time between queued and accepted went (of a daemon or a recording with --sched)
    Slow(Listeners),
    /// Tell who accepts: by worker and by listener that shares a port, wake-ups for nothing, and what is wrong
    Balance(Listeners),
    /// Tell both ends of connections on this machine: bytes, round trip time, retransmissions, who closed first
    Connections(Connections),
    /// Tell what this machine allows, what is missing, what that costs, and the command that mends it
    Doctor(Doctor),
}

/// How events are printed.
#[derive(Args, Debug)]
pub(crate) struct Printing {
    /// Print JSON Lines: one object an event
    #[arg(long)]
    pub(crate) json: bool,
    /// Print only events that fit, such as 'event:accept,close -comm:curl peer:127.*'; keys are the names of the
    /// JSON fields
    #[arg(long, value_name = "EXPR", value_parser = Filter::parse, allow_hyphen_values = true)]
    pub(crate) filter: Option<Filter>,
    /// When to colour the text
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
    /// Print to FILE instead of standard output; a file that is there is replaced
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// When to do something that only fits a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal
    Auto,
    /// In any case
    Always,
    /// Not at all
    Never,
}

/// A port or a unix socket, and how it was written.
fn address(text: &str) -> Result<(String, who::Target), String> {
    target(text).map(|target| (text.to_owned(), target)).map_err(|error| error.to_string())
}

/// How often something is done; `None`: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval(pub(crate) Option<Duration>);

fn interval(text: &str) -> Result<Interval, String> {
    if text == "off" {
        return Ok(Interval(None));
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration < SHORTEST => Err(format!("the shortest is {} ms", SHORTEST.as_millis())),
        Ok(duration) => Ok(Interval(Some(duration))),
        Err(cause) => Err(format!("{cause}; or off")),
    }
}

/// The shortest time between two checks: a check is judged 300 ms after it was read, and then the next is read.
const SHORTEST: Duration = Duration::from_millis(300);

/// A size in bytes, or with K, M or G in units of 1024 bytes and so on: what the kernel takes for a ring buffer.
fn size(text: &str) -> Result<u32, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let bytes = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    bytes
        .filter(|bytes| bytes.is_power_of_two() && (4096..=1 << 30).contains(bytes))
        .ok_or_else(|| "it takes a power of two from 4K to 1G".to_owned())
}

/// What `--peek` looks at, and what it cannot see.
const PEEK: &str = "\
    Tell what is spoken on connections that are made from now on: http/1, http/2, websocket (from the answer 101 on), tls with \
    the server's name, redis, postgresql, or unknown.

    At most 64 bytes of a read or write are looked at until that is known, in what the side that connected says first; of \
    HTTP/1 then at most 64 bytes of what is said first after each request, until an answer is 101. The kernel programs look and \
    keep a state, never a byte: no payload is kept, in no map, event or recording. Only the protocol and the server's name of \
    TLS are, which is left out or cut where it is not within those bytes.

    The bytes are in the process's memory, not in the kernel: what is told is what they say. Connections whose first bytes go \
    through io_uring, splice or sendfile, were exchanged before tracing began, or are of another protocol are unknown. Costs about \
    760 ns at a read or write of a followed process's connection once its protocol is known, 1,300 ns where that is HTTP/1, and \
    nothing where it is not asked for.";

/// What `connections` cannot know, and why.
const NOT_KNOWN: &str = "\
    - stands for what is not known. BY: the end is on another machine, or is not followed. Bytes, round trips and retransmissions are \
    the kernel's: of an open connection as it counts now, so that a moment of the past and a recording have those that were read by \
    then; of one that ended as they were at its close; connections of unix sockets have none. CLOSED FIRST: it is open, or its end was \
    not seen.";

/// What `leaks` tells, and what it takes.
const LEAKS: &str = "\
    Tell what a server leaves behind: descriptors that only grow, connections in CLOSE_WAIT whose peer hung up, accepted \
    connections from which nothing was ever read, sockets that survived an exec, and the time until the limit on descriptors \
    (RLIMIT_NOFILE) is reached.

    What grows shows over time: ask a recording or a daemon (--from), and trace with --stacks to be told from where what is left was \
    made. Without --from one look is taken, which tells of CLOSE_WAIT and of execs that were seen, and of nothing that takes time. What \
    grew until the load ended is told still, with the time of the last that was made; whether it was forgotten or is kept for a \
    purpose cannot be seen.

    Whether a connection was ever read is known of TCP alone, by the kernel's own read position, whoever reads and however; it \
    takes two looks at the tables, some seconds apart (--check). Of unix sockets the kernel keeps no such position: it cannot be known.";

/// What `--stacks` reads, and what it cannot.
const STACKS: &str = "\
    Read the user stack of each call that makes a descriptor: leaks then tells from where what is left was made, as files and \
    places in them, with functions where the files have symbols.

    Stacks are followed by frame pointers; the C library's functions that make the call keep none, and are passed by the \
    tables of their file. Where a program keeps none (-fomit-frame-pointer, which most compilers do unless told otherwise) the stack \
    ends, which is said: it then has a few innermost frames, by those tables. Compile with -fno-omit-frame-pointer. Of requests of \
    an io_uring, and of descriptors that messages bring, no stack is read.

    Of the caller's memory the kernel programs read its frames and 768 bytes at the top of its stack; of these, words that can be \
    addresses are kept until the stack has been followed. Files are opened by a process of its own that keeps the \
    privileges for that and has no network. Costs about 1,200 ns at every call that makes a descriptor, and nothing where it \
    is not asked for.";

/// What is traced, and what is started for it.
#[derive(Args, Debug)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) select: Select,
    /// Record the session to FILE, for dump and open; a file that is there is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Compare every table with the kernel's each INTERVAL, such as 10s, or never with off; a check that takes long
    /// comes less often, so that checks take at most a thousandth of the time
    #[arg(long, value_name = "INTERVAL", default_value = "10s", value_parser = interval)]
    pub(crate) check: Interval,
    /// Trace the scheduler too: where the time between queued and accepted goes. Costs about 500 ns at every change of threads
    /// on a processor, 1,300 ns where the thread has accepted
    #[arg(long)]
    pub(crate) sched: bool,
    /// Tell what is spoken on connections made from now on: at most 64 bytes of a read or write are looked at until that is
    /// known, and of each answer in HTTP/1 until one switches the connection. No payload is kept. Costs about 760 ns at a read
    /// or write, 1,300 ns in HTTP/1
    #[arg(long, long_help = PEEK)]
    pub(crate) peek: bool,
    /// Read the stack of each call that makes a descriptor, by frame pointers: leaks then tells from where what is left was
    /// made. Costs about 1,200 ns at every such call
    #[arg(long, long_help = STACKS)]
    pub(crate) stacks: bool,
    /// Room for records on their way from the kernel, such as 16M; a power of two of at least a page
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = size)]
    pub(crate) buffer: u32,
    /// Start CMD and follow it and its children from its first instruction on
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) printing: Printing,
    /// End after DURATION, such as 10s, 500ms or 2m
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) duration: Option<Duration>,
}

/// Who may look at the page, and where.
#[derive(Args, Debug)]
pub(crate) struct Door {
    /// Read the token from FILE instead of making one up; scripts send it as `Authorization: Bearer`
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Loopback address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7777")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) door: Door,
}

#[derive(Args, Debug)]
pub(crate) struct Open {
    /// The recording
    #[arg(value_name = "FILE")]
    pub(crate) recording: PathBuf,
    /// Loopback address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) door: Door,
}

#[derive(Args, Debug)]
pub(crate) struct Dump {
    /// The recording
    #[arg(value_name = "FILE")]
    pub(crate) recording: PathBuf,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

#[derive(Args, Debug)]
pub(crate) struct Handovers {
    /// A port or a unix socket, as for who; those that are gone are told too
    #[arg(value_name = "PORT|PATH", value_parser = address)]
    pub(crate) of: Option<(String, who::Target)>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// What has no descriptor, and so no row in `fds`.
const WITHOUT_DESCRIPTOR: &str = "\
    Same-host communication that has a descriptor is listed with everybody who has one: pipes and FIFOs (both ends), POSIX \
    message queues, eventfds, shared memory as memfd or below /dev/shm. What has none is not: System V shared memory, \
    semaphores and message queues (`ipcs -p` lists those), memory that stays mapped after its descriptor was closed, \
    signals and futexes.";

#[derive(Args, Debug)]
#[command(after_help = WITHOUT_DESCRIPTOR)]
pub(crate) struct Fds {
    /// Only of these processes
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=0x7fff_ffff))]
    pub(crate) pids: Vec<u32>,
    /// Only what changed between this moment and --at
    #[arg(long, value_name = "T", requires = "from", allow_hyphen_values = true)]
    pub(crate) since: Option<Instant>,
    /// Only what they have from other processes, inherited or passed; what they gave up of that included
    #[arg(long)]
    pub(crate) inherited: bool,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

/// How the columns of `sockets` differ from those of ss(8).
const COLUMNS: &str = "\
    The columns are those of ss(8). States are named as the kernel names them: ESTABLISHED where ss prints ESTAB. Recv-Q and \
    Send-Q are told of listeners, for which they are length and limit of the accept queue; bytes that wait in connections are not \
    read. An address that is not set is * as a whole.";

#[derive(Args, Debug)]
#[command(after_help = COLUMNS)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches, each by itself")]
pub(crate) struct Sockets {
    /// Only those that take connections, and datagram sockets without a peer
    #[arg(short, long)]
    pub(crate) listening: bool,
    /// TCP; -t, -u and -x add up, and none of them means all
    #[arg(short, long)]
    pub(crate) tcp: bool,
    /// UDP
    #[arg(short, long)]
    pub(crate) udp: bool,
    /// AF_UNIX
    #[arg(short = 'x', long)]
    pub(crate) unix: bool,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Args, Debug)]
pub(crate) struct Who {
    /// A port (80, 127.0.0.1:80, [::1]:80) or a unix socket (/run/x.sock, @abstract)
    #[arg(value_name = "PORT|PATH", value_parser = address)]
    pub(crate) of: (String, who::Target),
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Args, Debug)]
pub(crate) struct Leaks {
    /// Only of these processes; of every one if none is named
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..=0x7fff_ffff))]
    pub(crate) pids: Vec<u32>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Args, Debug)]
pub(crate) struct Listeners {
    /// Listeners of a port (80, 127.0.0.1:80, [::1]:80) or a unix socket (/run/x.sock, @abstract); all if it is left out
    #[arg(value_name = "PORT|PATH", value_parser = address)]
    pub(crate) of: Option<(String, who::Target)>,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Args, Debug)]
#[command(after_help = NOT_KNOWN)]
pub(crate) struct Connections {
    /// Connections with a port or a unix socket at either end; all if it is left out
    #[arg(value_name = "PORT|PATH", value_parser = address)]
    pub(crate) of: Option<(String, who::Target)>,
    /// Also those that have ended and are kept, of a daemon or a recording
    #[arg(long)]
    pub(crate) ended: bool,
    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Print JSON Lines: one object a finding
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::{Cli, Verb};
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn everything_after_two_dashes_belongs_to_the_command() {
        let cli =
            Cli::try_parse_from(["sockreel", "trace", "-p", "1", "-p2", "--", "ls", "--json", "-p"]).unwrap();
        let Verb::Trace(trace) = cli.verb else { panic!("{cli:?}") };
        assert_eq!(trace.target.select.pids, [1, 2]);
        assert_eq!(trace.target.command, ["ls", "--json", "-p"]);
        assert!(!trace.printing.json);
    }

    #[test]
    fn a_filter_may_begin_with_a_minus_sign() {
        let cli = Cli::try_parse_from(["sockreel", "trace", "--filter", "-event:open", "--json"]).unwrap();
        let Verb::Trace(trace) = cli.verb else { panic!("{cli:?}") };
        assert!(trace.printing.filter.is_some());
        assert!(trace.printing.json);
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, milliseconds) in [("10s", 10_000), ("500ms", 500), ("2m", 120_000)] {
            let cli = Cli::try_parse_from(["sockreel", "trace", "--for", text]).unwrap();
            let Verb::Trace(trace) = cli.verb else { panic!("{cli:?}") };
            assert_eq!(trace.duration.map(|duration| duration.as_millis()), Some(milliseconds));
        }
    }

    #[test]
    fn checks_and_buffers_read_as_people_write_them() {
        for (check, milliseconds, buffer, bytes) in [
            ("10s", Some(10_000), "4K", 4096),
            ("off", None, "16M", 16 << 20),
            ("300ms", Some(300), "8192", 8192),
        ] {
            let cli =
                Cli::try_parse_from(["sockreel", "trace", "--check", check, "--buffer", buffer]).unwrap();
            let Verb::Trace(trace) = cli.verb else { panic!("{cli:?}") };
            assert_eq!(trace.target.check.0.map(|every| every.as_millis()), milliseconds);
            assert_eq!(trace.target.buffer, bytes);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [
            &["trace", "--port", "0"][..],
            &["trace", "--port", "65536"],
            &["trace", "-p", "0"],
            &["trace", "-p", "nginx"],
            &["trace", "--comm", ""],
            &["trace", "--comm", "sixteen-bytes-xx"],
            &["trace", "--for", "soon"],
            &["trace", "--check", "299ms"],
            &["trace", "--check", "never"],
            &["trace", "--buffer", "3M"],
            &["trace", "--buffer", "2K"],
            &["trace", "--buffer", "8G"],
            &["trace", "--buffer", "x"],
            &["trace", "--filter", "port:many"],
            &["trace", "ls"],
            &["dump"],
            &["explain"],
        ] {
            let refused = Cli::try_parse_from(["sockreel"].iter().chain(args));
            assert_eq!(refused.map(drop).map_err(|error| error.exit_code()), Err(2), "{args:?}");
        }
    }
}

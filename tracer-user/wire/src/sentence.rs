//! What an event means, as a sentence for people.

use crate::{
    errno,
    escape::Escaped,
    explained,
    line::{accept_failed, own_pid_ns, state},
    text::address,
};
use nix::sys::signal::Signal;
use std::borrow::Cow;
use tracer_model::{
    address::Address,
    event::{AppProtocol, Direction, Event, EventKind, FileKind, SetOption, Side, Split, Trust, Via},
    input::LossCause,
    names,
};

/// `EAGAIN`: nothing to take (accept(2)).
const EAGAIN: u32 = 11;
/// `EINPROGRESS`: a non-blocking connect goes on (connect(2)).
const EINPROGRESS: u32 = 115;

/// The sentence of an event; empty where the call says it all.
pub(crate) fn of(event: &Event) -> String {
    let mut sentence = if event.pending {
        pending(event)
    } else if event.ret.is_some_and(|ret| ret < 0) {
        failed(event)
    } else {
        done(event)
    };
    if event.inferred {
        sentence.push_str(" (inferred)");
    }
    if event.unconfirmed {
        sentence.push_str(" (unconfirmed)");
    }
    if event.confirmed {
        sentence.push_str(" (confirmed by a check)");
    }
    if event.doubtful {
        sentence.push_str(" (doubtful)");
    }
    if event.late {
        sentence.push_str(" (late)");
    }
    if let Some(explain) = &event.explain {
        let why = explained::text(event, explain);
        sentence = if sentence.is_empty() { why } else { format!("{sentence}: {why}") };
    }
    sentence
}

fn pending(event: &Event) -> String {
    match event.dur_ns {
        Some(dur_ns) => format!("still running after {}", duration(dur_ns)),
        None => "still running".to_owned(),
    }
}

fn failed(event: &Event) -> String {
    match (event.kind, event.error) {
        (EventKind::Accept, Some(EAGAIN)) => format!("nothing to accept on {}", subject(event)),
        (EventKind::Connect, Some(EINPROGRESS)) => {
            let to =
                event.asked.as_ref().or(event.peer.as_ref()).map(|peer| format!(" to {}", address(peer)));
            let from = set(event.local.as_ref()).map(|local| format!(" from {local}"));
            format!("{} is connecting{}{}", slot(event), to.unwrap_or_default(), from.unwrap_or_default())
        }
        (EventKind::Bind | EventKind::Connect, _) => event
            .asked
            .as_ref()
            .map(|asked| format!("{} asked for {}", slot(event), address(asked)))
            .unwrap_or_default(),
        _ => event.local.as_ref().map(|_| subject(event)).unwrap_or_default(),
    }
}

fn done(event: &Event) -> String {
    match event.kind {
        EventKind::Socket => format!("{} ← {}", made(event), socket_words(event)),
        EventKind::Socketpair => format!("{} ← pair: {}", made(event), socket_words(event)),
        EventKind::Bind => bound(event),
        EventKind::Listen => listening(event),
        EventKind::Accept => accepted(event),
        EventKind::Connect => connected(event),
        EventKind::Shutdown => {
            let way = match event.how {
                Some(0) => " for reading",
                Some(1) => " for writing",
                _ => "",
            };
            join(
                &format!("{}{} shut down{way}", slot(event), in_brackets(connection(event))),
                closed_first(event),
            )
        }
        EventKind::Close => closed(event),
        EventKind::Dup => format!("{} ← copy of {}", made(event), subject(event)),
        EventKind::Pass if event.new_direct.is_some() => {
            let to = event.new_ring.map_or_else(|| "the same ring".to_owned(), |ring| format!("ring {ring}"));
            format!("{} ← copied from {} to {to}: {}", made(event), slot(event), contents(event))
        }
        EventKind::Pass if event.direction == Some(Direction::Out) => sent(event),
        EventKind::Pass if event.fds.len() > 1 => format!("{} ← received", made(event)),
        EventKind::Pass => format!("{} ← received: {}", made(event), contents(event)),
        EventKind::Fork => forked(event),
        EventKind::Exec => executed(event),
        EventKind::Exit => exited(event),
        EventKind::State => changed(event),
        EventKind::Queued => queued(event),
        EventKind::Overflow => overflowed(event),
        EventKind::Retransmit => retransmitted(event),
        EventKind::Spoken => spoken(event),
        EventKind::Standing => stands(event),
        EventKind::Setfd => {
            let switch = match event.cloexec {
                Some(true) => "closes on exec",
                Some(false) => "stays open on exec",
                None => "flags set",
            };
            format!("{} {switch}", slot(event))
        }
        EventKind::Lseek => format!("{} cannot seek", subject(event)),
        EventKind::Setsockopt => event.set_option.map(|set| option(event, set)).unwrap_or_default(),
        EventKind::Setfl => match event.nonblock {
            Some(true) => format!("{} does not block", slot(event)),
            Some(false) => format!("{} blocks", slot(event)),
            None => String::new(),
        },
        EventKind::Unshare => "has a descriptor table of its own".to_owned(),
        EventKind::Snapshot => format!("{} is {}", slot(event), contents(event)),
        EventKind::Repair => format!("{} set right: {}", slot(event), contents(event)),
        EventKind::Lost => lost(event),
        _ => format!("{} ← {}", made(event), contents(event)),
    }
}

fn sent(event: &Event) -> String {
    let what = numbers(&event.fds);
    let one = (event.fds.len() == 1).then(|| contents(event));
    format!("{what} sent over {}{}", slot(event), one.map(|one| format!(": {one}")).unwrap_or_default())
}

fn bound(event: &Event) -> String {
    let local = event.local.as_ref().map_or_else(|| "?".to_owned(), address);
    match event.asked.as_ref().map(address).filter(|asked| *asked != local) {
        Some(asked) => format!("{} bound to {local}, asked for {asked}", slot(event)),
        None => format!("{} bound to {local}", slot(event)),
    }
}

/// How far the table can be trusted; the line itself has the time, unless it began before.
fn stands(event: &Event) -> String {
    let Some(stands) = event.stands.as_deref() else { return String::new() };
    let ago = stands.since_epoch_ns.map_or(0, |since| event.epoch_ns.saturating_sub(since));
    let since = (ago > 0).then(|| format!("since {} before", duration(ago)));
    let what = match stands.trust {
        Trust::Exact => "the table is exact".to_owned(),
        Trust::Repaired => {
            let (count, what) = (stands.repaired, one_of("difference", stands.repaired));
            format!("the table is right again, {count} {what} repaired so far")
        }
        Trust::Doubtful => {
            format!("the table is doubtful: {}", doubt(stands.why.as_deref().unwrap_or("unknown")))
        }
    };
    join(&what, since)
}

/// Why a table is doubtful, from its name: that nobody has read it or told of a file in it, or the cause of a loss.
pub(crate) fn doubt(why: &str) -> String {
    match why {
        "unread" => "it was not read".to_owned(),
        "unknown_file" => "nothing told of one of its files".to_owned(),
        cause => format!("records were lost ({cause})"),
    }
}

fn listening(event: &Event) -> String {
    let on = set(event.local.as_ref()).map(|local| format!(" on {local}")).unwrap_or_default();
    let backlog = event.backlog.map(|backlog| format!("backlog {backlog}"));
    let limit = event.queue_limit.map(|limit| format!("queue limit {limit}"));
    join(&join(&join(&format!("{} listening{on}", slot(event)), backlog), limit), options(event))
}

fn accepted(event: &Event) -> String {
    let from = event.peer.as_ref().map(|peer| format!(" from {}", address(peer))).unwrap_or_default();
    let wait = event.wait_ns.map(|wait_ns| format!("waited {}", duration(wait_ns)));
    let more = event.queue_len.filter(|len| *len > 0);
    let queue = more.map(|len| format!("{len} more queued{}", queue_limit(event)));
    let split = event.split.as_deref().map(split);
    let accepted = format!("{} ← accept on {}{from}", made(event), subject(event));
    join(&join(&join(&accepted, wait), split), queue)
}

/// Where a wait went: its parts, the longest first.
fn split(split: &Split) -> String {
    let within = split.blocked_in.as_ref().map(|call| format!(" in {call}")).unwrap_or_default();
    let mut parts = [
        (split.asleep_ns, "asleep".to_owned()),
        (split.runnable_ns, "runnable".to_owned()),
        (split.running_ns, "running".to_owned()),
        (split.blocked_ns, format!("blocked{within}")),
        (split.unknown_ns, "unknown".to_owned()),
    ];
    parts.sort_by_key(|(ns, _)| std::cmp::Reverse(*ns));
    let told: Vec<_> = parts
        .iter()
        .filter(|(ns, _)| *ns > 0)
        .map(|(ns, what)| format!("{} {what}", duration(*ns)))
        .chain(accept_failed(split).into_iter().map(|failed| format!("accept failed: {failed}")))
        .collect();
    told.join(", ")
}

fn connected(event: &Event) -> String {
    let to = event.peer.as_ref().or(event.asked.as_ref()).map(|peer| format!(" to {}", address(peer)));
    let from = set(event.local.as_ref()).map(|local| format!(" from {local}"));
    let took = event.dur_ns.map(|dur_ns| format!("took {}", duration(dur_ns)));
    join(&format!("{} connected{}{}", slot(event), to.unwrap_or_default(), from.unwrap_or_default()), took)
}

fn closed(event: &Event) -> String {
    let cause = match event.via {
        Via::Exec => " by exec",
        Via::Exit => " by exit",
        Via::Repair => " unseen, found by a repair",
        _ => "",
    };
    let what = if event.fds.is_empty() {
        format!("{}{}", slot(event), in_brackets(connection(event).or_else(|| held(event))))
    } else {
        numbers(&event.fds)
    };
    join(&format!("{what} closed{cause}"), closed_first(event))
}

fn forked(event: &Event) -> String {
    let child = event.child.map_or_else(|| "?".to_owned(), |child| child.pid.to_string());
    let child = format!("{child}{}", in_brackets(own_number(event)));
    if event.fds.is_empty() {
        format!("→ process {child}")
    } else {
        format!("→ process {child} with {}", numbers(&event.fds))
    }
}

fn executed(event: &Event) -> String {
    let path =
        event.path.as_ref().map_or_else(|| "another program".to_owned(), |path| Escaped(path).to_string());
    let cgroup = event.place.as_ref().and_then(|place| place.cgroup.as_deref());
    let cgroup = cgroup.map(|path| format!("cgroup {}", Escaped(path)));
    let closes = (!event.fds.is_empty()).then(|| format!("closes {}", numbers(&event.fds)));
    join(&join(&join(&format!("runs {path}"), own_number(event)), cgroup), closes)
}

/// A process's number in a pid namespace that is not the initial one.
fn own_number(event: &Event) -> Option<String> {
    own_pid_ns(event).map(|place| format!("pid {} in its namespace", place.ns_pid))
}

/// What an option is after the call.
fn option(event: &Event, set: SetOption) -> String {
    let name = names::option_name(set.level, set.option);
    let Some(value) = set.value else { return String::new() };
    let asked = set.asked.map(i64::from).filter(|asked| *asked != value);
    join(&format!("{} has {name} {value}", slot(event)), asked.map(|asked| format!("asked for {asked}")))
}

/// Wait status as wait(2) takes it apart: the low seven bits are a signal, the next byte the exit status.
fn exited(event: &Event) -> String {
    let how = match event.status {
        None => "ended".to_owned(),
        Some(status) if status.trailing_zeros() >= 7 => {
            format!("exited with status {}", (status >> 8) & 0xff)
        }
        Some(status) => {
            let core = if status & 0x80 == 0 { "" } else { ", core dumped" };
            format!("killed by {}{core}", signal(status & 0x7f))
        }
    };
    join(&how, (!event.fds.is_empty()).then(|| format!("closes {}", numbers(&event.fds))))
}

/// `SIGTERM`; a number that has no name stays one.
fn signal(number: u32) -> Cow<'static, str> {
    i32::try_from(number)
        .ok()
        .and_then(|number| Signal::try_from(number).ok())
        .map_or_else(|| format!("signal {number}").into(), |signal| signal.as_str().into())
}

fn changed(event: &Event) -> String {
    let name =
        |number: Option<u16>| number.map_or_else(|| "?".into(), |number| state(event.socket_kind, number));
    let what = connection(event).map(|connection| format!(" ({connection})")).unwrap_or_default();
    let who = event.fd.map_or_else(
        || event.socket.map_or_else(|| "socket".to_owned(), |id| id.to_string()),
        |fd| format!("fd {fd}"),
    );
    let change = match event.from {
        Some(_) => format!("{who}{what} {} → {}", name(event.from), name(event.to)),
        None => format!("{who}{what} stays {}", name(event.to)),
    };
    let error = event.error.map(|error| format!("{} ({})", errno::name(error), errno::meaning(error)));
    join(&join(&change, error), closed_first(event))
}

fn queued(event: &Event) -> String {
    let peer = event.peer.as_ref().map_or_else(|| "a connection".to_owned(), address);
    let local = event.local.as_ref().map(|local| format!(" for {}", address(local))).unwrap_or_default();
    match event.queue_len {
        Some(_) => format!("{peer} queued{local}, {}", queue(event)),
        None => format!("{peer} queued{local}"),
    }
}

/// What a listener dropped: how much, where samples tell, or whose.
fn overflowed(event: &Event) -> String {
    let on = event.local.as_ref().map_or_else(|| "a listener".to_owned(), address);
    let Some(drops) = event.drops else {
        let peer = event.peer.as_ref().map_or_else(|| "a connection".to_owned(), address);
        return format!("{peer} met a full queue on {on}, {}", queue(event));
    };
    let packets = if drops.new == 1 { "packet" } else { "packets" };
    let full = match drops.queue_full {
        Some((least, most)) if least == most => format!("{least} of {} so far met a full queue", drops.total),
        Some((least, most)) => format!("{least} to {most} of {} so far met a full queue", drops.total),
        None => format!("{} so far", drops.total),
    };
    join(&format!("{on} dropped {} {packets}, {}", drops.new, queue(event)), Some(full))
}

fn retransmitted(event: &Event) -> String {
    let [from, to] =
        [&event.local, &event.peer].map(|end| end.as_ref().map_or_else(|| "?".to_owned(), address));
    format!("{from} sent its SYN to {to} again")
}

/// What is spoken on a connection.
fn spoken(event: &Event) -> String {
    let Some(spoken) = event.spoken.as_deref() else { return String::new() };
    let on = subject(event);
    let what = match spoken.protocol {
        AppProtocol::Unknown => return format!("what is spoken on {on} is unknown"),
        AppProtocol::Websocket => format!("{on} was switched to websocket"),
        protocol => format!("{} is spoken on {on}", protocol.name()),
    };
    let cut = if spoken.sni_cut { "…" } else { "" };
    let concluded = spoken.inferred.then(|| "concluded from the status alone".to_owned());
    join(
        &join(
            &what,
            spoken.sni.as_ref().map(|name| format!("server name {}{cut}", Escaped(name.as_bytes()))),
        ),
        concluded,
    )
}

fn lost(event: &Event) -> String {
    if event.cause == Some(LossCause::UnknownFile) {
        let pid = event.process.pid;
        return format!("━━━ DOUBT: a descriptor of process {pid} may hold a file that nothing told of ━━━");
    }
    let count = event.count.unwrap_or_default();
    let records = if count == 1 { "record" } else { "records" };
    let cause = match event.cause {
        Some(LossCause::RingFull) => "the ring buffer was full",
        Some(LossCause::ProgramSkipped) => "the kernel skipped runs of a probe",
        Some(LossCause::MapFull) => "a table in the kernel was full",
        Some(LossCause::Malformed) => "they could not be read",
        Some(LossCause::CompatCall) => "calls through the 32-bit entry are not decoded",
        Some(LossCause::Unknown | LossCause::UnknownFile) | None => "the cause is unknown",
    };
    let cpu = event.origin.map(|origin| format!(" on CPU {}", origin.cpu)).unwrap_or_default();
    format!("━━━ LOST {count} {records}{cpu}: {cause} ━━━")
}

/// The slot that the event is about.
fn slot(event: &Event) -> String {
    match (event.fd.or(event.new_fd), event.direct.or(event.new_direct)) {
        (Some(fd), _) => format!("fd {fd}"),
        (None, Some(index)) => format!("direct {index}"),
        (None, None) => "a descriptor".to_owned(),
    }
}

/// The slot and the address of the socket in it.
fn subject(event: &Event) -> String {
    let slot = slot(event);
    set(event.local.as_ref()).map_or_else(|| slot.clone(), |local| format!("{slot} ({local})"))
}

/// The slot that the call filled.
fn made(event: &Event) -> String {
    if let [first, second] = event.directs.as_slice() {
        return format!("direct {first} and {second}");
    }
    match (event.fds.as_slice(), event.new_fd, event.new_direct) {
        ([_, _, ..], ..) => numbers(&event.fds),
        (_, Some(fd), _) => format!("fd {fd}"),
        (.., Some(index)) => format!("direct {index}"),
        _ => slot(event),
    }
}

/// `fds 0-2, 7`.
fn numbers(fds: &[i32]) -> String {
    let mut fds = fds.to_vec();
    fds.sort_unstable();
    let runs = fds.chunk_by(|before, after| before.checked_add(1) == Some(*after));
    let runs: Vec<_> = runs
        .filter_map(|run| match run {
            [] => None,
            [only] => Some(only.to_string()),
            [first, .., last] => Some(format!("{first}-{last}")),
        })
        .collect();
    format!("{} {}", if fds.len() == 1 { "fd" } else { "fds" }, runs.join(", "))
}

/// What a slot holds.
fn contents(event: &Event) -> String {
    if event.socket.is_some() || event.file_kind == Some(FileKind::Socket) {
        let words = socket_words(event);
        let kind = match event.to {
            Some(names::state::LISTEN) => format!("a listening {words}"),
            Some(number) => format!("{}, {}", one(&words), state(event.socket_kind, number)),
            None => one(&words),
        };
        let on = connection(event).map(|connection| format!(" on {connection}")).unwrap_or_default();
        return join(&join(&format!("{kind}{on}"), event.queue_limit.map(|_| queue(event))), options(event));
    }
    let kind = event.file_kind.map_or("a file", FileKind::name);
    match &event.path {
        Some(path) if event.call.is_none() => format!("{kind} {}", Escaped(path)),
        _ => kind.to_owned(),
    }
}

/// What a slot held that is empty now: a socket that was never bound or connected, or what is no socket.
fn held(event: &Event) -> Option<String> {
    match event.file_kind? {
        FileKind::Unknown => None,
        FileKind::Socket => Some(socket_words(event)),
        kind => Some(kind.name().to_owned()),
    }
}

fn in_brackets(text: Option<String>) -> String {
    text.map(|text| format!(" ({text})")).unwrap_or_default()
}

/// `an inet socket`, `a unix socket`: among families only `i` and `a` begin with a vowel's sound.
fn one(words: &str) -> String {
    format!("{} {words}", if words.starts_with(['a', 'i']) { "an" } else { "a" })
}

/// `inet stream tcp socket`.
fn socket_words(event: &Event) -> String {
    let kind = event.socket_kind.map(|kind| {
        let protocol = names::protocol_name(kind.family, kind.protocol).filter(|_| kind.protocol != 0);
        (names::family_name(kind.family), names::type_name(kind.ty), protocol)
    });
    match kind {
        Some((family, ty, Some(protocol))) => format!("{family} {ty} {protocol} socket"),
        Some((family, ty, None)) => format!("{family} {ty} socket"),
        None => "socket".to_owned(),
    }
}

/// Both ends of a socket, or the one that it has.
fn connection(event: &Event) -> Option<String> {
    match (set(event.local.as_ref()), set(event.peer.as_ref())) {
        (Some(local), Some(peer)) => Some(format!("{local} ↔ {peer}")),
        (Some(local), None) => Some(local),
        (None, Some(peer)) => Some(format!("↔ {peer}")),
        (None, None) => None,
    }
}

fn set(of: Option<&Address>) -> Option<String> {
    of.filter(|address| !address.is_unset()).map(address)
}

fn queue(event: &Event) -> String {
    let len = event.queue_len.map_or_else(|| "?".to_owned(), |len| len.to_string());
    format!("queue {len}{}", queue_limit(event))
}

/// Not as a part of the limit: a queue may be longer.
fn queue_limit(event: &Event) -> String {
    event.queue_limit.map(|limit| format!(", limit {limit}")).unwrap_or_default()
}

/// The options that are set.
fn options(event: &Event) -> Option<String> {
    let options = event.options.as_ref().map(names::options)?;
    (!options.is_empty()).then(|| options.join(" "))
}

fn closed_first(event: &Event) -> Option<String> {
    event.closed_first.map(|side| match side {
        Side::Local => "this side closed first".to_owned(),
        Side::Peer => "the peer closed first".to_owned(),
    })
}

fn join(sentence: &str, more: Option<String>) -> String {
    more.map_or_else(|| sentence.to_owned(), |more| format!("{sentence}, {more}"))
}

/// A kind of descriptor as a word for so many of them.
pub(crate) fn one_of(kind: &str, count: u64) -> String {
    if count == 1 { kind.to_owned() } else { format!("{kind}s") }
}

/// A duration with two significant digits or all whole ones: `920 ns`, `1.2 ms`, `18 µs`, `350 ms`.
pub(crate) fn duration(ns: u64) -> String {
    let (unit, name) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let (whole, tenth) = (ns / unit, ns % unit * 10 / unit);
    if whole < 10 && tenth > 0 { format!("{whole}.{tenth} {name}") } else { format!("{whole} {name}") }
}

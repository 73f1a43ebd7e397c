//! The history and the order of changes.

use super::make::{Bench, call, file, fork, input, slot};
use crate::{
    event::Event,
    ids::BootNs,
    input::Body,
    session::{Limits, Session},
    syscall::Syscall,
};

#[test]
fn events_come_back_as_they_were_told() {
    let mut bench = Bench::new();
    let mut told = Vec::new();
    for n in 0..3000_u64 {
        told.push(bench.opens(1000 + n * 10, 3, n));
    }
    let history = bench.session.history();
    assert_eq!((history.len(), history.first_seq(), history.last_seq()), (3000, 1, 3000));
    assert_eq!(history.first_ts(), Some(BootNs(1000)));
    for from in [0, 1, 2, 1024, 1025, 2999, 3000] {
        let found: Vec<Event> = history.events(from).collect();
        let skipped = usize::try_from(from).unwrap().saturating_sub(1);
        assert_eq!(found, told[skipped..], "from {from}");
    }
    assert_eq!(history.events(3001).count(), 0);
    for (ts, seq) in [(0, 1), (1000, 1), (1001, 2), (11_240, 1025), (30_990, 3000), (30_991, 3001)] {
        assert_eq!(history.first_seq_at(BootNs(ts)), seq, "at {ts}");
        let from: Vec<Event> =
            (history.chunk_at(BootNs(ts))..).map_while(|place| history.chunk(place)).flatten().collect();
        let first = from.iter().find(|event| event.ts >= BootNs(ts));
        assert_eq!(first.map_or(3001, |event| event.seq), seq, "in the chunks at {ts}");
        assert_eq!(from.last().map_or(3000, |event| event.seq), 3000, "at {ts}");
    }
    assert!(history.chunk(3).is_none());
}

#[test]
fn an_empty_history_begins_at_one() {
    let session = Session::new(Limits::default());
    let history = session.history();
    assert_eq!((history.len(), history.is_empty(), history.first_seq(), history.last_seq()), (0, true, 1, 0));
    assert_eq!((history.first_ts(), history.first_seq_at(BootNs(0))), (None, 1));
}

#[test]
fn a_history_that_keeps_nothing_still_counts() {
    let mut bench = Bench::with(Limits { kept_events: 0, ..Limits::default() });
    for n in 0..3_u64 {
        assert_eq!(bench.opens(1000 + n * 10, 3, n).seq, n + 1);
    }
    let history = bench.session.history();
    assert_eq!((history.len(), history.first_seq(), history.last_seq()), (0, 4, 3));
    assert_eq!(
        (history.first_ts(), history.first_seq_at(BootNs(0)), history.events(0).count()),
        (None, 4, 0)
    );
}

#[test]
fn the_oldest_events_are_dropped_in_chunks() {
    let mut bench = Bench::with(Limits { kept_events: 160, ..Limits::default() });
    for n in 0..1000_u64 {
        bench.opens(1000 + n * 10, 3, n);
    }
    let history = bench.session.history();
    assert_eq!((history.len(), history.first_seq(), history.last_seq()), (160, 841, 1000));
    assert_eq!(
        history.events(0).map(|event| event.seq).collect::<Vec<_>>(),
        (841..=1000).collect::<Vec<_>>()
    );
    assert_eq!(history.first_seq_at(BootNs(0)), 841);
}

#[test]
fn a_million_events_stay_near_100_mib() {
    // Ten thousand stand for a million: the size of an event does not depend on how many there are.
    let mut bench = Bench::new();
    bench.makes_listener(5_000_000_000_000_000, 3, 1);
    for n in 0..5000_u64 {
        let at = 5_000_000_000_001_000 + n * 50_000;
        bench.accepts(at, 7, 10 + n % 1000, 1);
        bench.closes(at + 20_000, 7, super::make::socket_file(10 + n % 1000));
    }
    let bytes = bench.session.history().packed_bytes();
    let events = bench.session.history().len();
    assert!(bytes / events <= 105, "{bytes} bytes for {events} events");
}

#[test]
fn changes_come_oldest_first_and_in_parts() {
    let mut bench = Bench::new();
    for n in 0..10_u64 {
        bench.opens(100 + n, i32::try_from(n).unwrap(), n);
    }
    let all = bench.session.changes_since(0, usize::MAX);
    assert_eq!((all.processes.len(), all.descriptors.len(), all.more), (1, 10, false));
    assert_eq!(all.to, bench.session.rev());
    let first = bench.session.changes_since(0, 4);
    assert_eq!((first.processes.len(), first.descriptors.len(), first.more), (1, 3, true));
    let rest = bench.session.changes_since(first.to, 100);
    assert_eq!((rest.descriptors.len(), rest.more, rest.to), (7, false, bench.session.rev()));
    assert!(rest.descriptors.is_sorted_by_key(|descriptor| descriptor.rev));
    let none = bench.session.changes_since(rest.to, 100);
    assert_eq!((none.descriptors.len(), none.to), (0, rest.to));
    let to = rest.to;
    bench.closes(500, 4, file(4));
    let one = bench.session.changes_since(to, 100);
    assert_eq!((one.descriptors.len(), one.descriptors[0].fd, one.descriptors[0].rev), (1, 4, one.to));
    let stuck = bench.session.changes_since(0, 0);
    assert_eq!((stuck.to, stuck.more), (0, true));
}

#[test]
fn a_reader_who_is_too_far_behind_is_told_so() {
    let limits = Limits { kept_descriptors: 0, kept_events: 10, ..Limits::default() };
    let mut bench = Bench::with(limits);
    for n in 0..70_000_u64 {
        bench.opens(100 + n * 20, 3, n);
        bench.closes(110 + n * 20, 3, file(n));
    }
    let behind = bench.session.changes_since(1, 10);
    assert!(behind.complete_from > 1);
    // Who is not is told of all of it, in parts that each fit into a message.
    let (mut rev, mut parts, mut evicted) = (behind.complete_from, Vec::new(), Vec::new());
    loop {
        let near = bench.session.changes_since(rev, 10);
        assert!(near.to > rev);
        rev = near.to;
        parts.push(near.evicted_descriptors.len());
        evicted.extend(near.evicted_descriptors);
        if !near.more {
            break;
        }
    }
    assert!(parts.iter().all(|part| *part <= 5_000) && parts.iter().sum::<usize>() == 65_536, "{parts:?}");
    assert_eq!(rev, bench.session.rev());
    assert!(evicted.is_sorted() && evicted.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn time_is_what_the_inputs_say() {
    let mut session = Session::new(Limits::default());
    session.ingest(&input(500, Body::Anchor { epoch_minus_boot_ns: 7 }));
    session.ingest(&call(900, Syscall::Openat, 3).result(slot(3, file(7))).input());
    session.ingest(&fork(800, 1, 2, false));
    session.ingest(&input(950, Body::Anchor { epoch_minus_boot_ns: -100 }));
    assert_eq!(
        (session.t0(), session.now(), session.wall().epoch_ns(session.now())),
        (BootNs(500), BootNs(950), 850)
    );
    let event = session.ingest(&call(1000, Syscall::Openat, 4).result(slot(4, file(8))).input());
    assert_eq!(event[0].epoch_ns, 900);
}

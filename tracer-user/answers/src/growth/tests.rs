//! What grows and what does not, and when a table will be full: by counting what was planted.

mod workers;

use crate::{
    caveat::Caveat,
    leaks::{Leaks, leaks},
    tallies::Tallies,
    view::View,
};
use proptest::prelude::*;
use tracer_model::{
    ids::{BootNs, ProcessKey, StackId},
    input::{Body, Call, FileRef, Input, Made, Place, Reason, Row, Sampled, Slot, Task},
    session::{Limits, Session},
    stacks::{Frame, Stack},
    syscall::Syscall,
};

const SECOND: u64 = 1_000_000_000;
/// When tracing begins.
const T0: u64 = 1_000 * SECOND;
/// Soft limit on descriptors.
const LIMIT: u64 = 1_024;

fn task(tid: u32) -> Task {
    Task { process: ProcessKey { pid: 7, start_ns: 1 }, tid, files: 0x700 }
}

/// What a server does: opens files that live for some time, or for ever.
struct Server {
    /// When, the thread, how long it is open, and the place.
    files: Vec<(u64, u32, Option<u64>, Option<u32>)>,
}

impl Server {
    /// Everything until `end`, in order, and then the answer.
    fn told<T>(&self, end: u64, look: impl FnOnce(&Leaks<'_>) -> T) -> T {
        self.told_within(Limits::default(), end, look)
    }

    fn told_within<T>(&self, limits: Limits, end: u64, look: impl FnOnce(&Leaks<'_>) -> T) -> T {
        let mut inputs = vec![(T0, Body::Anchor { epoch_minus_boot_ns: 0 })];
        let begin = [Body::SnapshotBegin(Reason::Start), row(), Body::SnapshotEnd(Reason::Start)];
        inputs.extend(begin.map(|body| (T0, body)));
        let stacks = self.files.iter().any(|(.., place)| place.is_some()).then_some(0);
        inputs.push((
            T0,
            Body::Sampled(Box::new(Sampled {
                period_ns: SECOND,
                sched: false,
                peek: false,
                stacks,
                listeners: Vec::new(),
                namespaces: Vec::new(),
            })),
        ));
        for (number, (at, tid, life, place)) in (10..).zip(&self.files) {
            let slot = slot(number);
            inputs.push((*at, call(*at, *tid, Syscall::Openat, slot.fd.into(), None, vec![slot.clone()])));
            if let Some(place) = place {
                let frame = Frame { file: None, offset: u64::from(*place), symbol: None };
                inputs.push((
                    *at,
                    Body::Made(Box::new(Made {
                        task: task(*tid),
                        taken: BootNs(at - 1),
                        fds: vec![slot.fd],
                        stack: StackId(*place),
                        new: Some(Stack { frames: vec![frame], cut: None }),
                    })),
                ));
            }
            if let Some(life) = life {
                inputs.push((at + life, call(at + life, *tid, Syscall::Close, 0, Some(slot), Vec::new())));
            }
        }
        inputs.retain(|(at, _)| *at <= end);
        inputs.push((end, Body::Anchor { epoch_minus_boot_ns: 0 }));
        inputs.sort_by_key(|(at, _)| *at);
        let (mut session, mut tallies) = (Session::new(limits), Tallies::default());
        for (ts, body) in inputs {
            for event in session.ingest(&Input { ts: BootNs(ts), origin: None, late: false, body }) {
                tallies.take(event);
            }
        }
        look(&leaks(&View::new(&session, BootNs(end), &tallies), &[]))
    }
}

fn slot(number: u32) -> Slot {
    let file = FileRef { file: u64::from(number) << 8, ino: number.into(), dev: 1, mode: 0o100_644 };
    let fd = number.cast_signed();
    Slot { fd, file: Some(file), cloexec: false, nonblock: false, name: b"file".to_vec() }
}

fn row() -> Body {
    Body::Row(Box::new(Row {
        process: task(7).process,
        parent: 1,
        files: task(7).files,
        comm: b"server".to_vec(),
        fd_limit: LIMIT,
        place: Place::default(),
        slot: slot(3),
        sock: None,
        open_flags: 0,
        tcp: None,
        unread: 0,
    }))
}

fn call(at: u64, tid: u32, call: Syscall, ret: i64, subject: Option<Slot>, results: Vec<Slot>) -> Body {
    let fd = subject.as_ref().map_or(0, |slot| slot.fd.cast_unsigned());
    Body::Call(Box::new(Call {
        task: task(tid),
        call,
        enter: Some(BootNs(at - 10)),
        ret: Some(ret),
        args: [fd, 0, 0, 0],
        subject,
        results,
        socks: Vec::new(),
        listener: None,
        queued: None,
        queue: None,
        sleeps: None,
        asked: None,
        asked_value: None,
        path: None,
        request: None,
    }))
}

/// A request each 10 ms for 20 s: one in a hundred forgets its file.
fn forgetful() -> Server {
    let request = |number: u64| {
        let forgets = number % 100 == 50;
        let at = T0 + number * SECOND / 100 + 1_000;
        (at, 7 + u32::from(forgets), (!forgets).then_some(2_000_000), None)
    };
    Server { files: (0..2_000).map(request).collect() }
}

#[test]
fn one_in_a_hundred_is_told_with_its_rate_and_the_time_that_is_left() {
    forgetful().told(T0 + 20 * SECOND, |told| {
        let [growth] = told.growing.as_slice() else { panic!("{told:?}") };
        // One a second, in the seven whole parts of a second before the newest.
        assert_eq!((growth.left, growth.made, growth.over_ns), (7, 700, 7 * SECOND));
        // A number is free from the begin of its close on.
        assert_eq!((growth.longest_ns, growth.threads.as_slice()), (Some(2_000_000 - 10), &[(8, 7)][..]));
        assert_eq!(growth.since.ts, BootNs(T0 + 12 * SECOND + SECOND / 2 + 1_000));
        assert_eq!(growth.newest.first().map(|(fd, _)| *fd), Some(10 + 1_850));
        assert_eq!(growth.places, []);
        let [room] = told.room.as_slice() else { panic!("{told:?}") };
        // Twenty that were left, and the one of the snapshot.
        assert_eq!((room.used, room.limit, room.left_per_1000_s), (21, LIMIT, 1_000));
        assert_eq!(room.reached_in_ns, Some((LIMIT - 21) * SECOND));
    });
}

#[test]
fn what_was_made_is_counted_as_far_as_what_was_closed_is_kept() {
    // 1,980 are closed, 1,188 of them before the judged time begins: 792 and no fewer are its own and those of the newest part.
    for (kept_descriptors, made, at_least) in [(1_980, 700, false), (792, 700, false), (780, 688, true)] {
        let limits = Limits { kept_descriptors, ..Limits::default() };
        forgetful().told_within(limits, T0 + 20 * SECOND, |told| {
            let [growth] = told.growing.as_slice() else { panic!("{told:?}") };
            assert_eq!((growth.left, growth.made, growth.made_at_least), (7, made, at_least));
        });
    }
}

#[test]
fn nothing_is_told_before_each_part_has_shown_it() {
    // Parts of a second: eight of them are needed.
    assert!(forgetful().told(T0 + 7 * SECOND, |told| told.growing.is_empty()));
    assert!(forgetful().told(T0 + 8 * SECOND, |told| !told.growing.is_empty()));
    // Where requests go on and none is forgotten any more, nothing leaks.
    let mut mended = forgetful();
    mended.files.retain(|(at, _, life, _)| life.is_some() || *at < T0 + 10 * SECOND);
    assert!(mended.told(T0 + 12 * SECOND, |told| told.growing.is_empty()));
}

#[test]
fn what_was_left_until_the_load_ended_is_told_still() {
    let mut ended = forgetful();
    ended.files.retain(|(at, ..)| *at < T0 + 10 * SECOND);
    let last = T0 + 9 * SECOND + 99 * SECOND / 100 + 1_000;
    for (at, stopped) in
        [(last + SECOND + 1, None), (last + SECOND + 2, Some(last)), (T0 + 900 * SECOND, Some(last))]
    {
        ended.told(at, |told| {
            let [growth] = told.growing.as_slice() else { panic!("{told:?}") };
            assert_eq!((growth.left, growth.made, growth.over_ns), (7, 700, 7 * SECOND));
            assert_eq!(growth.stopped, stopped.map(BootNs));
            // The table does not become full by what has ended.
            let rates: Vec<u64> = told.room.iter().map(|room| room.left_per_1000_s).collect();
            assert_eq!(rates, if stopped.is_none() { vec![1_000] } else { vec![] });
        });
    }
    // The very last is judged, too.
    let mut forgets_last = ended;
    if let Some((.., life, _)) = forgets_last.files.last_mut() {
        *life = None;
    }
    let newest =
        forgets_last.told(T0 + 900 * SECOND, |told| told.growing.first().map(|growth| growth.newest[0].1.ts));
    assert_eq!(newest, Some(BootNs(last)));
    let mut ended = forgets_last;
    // What the load had left is closed in the end.
    for (at, _, life, _) in &mut ended.files {
        life.get_or_insert(T0 + 20 * SECOND - *at);
    }
    assert!(ended.told(T0 + 21 * SECOND, |told| told.growing.is_empty()));
}

#[test]
fn what_cannot_be_told_yet_is_said() {
    // One of a hundred: parts of a second. The tables were read at the begin alone.
    for (seconds, said) in [(7, Caveat::OneLook { traced_ns: 7 * SECOND }), (8, Caveat::ReadOnce)] {
        forgetful().told(T0 + seconds * SECOND, |told| assert_eq!(told.caveats.first(), Some(&said)));
    }
    // None that was closed: parts of eight seconds.
    let server = Server { files: (0..70).map(|second| (T0 + second * SECOND + 20, 7, None, None)).collect() };
    for (seconds, needs) in [(20, true), (63, true), (64, false)] {
        let unjudged = server.told(T0 + seconds * SECOND, |told| {
            assert_eq!(told.growing.is_empty(), needs, "{seconds}");
            told.caveats.iter().find_map(|caveat| match caveat {
                Caveat::Unjudged { needs_ns, traced_ns, .. } => Some((*needs_ns, *traced_ns)),
                _ => None,
            })
        });
        assert_eq!(unjudged, needs.then_some((64 * SECOND, seconds * SECOND)));
    }
}

#[test]
fn what_one_place_keeps_for_a_purpose_does_not_stand_beside_what_another_leaves() {
    let mut server = forgetful();
    for (_, tid, _, place) in &mut server.files {
        *place = Some(*tid);
    }
    // A log file, opened while the time is judged.
    server.files.push((T0 + 15 * SECOND, 7, None, Some(99)));
    server.told(T0 + 20 * SECOND, |told| {
        let [growth] = told.growing.as_slice() else { panic!("{told:?}") };
        assert_eq!(growth.left, 7);
        let [place] = growth.places.as_slice() else { panic!("{growth:?}") };
        assert_eq!((place.left, place.threads.as_slice()), (7, &[(8, 7)][..]));
        assert_eq!(place.stack.map(|stack| stack.frames[0].offset), Some(8));
    });
}

#[test]
fn long_lives_elsewhere_do_not_hide_what_a_place_leaves() {
    let mut server = forgetful();
    for (.., place) in &mut server.files {
        *place = Some(8);
    }
    // Another place keeps its files for 8 s: parts of 16 s would be needed for both together.
    server.files.extend((0..10).map(|number| (T0 + number * SECOND, 7, Some(8 * SECOND), Some(99))));
    let place = server.told(T0 + 20 * SECOND, |told| {
        let [growth] = told.growing.as_slice() else { panic!("{told:?}") };
        growth.places.iter().map(|place| place.stack.map(|stack| stack.frames[0].offset)).collect::<Vec<_>>()
    });
    assert_eq!(place, [Some(8)]);
    for (.., place) in &mut server.files {
        *place = None;
    }
    assert!(server.told(T0 + 20 * SECOND, |told| told.growing.is_empty()), "together they do");
}

#[test]
fn a_table_that_is_nearly_full_is_told_though_it_does_not_grow() {
    let used = LIMIT * 4 / 5;
    let files = (0..used).map(|number| (T0 + number, 7, None, None)).collect();
    Server { files }.told(T0 + 100 * SECOND, |told| {
        assert_eq!(told.growing, []);
        let [room] = told.room.as_slice() else { panic!("{told:?}") };
        assert_eq!((room.used, room.left_per_1000_s, room.reached_in_ns), (used + 1, 0, None));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A server that closes what it opens, after whatever time, is never told: not while it runs, nor while it starts.
    #[test]
    fn what_is_closed_in_its_time_is_no_leak(
        files in proptest::collection::vec((0..60 * SECOND, 0..3 * SECOND), 0..300),
        end in 0..80 * SECOND,
    ) {
        let files = files.into_iter().map(|(at, life)| (T0 + at + 20, 7, Some(life + 1), None)).collect();
        let server = Server { files };
        prop_assert!(server.told(T0 + end + 100, |told| told.growing.is_empty() && told.room.is_empty()));
    }

    /// A leak each second or more often is told, however much else comes and goes, and its count is exact.
    #[test]
    fn a_leak_a_second_is_told_exactly(
        leaks in proptest::collection::vec(1..SECOND, 30),
        others in proptest::collection::vec((0..30 * SECOND, 1..SECOND / 2), 0..200),
        end in 9..30_u64,
    ) {
        let planted: Vec<u64> = leaks.iter().zip(0..).map(|(at, second)| T0 + second * SECOND + at).collect();
        let mut files: Vec<_> = planted.iter().map(|at| (*at, 8, None, None)).collect();
        files.extend(others.iter().map(|(at, life)| (T0 + at + 20, 7, Some(*life), None)));
        let end = T0 + end * SECOND;
        // Where nothing is closed by then parts are longer.
        prop_assume!(others.iter().any(|(at, life)| T0 + at + 20 + life < end));
        let (left, over) = Server { files }.told(end, |told| {
            told.growing.first().map_or((0, 0), |growth| (growth.left, growth.over_ns))
        });
        prop_assert_eq!(over, 7 * SECOND);
        // The newest second is not judged: what was made in it may still be closed. Of the others, what lives is forgotten or
        // was made less than its life before.
        let judged = end - 8 * SECOND..end - SECOND;
        let still = others.iter().filter(|(at, life)| {
            let at = T0 + at + 20;
            judged.contains(&at) && at + life > end
        });
        let forgotten = planted.iter().filter(|at| judged.contains(at)).count() + still.count();
        prop_assert_eq!(left, forgotten as u64);
    }
}

//! What is told of how far tables can be trusted.

use super::make::{Bench, file, input, row, slot};
use crate::{
    event::Trust::{Doubtful, Exact, Repaired},
    input::{Body, Reason, Row},
};

/// How long a snapshot may miss a slot before that is a repair.
const GRACE: u64 = 300_000_000;

fn file_row(fd: i32, n: u64) -> Row {
    row(1, slot(fd, file(n)), None)
}

#[test]
fn a_process_that_was_read_is_exact_without_a_word() {
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7))]);
    bench.forks(300, 1, 2);
    bench.snapshot(400, Reason::Check, &[(450, file_row(3, 7)), (451, row(2, slot(3, file(7)), None))]);
    assert_eq!(bench.standings, []);
}

#[test]
fn a_doubt_is_told_and_what_settles_it_too() {
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7)), (151, file_row(4, 8))]);
    bench.loses(1000, 5);
    // The second loss changes nothing.
    bench.loses(1100, 1);
    assert_eq!(bench.standings, [(1, Doubtful, Some(1000))]);
    // A child is as doubtful as its parent, since the same moment.
    bench.forks(1200, 1, 2);
    assert_eq!(bench.standings.split_off(1), [(2, Doubtful, Some(1000))]);
    bench.exits(1300, 2);
    let rows = [(2050, file_row(3, 9)), (2051, file_row(4, 8)), (2052, file_row(5, 1))];
    bench.snapshot(2000, Reason::Repair, &rows);
    assert_eq!(bench.standings.split_off(1), [(1, Repaired, Some(2100))]);
    bench.snapshot(3000, Reason::Check, &[(3050, file_row(3, 9)), (3051, file_row(4, 8))]);
    bench.anchor(3100 + GRACE);
    assert_eq!(bench.standings.split_off(1), [(1, Repaired, Some(3100 + GRACE))]);
}

#[test]
fn a_loss_that_cost_nothing_ends_exact() {
    let mut bench = Bench::new();
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7))]);
    bench.loses(1000, 5);
    bench.snapshot(2000, Reason::Repair, &[(2050, file_row(3, 7))]);
    assert_eq!(bench.standings, [(1, Doubtful, Some(1000)), (1, Exact, None)]);
}

#[test]
fn that_a_table_is_unread_is_told_once_a_snapshot_has_not_read_it() {
    let mut bench = Bench::new();
    // A call before the snapshot's rows.
    bench.opens(50, 3, 7);
    bench.snapshot(100, Reason::Start, &[(150, file_row(3, 7))]);
    assert_eq!(bench.standings, []);
    // Another process is seen while a snapshot runs, behind its place.
    bench.tell(&input(1000, Body::SnapshotBegin(Reason::Check)));
    bench.tell(&input(1010, Body::Row(Box::new(file_row(3, 7)))));
    bench.execs(1020, 2);
    bench.tell(&input(1100, Body::SnapshotEnd(Reason::Check)));
    assert_eq!(bench.standings, [(2, Doubtful, Some(1020))]);
    bench.snapshot(2000, Reason::Check, &[(2050, file_row(3, 7)), (2051, row(2, slot(0, file(1)), None))]);
    assert_eq!(bench.standings.split_off(1), [(2, Exact, None)]);
}

//! Order: records of all CPUs by time, and the places where numbered records are missing. Pure.
//!
//! Records of one ring come out in the order in which room was reserved, which is their order in time but for a softirq
//! that interrupted a program between its clock and its reservation. A short hold sets that right. The queue is
//! bounded: from half of [`CAPACITY`] on the hold shrinks, to nothing where it is full, and what comes too late for its place
//! is released at once and flagged.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};
use tracer_model::{
    ids::BootNs,
    input::{Body, Input, Origin},
};

/// How long an input waits for earlier ones.
pub(crate) const HOLD_NS: u64 = 5_000_000;

/// Inputs that are held at most.
pub(crate) const CAPACITY: usize = 131_072;

/// Room that is kept for inputs when none is held.
const HELD: usize = 4_096;

/// A run of missing numbers of one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// CPU.
    pub(crate) cpu: u32,
    /// First missing number.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u64,
    /// When the record behind the gap happened.
    pub(crate) noticed: BootNs,
}

#[derive(Default)]
pub(crate) struct Order {
    /// Time, turn and place of what is held, the next one first. The turn keeps inputs of the same time in the order in
    /// which they came.
    heap: BinaryHeap<Reverse<(BootNs, u64, usize)>>,
    /// What is held, at its place: the heap moves keys, which are small.
    held: Vec<Option<Input>>,
    free: Vec<usize>,
    pushed: u64,
    released: BootNs,
    cpus: BTreeMap<u32, Cpu>,
}

/// What has been seen of one CPU.
#[derive(Default)]
struct Cpu {
    next: u64,
    /// First missing number -> (first present number behind it, when that was noticed).
    missing: BTreeMap<u64, (u64, BootNs)>,
}

impl Order {
    /// Takes an input.
    pub(crate) fn push(&mut self, input: Input) {
        if let Some(origin) = input.origin {
            self.note(origin, input.ts);
        }
        self.pushed += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.held.push(None);
            self.held.len() - 1
        });
        self.heap.push(Reverse((input.ts, self.pushed, place)));
        if let Some(held) = self.held.get_mut(place) {
            *held = Some(input);
        }
    }

    /// Notes that a numbered record arrived, whether or not it could be read.
    pub(crate) fn note(&mut self, origin: Origin, ts: BootNs) {
        let cpu = self.cpus.entry(origin.cpu).or_default();
        let seq = origin.cpu_seq;
        if seq >= cpu.next {
            if seq > cpu.next {
                cpu.missing.insert(cpu.next, (seq, ts));
            }
            cpu.next = seq + 1;
            return;
        }
        let Some((&first, &(end, noticed))) = cpu.missing.range(..=seq).next_back() else { return };
        if seq >= end {
            return;
        }
        cpu.missing.remove(&first);
        if first < seq {
            cpu.missing.insert(first, (seq, noticed));
        }
        if seq + 1 < end {
            cpu.missing.insert(seq + 1, (end, noticed));
        }
    }

    /// Gaps that have been open for the hold, and are taken to be losses. They are told once.
    pub(crate) fn gaps(&mut self, now: BootNs) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for (&number, cpu) in &mut self.cpus {
            cpu.missing.retain(|&first, &mut (end, noticed)| {
                let settled = noticed.0.saturating_add(HOLD_NS) <= now.0;
                if settled {
                    gaps.push(Gap { cpu: number, first, count: end - first, noticed });
                }
                !settled
            });
        }
        gaps
    }

    /// Numbers that were given on a CPU up to `attempted` and after the last that was seen.
    pub(crate) fn tail(&mut self, cpu: u32, attempted: u64, now: BootNs) -> Option<Gap> {
        let seen = self.cpus.entry(cpu).or_default();
        let count = attempted.checked_sub(seen.next).filter(|count| *count > 0)?;
        let gap = Gap { cpu, first: seen.next, count, noticed: now };
        seen.next = attempted;
        Some(gap)
    }

    /// The next number that is expected on a CPU.
    pub(crate) fn next_of(&self, cpu: u32) -> u64 {
        self.cpus.get(&cpu).map_or(0, |cpu| cpu.next)
    }

    /// Appends what has waited long enough.
    pub(crate) fn release(&mut self, now: BootNs, out: &mut Vec<Input>) {
        while let Some(Reverse((ts, ..))) = self.heap.peek() {
            if ts.0.saturating_add(self.hold_ns()) > now.0 && self.heap.len() <= CAPACITY {
                break;
            }
            self.pop(out);
        }
        // A snapshot's rows may have been a hundred thousand.
        if self.heap.is_empty() && self.held.capacity() > HELD {
            (self.held, self.free, self.heap) = (Vec::new(), Vec::new(), BinaryHeap::new());
        }
    }

    /// How long an input waits as things stand: the whole hold while the queue is at most half full, then less.
    fn hold_ns(&self) -> u64 {
        let free = CAPACITY.saturating_sub(self.heap.len()).min(CAPACITY / 2);
        HOLD_NS * free as u64 / (CAPACITY / 2) as u64
    }

    /// Appends everything.
    pub(crate) fn flush(&mut self, out: &mut Vec<Input>) {
        while !self.heap.is_empty() {
            self.pop(out);
        }
    }

    fn pop(&mut self, out: &mut Vec<Input>) {
        let Some(Reverse((ts, _, place))) = self.heap.pop() else { return };
        self.free.push(place);
        let Some(mut input) = self.held.get_mut(place).and_then(Option::take) else { return };
        input.late |= ts < self.released && !matches!(input.body, Body::Lost(_));
        self.released = self.released.max(ts);
        out.push(input);
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, Gap, HOLD_NS, Order};
    use proptest::prelude::*;
    use tracer_model::{
        ids::BootNs,
        input::{Body, Input, Origin, Reason},
    };

    fn input(ts: u64, cpu: u32, cpu_seq: u64) -> Input {
        let origin = Some(Origin { cpu, cpu_seq });
        Input { ts: BootNs(ts), origin, late: false, body: Body::SnapshotBegin(Reason::Start) }
    }

    fn times(inputs: &[Input]) -> Vec<(u64, bool)> {
        inputs.iter().map(|input| (input.ts.0, input.late)).collect()
    }

    #[test]
    fn inputs_of_two_cpus_come_out_by_time_after_the_hold() {
        let mut order = Order::default();
        order.push(input(30, 0, 0));
        order.push(input(10, 1, 0));
        order.push(input(20, 0, 1));
        let mut out = Vec::new();
        order.release(BootNs(HOLD_NS + 20), &mut out);
        assert_eq!(times(&out), [(10, false), (20, false)]);
        order.release(BootNs(HOLD_NS + 30), &mut out);
        assert_eq!(times(&out), [(10, false), (20, false), (30, false)]);
    }

    #[test]
    fn what_comes_too_late_is_flagged() {
        let mut order = Order::default();
        let mut out = Vec::new();
        order.push(input(50, 0, 0));
        order.release(BootNs(HOLD_NS + 50), &mut out);
        order.push(input(40, 1, 0));
        order.release(BootNs(HOLD_NS + 50), &mut out);
        assert_eq!(times(&out), [(50, false), (40, true)]);
    }

    #[test]
    fn beyond_its_capacity_the_oldest_leave_early() {
        let mut order = Order::default();
        for seq in 0..CAPACITY as u64 + 3 {
            order.push(input(seq, 0, seq));
        }
        let mut out = Vec::new();
        order.release(BootNs(0), &mut out);
        assert_eq!(times(&out), [(0, false), (1, false), (2, false)]);
    }

    #[test]
    fn under_pressure_the_hold_shrinks() {
        let mut order = Order::default();
        // Three quarters full: half the hold is left.
        for seq in 0..CAPACITY as u64 / 4 * 3 {
            order.push(input(seq, 0, seq));
        }
        let mut out = Vec::new();
        order.release(BootNs(HOLD_NS / 2 - 1), &mut out);
        assert_eq!(out.len(), 0);
        order.release(BootNs(HOLD_NS / 2), &mut out);
        // One has left, and the hold of the next is longer than that of the first was.
        assert_eq!(times(&out), [(0, false)]);
    }

    proptest! {
        /// Whatever comes in whatever order: nothing is lost or doubled, what is released is in order but for what is
        /// flagged, and what comes within the hold is never flagged.
        #[test]
        fn inputs_come_out_in_order_or_flagged(
            steps in proptest::collection::vec((0_u64..3 * HOLD_NS, 0_u64..2 * HOLD_NS), 1..200),
        ) {
            let (mut order, mut out, mut now) = (Order::default(), Vec::new(), 10 * HOLD_NS);
            let mut punctual = 0;
            for (seq, (passes, age)) in (0_u64..).zip(&steps) {
                now += passes;
                punctual += usize::from(*age < HOLD_NS);
                order.push(input(now - age, 0, seq));
                order.release(BootNs(now), &mut out);
            }
            order.flush(&mut out);
            prop_assert_eq!(out.len(), steps.len());
            let mut reached = 0;
            for input in &out {
                prop_assert_eq!(input.late, input.ts.0 < reached);
                reached = reached.max(input.ts.0);
            }
            prop_assert!(out.iter().filter(|input| !input.late).count() >= punctual);
            let numbers: std::collections::BTreeSet<_> =
                out.iter().filter_map(|input| input.origin).map(|origin| origin.cpu_seq).collect();
            prop_assert_eq!(numbers.len(), steps.len());
        }
    }

    #[test]
    fn a_number_that_never_comes_is_a_gap_and_one_that_comes_late_is_none() {
        let mut order = Order::default();
        order.push(input(10, 2, 0));
        order.push(input(20, 2, 4));
        order.push(input(21, 2, 2));
        assert_eq!(order.gaps(BootNs(20)), []);
        let gap = |first| Gap { cpu: 2, first, count: 1, noticed: BootNs(20) };
        assert_eq!(order.gaps(BootNs(HOLD_NS + 20)), [gap(1), gap(3)]);
        assert_eq!(order.gaps(BootNs(HOLD_NS + 99)), [], "a gap is told once");
    }

    #[test]
    fn the_first_number_and_the_last_count_too() {
        let mut order = Order::default();
        order.push(input(10, 0, 3));
        assert_eq!(
            order.gaps(BootNs(HOLD_NS + 10)),
            [Gap { cpu: 0, first: 0, count: 3, noticed: BootNs(10) }]
        );
        assert_eq!(order.tail(0, 4, BootNs(9)), None);
        assert_eq!(order.tail(0, 6, BootNs(9)), Some(Gap { cpu: 0, first: 4, count: 2, noticed: BootNs(9) }));
        assert_eq!(order.tail(1, 1, BootNs(9)), Some(Gap { cpu: 1, first: 0, count: 1, noticed: BootNs(9) }));
    }
}

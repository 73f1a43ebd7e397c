//! Times that a thread was off the processor: the newest one by one, older ones together with their neighbours, the older the
//! more of them, so that as many as there are take little room and a moment is found again to within a part of its age.

use crate::ids::BootNs;
use std::collections::{BTreeMap, VecDeque};

/// What a thread did that did not run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Off {
    /// Asleep in a call that waits for connections.
    Asleep,
    /// Ready to run.
    Runnable,
    /// Asleep elsewhere: in which call (empty: in none), or `stopped`.
    Blocked(String),
}

/// A stretch of time with what was off the processor in it; the rest of it the thread ran.
#[derive(Clone, Debug)]
struct Stretch {
    from: BootNs,
    to: BootNs,
    off: Vec<(Off, u64)>,
}

/// Stretches of one class. Each class's are made of two of the class before, so that one that ended `n` intervals ago is at most
/// `2 n / EACH` intervals long (the exponential histogram of Datar and others, SIAM Journal on Computing 31, 2002).
const EACH: usize = 64;

/// Times off the processor, in the order in which they were.
#[derive(Debug, Default)]
pub(crate) struct OffCpu {
    /// The newest first; within each the oldest first.
    classes: Vec<VecDeque<Stretch>>,
}

impl OffCpu {
    /// Takes note of a time that came after all before.
    pub(crate) fn push(&mut self, (from, to): (BootNs, BootNs), off: Off) {
        if to <= from {
            return;
        }
        let mut next = Some(Stretch { from, to, off: vec![(off, to.0 - from.0)] });
        for class in 0.. {
            let Some(stretch) = next.take() else { return };
            if self.classes.len() == class {
                self.classes.push(VecDeque::new());
            }
            let Some(stretches) = self.classes.get_mut(class) else { return };
            stretches.push_back(stretch);
            if stretches.len() > EACH
                && let (Some(one), Some(other)) = (stretches.pop_front(), stretches.pop_front())
            {
                next = Some(one.with(other));
            }
        }
    }

    /// What was off the processor from one moment to another, and how long that is not known.
    pub(crate) fn between(&self, from: BootNs, to: BootNs) -> (BTreeMap<&Off, u64>, u64) {
        let (mut sums, mut unknown) = (BTreeMap::new(), 0);
        for stretch in self.classes.iter().flatten() {
            let part = stretch.to.min(to).0.saturating_sub(stretch.from.max(from).0);
            let whole = stretch.to.0 - stretch.from.0;
            match stretch.off.as_slice() {
                _ if part == 0 => {}
                [(off, ns)] if *ns == whole => *sums.entry(off).or_default() += part,
                all if part == whole => {
                    for (off, ns) in all {
                        *sums.entry(off).or_default() += ns;
                    }
                }
                _ => unknown += part,
            }
        }
        (sums, unknown)
    }
}

impl Stretch {
    fn with(mut self, other: Self) -> Self {
        for (off, ns) in other.off {
            match self.off.iter_mut().find(|(known, _)| *known == off) {
                Some((_, sum)) => *sum += ns,
                None => self.off.push((off, ns)),
            }
        }
        Self { to: other.to, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::{EACH, Off, OffCpu};
    use crate::ids::BootNs;
    use proptest::prelude::*;

    fn off(number: u64) -> Off {
        match number % 4 {
            0 => Off::Asleep,
            1 => Off::Runnable,
            2 => Off::Blocked("read".to_owned()),
            _ => Off::Blocked("fsync".to_owned()),
        }
    }

    proptest! {
        /// Against the plain sum over all of them: each part is short of it by what is not known at most, and that is a small part
        /// of the time that is asked about.
        #[test]
        fn what_is_told_is_so_and_little_is_not_known(
            lengths in proptest::collection::vec((1_u64..50, 1_u64..50), 1..1_500),
            permille in 0_u64..1_000,
        ) {
            let (mut kept, mut all, mut now) = (OffCpu::default(), Vec::new(), 0);
            for (number, (ran, slept)) in lengths.iter().enumerate() {
                let from = now + ran;
                now = from + slept;
                kept.push((BootNs(from), BootNs(now)), off(number as u64));
                all.push((from, now, off(number as u64)));
            }
            let begin = now * permille / 1_000;
            let (sums, unknown) = kept.between(BootNs(begin), BootNs(now));
            for kind in (0..4).map(off) {
                let known = sums.get(&kind).copied().unwrap_or(0);
                let plain: u64 =
                    all.iter().filter(|(_, _, off)| *off == kind).map(|(from, to, _)| to.saturating_sub(begin.max(*from))).sum();
                prop_assert!(known <= plain && plain <= known + unknown, "{kind:?}: {known} of {plain}, {unknown}");
            }
            // A stretch that is cut is at most 2 / EACH of the intervals since, each of them 99 at most and 2 at least.
            let since = all.iter().filter(|(_, to, _)| *to > begin).count() as u64;
            prop_assert!(unknown <= (2 * since / EACH as u64 + 1) * 100, "{unknown} of {since} intervals");
        }
    }

    #[test]
    fn a_million_of_them_take_little_room() {
        let mut kept = OffCpu::default();
        for n in 0..1_000_000 {
            kept.push((BootNs(n * 10), BootNs(n * 10 + 3)), off(n));
        }
        let stretches: usize = kept.classes.iter().map(std::collections::VecDeque::len).sum();
        assert!(stretches <= EACH * 15, "{stretches}");
        let (sums, unknown) = kept.between(BootNs(0), BootNs(10_000_000));
        assert_eq!((sums.values().sum::<u64>(), unknown), (3_000_000, 0));
    }

    #[test]
    fn of_the_newest_each_can_be_cut() {
        let mut kept = OffCpu::default();
        kept.push((BootNs(10), BootNs(10)), Off::Asleep);
        kept.push((BootNs(10), BootNs(20)), Off::Asleep);
        kept.push((BootNs(20), BootNs(40)), Off::Runnable);
        let (sums, unknown) = kept.between(BootNs(15), BootNs(22));
        assert_eq!((sums.get(&Off::Asleep), sums.get(&Off::Runnable), unknown), (Some(&5), Some(&2), 0));
    }
}

//! The wall clock: how far it is from the boot clock is told again and again, since it is set and steered.

use crate::ids::BootNs;
use std::collections::VecDeque;

/// Distances that are kept, of the newest time: one a second is more than half a day. Before that, the oldest of them holds.
const KEPT: usize = 65_536;

/// From when on the realtime clock was by how many nanoseconds ahead of the boot clock (clock_gettime(2)).
#[derive(Debug, Default)]
pub struct WallClock {
    ahead: VecDeque<(BootNs, i64)>,
}

impl WallClock {
    /// From `ts` on it is that far ahead.
    pub(crate) fn is_ahead(&mut self, ts: BootNs, by_ns: i64) {
        if self.ahead.back().is_some_and(|(_, before)| *before == by_ns) {
            return;
        }
        if self.ahead.len() == KEPT {
            self.ahead.pop_front();
        }
        let newest = self.ahead.back().map_or(ts, |(newest, _)| ts.max(*newest));
        self.ahead.push_back((newest, by_ns));
    }

    /// Nanoseconds since the Unix epoch of a moment.
    #[must_use]
    pub fn epoch_ns(&self, ts: BootNs) -> u64 {
        let after = self.ahead.partition_point(|(from, _)| *from <= ts);
        let by_ns = self.ahead.get(after.saturating_sub(1)).map_or(0, |(_, by_ns)| *by_ns);
        ts.0.saturating_add_signed(by_ns)
    }

    /// The moment at which it showed that many nanoseconds since the Unix epoch: the last of several, and the one at which it was
    /// set forward over that time. Moments before the boot become 0.
    #[must_use]
    pub fn moment(&self, epoch_ns: i128) -> BootNs {
        let boot =
            |by_ns: i64| u64::try_from(epoch_ns.saturating_sub(by_ns.into()).max(0)).unwrap_or(u64::MAX);
        let mut until = u64::MAX;
        for (from, by_ns) in self.ahead.iter().rev() {
            let at = boot(*by_ns);
            if at >= from.0 {
                return BootNs(at.min(until));
            }
            until = from.0;
        }
        BootNs(boot(self.ahead.front().map_or(0, |(_, by_ns)| *by_ns)).min(until))
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, WallClock};
    use crate::ids::BootNs;

    fn clock(ahead: &[(u64, i64)]) -> WallClock {
        let mut clock = WallClock::default();
        for (ts, by_ns) in ahead {
            clock.is_ahead(BootNs(*ts), *by_ns);
        }
        clock
    }

    #[test]
    fn what_it_showed_at_a_moment_leads_back_to_that_moment() {
        // Steered by a little, then set back by 500 and forward by 2,000.
        let clock = clock(&[(1_000, 10_000), (2_000, 10_003), (3_000, 9_503), (4_000, 11_503)]);
        for (ts, shown) in [
            (500, 10_500),
            (1_000, 11_000),
            (1_999, 11_999),
            (2_000, 12_003),
            (3_700, 13_203),
            (9_000, 20_503),
        ] {
            assert_eq!(clock.epoch_ns(BootNs(ts)), shown, "{ts}");
            assert_eq!(clock.moment(shown.into()), BootNs(ts), "{shown}");
        }
        // Shown twice: the last time counts. Never shown: when it was set.
        assert_eq!((clock.epoch_ns(BootNs(2_600)), clock.moment(12_603)), (12_603, BootNs(3_100)));
        assert_eq!(clock.moment(14_000), BootNs(4_000));
        assert_eq!(clock.moment(12_001), BootNs(2_000));
        assert_eq!(clock.moment(-5), BootNs(0));
    }

    #[test]
    fn before_the_first_word_and_beyond_what_is_kept_the_oldest_holds() {
        assert_eq!((clock(&[]).epoch_ns(BootNs(7)), clock(&[]).moment(7)), (7, BootNs(7)));
        let many: Vec<_> = (0..KEPT as u64 + 9).map(|n| (n * 10, i64::try_from(n).unwrap())).collect();
        let clock = clock(&many);
        assert_eq!(clock.ahead.len(), KEPT);
        assert_eq!(clock.epoch_ns(BootNs(0)), 9);
    }
}

//! The two clocks: boot time orders events, the epoch dates them.

use nix::time::{ClockId, clock_getres, clock_gettime};
use tracer_model::ids::BootNs;

/// `CLOCK_BOOTTIME`, the clock of the kernel programs.
pub(crate) fn boot_now() -> BootNs {
    BootNs(nanoseconds(ClockId::CLOCK_BOOTTIME))
}

/// How often the clocks are read: between two readings a thread may lose its processor for many milliseconds, by half of which the
/// result would be wrong.
const TRIES: usize = 8;

/// What has to be added to a boot-clock time to get nanoseconds since the Unix epoch: the epoch's clock is read between
/// two readings of the boot clock, those of several that lie nearest.
pub(crate) fn epoch_minus_boot_ns() -> i64 {
    let tries = (0..TRIES).map(|_| {
        let before = nanoseconds(ClockId::CLOCK_BOOTTIME);
        let epoch = nanoseconds(ClockId::CLOCK_REALTIME);
        let took = nanoseconds(ClockId::CLOCK_BOOTTIME).saturating_sub(before);
        (took, i128::from(epoch) - i128::from(before + took / 2))
    });
    let nearest = tries.min_by_key(|(took, _)| *took);
    nearest.and_then(|(_, offset)| i64::try_from(offset).ok()).unwrap_or(0)
}

/// Ticks a second of the running kernel (`CONFIG_HZ`): the coarse clocks go on once a tick (`clock_getres(2)`, and
/// `KTIME_LOW_RES`, include/linux/hrtimer.h). 0 where that cannot be read.
pub(crate) fn ticks_per_second() -> u32 {
    let Ok(tick) = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE) else { return 0 };
    let tick = u64::try_from(tick.tv_nsec()).unwrap_or(0);
    u32::try_from((1_000_000_000 + tick / 2).checked_div(tick).unwrap_or(0)).unwrap_or(0)
}

/// These clocks exist on every kernel that can run the programs; a reading that fails is 0.
fn nanoseconds(clock: ClockId) -> u64 {
    let Ok(time) = clock_gettime(clock) else { return 0 };
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_nsec()));
    seconds.unwrap_or(0) * 1_000_000_000 + nanoseconds.unwrap_or(0)
}

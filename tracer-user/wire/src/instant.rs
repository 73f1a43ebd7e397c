//! A moment as people and scripts write it: RFC 3339, nanoseconds since the Unix epoch, or `-30s` before now.

use jiff::{SignedDuration, Timestamp};
use std::{fmt, str::FromStr};
use tracer_model::{ids::BootNs, wall::WallClock};

/// A moment, absolute or counted back from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    /// Nanoseconds since the Unix epoch.
    Epoch(i128),
    /// Nanoseconds before now.
    Ago(i128),
}

/// What cannot be read as a moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a moment: write RFC 3339 (2026-11-23T12:03:11Z), nanoseconds since the Unix epoch, or how long ago \
     (-30s, -5m, -1h30m)"
)]
pub struct InstantError(String);

impl Instant {
    /// The moment on the boot clock, given that clock's now and what the wall clock showed. Moments before the boot become 0.
    #[must_use]
    pub fn on_boot_clock(self, now: BootNs, wall: &WallClock) -> BootNs {
        match self {
            Self::Epoch(epoch_ns) => wall.moment(epoch_ns),
            Self::Ago(ago_ns) => {
                let boot = i128::from(now.0).saturating_sub(ago_ns).max(0);
                BootNs(u64::try_from(boot).unwrap_or(u64::MAX))
            }
        }
    }
}

/// In a form that is read as the same moment.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epoch(epoch_ns) => write!(f, "{}", (*epoch_ns).max(0)),
            Self::Ago(ago_ns) => write!(f, "-{ago_ns}ns"),
        }
    }
}

impl FromStr for Instant {
    type Err = InstantError;

    fn from_str(text: &str) -> Result<Self, InstantError> {
        let error = || InstantError(text.to_owned());
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Epoch).map_err(|_| error());
        }
        if let Some(ago) =
            text.strip_prefix('-').filter(|ago| ago.starts_with(|first: char| first.is_ascii_digit()))
        {
            return ago.parse::<SignedDuration>().map(|ago| Self::Ago(ago.as_nanos())).map_err(|_| error());
        }
        text.parse::<Timestamp>().map(|at| Self::Epoch(at.as_nanosecond())).map_err(|_| error())
    }
}

#[cfg(test)]
mod tests {
    use super::Instant;
    use tracer_model::{ids::BootNs, wall::WallClock};

    #[test]
    fn three_forms() {
        assert_eq!("2026-11-23T12:03:11Z".parse(), Ok(Instant::Epoch(1_795_435_391_000_000_000)));
        assert_eq!("2026-11-23T13:03:11.5+01:00".parse(), Ok(Instant::Epoch(1_795_435_391_500_000_000)));
        assert_eq!("1795435391000000000".parse(), Ok(Instant::Epoch(1_795_435_391_000_000_000)));
        assert_eq!("-30s".parse(), Ok(Instant::Ago(30_000_000_000)));
        assert_eq!("-1h30m".parse(), Ok(Instant::Ago(5_400_000_000_000)));
        assert_eq!("-250ms".parse(), Ok(Instant::Ago(250_000_000)));
        for moment in [Instant::Epoch(1_795_435_391_000_000_001), Instant::Ago(250_000_001)] {
            assert_eq!(moment.to_string().parse(), Ok(moment));
        }
    }

    #[test]
    fn anything_else_is_an_error_that_shows_the_forms() {
        for text in [
            "",
            "-",
            "--5s",
            "-30",
            "30s",
            "yesterday",
            "2026-11-23",
            "999999999999999999999999999999999999999999",
        ] {
            let error = text.parse::<Instant>().unwrap_err().to_string();
            assert!(error.contains("RFC 3339") && error.contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn on_the_boot_clock() {
        let (now, wall) = (BootNs(50_000_000_000), WallClock::default());
        assert_eq!(Instant::Ago(30_000_000_000).on_boot_clock(now, &wall), BootNs(20_000_000_000));
        assert_eq!(Instant::Ago(i128::MAX).on_boot_clock(now, &wall), BootNs(0));
        assert_eq!(Instant::Epoch(1_007).on_boot_clock(now, &wall), BootNs(1_007));
        assert_eq!(Instant::Epoch(-3).on_boot_clock(now, &wall), BootNs(0));
    }
}

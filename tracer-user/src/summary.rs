//! The one line that ends a session.

use std::{fmt, path::PathBuf};
use tracer_model::session::Totals;

/// What a session came to.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) totals: Totals,
    /// The recording and how many inputs it holds.
    pub(crate) recorded: Option<(PathBuf, u64)>,
    /// Output or recording ended early, and that was told.
    pub(crate) incomplete: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { events, lost, doubtful, .. } = self.totals;
        let doubtful = u64::try_from(doubtful).unwrap_or(u64::MAX);
        write!(
            f,
            "sockreel: {} events, {} lost, {} doubtful",
            grouped(events),
            grouped(lost),
            grouped(doubtful)
        )?;
        match &self.recorded {
            Some((path, inputs)) => write!(f, "; recorded {} inputs to {}", grouped(*inputs), path.display()),
            None => Ok(()),
        }
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Summary, grouped};
    use tracer_model::session::Totals;

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1234, "1,234"), (100_000, "100,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn the_line_names_events_loss_and_doubt() {
        let totals = Totals { events: 1234, lost: 0, doubtful: 1, ..Totals::default() };
        let summary = Summary { totals: totals.clone(), recorded: None, incomplete: false };
        assert_eq!(summary.to_string(), "sockreel: 1,234 events, 0 lost, 1 doubtful");
        let summary = Summary { totals, recorded: Some(("r.mcap".into(), 5678)), incomplete: false };
        assert_eq!(
            summary.to_string(),
            "sockreel: 1,234 events, 0 lost, 1 doubtful; recorded 5,678 inputs to r.mcap"
        );
    }
}

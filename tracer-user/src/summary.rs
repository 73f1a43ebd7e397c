//! The one line that ends a session.

use std::{fmt, path::PathBuf};
use tracer_capture::Account;
use tracer_model::session::Totals;

/// What a session came to.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) totals: Totals,
    /// The kernel's records, where there was a kernel.
    pub(crate) account: Option<Account>,
    /// The recording and how many inputs it holds.
    pub(crate) recorded: Option<(PathBuf, u64)>,
    /// Output or recording ended early, and that was told.
    pub(crate) incomplete: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { events, lost, doubtful, repairs, checks, checks_ns, stacks_missed, .. } = self.totals;
        let doubtful = u64::try_from(doubtful).unwrap_or(u64::MAX);
        write!(
            f,
            "sockreel: {} events, {} lost, {} doubtful, {} repaired",
            grouped(events),
            grouped(lost),
            grouped(doubtful),
            grouped(repairs)
        )?;
        if let Some(Account { attempted, delivered, lost, causes }) = &self.account {
            let (attempted, delivered, lost) = (grouped(*attempted), grouped(*delivered), grouped(*lost));
            write!(f, "; records: {attempted} attempted, {delivered} delivered, {lost} lost")?;
            let causes: Vec<_> =
                causes.iter().map(|(cause, count)| format!("{} {}", grouped(*count), cause.name())).collect();
            if !causes.is_empty() {
                write!(f, " ({})", causes.join(", "))?;
            }
        }
        if checks > 0 {
            write!(f, "; {} checks in {} µs", grouped(checks), grouped(checks_ns / 1000))?;
        }
        if let Some(missed) = stacks_missed {
            write!(f, "; {} stacks not read", grouped(missed))?;
        }
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
    use tracer_capture::Account;
    use tracer_model::{input::LossCause, session::Totals};

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
        let summary = Summary { totals: totals.clone(), account: None, recorded: None, incomplete: false };
        assert_eq!(summary.to_string(), "sockreel: 1,234 events, 0 lost, 1 doubtful, 0 repaired");
        let totals =
            Totals { checks: 2, checks_ns: 1_234_567, repairs: 3, stacks_missed: Some(1_000), ..totals };
        let causes = vec![(LossCause::RingFull, 1_001), (LossCause::ProgramSkipped, 1)];
        let account = Some(Account { attempted: 1_009, delivered: 7, lost: 1_002, causes });
        let recorded = Some(("r.mcap".into(), 5678));
        let summary = Summary { totals, account, recorded, incomplete: false };
        assert_eq!(
            summary.to_string(),
            "sockreel: 1,234 events, 0 lost, 1 doubtful, 3 repaired; records: 1,009 attempted, 7 delivered, 1,002 lost \
             (1,001 ring_full, 1 program_skipped); 2 checks in 1,234 µs; 1,000 stacks not read; recorded 5,678 inputs to r.mcap"
        );
    }
}

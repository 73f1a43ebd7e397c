//! How many tests ran, read from the closing lines of their runners.

use std::{fmt, ops::AddAssign};

/// Tests by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Count {
    /// What a line of a runner's output adds: cargo's `test result: ok. 3 passed; 0 failed; 1 ignored; ...` and Vitest's
    /// `Tests  12 passed | 1 skipped (13)`. Other lines add nothing.
    pub(crate) fn of_line(line: &str) -> Self {
        let line = line.trim();
        let Some(counts) = line.strip_prefix("test result:").or_else(|| line.strip_prefix("Tests ")) else {
            return Self::default();
        };
        let mut count = Self::default();
        let words: Vec<&str> =
            counts.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        for (number, verdict) in words.iter().zip(words.iter().skip(1)) {
            let Ok(number) = number.parse::<u64>() else { continue };
            match *verdict {
                "passed" => count.passed += number,
                "failed" => count.failed += number,
                "ignored" | "skipped" => count.skipped += number,
                _ => {}
            }
        }
        count
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    fn read(line: &str) -> (u64, u64, u64) {
        let count = Count::of_line(line);
        (count.passed, count.failed, count.skipped)
    }

    #[test]
    fn each_runners_closing_line_is_read() {
        assert_eq!(
            read(
                "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 9 filtered out; finished in 0.00s"
            ),
            (3, 2, 1)
        );
        assert_eq!(read("      Tests  2 failed | 12 passed | 1 skipped (15)"), (12, 2, 1));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(read("Test Files  3 passed (3)"), (0, 0, 0));
        assert_eq!(read("test parser::it_passed ... ok"), (0, 0, 0));
        // The browser tests' own summary of what Vitest counted.
        assert_eq!(read("5 passed, 1 failed"), (0, 0, 0));
    }
}

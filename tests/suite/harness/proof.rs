//! What every proof stands on: nothing was lost, nothing was set right, and the books close.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

/// All was told and nothing had to be set right: to be called where lines are compared, of a run with `--check off`.
pub(crate) fn sound(lines: &[Value]) -> Result<()> {
    complete(lines)?;
    unrepaired(lines)
}

/// Nothing was lost: no line says so, lines are numbered without a gap, and so is every CPU's stream.
pub(crate) fn complete(lines: &[Value]) -> Result<()> {
    let mut cpus: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (number, line) in (1_u64..).zip(lines) {
        ensure!(line["event"] != "lost", "lost: {line}");
        ensure!(line["seq"] == number, "line {number} is {line}");
        if let (Some(cpu), Some(seq)) = (line["cpu"].as_u64(), line["cpu_seq"].as_u64()) {
            cpus.entry(cpu).or_default().push(seq);
        }
    }
    ensure!(!cpus.is_empty(), "no line has a CPU's number");
    for (cpu, mut numbers) in cpus {
        numbers.sort_unstable();
        numbers.dedup();
        for pair in numbers.windows(2) {
            ensure!(pair[0] + 1 == pair[1], "CPU {cpu} has nothing between {} and {}", pair[0], pair[1]);
        }
    }
    Ok(())
}

/// No table was wrong or in doubt: no line says so.
pub(crate) fn unrepaired(lines: &[Value]) -> Result<()> {
    let wrong =
        |line: &&Value| line["event"] == "repair" || line["via"] == "repair" || line["event"] == "standing";
    let found: Vec<&Value> = lines.iter().filter(wrong).take(10).collect();
    ensure!(found.is_empty(), "a table was wrong or in doubt: {found:?}");
    Ok(())
}

/// The books of a run that has ended: what the kernel counted as attempted was delivered, or is told as lost. One that is `due`
/// an account has one; another may not have got as far, or had no kernel.
pub(crate) fn books_close(err: &str, due: bool) -> Result<()> {
    let mut summaries = err.lines().filter(|line| line.contains(" attempted, ")).peekable();
    ensure!(!due || summaries.peek().is_some(), "no account in {err:?}");
    summaries.try_for_each(account_closes)
}

fn account_closes(summary: &str) -> Result<()> {
    let number = |unit: &str| -> Result<Vec<u64>> {
        let words: Vec<&str> = summary.split([' ', ';']).filter(|word| !word.is_empty()).collect();
        let before = words.windows(2).filter(|pair| pair[1].trim_end_matches(',') == unit);
        before.map(|pair| Ok(pair[0].replace(',', "").parse()?)).collect()
    };
    let (attempted, delivered, lost) = (number("attempted")?, number("delivered")?, number("lost")?);
    let ([attempted], [delivered], [told, lost]) = (&attempted[..], &delivered[..], &lost[..]) else {
        bail!("no account in {summary}");
    };
    ensure!(told == lost, "{told} are told as lost, {lost} were noticed: {summary}");
    ensure!(*attempted == delivered + lost, "the account does not close: {summary}");
    let by_cause = causes(summary)?;
    ensure!(by_cause.values().sum::<u64>() == *lost, "causes of another number are told: {summary}");
    ensure!(!by_cause.contains_key("unknown"), "lost, and nobody knows why: {summary}");
    Ok(())
}

/// Lost records by cause, as the kernel counted them: `2 lost (1 ring_full, 1 map_full)`.
pub(crate) fn causes(summary: &str) -> Result<BTreeMap<String, u64>> {
    let Some((_, causes)) = summary.split_once(" lost (") else { return Ok(BTreeMap::new()) };
    let (causes, _) = causes.split_once(')').with_context(|| format!("no end of causes in {summary}"))?;
    causes
        .split(", ")
        .map(|cause| {
            let (count, name) = cause.split_once(' ').with_context(|| format!("no cause in {summary}"))?;
            Ok((name.to_owned(), count.replace(',', "").parse()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{books_close, unrepaired};
    use serde_json::json;

    const CLOSES: &str = "sockreel: 9 events, 2 lost, 0 doubtful, 0 repaired; records: 1,011 attempted, 1,009 delivered, 2 lost \
                          (1 ring_full, 1 map_full)";

    #[test]
    fn an_account_that_is_due_is_there_and_closes() {
        assert!(books_close(CLOSES, true).is_ok());
        assert!(books_close("", false).is_ok());
        assert!(books_close("", true).is_err());
        assert!(books_close("sockreel: 9 events, 2 lost, 0 doubtful, 0 repaired", true).is_err());
        for (right, wrong) in [
            ("1,009", "1,008"),
            ("1,011", "1,012"),
            ("events, 2", "events, 1"),
            ("1,009 d", "d"),
            ("1 ring_full", "2 ring_full"),
            (", 1 map_full", ""),
            ("map_full", "unknown"),
        ] {
            assert!(books_close(&CLOSES.replace(right, wrong), true).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_single_repair_or_doubt_is_found() {
        let open = json!({"event": "open", "via": "syscall"});
        assert!(unrepaired(std::slice::from_ref(&open)).is_ok());
        for line in [
            json!({"event": "repair", "via": "repair", "fd": 3}),
            json!({"event": "close", "via": "repair", "fd": 3}),
            json!({"event": "standing", "via": "kernel", "standing": "doubtful"}),
        ] {
            assert!(unrepaired(&[open.clone(), line.clone()]).is_err(), "{line}");
        }
    }
}

//! Whatever tells that something is wrong, asked all at once: a planted fault is to be all that is told.

use super::Api;
use anyhow::{Result, ensure};
use serde_json::Value;

/// Answers that have findings.
pub(crate) const DETECTORS: [&str; 4] = ["leaks", "queues", "balance", "handovers"];

/// Lists of an answer whose entries tell of something wrong.
const TELLING: [&str; 6] = ["findings", "growing", "hung_up", "survived_exec", "unread", "room"];

/// What an answer tells that is wrong: where it stands, and what.
pub(crate) fn alarms(answer: &Value, within: &str, found: &mut Vec<String>) {
    match answer {
        Value::Object(fields) => {
            for (name, value) in fields {
                alarms(value, name, found);
            }
        }
        Value::Array(list) => {
            let tells = TELLING.contains(&within);
            found.extend(list.iter().filter(|_| tells).map(|alarm| format!("{within}: {alarm}")));
            for value in list {
                alarms(value, "", found);
            }
        }
        _ => {}
    }
}

/// The names of what an answer tells that is wrong: a finding's kind, or the list that it stands in.
fn names(answer: &Value, within: &str, found: &mut Vec<String>) {
    match answer {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| names(value, name, found)),
        Value::Array(list) => {
            for value in list {
                if TELLING.contains(&within) {
                    let kind = value["kind"].as_str().or(value["what"].as_str());
                    found.push(kind.filter(|_| within == "findings").unwrap_or(within).to_owned());
                }
                names(value, "", found);
            }
        }
        _ => {}
    }
}

/// Every detector is asked of everything: those findings are all there are, in the order of [`DETECTORS`].
pub(crate) fn only_alarms(mut ask: impl FnMut(&str) -> Result<Value>, expected: &[&str]) -> Result<()> {
    let (mut told, mut whole) = (Vec::new(), Vec::new());
    for detector in DETECTORS {
        let answer = ask(detector)?;
        let before = told.len();
        names(&answer, "", &mut told);
        for name in &mut told[before..] {
            *name = format!("{detector} {name}");
        }
        alarms(&answer, "", &mut whole);
    }
    ensure!(told == expected, "{told:?} instead of {expected:?}: {whole:#?}");
    Ok(())
}

/// The same of a daemon's API.
pub(crate) fn only_alarms_of(api: &Api, expected: &[&str]) -> Result<()> {
    only_alarms(|detector| api.get(&format!("answers/{detector}")), expected)
}

//! The HTTP API, as a script uses it.

use super::{Table, sockreel::told_table};
use anyhow::{Context as _, Result};
use serde_json::Value;

/// A client with the daemon's token.
pub(crate) struct Api {
    pub(crate) base: String,
    pub(crate) token: String,
    agent: ureq::Agent,
}

impl Api {
    /// From the URL that the daemon prints, which carries the token.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let (base, rest) =
            url.split_once("/?").or_else(|| url.split_once("/#")).context("no token in the URL")?;
        let token = rest.strip_prefix("token=").with_context(|| format!("no token in {url}"))?;
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Ok(Self { base: base.to_owned(), token: token.to_owned(), agent })
    }

    /// Status and body of a GET below `/api/v1/`.
    pub(crate) fn ask(&self, path: &str) -> Result<(u16, Value)> {
        let mut answer = self
            .agent
            .get(format!("{}/api/v1/{path}", self.base))
            .header("Authorization", format!("Bearer {}", self.token))
            .call()
            .with_context(|| format!("no answer to {path}"))?;
        let body = answer.body_mut().with_config().limit(1 << 30).read_to_string()?;
        let value = serde_json::from_str(&body).with_context(|| format!("{path} gave no JSON: {body}"))?;
        Ok((answer.status().as_u16(), value))
    }

    /// The body of a GET that succeeds.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let (status, body) = self.ask(path)?;
        anyhow::ensure!(status == 200, "{path}: {status}: {body}");
        Ok(body)
    }

    /// The identity (`pid@start`) of the newest process with that pid.
    pub(crate) fn process(&self, pid: u32) -> Result<String> {
        let answer = self.get("processes")?;
        let processes = answer["processes"].as_array().context("no processes")?;
        let found = processes.iter().rev().find(|process| process["pid"] == pid);
        let id = found.and_then(|process| process["id"].as_str());
        id.map(str::to_owned).with_context(|| format!("no process {pid} in {answer}"))
    }

    /// A process's table, at an instant (nanoseconds since the epoch) or now.
    pub(crate) fn table(&self, pid: u32, at: Option<u128>) -> Result<Table> {
        let at = at.map(|at| format!("&at={at}")).unwrap_or_default();
        told_table(&self.get(&format!("descriptors?process={}{at}", self.process(pid)?))?)
    }

    /// Every event, page by page, without the field that only the API has.
    pub(crate) fn events(&self) -> Result<Vec<Value>> {
        let (mut events, mut from) = (Vec::new(), 1_u64);
        loop {
            let mut answer = self.get(&format!("events?from_seq={from}&limit=1000"))?;
            for event in answer["events"].as_array_mut().context("no events")? {
                if let Some(fields) = event.as_object_mut() {
                    fields.remove("t");
                }
                events.push(event.take());
            }
            match answer["next_seq"].as_f64() {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a line's number is a whole number"
                )]
                Some(next) => from = next as u64,
                None => return Ok(events),
            }
        }
    }
}

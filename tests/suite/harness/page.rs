//! The page in Chromium, read as assistive technology reads it: by its rows.

use super::Group;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

/// One page that was loaded once and stays open.
pub(crate) struct Page {
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    _browser: Group,
}

impl Page {
    /// Opens a URL.
    pub(crate) fn open(url: &str) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/rows.mjs");
        let mut browser = Group::start(
            "Chromium",
            Command::new("node").arg(script).arg(url).stdin(Stdio::piped()).stdout(Stdio::piped()),
        )?;
        let ask = browser.child().stdin.take().context("no standard input")?;
        let answers = BufReader::new(browser.child().stdout.take().context("no standard output")?);
        let mut page = Self { ask, answers, _browser: browser };
        let opened = page.answer()?;
        ensure!(opened["opened"] == true, "the page did not open: {opened}");
        Ok(page)
    }

    /// The rows that are sockets: each with its attributes and its text.
    pub(crate) fn rows(&mut self) -> Result<Vec<Value>> {
        writeln!(self.ask, "rows")?;
        let answer = self.answer()?;
        ensure!(answer["loads"] == 1, "the page was loaded {} times", answer["loads"]);
        ensure!(answer["faults"] == serde_json::json!([]), "errors in the page: {}", answer["faults"]);
        answer["rows"].as_array().cloned().context("no rows")
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the page's script said: {line}"))
    }
}

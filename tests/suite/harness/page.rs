//! Chromium, driven by the scripts in `tests/browser`.

use super::Group;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

/// A script with a browser of its own: lines in, lines of JSON out.
pub(crate) struct Script {
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    _browser: Group,
}

impl Script {
    /// Starts `tests/browser/NAME ARGS`.
    pub(crate) fn start(name: &str, args: &[&str]) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser").join(name);
        let mut browser = Group::start(
            "Chromium",
            Command::new("node").arg(script).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()),
        )?;
        let ask = browser.child().stdin.take().context("no standard input")?;
        let answers = BufReader::new(browser.child().stdout.take().context("no standard output")?);
        Ok(Self { ask, answers, _browser: browser })
    }

    /// Says a line.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.ask, "{line}")?)
    }

    /// Its next line.
    pub(crate) fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the page's script said: {line}"))
    }
}

/// One page that was loaded once and stays open, read as assistive technology reads it: by its rows.
pub(crate) struct Page(Script);

impl Page {
    /// Opens a URL.
    pub(crate) fn open(url: &str) -> Result<Self> {
        let mut script = Script::start("rows.mjs", &[url])?;
        let opened = script.answer()?;
        ensure!(opened["opened"] == true, "the page did not open: {opened}");
        Ok(Self(script))
    }

    /// The rows that are sockets: each with its attributes and its text.
    pub(crate) fn rows(&mut self) -> Result<Vec<Value>> {
        self.0.say("rows")?;
        let answer = self.0.answer()?;
        ensure!(answer["loads"] == 1, "the page was loaded {} times", answer["loads"]);
        ensure!(answer["faults"] == serde_json::json!([]), "errors in the page: {}", answer["faults"]);
        answer["rows"].as_array().cloned().context("no rows")
    }
}

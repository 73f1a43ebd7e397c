//! The page in a real browser over a real daemon: how it bears much, and whom it answers.

use crate::harness::{Script, Sockreel, signal_pid, wait_within};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::time::Duration;

/// Bytes that the page may take with everything in it, how many more each minute once it forgets as much as comes, and that one
/// client may have waiting in the daemon.
const PAGE_BYTES: f64 = 150e6;
const GROWTH_BYTES: f64 = 1e6;
const CLIENT_BYTES: f64 = 1_048_576.0;

fn full() -> bool {
    std::env::var_os("SOCKREEL_FULL").is_some()
}

fn number(report: &Value, path: &str) -> Result<f64> {
    report.pointer(path).and_then(Value::as_f64).with_context(|| format!("no {path} in {report:#}"))
}

/// The table of what the page is held to, as it was measured. Bytes, counts and states hold on any machine, and gate; times are
/// told beside their goals.
struct Budgets {
    lines: Vec<String>,
    missed: Vec<String>,
}

impl Budgets {
    fn new(of: &str) -> Self {
        Self { lines: vec![format!("budgets of the page, {of}")], missed: Vec::new() }
    }

    fn line(&mut self, name: &str, measured: f64, goal: f64, unit: &str, gates: bool) {
        let verdict = match (measured <= goal, gates) {
            (true, _) => "held",
            (false, true) => "MISSED, gates",
            (false, false) => "missed",
        };
        let measured_as = (measured * 10.0).round() / 10.0;
        let line = format!("{name:48} {measured_as:>12} {unit:6} goal {goal:>12}  {verdict}");
        if gates && measured > goal {
            self.missed.push(line.clone());
        }
        self.lines.push(line);
    }

    fn time(&mut self, name: &str, report: &Value, path: &str, goal: f64) -> Result<()> {
        self.line(name, number(report, path)?, goal, "ms", false);
        Ok(())
    }

    /// Where the time went that was missed.
    fn profiles(&mut self, report: &Value) -> Result<()> {
        let profiles = report["profiles"].as_object().context("no profiles")?;
        for (of, lines) in profiles {
            let lines: Vec<&str> = lines.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            ensure!(lines.len() == 3, "no profile {of}: {report:#}");
            self.lines.push(format!("where the time goes {of}: {}", lines.join("; ")));
        }
        Ok(())
    }

    fn gate(&mut self, name: &str, measured: f64, goal: f64, unit: &str) {
        self.line(name, measured, goal, unit, true);
    }

    /// Prints the table; an error where something that gates was missed.
    fn hold(self) -> Result<()> {
        println!("{}", self.lines.join("\n"));
        ensure!(self.missed.is_empty(), "{}", self.missed.join("\n"));
        Ok(())
    }
}

/// What both kinds of sessions have in common.
fn common(budgets: &mut Budgets, report: &Value) -> Result<()> {
    ensure!(report["faults"] == json!([]), "errors in the page: {}", report["faults"]);
    ensure!(report["isolated"] == true, "the page's memory cannot be measured: {report}");
    ensure!(number(report, "/looked_frames")? > 30.0, "{report}");
    budgets.time("P1 first paint", report, "/first_paint_ms", 400.0)?;
    budgets.time("P2 rows on screen", report, "/rows_ms", 2000.0)?;
    budgets.time("P4 own work in a frame while moving, p50", report, "/moving/own_p50_ms", 6.0)?;
    budgets.time("P4 the same, p99", report, "/moving/own_p99_ms", 16.0)?;
    budgets.time("P5 between two frames while moving, p99", report, "/moving/apart_p99_ms", 34.0)?;
    budgets.line("P5 frames more than 50 ms apart", number(report, "/moving/apart_over_50")?, 3.0, "", false);
    budgets.time("P9 from an input to its picture, p98", report, "/moving/input_p98_ms", 200.0)?;
    budgets.gate("P8 frames that show nothing", number(report, "/blank_frames")?, 0.0, "");
    budgets.gate("P10 memory with everything there", number(report, "/memory_bytes")?, PAGE_BYTES, "bytes");
    Ok(())
}

/// With `SOCKREEL_FULL` a recording of 1,000,000 events and 100,000 sockets of 300 processes.
#[test]
fn a_large_recording() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("crowd.mcap");
    let (processes, connections, per_second) = if full() { ("300", "175", "8") } else { ("30", "60", "60") };
    let record = [
        "trace".as_ref(),
        "--buffer".as_ref(),
        "64M".as_ref(),
        "-o".as_ref(),
        "/dev/null".as_ref(),
        "--record".as_ref(),
        file.as_os_str(),
        "--".as_ref(),
        env!("CARGO_BIN_EXE_crowd").as_ref(),
        processes.as_ref(),
        connections.as_ref(),
        per_second.as_ref(),
    ];
    let mut tracing = Sockreel::start(dir.path(), "record", record)?;
    wait_within(Duration::from_mins(2), "the end of the crowd", || {
        ensure!(!tracing.group().is_running()?, "it still runs");
        Ok(())
    })?;
    let recorded = tracing.ended()?;
    ensure!(recorded.code == 0, "{}", recorded.err);
    let mut open = Sockreel::start(dir.path(), "open", ["open".as_ref(), file.as_os_str()])?;
    let seconds = if full() { "60" } else { "6" };
    let mut script = Script::start("measure.mjs", &[&open.url()?, "recording", seconds])?;
    let report = script.answer()?;
    let size = |field: &str| number(&report, &format!("/sizes/{field}"));
    let (sockets, events) = (size("sockets")?, size("events")?);
    let mut budgets = Budgets::new(&format!("a recording of {events} events and {sockets} sockets"));
    common(&mut budgets, &report)?;
    budgets.time("P2 everything there", &report, "/complete_ms", 2000.0)?;
    budgets.time("P12 first results of a search", &report, "/search/first_ms", 100.0)?;
    budgets.time("P12 all results", &report, "/search/all_ms", 300.0)?;
    budgets.time("P12 longest task", &report, "/searching/longest_task_ms", 50.0)?;
    // The page has what happened whole and asks for no tiles: what it asks for is a page of the list of events.
    budgets.time("P16 500 events from the server, p99", &report, "/page_of_events_ms/p99", 4.0)?;
    budgets.gate("P13 frames with nothing to tell", number(&report, "/idle_frames")?, 0.0, "");
    budgets.profiles(&report)?;
    budgets.hold()?;
    let (processes, connections): (f64, f64) = (processes.parse()?, connections.parse()?);
    ensure!((size("processes")? - processes - 1.0).abs() < 0.5, "{report}");
    // Both ends of each connection, and the listeners; what a process had before it ran is beside.
    ensure!(sockets >= processes * (2.0 * connections + 1.0), "{report}");
    if full() {
        ensure!(events >= 1e6 && sockets >= 1e5, "{report}");
    }
    open.insist()?;
    Ok(())
}

/// Bytes a minute that the page grew by once it forgot as much as came; `None` where it was not watched for so long.
fn growth(report: &Value) -> Result<Option<f64>> {
    let samples = report["soak"].as_array().context("no soak")?;
    let at = |sample: &Value, path: &str| number(sample, path);
    let last = samples.last().context("no sample")?;
    for sample in samples {
        let mut settled = true;
        for kept in ["/sockets", "/descriptors", "/kept_events"] {
            settled &= (at(sample, kept)? / at(last, kept)? - 1.0).abs() < 0.03;
        }
        let minutes = (at(last, "/t_ms")? - at(sample, "/t_ms")?) / 60e3;
        if settled && minutes >= 3.0 {
            let grown = at(last, "/memory_bytes")? - at(sample, "/memory_bytes")?;
            return Ok(Some((grown / minutes).round()));
        }
    }
    Ok(None)
}

/// A live daemon: 10,000 events a second, a stream that is cut and goes on, and the same state as a page that is opened afresh.
/// With `SOCKREEL_FULL` for more than ten minutes.
#[test]
fn a_busy_daemon() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (per_second, seconds, soak) = if full() { ("35", "60", "600") } else { ("10", "3", "0") };
    let crowd =
        ["serve", "--listen", "127.0.0.1:0", "--", env!("CARGO_BIN_EXE_crowd"), "20", "1000000", per_second];
    let mut serve = Sockreel::start(dir.path(), "busy", crowd)?;
    let url = serve.url()?;
    let mut script = Script::start("measure.mjs", &[&url, "live", seconds, soak])?;
    ensure!(script.answer()? == json!({ "quiet": true }), "the page did not get as far");
    for pid in serve.command(env!("CARGO_BIN_EXE_crowd"))? {
        signal_pid(pid, Signal::SIGSTOP)?;
    }
    script.say("go on")?;
    let report = script.answer()?;
    let metrics = report["metrics"].as_str().context("no metrics")?;
    let waiting = metrics.lines().find_map(|line| line.strip_prefix("sockreel_live_waiting_bytes_max "));
    let waiting: f64 = waiting.context("nothing says what waited")?.parse()?;
    let mut budgets = Budgets::new(&format!("live at {} events a second", number(&report, "/rate")?));
    common(&mut budgets, &report)?;
    budgets.time("P6 own work in a frame while following, p99", &report, "/following/own_p99_ms", 16.0)?;
    budgets.time("P6 between two frames while following, p99", &report, "/following/apart_p99_ms", 34.0)?;
    budgets.time("P6 applying a change, p99", &report, "/apply_p99_ms", 2.0)?;
    budgets.time("P7 age of the newest moment, p95", &report, "/age_p95_ms", 400.0)?;
    let last = report["soak"].as_array().and_then(|all| all.last()).context("no sample")?;
    budgets.gate("P10 memory at the end", number(last, "/memory_bytes")?, PAGE_BYTES, "bytes");
    match growth(&report)? {
        Some(grown) => budgets.gate("P11 growth each minute", grown, GROWTH_BYTES, "bytes"),
        None => ensure!(!full(), "never as much was forgotten as came: {:#}", report["soak"]),
    }
    budgets.gate("P13 frames while hidden", number(&report, "/hidden_frames")?, 0.0, "");
    budgets.time("P14 on again after a cut", &report, "/resumed_ms", 1000.0)?;
    budgets.gate("P15 bytes that a client had waiting", waiting, CLIENT_BYTES, "bytes");
    budgets.profiles(&report)?;
    budgets.hold()?;
    ensure!(!full() || number(&report, "/rate")? >= 10_000.0, "only {} events a second", report["rate"]);
    ensure!(report["resumed"] == "Reconnected.", "the stream did not go on: {}", report["resumed"]);
    ensure!(
        report["hash"] == report["fresh_hash"],
        "{} is not {}: {:#}",
        report["hash"],
        report["fresh_hash"],
        report["differing"]
    );
    ensure!(metrics.contains("sockreel_live_slow_clients_total 0"), "{metrics}");
    for pid in serve.command(env!("CARGO_BIN_EXE_crowd"))? {
        signal_pid(pid, Signal::SIGKILL)?;
    }
    serve.insist()?;
    Ok(())
}

/// A page of another port and one of another site learn nothing in a browser that is signed in, and neither does the
/// daemon's own page under a name that is bound to its address.
#[test]
fn pages_of_others() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut serve = Sockreel::start(
        dir.path(),
        "serve",
        ["serve", "--listen", "127.0.0.1:0", "--", env!("CARGO_BIN_EXE_crowd"), "1", "1000000", "5"],
    )?;
    let url = serve.url()?;
    let report = Script::start("hostile.mjs", &[&url])?.answer()?;
    println!("pages of others: {report:#}");
    ensure!(report["cookies"] == json!(["true Strict"]), "{report}");
    ensure!(report["address"] == "/", "the token stays in the address: {report}");
    ensure!(report["foreign"] == json!([]), "{report}");
    for page in ["otherPort", "otherSite"] {
        let attempts = &report[page];
        for attempt in ["read", "opaque", "post"] {
            ensure!(attempts[attempt] == "failed: TypeError", "{page} {attempt}: {report}");
        }
        ensure!(attempts["stream"] == "closed 1006", "{page}: {report}");
        ensure!(attempts["script"] == "failed" && attempts["image"] == "failed", "{page}: {report}");
        ensure!(attempts["framed"] == 0 && attempts["frame"] == "out of reach", "{page}: {report}");
        ensure!(attempts["opener"] == "out of reach", "{page}: {report}");
    }
    let all = report["rebound"].as_object().context("no answers")?;
    ensure!(all.len() == 5 && all.values().all(|status| status == 403), "{report}");
    ensure!(report["reboundStream"] == "refused" && report["link"] == "open", "{report}");
    for pid in serve.command(env!("CARGO_BIN_EXE_crowd"))? {
        signal_pid(pid, Signal::SIGKILL)?;
    }
    serve.insist()?;
    Ok(())
}

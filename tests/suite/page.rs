//! The page in a real browser over a real daemon: how it bears much, and whom it answers.

use crate::harness::{Script, Sockreel, signal_pid, wait_within};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::time::Duration;

/// Bytes that the page may take with everything in it, and that one client may have waiting in the daemon.
const PAGE_BYTES: u64 = 150_000_000;
const CLIENT_BYTES: u64 = 1 << 20;

fn full() -> bool {
    std::env::var_os("SOCKREEL_FULL").is_some()
}

fn bytes(report: &Value, field: &str) -> Result<u64> {
    report[field].as_u64().with_context(|| format!("no {field} in {report}"))
}

/// What no measurement may show, however slow the machine is: these are counts and bytes, not times.
fn holds(report: &Value) -> Result<()> {
    ensure!(report["faults"] == json!([]), "errors in the page: {}", report["faults"]);
    ensure!(report["blank_frames"] == 0, "lanes that showed nothing: {report}");
    ensure!(report["isolated"] == true, "the page's memory cannot be measured: {report}");
    let taken = bytes(report, "memory_bytes")?;
    ensure!(taken <= PAGE_BYTES, "the page takes {taken} bytes");
    Ok(())
}

/// P2, P4, P5, P8, P10 and P12 of a recording: with `SOCKREEL_FULL` of 1,000,000 events and 100,000 sockets of 300
/// processes.
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
    let mut script = Script::start("measure.mjs", &[&open.url()?, "recording"])?;
    let report = script.answer()?;
    println!("a recording: {report:#}");
    holds(&report)?;
    let sizes = &report["sizes"];
    let (processes, connections): (u64, u64) = (processes.parse()?, connections.parse()?);
    ensure!(sizes["processes"] == processes + 1, "{sizes}");
    // Both ends of each connection, and the listeners; what a process had before it ran is beside.
    let sockets = bytes(sizes, "sockets")?;
    ensure!(sockets >= processes * (2 * connections + 1), "{sizes}");
    if full() {
        ensure!(bytes(sizes, "events")? >= 1_000_000 && sockets >= 100_000, "{sizes}");
    }
    open.insist()?;
    Ok(())
}

/// P6, P7, P8, P10, P13, P14 and P15 of a live daemon: 10,000 events a second, a stream that is cut and goes on, and the same
/// state as a page that is opened afresh.
#[test]
fn a_busy_daemon() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (per_second, seconds) = if full() { ("35", "60") } else { ("10", "3") };
    let crowd =
        ["serve", "--listen", "127.0.0.1:0", "--", env!("CARGO_BIN_EXE_crowd"), "20", "1000000", per_second];
    let mut serve = Sockreel::start(dir.path(), "busy", crowd)?;
    let url = serve.url()?;
    let mut script = Script::start("measure.mjs", &[&url, "live", seconds])?;
    ensure!(script.answer()? == json!({ "quiet": true }), "the page did not get as far");
    for pid in serve.command(env!("CARGO_BIN_EXE_crowd"))? {
        signal_pid(pid, Signal::SIGSTOP)?;
    }
    script.say("go on")?;
    let report = script.answer()?;
    println!("a live daemon: {report:#}");
    holds(&report)?;
    ensure!(report["hidden_frames"] == 0, "frames that nobody could see: {report}");
    ensure!(report["resumed"] == "Reconnected.", "the stream did not go on: {}", report["resumed"]);
    ensure!(report["hash"] == report["fresh_hash"], "{} is not {}", report["hash"], report["fresh_hash"]);
    let metrics = report["metrics"].as_str().context("no metrics")?;
    let waiting = metrics.lines().find_map(|line| line.strip_prefix("sockreel_live_waiting_bytes_max "));
    let waiting: u64 = waiting.context("nothing says what waited")?.parse()?;
    println!("P15: a client had {waiting} bytes waiting at most");
    ensure!(waiting <= CLIENT_BYTES, "a client had {waiting} bytes waiting");
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

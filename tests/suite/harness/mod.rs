//! What the tests stand on: the program under test, servers, clients, and independent witnesses (`/proc`, Chromium).

mod account;
mod alarms;
mod api;
mod client;
mod control_group;
mod group;
mod guest;
mod page;
mod postgres;
mod proof;
mod server;
mod sockreel;
mod witness;

pub(crate) use account::{Account, Expected};
pub(crate) use alarms::{DETECTORS, alarms, only_alarms, only_alarms_of};
pub(crate) use api::Api;
pub(crate) use client::{Visit, hold, visits};
pub(crate) use control_group::ControlGroup;
pub(crate) use group::{Group, descendants, signal_pid};
pub(crate) use guest::Guest;
pub(crate) use page::{Page, Script};
pub(crate) use postgres::Postgres;
pub(crate) use proof::{books_close, complete, sound};
pub(crate) use server::{Server, free_port};
pub(crate) use sockreel::{Sockreel, lines, told_table};
pub(crate) use witness::{Table, is_accepted, is_listening, kind, table, table_in};

use anyhow::{Result, bail};
use std::{
    fs::OpenOptions,
    io::Write as _,
    thread,
    time::{Duration, Instant},
};

/// A part of a test that this machine does not allow, and why: printed, and counted by `cargo xtask test`, which names the file.
pub(crate) fn skipped(why: &str) -> Result<()> {
    println!("skipped: {why}");
    if let Some(file) = std::env::var_os("SOCKREEL_SKIPPED") {
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        writeln!(file, "{}", why.replace('\n', " "))?;
    }
    Ok(())
}

/// Longer than anything here takes on a slow and busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// Looks again and again until what is waited for is there; what was seen last is the error at the deadline.
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Result<T>) -> Result<T> {
    wait_within(DEADLINE, what, look)
}

/// The same with a deadline of its own.
pub(crate) fn wait_within<T>(
    deadline: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T>,
) -> Result<T> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(seen) if start.elapsed() > deadline => {
                bail!("waited {} s for {what}; seen: {seen:#}", deadline.as_secs())
            }
            Err(_) => thread::sleep(pause),
        }
        pause = Duration::from_millis(20).min(pause * 2);
    }
}

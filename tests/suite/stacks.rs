//! From where descriptors are made that are left behind: the function that forgets them and no other, by its own log and by
//! nm(1); with frame pointers and without; and nothing of it where it is not asked for.

use crate::{
    harness::{ControlGroup, Sockreel, wait_for, wait_within},
    leaks::{GROWTH, Watched, noted, only},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

/// `stacks.c` under `serve` until its leak is told: the answer, and the same from the recording.
fn growing(dir: &Path, flag: &str, options: &[&str]) -> Result<Value> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/stacks.c");
    let (program, log) = (dir.join("program"), dir.join("log"));
    let mut compile = Command::new("cc");
    compile.args(["-O2", "-Wall", "-Werror", "-pthread", flag, "-o"]).arg(&program).arg(source);
    ensure!(compile.status().context("cannot run cc")?.success(), "{compile:?} failed");
    let names = [&program, &log].map(|path| path.to_str().context("no UTF-8"));
    let [program, name] = names;
    let watched = Watched::start(options, &[program?, name?], true)?;
    let pid = only(&log, "pid")?;
    let answer = wait_within(GROWTH, "a growth that is told", || {
        let answer = watched.api.get("answers/leaks")?;
        let found = answer["growing"].as_array().into_iter().flatten().find(|one| one["by"] == "open");
        let stacks = found.and_then(|one| one["stacks"].as_array());
        let unread = stacks.into_iter().flatten().filter(|place| place["stack"].is_null()).count();
        ensure!(found.is_some() && unread == 0, "{answer}");
        Ok(answer)
    })?;
    let [growing] = answer["growing"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        anyhow::bail!("not one growth: {answer}");
    };
    ensure!(growing["kind"] == "file" && growing["process"]["pid"] == pid, "{growing}");
    // What was logged at a known place was forgotten, and nothing else is told.
    let left: BTreeSet<i64> = noted(&log, "left")?.iter().filter_map(Value::as_i64).collect();
    for one in growing["newest"].as_array().context("no examples")? {
        ensure!(one["fd"].as_i64().is_some_and(|fd| left.contains(&fd)), "{one} is none of {left:?}");
    }
    let info = watched.api.get("info")?;
    let reads = info["attached"].as_array().into_iter().flatten();
    let reads =
        reads.filter(|sentence| sentence.as_str().is_some_and(|text| text.contains("stacks"))).count();
    ensure!((reads == 1) == options.contains(&"--stacks"), "{info}");

    let at = answer["basis"]["at"]["ts_ns"].to_string();
    watched.replays(&answer, &at)?;
    Ok(growing.clone())
}

/// Functions of the program: name, first place and length, as nm(1) has them.
fn functions(program: &Path) -> Result<BTreeMap<String, (u64, u64)>> {
    let out = Command::new("nm").args(["-S", "--defined-only"]).arg(program).output()?.stdout;
    let text = String::from_utf8(out)?;
    let rows = text.lines().filter_map(|row| {
        let [address, len, _, name] = row.split_whitespace().collect::<Vec<_>>()[..] else { return None };
        let hex = |text| u64::from_str_radix(text, 16).ok();
        Some((name.to_owned(), (hex(address)?, hex(len)?)))
    });
    Ok(rows.collect())
}

/// The functions of each stack, innermost first, where the frame is the program's; each place is inside its function.
fn stacks(dir: &Path, growing: &Value) -> Result<Vec<(Vec<String>, Option<String>)>> {
    let program = dir.join("program");
    let functions = functions(&program)?;
    let mut found = Vec::new();
    for place in growing["stacks"].as_array().context("no stacks")? {
        let mut names = Vec::new();
        for frame in place["stack"]["frames"].as_array().context("no frames")? {
            if frame["file"] != program.to_string_lossy().as_ref() {
                continue;
            }
            let name = frame["symbol"].as_str().with_context(|| format!("no function: {frame}"))?;
            let (begin, len) = functions.get(name).with_context(|| format!("nm has no {name}"))?;
            let within = frame["symbol_offset"].as_u64().context("no place")?;
            // Linked so that text lies in the file as in memory.
            let offset =
                frame["offset"].as_str().and_then(|text| text.strip_prefix("0x")).context("no offset")?;
            let offset = u64::from_str_radix(offset, 16)?;
            ensure!(within < *len && offset == begin + within, "{frame}: {begin:#x} and {len:#x}");
            names.push(name.to_owned());
        }
        found.push((names, place["stack"]["cut"].as_str().map(str::to_owned)));
    }
    Ok(found)
}

#[test]
fn the_function_that_forgets_is_named_and_no_other() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let growing = growing(dir.path(), "-fno-omit-frame-pointer", &["--stacks"])?;
    let mut found = stacks(dir.path(), &growing)?;
    found.sort_by_key(|(names, _)| names.len());
    let names: Vec<Vec<&str>> =
        found.iter().map(|(names, _)| names.iter().map(String::as_str).collect()).collect();
    // A thread's, and main's.
    let own = ["forgets", "request", "work"];
    ensure!(names == [own.to_vec(), [&own[..], &["main"]].concat()], "{found:?}");
    let (_, cut) = found.last().context("no stack")?;
    ensure!(cut.is_none(), "{found:?}");
    // Each thread's are its own: those that it logged.
    let log = dir.path().join("log");
    let threads: BTreeSet<i64> = noted(&log, "thread")?.iter().filter_map(Value::as_i64).collect();
    for place in growing["stacks"].as_array().context("no stacks")? {
        let [thread] = place["threads"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            anyhow::bail!("not one thread: {place}");
        };
        ensure!(
            thread["tid"].as_i64().is_some_and(|tid| threads.contains(&tid)),
            "{thread} is none of {threads:?}"
        );
    }
    Ok(())
}

#[test]
fn a_stack_without_frame_pointers_says_so() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let growing = growing(dir.path(), "-fomit-frame-pointer", &["--stacks"])?;
    for (names, cut) in stacks(dir.path(), &growing)? {
        // The frame of `request` is longer than what is kept of a stack.
        ensure!(names == ["forgets", "request"], "{growing}");
        ensure!(cut.as_deref() == Some("no_frame_pointer"), "{growing}");
    }
    Ok(())
}

#[test]
fn stacks_that_were_not_asked_for_are_not_read() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let growing = growing(dir.path(), "-fno-omit-frame-pointer", &[])?;
    ensure!(growing["stacks"].is_null(), "{growing}");
    Ok(())
}

/// The process that opens files is none of those that are followed, though it is in the control group that is; it keeps little,
/// and ends with the tracer.
#[test]
fn the_process_that_opens_files_is_not_seen_and_does_not_stay() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let group = ControlGroup::new()?;
    let path = group.path().to_string_lossy();
    let inside = |command: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("echo $$ > {path}/cgroup.procs; exec {command}")]);
        shell
    };
    let sockreel = Sockreel::program()?;
    let serve = format!("{} serve --stacks --cgroup {path} --listen 127.0.0.1:0", sockreel.to_string_lossy());
    let mut serve = Sockreel::start_command(dir.path(), "serve", &mut inside(&serve))?;
    let api = serve.api()?;
    let pid = serve.group().pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let opener: u32 = children.trim().parse().with_context(|| format!("not one child: {children:?}"))?;
    let ended = inside("cat /etc/hostname").output()?;
    ensure!(ended.status.success(), "{ended:?}");
    let processes = wait_for("a process that was followed", || {
        let processes = api.get("processes")?;
        let all = processes["processes"].as_array().context("no processes")?;
        ensure!(all.iter().any(|process| process["comm"] == "cat"), "{processes}");
        Ok(processes)
    })?;
    for process in processes["processes"].as_array().context("no processes")? {
        ensure!(process["pid"] != opener && process["pid"] != pid, "{process}");
    }
    // It keeps these privileges (CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_CHECKPOINT_RESTORE; include/uapi/linux/capability.h), and
    // no network of ours.
    let status = fs::read_to_string(format!("/proc/{opener}/status"))?;
    let field = |name: &str| status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
    let kept = u64::from_str_radix(&field("CapEff:").context("no capabilities")?, 16)?;
    ensure!(kept == 1 << 2 | 1 << 19 | 1 << 40, "{kept:#x}");
    ensure!(field("Uid:").is_some_and(|ids| ids.split_whitespace().all(|id| id == "65534")), "{status}");
    let [ours, its] = [pid, opener].map(|pid| fs::read_link(format!("/proc/{pid}/ns/net")));
    ensure!(ours? != its?, "it has our network");
    let open: Vec<_> = fs::read_dir(format!("/proc/{opener}/fd"))?.collect::<Result<_, _>>()?;
    ensure!(open.len() == 2, "not its socket and /proc alone: {open:?}");
    let ended = serve.interrupt()?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    ensure!(fs::metadata(format!("/proc/{opener}")).is_err(), "{opener} is still there");
    Ok(())
}

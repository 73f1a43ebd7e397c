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
    path::{Path, PathBuf},
    process::Command,
};

/// `stacks.c`, as a program.
pub(crate) fn compiled(dir: &Path, flag: &str) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/stacks.c");
    let program = dir.join("program");
    let mut compile = Command::new("cc");
    compile.args(["-O2", "-Wall", "-Werror", "-pthread", flag, "-o"]).arg(&program).arg(source);
    ensure!(compile.status().context("cannot run cc")?.success(), "{compile:?} failed");
    Ok(program)
}

/// `stacks.c` under `serve` until its leak is told, with so many stacks: the answer, and the same from the recording.
fn growing(dir: &Path, flag: &str, options: &[&str], stacks: usize) -> Result<Value> {
    let (program, log) = (compiled(dir, flag)?, dir.join("log"));
    let names = [&program, &log].map(|path| path.to_str().context("no UTF-8"));
    let [program, name] = names;
    let watched = Watched::start(options, &[program?, name?], true)?;
    only(&log, "pid")?;
    let answer = wait_within(GROWTH, "a growth that is told", || {
        let answer = watched.api.get("answers/leaks")?;
        let found = answer["growing"].as_array().into_iter().flatten().find(|one| one["by"] == "open");
        let found = found.with_context(|| answer.to_string())?;
        let places = found["stacks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let read = places.iter().filter(|place| place["stack"].is_object()).count();
        ensure!(places.len() == stacks && read == stacks, "{answer}");
        Ok(answer)
    })?;
    let growing = what_was_forgotten(&answer, &log)?;
    let info = watched.api.get("info")?;
    let reads = info["attached"].as_array().into_iter().flatten();
    let reads =
        reads.filter(|sentence| sentence.as_str().is_some_and(|text| text.contains("stacks"))).count();
    ensure!((reads == 1) == options.contains(&"--stacks"), "{info}");

    let at = answer["basis"]["at"]["ts_ns"].to_string();
    watched.replays(&answer, &at)?;
    Ok(growing.clone())
}

/// The one growth that is told: of the program, and of what it logged at a known place as forgotten nothing else is told.
fn what_was_forgotten<'a>(answer: &'a Value, log: &Path) -> Result<&'a Value> {
    let [growing] = answer["growing"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        anyhow::bail!("not one growth: {answer}");
    };
    ensure!(growing["kind"] == "file" && growing["process"]["pid"] == only(log, "pid")?, "{growing}");
    let left: BTreeSet<i64> = noted(log, "left")?.iter().filter_map(Value::as_i64).collect();
    for one in growing["newest"].as_array().context("no examples")? {
        ensure!(one["fd"].as_i64().is_some_and(|fd| left.contains(&fd)), "{one} is none of {left:?}");
    }
    Ok(growing)
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

/// The functions of each stack, innermost first, where the frame is the program's, which was traced as `file`; each place is inside
/// its function.
fn stacks(program: &Path, file: &str, growing: &Value) -> Result<Vec<(Vec<String>, Option<String>)>> {
    let functions = functions(program)?;
    let mut found = Vec::new();
    for place in growing["stacks"].as_array().context("no stacks")? {
        let mut names = Vec::new();
        for frame in place["stack"]["frames"].as_array().context("no frames")? {
            if frame["file"] != file {
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

/// With frame pointers every stack leads from the function that forgets to where its thread began: how many frames and threads are
/// as nm(1) and the log have them.
fn whole_stacks(program: &Path, file: &str, log: &Path, growing: &Value) -> Result<usize> {
    let mut found = stacks(program, file, growing)?;
    found.sort_by_key(|(names, _)| names.len());
    let names: Vec<Vec<&str>> =
        found.iter().map(|(names, _)| names.iter().map(String::as_str).collect()).collect();
    // A thread's, and main's.
    let own = ["forgets", "request", "work"];
    ensure!(names == [own.to_vec(), [&own[..], &["main"]].concat()], "{growing}");
    let (_, cut) = found.last().context("no stack")?;
    ensure!(cut.is_none(), "{found:?}");
    // Each thread's are its own: those that it logged.
    let threads: BTreeSet<i64> = noted(log, "thread")?.iter().filter_map(Value::as_i64).collect();
    for place in growing["stacks"].as_array().context("no stacks")? {
        let [thread] = place["threads"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            anyhow::bail!("not one thread: {place}");
        };
        ensure!(
            thread["tid"].as_i64().is_some_and(|tid| threads.contains(&tid)),
            "{thread} is none of {threads:?}"
        );
    }
    Ok(names.iter().map(|names| names.len() + 1).sum())
}

/// What a daemon in a machine with another kernel told of the program (`init.sh`), and the same from its recording.
pub(crate) fn same_in_machine(found: &Path, program: &Path) -> Result<usize> {
    let text = fs::read_to_string(found.join("leaks.json"))?;
    let answer: Value = serde_json::from_str(&text).with_context(|| {
        format!("{text:?}: {}", fs::read_to_string(found.join("leaks.err")).unwrap_or_default())
    })?;
    let log = found.join("stacks.log");
    let growing = what_was_forgotten(&answer, &log)?;
    println!("{growing}");
    let compared = whole_stacks(program, "/bin/stacks", &log, growing)?;
    let at = answer["basis"]["at"]["ts_ns"].to_string();
    let reel = found.join("stacks.reel").into_os_string();
    let args = ["leaks".into(), "--json".into(), "--at".into(), at.into(), "--from".into(), reel];
    let replayed = Sockreel::run(found, "leaks", args)?;
    ensure!(replayed.code == 0, "{}: {}", replayed.code, replayed.err);
    let replayed: Value = serde_json::from_str(&replayed.out)?;
    ensure!(replayed["growing"] == answer["growing"], "{replayed}\nwas {answer}");
    Ok(compared)
}

#[test]
fn the_function_that_forgets_is_named_and_no_other() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let growing = growing(dir.path(), "-fno-omit-frame-pointer", &["--stacks"], 2)?;
    let program = dir.path().join("program");
    whole_stacks(&program, &program.to_string_lossy(), &dir.path().join("log"), &growing)?;
    Ok(())
}

#[test]
fn a_stack_without_frame_pointers_says_so() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let growing = growing(dir.path(), "-fomit-frame-pointer", &["--stacks"], 1)?;
    let program = dir.path().join("program");
    for (names, cut) in stacks(&program, &program.to_string_lossy(), &growing)? {
        // The frame of `request` is longer than what is kept of a stack.
        ensure!(names == ["forgets", "request"], "{growing}");
        ensure!(cut.as_deref() == Some("no_frame_pointer"), "{growing}");
    }
    Ok(())
}

#[test]
fn stacks_that_were_not_asked_for_are_not_read() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let growing = growing(dir.path(), "-fno-omit-frame-pointer", &[], 0)?;
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

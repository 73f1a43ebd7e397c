//! Random programs of descriptor calls, against what they logged of themselves.
//!
//! A program that differs is made as short as it can be while it differs, and kept in `programs/kept/`, from where it
//! is run again every time.

mod compare;
mod ends;
mod generate;
mod planted;
mod replay;

use crate::harness::{Sockreel, lines, sound};
use anyhow::{Context as _, Result, ensure};
use compare::{Size, compare};
use proptest::{
    strategy::{Strategy as _, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::Value;
use std::{
    ffi::OsString,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use tracer_tests::{log::Log, program::Program};

/// Longer than the programs of one run take on a slow and busy machine.
const LONGEST: Duration = Duration::from_mins(10);
/// Groups of steps of the longest program.
const GROUPS: usize = 50;
/// Programs of one traced run.
const BATCH: usize = 300;
/// A difference may need a certain order of concurrent steps: so often is a shorter program tried.
const TRIES: usize = 4;
/// Of the programs of one run that differ, so many are made shorter.
const KEPT: usize = 2;
/// Shorter programs that are tried at most.
const SHORTER: usize = 120;

#[test]
fn random_programs_are_told_as_they_logged_themselves() -> Result<()> {
    let programs = if std::env::var_os("SOCKREEL_FULL").is_some() { 3_000 } else { BATCH };
    let seed = seed()?;
    println!("seed {seed}");
    let mut runner = runner(seed);
    let mut size = Size::default();
    for batch in 0..programs / BATCH {
        let mut trees = trees(BATCH, &mut runner)?;
        let outcome = run(&trees.iter().map(ValueTree::current).collect::<Vec<_>>())?;
        size += outcome.size;
        for (at, differences) in &outcome.different {
            println!("program {at} differs: {}", differences.join("\n"));
        }
        let mut told = String::new();
        for (at, differences) in outcome.different.iter().take(KEPT) {
            let tree = trees.get_mut(*at).context("no such program")?;
            let (file, shortest) = keep(tree, &format!("{seed}-{batch}-{at}"))?;
            writeln!(
                told,
                "program {at}: {}\nkept in {}: {shortest}",
                differences.join("\n"),
                file.display()
            )?;
        }
        let different = outcome.different.len();
        ensure!(
            told.is_empty(),
            "seed {seed}, batch {batch}: {different} of {BATCH} programs differ; {told}"
        );
    }
    println!("{programs} programs: {size:?}");
    let Size { emfile, ebadf, eaddrinuse, eintr, .. } = size;
    ensure!(
        [emfile, ebadf, eaddrinuse, eintr].iter().all(|each| *each > 0),
        "a failure never happened: {size:?}"
    );
    Ok(())
}

#[test]
fn programs_that_once_differed_do_not() -> Result<()> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(kept())?.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    files.sort();
    let read = |file: &PathBuf| -> Result<Program> {
        serde_json::from_str(&fs::read_to_string(file)?).with_context(|| file.display().to_string())
    };
    let programs: Vec<Program> = files.iter().map(read).collect::<Result<_>>()?;
    let again: Vec<Program> = programs.iter().flat_map(|program| vec![program.clone(); TRIES]).collect();
    let outcome = run(&again)?;
    let mut told = String::new();
    for (at, differences) in &outcome.different {
        let file = files.get(at / TRIES).map(|file| file.display().to_string()).unwrap_or_default();
        writeln!(told, "{file}: {}", differences.join("\n"))?;
    }
    ensure!(told.is_empty(), "{told}");
    println!("{} programs: {:?}", programs.len(), outcome.size);
    Ok(())
}

/// `SOCKREEL_SEED`, so that a run can be repeated; otherwise another one every day.
pub(crate) fn seed() -> Result<u64> {
    if let Some(seed) = std::env::var_os("SOCKREEL_SEED") {
        return seed.to_string_lossy().parse().context("SOCKREEL_SEED is no number");
    }
    Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() / 86_400)
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn trees(number: usize, runner: &mut TestRunner) -> Result<Vec<impl ValueTree<Value = Program> + use<>>> {
    let tree = |_| generate::program(GROUPS).new_tree(runner);
    (0..number).map(tree).collect::<Result<_, _>>().map_err(|reason| anyhow::anyhow!("{reason}"))
}

/// Programs of today's seed.
pub(crate) fn random(number: usize) -> Result<Vec<Program>> {
    Ok(trees(number, &mut runner(seed()?))?.iter().map(ValueTree::current).collect())
}

/// Writes programs as the interpreter reads them.
pub(crate) fn write(programs: &[Program], to: &Path) -> Result<()> {
    let mut text = String::new();
    for program in programs {
        writeln!(text, "{}", serde_json::to_string(program)?)?;
    }
    Ok(fs::write(to, text)?)
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/programs/kept")
}

struct Outcome {
    size: Size,
    /// Programs that differ, by their number.
    different: Vec<(usize, Vec<String>)>,
}

/// Runs programs under one trace and compares each.
fn run(programs: &[Program]) -> Result<Outcome> {
    let dir = tempfile::tempdir()?;
    let file = |name: &str| dir.path().join(name);
    write(programs, &file("programs"))?;
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(OsString::from).to_vec();
    args.extend([file("out.jsonl").into(), "--record".into(), file("reel").into(), "--".into()]);
    // A network of its own: ports and abstract names are nobody else's.
    args.extend(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"].map(OsString::from),
    );
    args.extend([env!("CARGO_BIN_EXE_interpreter"), "drive"].map(OsString::from));
    args.extend([file("programs").into(), file("log").into(), dir.path().into()]);
    let mut trace = Sockreel::start(dir.path(), "programs", args)?;
    // Some programs wait for each other, and a shorter one may wait in vain: each has its own time.
    let start = Instant::now();
    while trace.group().is_running()? && start.elapsed() < LONGEST {
        thread::sleep(Duration::from_millis(20));
    }
    let ended = trace.ended()?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let lines = lines(&file("out.jsonl"))?;
    sound(&lines)?;
    let marked = replay::marked(&file("reel"))?;
    let logs: Vec<Log> =
        fs::read_to_string(file("log"))?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(logs.len() == programs.len(), "{} of {} programs have a log", logs.len(), programs.len());
    let mut outcome = Outcome { size: Size::default(), different: Vec::new() };
    let mut rest = lines.as_slice();
    for log in &logs {
        let mark = |name: &str| {
            let path = format!("/sockreel/{name}/{}", log.number);
            move |line: &Value| line["path"] == path.as_str()
        };
        let begin = rest.iter().position(mark("program")).context("no mark of a program's begin")?;
        let end = rest.iter().position(mark("done")).context("no mark of a program's end")?;
        let (size, differences) = compare(log, &rest[begin..end], &marked);
        rest = &rest[end..];
        outcome.size += size;
        if !differences.is_empty() {
            outcome.different.push((log.number, differences));
        }
    }
    Ok(outcome)
}

/// Makes a program that differs as short as it can be, and keeps it.
fn keep(tree: &mut impl ValueTree<Value = Program>, name: &str) -> Result<(PathBuf, String)> {
    let mut shortest = (tree.current(), "it did not differ again".to_owned());
    let mut tried = 0;
    let mut simpler = true;
    while tried < SHORTER && simpler {
        tried += 1;
        let program = tree.current();
        let outcome = run(&vec![program.clone(); TRIES])?;
        if let Some((_, differences)) = outcome.different.into_iter().next() {
            shortest = (program, differences.join("\n"));
            simpler = tree.simplify();
        } else {
            simpler = tree.complicate();
        }
    }
    let file = kept().join(format!("{name}.json"));
    fs::write(&file, serde_json::to_string_pretty(&shortest.0)? + "\n")?;
    Ok((file, shortest.1))
}

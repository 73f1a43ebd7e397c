//! Three kernels: this one, and older ones by software emulation. On each every program loads, what attaches is what the
//! kernel has, `doctor` says the same, and the trace of a program that logs what it does equals its log.

use crate::{
    harness::{Guest, Sockreel, books_close, kind, lines, skipped, sound, wait_for},
    real_servers::open_args,
    spoken, stacks, uring, verifier,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::Path,
};

/// What one kernel attaches and cannot tell.
struct Column {
    release: String,
    attached: Vec<String>,
    missing: Vec<String>,
    walked: BTreeMap<String, u64>,
    compared: usize,
}

#[test]
fn every_kernel_loads_every_program_and_tells_the_core() -> Result<()> {
    let dirs: Vec<_> =
        (0..=Guest::kernels()?.len()).map(|_| tempfile::tempdir()).collect::<Result<_, _>>()?;
    let (here, others) = dirs.split_first().context("no directory")?;
    let forgets = stacks::compiled(here.path(), "-fno-omit-frame-pointer")?;
    let guests: Vec<_> = Guest::kernels()?
        .into_iter()
        .zip(others)
        .map(|((series, image), dir)| Ok((series, Guest::boot(&image, dir.path(), &forgets)?)))
        .collect::<Result<_>>()?;
    let here = column(&prove_here(here.path())?, None)?;
    let mut columns = Vec::new();
    for (series, guest) in guests {
        let found = guest.found().with_context(|| series.clone())?;
        let machine = format!("Linux {series}");
        let mut column = column(&found, Some((&series, &here))).with_context(|| machine.clone())?;
        column.compared += stacks::same_in_machine(&found, &forgets).context(machine)?;
        columns.push(column);
    }
    columns.push(here);
    print(&columns)
}

/// What `init.sh` does in a machine, on this one.
fn prove_here(dir: &Path) -> Result<std::path::PathBuf> {
    let doctor = Sockreel::run(dir, "doctor", ["doctor", "--json"])?;
    fs::write(dir.join("doctor.jsonl"), doctor.out)?;
    let mut args: Vec<OsString> =
        ["trace", "--sched", "--peek", "--stacks", "--json", "--check", "off", "-o"]
            .map(OsString::from)
            .into();
    args.extend([dir.join("trace.jsonl").into(), "--record".into(), dir.join("trace.reel").into()]);
    args.extend(["--".into(), env!("CARGO_BIN_EXE_core-proof").into(), dir.join("log.jsonl").into()]);
    let trace = Sockreel::run(dir, "trace", args)?;
    fs::write(dir.join("trace.code"), trace.code.to_string())?;
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(OsString::from).into();
    args.extend([dir.join("rings.jsonl").into(), "--".into()]);
    args.extend([env!("CARGO_BIN_EXE_uring-server").into(), dir.join("rings.json").into()]);
    let rings = Sockreel::run(dir, "rings", args)?;
    ensure!(rings.code == 0, "{}: {}", rings.code, rings.err);
    let mut args: Vec<OsString> =
        ["trace", "--peek", "--json", "--check", "off", "-o"].map(OsString::from).into();
    args.extend([dir.join("spoken.jsonl").into(), "--".into()]);
    args.extend([env!("CARGO_BIN_EXE_speaker").into(), dir.join("spoken.json").into()]);
    let spoken = Sockreel::run(dir, "spoken", args)?;
    ensure!(spoken.code == 0, "{}: {}", spoken.code, spoken.err);
    let types = fs::read("/sys/kernel/btf/vmlinux")?;
    let names = types.split(|byte| *byte == 0).filter(|name| name.starts_with(b"btf_trace_"));
    let names: Vec<_> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    fs::write(dir.join("tracepoints"), names.join("\n"))?;
    Ok(dir.to_owned())
}

/// Checks everything that was found under one kernel: of that series, or this one, whose column the others need.
fn column(found: &Path, other: Option<(&str, &Column)>) -> Result<Column> {
    let read = |file: &str| fs::read_to_string(found.join(file)).with_context(|| file.to_owned());
    ensure!(
        read("trace.code")?.trim() == "0",
        "trace ended with {}: {}",
        read("trace.code")?,
        read("trace.err")?
    );
    for name in ["rings", "spoken", "stacks", "files"] {
        if let Ok(code) = read(&format!("{name}.code")) {
            let err = read(&format!("{name}.err"))?;
            ensure!(code.trim() == "0", "trace of {name} ended with {code}: {err}");
            books_close(&err, true).with_context(|| name.to_owned())?;
        }
    }
    books_close(&read("trace.err")?, true)?;
    let written = lines(&found.join("trace.jsonl"))?;
    sound(&written)?;
    let log = lines(&found.join("log.jsonl"))?;
    let doctor = lines(&found.join("doctor.jsonl"))?;

    let mut open = Sockreel::start(found, "open", open_args(&found.join("trace.reel")))?;
    let api = open.api()?;
    let info = wait_for("the recording", || api.get("info"))?;
    let sentences = |field: &str| -> Result<Vec<String>> { Ok(serde_json::from_value(info[field].clone())?) };
    let (attached, missing) = (sentences("attached")?, sentences("missing")?);
    let here = other.map_or(&attached, |(_, here)| &here.attached);
    attached_is_what_the_kernel_has(here, (&attached, &missing), &read("tracepoints")?)?;
    doctor_says(&doctor, &attached, &missing)?;

    let mut compared = same_calls(&log, &written)?;
    compared += same_addresses(&log, &written)?;
    for entry in log.iter().filter(|entry| entry["table"].is_object()) {
        compared +=
            same_table(entry, &written, |pid, at| api.get(&format!("descriptors?pid={pid}&at={at}")))?;
    }
    same_queues(&written)?;
    compared += same_waits(&log, &written)?;
    if found.join("files.jsonl").exists() {
        compared += same_files(&lines(&found.join("files.log.jsonl"))?, &lines(&found.join("files.jsonl"))?)?;
    }
    compared += uring::same_operations(&found.join("rings.json"), &found.join("rings.jsonl"))?;
    for operation in uring::left_out(&found.join("rings.json"))? {
        let kernel = other.map_or("this kernel", |(series, _)| series);
        skipped(&format!("{operation} on {kernel}: the kernel does not have it"))?;
    }
    let told = lines(&found.join("spoken.jsonl"))?;
    sound(&told)?;
    compared += spoken::same_spoken(&lines(&found.join("spoken.json"))?, &told)?;
    ensure!(open.interrupt()?.code == 0, "open did not end well");
    let walked = verifier::walked(&doctor)?;
    verifier::within_budget(&walked, other.map(|(series, _)| series))?;
    let release = doctor.iter().find(|finding| finding["subject"] == "kernel");
    let release = release.and_then(|finding| finding["detail"].as_str()).context("no kernel")?.to_owned();
    Ok(Column { release, attached, missing, walked, compared })
}

/// What is attached, and to which tracepoint: `words (tracepoint)`.
fn attachments(attached: &[String]) -> Result<BTreeMap<&str, &str>> {
    let parts = attached.iter().map(|sentence| {
        let parts = sentence.strip_suffix(')').and_then(|sentence| sentence.rsplit_once(" ("));
        parts.with_context(|| format!("{sentence} names no tracepoint"))
    });
    parts.collect()
}

/// Tracepoints that had another name in an older kernel.
const RENAMED: &[(&str, &str)] = &[("io_uring_submit_req", "io_uring_submit_sqe")];

/// What attaches is what the kernel's types have (`btf_trace_NAME` for each tracepoint): all that is attached, and of what
/// attaches on this kernel, `here`, all that can.
fn attached_is_what_the_kernel_has(
    here: &[String],
    (attached, missing): (&[String], &[String]),
    names: &str,
) -> Result<()> {
    let has: BTreeSet<&str> = names.lines().filter_map(|name| name.strip_prefix("btf_trace_")).collect();
    ensure!(has.contains("sys_enter"), "the kernel's tracepoints were not read: {names}");
    let attached = attachments(attached)?;
    for (words, place) in &attached {
        let is_run = place.starts_with("iterator ") || *place == "BPF_PROG_TEST_RUN";
        ensure!(is_run || has.contains(place), "{words}: the kernel has no {place}");
    }
    for (words, place) in attachments(here)? {
        let place = RENAMED
            .iter()
            .find(|(now, _)| *now == place && !has.contains(now))
            .map_or(place, |(_, then)| then);
        // Before 6.11 the tracepoint does not say which socket dropped a packet.
        let silent = place == "kfree_skb" && missing.iter().any(|missing| missing.contains("Linux 6.11"));
        ensure!(
            attached.contains_key(words) || !has.contains(place) || silent,
            "{words}: {place} is not attached"
        );
    }
    Ok(())
}

fn doctor_says(doctor: &[Value], attached: &[String], missing: &[String]) -> Result<()> {
    let programs = doctor.iter().find(|finding| finding["subject"] == "programs").context("no programs")?;
    let detail = programs["detail"].as_str().and_then(|detail| detail.split_once(": ")).map(|(_, list)| list);
    ensure!(
        detail == Some(attached.join(", ").as_str()),
        "attached are {attached:?}, but doctor: {programs}"
    );
    let cost = (!missing.is_empty()).then(|| missing.join("; "));
    ensure!(programs["cost"] == json!(cost), "missing is {missing:?}, but doctor: {programs}");
    Ok(())
}

/// Each thread's calls with their results, between its marks.
fn same_calls(log: &[Value], written: &[Value]) -> Result<usize> {
    let mut known: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for entry in log {
        let tid = entry["tid"].as_u64().with_context(|| format!("no thread in {entry}"))?;
        known.entry(tid).or_default().push(json!([entry["call"], entry["ret"]]));
    }
    let mut told: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    let mut on = BTreeSet::new();
    for line in written {
        let Some(tid) = line["tid"].as_u64() else { continue };
        if line["via"] != "syscall" || !line["call"].is_string() || line["pending"] == true {
            continue;
        }
        let path = line["path"].as_str().unwrap_or_default();
        if path == "/core-proof-begin" {
            on.insert(tid);
        }
        if on.contains(&tid) {
            told.entry(tid).or_default().push(json!([line["call"], line["ret"]]));
        }
        if path == "/core-proof-end" || path == "/core-proof-pause" || line["event"] == "exec" {
            on.remove(&tid);
        }
    }
    for (tid, known) in &known {
        let told = told.get(tid).map(Vec::as_slice).unwrap_or_default();
        for (number, (told, known)) in told.iter().zip(known).enumerate() {
            ensure!(told == known, "call {number} of {tid} is told as {told}, but was {known}");
        }
        ensure!(told.len() == known.len(), "{} calls of {tid} are told, it made {}", told.len(), known.len());
    }
    ensure!(told.len() == known.len(), "threads {:?} are told, but {:?} ran", told.keys(), known.keys());
    Ok(known.values().map(Vec::len).sum())
}

/// The addresses of each call that gave some, in order.
fn same_addresses(log: &[Value], written: &[Value]) -> Result<usize> {
    let mut compared = 0;
    let mut told = written.iter().filter(|line| {
        line["via"] == "syscall"
            && ["bind", "connect", "accept"].iter().any(|event| line["event"] == *event)
            && line["call"] != "accept"
            && line["pending"] != true
    });
    for entry in log.iter().filter(|entry| entry["fd"].is_number()) {
        let line = told.next().with_context(|| format!("nothing is told of {entry}"))?;
        ensure!(line["call"] == entry["call"] && line["ret"] == entry["ret"], "{line} is not {entry}");
        if entry["ret"].as_i64() < Some(0) {
            continue;
        }
        ensure!(line["local"] == entry["local"], "{line}, but getsockname gave {entry}");
        ensure!(line["peer"] == entry["peer"], "{line}, but getpeername gave {entry}");
        compared += 2;
    }
    Ok(compared)
}

/// The table that the recording gives for the moment of a mark, and the one that the process then had.
fn same_table(
    entry: &Value,
    written: &[Value],
    ask: impl Fn(&Value, &Value) -> Result<Value>,
) -> Result<usize> {
    let mark = &entry["mark"];
    let at = written.iter().find(|line| line["path"] == *mark && line["pid"] == entry["pid"]);
    let at = &at.with_context(|| format!("{mark} is not told"))?["ts_ns"];
    let mut known = BTreeMap::new();
    for (fd, slot) in entry["table"].as_object().context("no table")? {
        let (link, mode) =
            (slot["link"].as_str().context("no link")?, slot["mode"].as_u64().context("no mode")?);
        let slot =
            (kind(link, u32::try_from(mode)?).to_owned(), slot["ino"].as_u64(), slot["cloexec"].as_bool());
        known.insert(fd.parse::<i64>()?, slot);
    }
    let answer = ask(&entry["pid"], at)?;
    let mut told = BTreeMap::new();
    for row in answer["descriptors"].as_array().context("no descriptors")? {
        let ino = row["ino"].as_str().and_then(|ino| ino.parse().ok());
        let slot = (row["kind"].as_str().unwrap_or_default().to_owned(), ino, row["cloexec"].as_bool());
        told.insert(row["fd"].as_i64().context("no fd")?, slot);
    }
    for fd in known.keys().chain(told.keys()) {
        ensure!(
            told.get(fd) == known.get(fd),
            "{mark}: {fd} is told as {:?}, but was {:?}",
            told.get(fd),
            known.get(fd)
        );
    }
    Ok(known.len())
}

/// Each accepted connection of the internet protocols has its listener and was told in its queue before, and so was the
/// one that was never accepted.
fn same_queues(written: &[Value]) -> Result<()> {
    let internet = |line: &&Value| line["family"] == "inet" || line["family"] == "inet6";
    let of = |event: &'static str| written.iter().filter(internet).filter(move |line| line["event"] == event);
    let listeners: BTreeSet<_> = of("listen").filter_map(|line| line["socket"].as_str()).collect();
    let accepts: Vec<_> = of("accept").filter(|line| line["ret"].as_i64() >= Some(0)).collect();
    ensure!(listeners.len() == 2 && accepts.len() == 4, "{listeners:?}, {accepts:?}");
    for accept in &accepts {
        let listener = accept["listener"].as_str().unwrap_or_default();
        ensure!(listeners.contains(listener), "{accept} is from none of {listeners:?}");
        ensure!(accept["inferred"].is_null(), "{accept}");
        ensure!(accept["wait_ns"].is_u64(), "{accept}");
    }
    let queued: Vec<_> = of("queued").collect();
    ensure!(queued.len() == 6, "{} are told as queued: {queued:?}", queued.len());
    for line in queued {
        ensure!(line["queue_len"] == 1 && line["queue_limit"] == 7, "{line}");
        let accept = accepts.iter().find(|accept| accept["socket"] == line["socket"]);
        if let Some(accept) = accept {
            let same = ["listener", "local", "peer"].iter().all(|field| accept[*field] == line[*field]);
            ensure!(same && accept["seq"].as_u64() > line["seq"].as_u64(), "{line}, then {accept}");
        }
    }
    Ok(())
}

/// What the thread did while each connection waited, as far as it had accepted at that listener before: it slept, for as long as
/// it read from its own clock.
fn same_waits(log: &[Value], written: &[Value]) -> Result<usize> {
    let known = log.iter().filter(|entry| entry["call"] == "accept4");
    let told = written.iter().filter(|line| line["event"] == "accept" && line["call"] == "accept4");
    let (mut compared, mut accepted_at) = (0, BTreeSet::new());
    for (entry, line) in known.zip(told) {
        let Some(slept) = entry["slept_ns"].as_u64() else { continue };
        let part = |name: &str| line[name].as_u64();
        if accepted_at.insert(line["listener"].as_str()) {
            ensure!(part("blocked_ns").is_none(), "its first accept there: {line}");
            continue;
        }
        let parts = ["asleep_ns", "runnable_ns", "running_ns", "blocked_ns"].map(part);
        let [_, Some(runnable), _, Some(blocked)] = parts else { anyhow::bail!("no parts: {line}") };
        ensure!(line["wait_ns"] == parts.iter().flatten().sum::<u64>(), "{line}");
        ensure!(part("unknown_ns") == Some(0) && line["blocked_in"] == "clock_nanosleep", "{line}");
        // It read its clock before it slept and when it ran again; others may have run in its place at any time.
        ensure!(blocked <= slept && blocked + runnable >= slept / 2, "{entry}, but {line}");
        compared += 1;
    }
    ensure!(compared == 2, "{compared} waits were compared");
    Ok(compared)
}

/// Files that were opened until the machine had no more to give (`ENFILE`), which is explained, and the trace went on; and what that
/// did to a connection that waited. In machines of our own only.
fn same_files(log: &[Value], written: &[Value]) -> Result<usize> {
    sound(written)?;
    let counted = log.iter().find_map(|entry| entry["file_nr"].as_array()).context("it counted nothing")?;
    let counted: Vec<u64> =
        counted.iter().map(|number| number.as_str().unwrap_or_default().parse()).collect::<Result<_, _>>()?;
    let [used, _, limit] = counted[..] else { anyhow::bail!("{counted:?}") };
    let calls: Vec<Value> = log.iter().filter(|entry| entry["call"].is_string()).cloned().collect();
    let compared = same_calls(&calls, written)?;
    let failed: Vec<&Value> = written.iter().filter(|line| line["error"] == "ENFILE").collect();
    // The last of many, and three accepts; perhaps the mark at the end.
    let known = calls.iter().filter(|entry| entry["ret"] == -23).count();
    ensure!(failed.len() == known && (4..=5).contains(&known), "{known}: {failed:?}");
    let accepts = written.iter().filter(|line| line["event"] == "accept" && line["ret"].as_i64() >= Some(0));
    let accepts: Vec<&Value> = accepts.map(|line| &line["accept_failed"]).collect();
    ensure!(accepts == [&Value::Null, &json!(["ENFILE=3"])], "{accepts:?}");
    for line in &failed {
        let explain = &line["explain"];
        ensure!(explain["cause"] == "system_full", "{counted:?}: {line}");
        // One that failed before for the same reason leads there.
        let before =
            |seq: &Value| failed.iter().any(|other| other["seq"] == *seq && other["seq"] != line["seq"]);
        let again = explain["again"] == true
            && explain["events"].as_array().is_some_and(|all| all.iter().any(before));
        ensure!(again || explain["limit"] == limit, "{counted:?}: {line}");
    }
    // Each CPU counts some for itself before it adds them (`nr_files`, fs/file_table.c). By the look after the mark the program
    // may have ended.
    let apart = failed[0]["explain"]["used"].as_u64().map(|told| told.abs_diff(used));
    ensure!(apart.is_some_and(|apart| apart <= 64), "{counted:?}: {failed:?}");
    Ok(compared)
}

/// The table of kernels, for people: to what each program is attached, how much of it the verifier walked.
fn print(columns: &[Column]) -> Result<()> {
    let line = |head: &str, cells: Vec<String>| {
        let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:>27}")).collect();
        println!("{head:<72} {}", cells.join(" "));
    };
    let each = |cell: &dyn Fn(&Column) -> String| columns.iter().map(cell).collect();
    line("", each(&|column| column.release.clone()));
    let attached: Vec<_> =
        columns.iter().map(|column| attachments(&column.attached)).collect::<Result<_>>()?;
    for words in attached.iter().flat_map(BTreeMap::keys).collect::<BTreeSet<_>>() {
        let place = |column: &BTreeMap<&str, &str>| column.get(words).map_or("-", |place| place).to_owned();
        line(words, attached.iter().map(place).collect());
    }
    for program in columns.iter().flat_map(|column| column.walked.keys()).collect::<BTreeSet<_>>() {
        let walked = |column: &Column| column.walked.get(program).map_or("-".to_owned(), u64::to_string);
        line(&format!("instructions walked: {program}"), each(&walked));
    }
    line("calls, addresses, slots and frames compared", each(&|column| column.compared.to_string()));
    for column in columns {
        for sentence in &column.missing {
            println!("{} cannot tell: {sentence}", column.release);
        }
    }
    Ok(())
}

//! The comparison can fail: every edit of either side is found.

use super::{
    compare::compare,
    replay::{Held, Marked},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use tracer_tests::log::{End, Entry, Log, Slot};

const MARK: &str = "/sockreel/table/0/9/0";

/// What a comparison has: a program's log, the lines and the tables of the record.
#[derive(Clone)]
struct Sides {
    log: Log,
    lines: Vec<Value>,
    marked: HashMap<String, Marked>,
}

fn entry(call: &str, args: [i64; 4], ret: i64) -> Entry {
    Entry { pid: 70, tid: 71, call: Some(call.to_owned()), args, ret, alone: true, ..Entry::default() }
}

fn slot(fd: i32, mode: u32) -> Slot {
    Slot { fd, cloexec: fd % 2 == 0, ino: 100 + u64::try_from(fd).unwrap_or(0), dev: 9, mode }
}

fn line(call: &str, ret: i64, fields: Value) -> Value {
    with(json!({"via": "syscall", "pid": 70, "tid": 71, "event": call, "call": call, "ret": ret}), fields)
}

fn with(mut one: Value, other: Value) -> Value {
    if let (Some(one), Value::Object(other)) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}

fn sides() -> Sides {
    let text = |text: &str| Some(text.to_owned());
    let socket = |fd| slot(fd, libc::S_IFSOCK | 0o777);
    let driver = |call, ret| Entry { pid: 60, tid: 60, alone: false, ..entry(call, [0; 4], ret) };
    let entries = vec![
        Entry { asked: text("/sockreel/program/0"), ..driver("openat", -2) },
        driver("fork", 70),
        Entry { asked: text("/sockreel/begin/0/0"), ..entry("openat", [-100, 0, 0, 0], -2) },
        Entry { made: vec![socket(3)], ..entry("socket", [2, 1, 0, 0], 3) },
        Entry { asked: text("127.0.0.1:0"), local: text("127.0.0.1:8"), ..entry("bind", [3, 0, 16, 0], 0) },
        Entry { local: text("127.0.0.1:8"), ..entry("listen", [3, 5, 0, 0], 0) },
        entry("accept", [3, 0, 0, 0], -4),
        Entry {
            made: vec![socket(4)],
            local: text("127.0.0.1:8"),
            peer: text("127.0.0.1:9"),
            ..entry("accept4", [3, 0, 0, 0], 4)
        },
        entry("close", [9, 0, 0, 0], -9),
        Entry { made: vec![socket(4)], ..entry("fcntl", [4, i64::from(libc::F_SETFD), 1, 0], 0) },
        Entry {
            numbers: vec![6, 7],
            made: vec![socket(6), socket(7)],
            ..entry("socketpair", [1, 1, 0, 0], 0)
        },
        Entry {
            numbers: vec![10, 12],
            made: vec![socket(10), socket(12)],
            ..entry("recvmsg", [6, 0, 0, 0], 1)
        },
        Entry { numbers: vec![10], made: vec![socket(10)], ..entry("recvmsg", [7, 0, 0, 0], 1) },
        Entry { numbers: vec![3, 99], ..entry("sendmsg", [6, 0, 0, 0], -9) },
        Entry { table: Some(vec![socket(3), socket(4), socket(6)]), ..entry("close_range", [4, 9, 0, 0], 0) },
        Entry { table: Some(vec![socket(3)]), ..entry("fork", [0; 4], 80) },
        Entry { table: Some(vec![socket(3)]), ..entry("vfork", [0; 4], 81) },
        entry("shutdown", [3, 1, 0, 0], -107),
        Entry {
            call: None,
            asked: text(MARK),
            table: Some(vec![socket(3), slot(5, libc::S_IFDIR)]),
            ..entry("", [0; 4], 0)
        },
        Entry { table: Some(vec![socket(3), socket(5)]), ..entry("exit_group", [0; 4], 0) },
    ];
    let ends = [(81, 0), (70, 0x1100), (80, 9)].map(|(pid, status)| End { pid, status }).to_vec();
    let made =
        |fd: i32, kind: &str| json!({"new_fd": fd, "cloexec": fd % 2 == 0, "inode": 100 + fd, "kind": kind});
    let of_driver = |call, ret, fields| with(line(call, ret, fields), json!({"pid": 60, "tid": 60}));
    let exit = |pid: u32, tid: u32, status: u32, fds: Value| {
        with(json!({"via": "exit", "event": "exit", "pid": pid, "tid": tid, "status": status}), fds)
    };
    let lines = vec![
        of_driver("openat", -2, json!({"error": "ENOENT", "path": "/sockreel/program/0"})),
        of_driver("fork", 70, json!({})),
        line("openat", -2, json!({"error": "ENOENT", "path": "/sockreel/begin/0/0"})),
        line("socket", 3, made(3, "socket")),
        line("bind", 0, json!({"fd": 3, "asked": "127.0.0.1:0", "local": "127.0.0.1:8"})),
        line("listen", 0, json!({"fd": 3, "backlog": 5, "local": "127.0.0.1:8"})),
        line("accept", -512, json!({"fd": 3, "error": "ERESTARTSYS"})),
        line(
            "accept4",
            4,
            with(made(4, "socket"), json!({"fd": 3, "local": "127.0.0.1:8", "peer": "127.0.0.1:9"})),
        ),
        line("close", -9, json!({"fd": 9, "error": "EBADF"})),
        line("fcntl", 0, json!({"fd": 4, "cloexec": true, "inode": 104, "kind": "socket"})),
        line("socketpair", 0, json!({"fds": [6, 7], "cloexec": true, "inode": 106, "kind": "socket"})),
        line("recvmsg", 1, json!({"fd": 6, "fds": [10, 12], "dir": "in"})),
        line("recvmsg", 1, with(made(10, "socket"), json!({"fd": 7, "fds": [10], "dir": "in"}))),
        line("sendmsg", -9, json!({"fd": 6, "fds": [3, 99], "dir": "out", "error": "EBADF"})),
        line("close_range", 0, json!({"fds": [4, 6]})),
        line("fork", 80, json!({"fds": [3]})),
        line("vfork", 81, json!({"fds": [3]})),
        exit(81, 81, 0, json!({"fds": [3]})),
        line("shutdown", -107, json!({"fd": 3, "how": "SHUT_WR", "error": "ENOTCONN"})),
        exit(70, 71, 0x1100, json!({"fds": [3, 5]})),
        // Of its table the log knows nothing.
        exit(80, 80, 9, json!({})),
    ];
    let held = |fd: u64, kind| Held { cloexec: fd.is_multiple_of(2), ino: 100 + fd, dev: (0, 9), kind };
    let process = BTreeMap::from([(3, held(3, "socket")), (5, held(5, "directory"))]);
    let marked = HashMap::from([(MARK.to_owned(), Marked { process: process.clone(), all: vec![process] })]);
    Sides { log: Log { number: 0, trouble: None, ends, entries }, lines, marked }
}

fn differences(sides: &Sides) -> Vec<String> {
    compare(&sides.log, &sides.lines, &sides.marked).1
}

/// A value that is not that one.
fn other(value: &Value) -> Value {
    match value {
        Value::Bool(value) => (!value).into(),
        Value::Number(number) => (number.as_i64().unwrap_or(0) + 1).into(),
        Value::String(text) => format!("{text}x").into(),
        Value::Array(values) => values[1..].into(),
        _ => json!(1),
    }
}

#[test]
fn two_equal_sides_do_not_differ() -> Result<()> {
    let found = differences(&sides());
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

#[test]
fn every_edit_of_the_record_is_found() -> Result<()> {
    let whole = sides();
    for at in 0..whole.lines.len() {
        let mut edits: Vec<(String, Vec<Value>)> = Vec::new();
        let mut edit = |what: String, change: &dyn Fn(&mut Vec<Value>)| {
            let mut lines = whole.lines.clone();
            change(&mut lines);
            edits.push((what, lines));
        };
        edit("removed".to_owned(), &|lines| drop(lines.remove(at)));
        edit("doubled".to_owned(), &|lines| lines.insert(at, lines[at].clone()));
        edit("of an invented thread".to_owned(), &|lines| {
            lines.insert(at, with(lines[at].clone(), json!({"tid": 72})));
        });
        edit("of an invented process".to_owned(), &|lines| {
            lines.insert(at, with(lines[at].clone(), json!({"pid": 82, "tid": 82})));
        });
        edit("lost".to_owned(), &|lines| lines.insert(at, json!({"event": "lost", "count": 1})));
        edit("repaired".to_owned(), &|lines| lines.insert(at, json!({"event": "repair", "fd": 3})));
        let differs = |field| at > 0 && whole.lines[at][field] != whole.lines[at - 1][field];
        if differs("call") && !differs("pid") {
            edit("swapped".to_owned(), &|lines| lines.swap(at - 1, at));
        }
        for field in whole.lines[at].as_object().context("no line")?.keys() {
            // `event` follows from the call, where there is one.
            if field != "event" || whole.lines[at]["call"].is_null() {
                edit(format!("another {field}"), &|lines| lines[at][field] = other(&whole.lines[at][field]));
                edit(format!("without {field}"), &|lines| lines[at][field] = Value::Null);
            }
        }
        for (what, lines) in edits {
            let found = differences(&Sides { lines, ..whole.clone() });
            ensure!(!found.is_empty(), "{what}: {}", whole.lines[at]);
        }
    }
    Ok(())
}

#[test]
fn every_edit_of_the_log_is_found() -> Result<()> {
    let whole = sides();
    for at in 0..whole.log.entries.len() {
        let mut edited = Vec::new();
        let mut edit = |change: &dyn Fn(&mut Vec<Entry>)| {
            let mut sides = whole.clone();
            change(&mut sides.log.entries);
            edited.push(sides);
        };
        // An end is compared by its table, and by what wait(2) said.
        if whole.log.entries[at].call.as_deref().is_some_and(|call| call != "exit_group") {
            edit(&|entries| drop(entries.remove(at)));
            edit(&|entries| entries.insert(at, entries[at].clone()));
            edit(&|entries| entries[at].ret -= 1);
        }
        if whole.log.entries[at].table.is_some() {
            edit(&|entries| _ = entries[at].table.as_mut().and_then(Vec::pop));
        }
        // A line describes one descriptor; others stand in the tables.
        let several = whole.log.entries[at].numbers.len() == 2 && whole.log.entries[at].args[0] == 6;
        for slot in 0..whole.log.entries[at].made.len().min(usize::from(!several)) {
            edit(&|entries| entries[at].made[slot].ino += 1);
            edit(&|entries| entries[at].made[slot].cloexec ^= true);
        }
        for sides in &edited {
            ensure!(
                !differences(sides).is_empty(),
                "{:?}",
                sides.log.entries[at.min(sides.log.entries.len() - 1)]
            );
        }
    }
    for at in 0..whole.log.ends.len() {
        let edits: [fn(&mut Vec<End>, usize); 4] = [
            |ends, at| _ = ends.remove(at),
            |ends, at| ends.insert(at, ends[at]),
            |ends, at| ends[at].pid += 100,
            |ends, at| ends[at].status += 0x100,
        ];
        for (number, edit) in edits.iter().enumerate() {
            let mut sides = whole.clone();
            edit(&mut sides.log.ends, at);
            ensure!(!differences(&sides).is_empty(), "edit {number}: {:?}", whole.log.ends[at]);
        }
    }
    let mut sides = whole;
    sides.log.trouble = Some("it did not end".to_owned());
    ensure!(!differences(&sides).is_empty(), "its trouble is not told");
    Ok(())
}

#[test]
fn every_edit_of_a_table_is_found() -> Result<()> {
    let edits: [fn(&mut BTreeMap<i32, Held>); 6] = [
        |table| table.retain(|fd, _| *fd != 3),
        |table| table.extend([(4, Held { cloexec: true, ino: 104, dev: (0, 9), kind: "file" })]),
        |table| table.values_mut().for_each(|held| held.ino += 1),
        |table| table.values_mut().for_each(|held| held.cloexec ^= true),
        |table| table.values_mut().for_each(|held| held.dev.1 += 1),
        |table| table.values_mut().for_each(|held| held.kind = "pipe"),
    ];
    for (number, edit) in edits.iter().enumerate() {
        let mut sides = sides();
        for marked in sides.marked.values_mut() {
            edit(&mut marked.process);
            marked.all.iter_mut().for_each(edit);
        }
        ensure!(!differences(&sides).is_empty(), "edit {number}");
    }
    let mut sides = sides();
    sides.marked.clear();
    ensure!(!differences(&sides).is_empty(), "a mark that is not there");
    Ok(())
}

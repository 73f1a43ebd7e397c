//! The program from the outside, as far as it goes without privileges and without a kernel that allows tracing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod opened;
mod recorded;

use recorded::{Recorded, inputs, recorded};
use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::Read as _,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Command, Output, Stdio},
};
use tracer_model::session::{Limits, Session};
use tracer_wire::line::Line;

fn sockreel<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockreel"));
    command.args(args).env("TZ", "UTC").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// How it ended: exit code, standard output, standard error.
fn ended(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let stderr = text(&output.stderr);
    assert!(!stderr.contains("panicked"), "{stderr}");
    (output.status.code(), text(&output.stdout), stderr)
}

fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> (Option<i32>, String, String) {
    ended(&sockreel(args).output().unwrap())
}

/// Every verb, in the order of the help.
const VERBS: [&str; 14] = [
    "trace",
    "serve",
    "open",
    "dump",
    "fds",
    "sockets",
    "who",
    "handovers",
    "leaks",
    "queues",
    "slow",
    "balance",
    "connections",
    "doctor",
];

#[test]
fn the_verbs_are_these() {
    let (code, out, _) = run(["--help"]);
    let verbs: Vec<&str> = out
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!((code, verbs), (Some(0), VERBS.into_iter().chain(["help"]).collect()));
}

#[test]
fn bad_usage_exits_2_and_names_what_is_wrong() {
    for (args, named) in [
        (&["trace", "--port", "70000"][..], "70000"),
        (&["trace", "--port", "0"], "0"),
        (&["trace", "-p", "nginx"], "nginx"),
        (&["trace", "--for", "soon"], "soon"),
        (&["trace", "--filter", "no-such-key:1"], "no-such-key"),
        (&["trace", "ls"], "ls"),
        (&["serve", "--listen", "here"], "here"),
        (&["dump"], "FILE"),
        (&["explain"], "explain"),
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        assert!(err.contains(named), "{args:?}: {err}");
    }
}

#[test]
fn a_recording_dumps_as_its_session_tells() {
    let inputs = inputs(5);
    let Recorded { dir, path } = recorded(&inputs);
    let mut session = Session::new(Limits::default());
    let mut expected = String::new();
    for input in &inputs {
        for event in session.ingest(input) {
            expected += &serde_json::to_string(&Line::new(event)).unwrap();
            expected.push('\n');
        }
    }
    let json = [OsStr::new("dump"), OsStr::new("--json"), path.as_os_str()];
    let (code, out, err) = run(json);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, expected);
    assert_eq!(out.lines().filter(|line| line.contains(r#""event":"accept""#)).count(), 5);
    assert_eq!(out.lines().filter(|line| line.contains(r#""event":"lost""#)).count(), 1);

    // To a file, and again: the same bytes.
    let file = dir.path().join("out.jsonl");
    let (code, out, _) = run(json.into_iter().chain([OsStr::new("-o"), file.as_os_str()]));
    assert_eq!((code, out.as_str()), (Some(0), ""));
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
}

#[test]
fn text_is_one_line_an_event_and_has_no_colour_in_a_pipe() {
    let Recorded { path, dir: _dir } = recorded(&inputs(2));
    let dump = |args: &[&str]| {
        run([OsStr::new("dump"), path.as_os_str()].into_iter().chain(args.iter().map(OsStr::new)))
    };
    let (code, out, _) = dump(&[]);
    assert_eq!(code, Some(0));
    assert!(out.contains("127.0.0.1:40000") && out.contains("127.0.0.1:40001"), "{out}");
    assert!(!out.contains('\x1b'), "{out}");
    let (_, json, _) = dump(&["--json"]);
    assert_eq!(out.lines().count(), json.lines().count());
    let (_, colored, _) = dump(&["--color", "always"]);
    assert!(colored.contains('\x1b'), "{colored}");
}

#[test]
fn a_filter_narrows_what_is_printed() {
    let Recorded { path, dir: _dir } = recorded(&inputs(4));
    let (code, out, _) = run([
        OsStr::new("dump"),
        OsStr::new("--json"),
        OsStr::new("--filter=event:accept -peer:*:40002"),
        path.as_os_str(),
    ]);
    let peers: Vec<String> = out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["peer"].to_string())
        .collect();
    assert_eq!(code, Some(0));
    assert_eq!(peers, ["\"127.0.0.1:40000\"", "\"127.0.0.1:40001\"", "\"127.0.0.1:40003\""]);
}

#[test]
fn files_that_are_no_whole_recordings_are_told_by_name() {
    let Recorded { dir, path } = recorded(&inputs(5));
    let dump = |path: &Path| run([OsStr::new("dump"), OsStr::new("--json"), path.as_os_str()]);
    let whole = dump(&path).1;

    let absent = dir.path().join("absent");
    let foreign = dir.path().join("foreign");
    fs::write(&foreign, "a shopping list\n").unwrap();
    for (path, words) in [
        (absent.as_path(), "No such file"),
        (foreign.as_path(), "is not a sockreel recording"),
        (dir.path(), "is a directory"),
    ] {
        let (code, out, err) = dump(path);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(
            err.starts_with("sockreel: ") && err.contains(path.to_str().unwrap()) && err.contains(words),
            "{err}"
        );
    }

    // The last chunk is whole, what ends the file is not.
    let bytes = fs::read(&path).unwrap();
    let cut = dir.path().join("cut");
    fs::write(&cut, &bytes[..bytes.len() - 20]).unwrap();
    let (code, out, err) = dump(&cut);
    assert_eq!((code, out), (Some(0), whole.clone()));
    let warning = format!(
        "sockreel: warning: {} ends early, the recording was cut off: read the {} inputs before that\n",
        cut.display(),
        inputs(5).len()
    );
    assert_eq!(err, warning);

    let damaged = dir.path().join("damaged");
    let mut bytes = bytes;
    // Magic number of an LZ4 frame: the last one begins the last block.
    let last = bytes.windows(4).rposition(|window| window == b"\x04\x22\x4d\x18").unwrap();
    bytes[last + 20] ^= 0xff;
    fs::write(&damaged, &bytes).unwrap();
    let (code, out, err) = dump(&damaged);
    assert_eq!(code, Some(1));
    assert!(err.contains("is damaged after 5 inputs"), "{err}");
    assert!(!out.is_empty() && whole.starts_with(&out), "what is whole is printed first: {out}");
}

#[test]
fn a_newer_recording_names_both_versions() {
    let Recorded { dir, path } = recorded(&[]);
    // The version is a text of one digit in the head, which stands before any checksum.
    let mut bytes = fs::read(&path).unwrap();
    let key = bytes.windows(6).position(|window| window == b"format").unwrap();
    assert_eq!(&bytes[key + 6..key + 11], b"\x01\0\0\x005");
    bytes[key + 10] = b'7';
    let newer = dir.path().join("newer");
    fs::write(&newer, bytes).unwrap();
    let (code, _, err) = run([OsStr::new("dump"), newer.as_os_str()]);
    assert_eq!(code, Some(1));
    assert!(err.contains("format version 7") && err.contains("reads version 5"), "{err}");
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    // More than a pipe holds, so that writing meets the closed end.
    let Recorded { path, dir: _dir } = recorded(&inputs(5_000));
    let mut child = sockreel([OsStr::new("dump"), OsStr::new("--json"), path.as_os_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let (code, _, err) = ended(&child.wait_with_output().unwrap());
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_told_once_and_fails() {
    let Recorded { path, dir: _dir } = recorded(&inputs(5_000));
    let (code, _, err) = ended(
        &sockreel([OsStr::new("dump"), path.as_os_str()])
            .stdout(File::create("/dev/full").unwrap())
            .output()
            .unwrap(),
    );
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(
        err,
        "sockreel: cannot write standard output: No space left on device (os error 28); it ends here\n"
    );
}

#[test]
fn an_output_that_cannot_be_made_is_named_before_anything_is_attached() {
    let (code, out, err) = run(["trace", "-o", "/no/such/dir/out", "--", "true"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(
        err,
        "sockreel: cannot create the output file /no/such/dir/out: No such file or directory (os error 2)\n"
    );
    let (code, _, err) = run(["trace", "--record", "/no/such/dir/r", "--", "true"]);
    assert_eq!(code, Some(1));
    assert_eq!(
        err,
        "sockreel: cannot create the recording /no/such/dir/r: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_command_that_cannot_run_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    fs::write(&plain, "no program").unwrap();
    for (command, error) in [
        (
            "no-such-program-anywhere",
            "cannot run no-such-program-anywhere: there is no such program in PATH".to_owned(),
        ),
        ("./no/such/file", "cannot run ./no/such/file: there is no such file".to_owned()),
        (plain.to_str().unwrap(), format!("cannot run {0}: {0} is not an executable file", plain.display())),
    ] {
        let (code, out, err) = run(["trace", "--", command]);
        assert_eq!((code, out.as_str(), err), (Some(1), "", format!("sockreel: {error}\n")));
    }
}

#[test]
fn a_process_that_does_not_exist_is_named() {
    // The kernel gives no pid above this one (PID_MAX_LIMIT of include/linux/threads.h).
    let (code, _, err) = run(["trace", "-p", "4194305"]);
    assert_eq!(code, Some(1));
    assert!(err.starts_with("sockreel: there is no process 4194305"), "{err}");
}

#[test]
fn a_thread_is_not_taken_for_a_process() {
    // Tests run on threads of their own; this one is certain to.
    let told = std::thread::spawn(|| {
        let tid = nix::unistd::gettid().to_string();
        let (code, _, err) = run(["trace", "-p", &tid]);
        (code, err, tid)
    });
    let (code, err, tid) = told.join().unwrap();
    let pid = std::process::id();
    assert_eq!(code, Some(1));
    assert_eq!(err, format!("sockreel: {tid} is a thread of process {pid}: use -p {pid}\n"));
}

#[test]
fn without_privilege_two_lines_say_so_and_the_command_never_runs() {
    let dir = tempfile::tempdir().unwrap();
    let ran = dir.path().join("ran");
    // Where it was built another user may not look.
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("sockreel");
    fs::copy(env!("CARGO_BIN_EXE_sockreel"), &program).unwrap();
    let mut command = Command::new(program);
    command.args(["trace", "--", "touch"]).arg(&ran).current_dir("/").stdin(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let (code, out, err) = ended(&command.output().unwrap());
    if err.contains("built without the kernel programs") {
        assert_eq!(code, Some(1), "{err}");
    } else {
        assert_eq!(code, Some(3), "{err}");
        assert_eq!(err.lines().count(), 2, "{err}");
        assert!(err.contains("sockreel doctor"), "{err}");
    }
    assert_eq!(out, "");
    assert!(!ran.exists(), "the command ran");
}

#[test]
fn doctor_reports_and_succeeds() {
    let (code, out, err) = run(["doctor", "--json"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for line in out.lines() {
        let finding: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(finding["subject"].is_string() && finding["ok"].is_boolean(), "{line}");
    }
}

#[test]
fn open_names_what_it_cannot_read() {
    let (code, out, err) = run(["open", "/no/such/recording"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert_eq!(err, "sockreel: cannot read /no/such/recording: No such file or directory (os error 2)\n");
}

#[test]
fn every_verb_has_help() {
    for verb in VERBS {
        let (code, out, err) = run([verb, "--help"]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{verb}");
        assert!(out.contains(&format!("Usage: sockreel {verb}")), "{verb}: {out}");
    }
}

#[test]
fn help_says_what_has_no_descriptor() {
    let (_, out, _) = run(["fds", "--help"]);
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    let says =
        "What has none is not: System V shared memory, semaphores and message queues (`ipcs -p` lists those)";
    assert!(words.contains(says), "{out}");
}

#[test]
fn help_says_what_costs_more() {
    let (_, out, _) = run(["trace", "--help"]);
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    for option in ["--sched", "--peek", "--stacks"] {
        let (_, of_option) = words.split_once(&format!("{option} ")).expect(option);
        let (of_option, _) = of_option.split_once(" --").unwrap_or((of_option, ""));
        assert!(of_option.contains("Costs about") && of_option.contains(" ns "), "{option}: {of_option}");
    }
}

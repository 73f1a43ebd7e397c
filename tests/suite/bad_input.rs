//! Whatever is wrong: an error that names the thing, the right exit code, and a traced server that does not notice.

use crate::{
    harness::{Group, Server, Sockreel, complete, free_port, hold, lines, visits, wait_for},
    real_servers::open_args,
};
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use std::{
    ffi::{OsStr, OsString},
    fs::{self, Permissions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Runs `sockreel ARGS`, expects a code, and every one of `names` on standard error, where nothing is said of panics.
fn fails<A: AsRef<OsStr>>(code: i32, names: &[&str], args: impl IntoIterator<Item = A>) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let ended = Sockreel::run(dir.path(), "wrong", args)?;
    ensure!(ended.code == code, "exit code {}, not {code}: {}", ended.code, ended.err);
    for name in names {
        ensure!(ended.err.contains(name), "`{name}` is not in: {}", ended.err);
    }
    Ok(())
}

/// The recording of a curl, and the lines that it was made of.
fn recording() -> Result<(TempDir, PathBuf, String)> {
    let dir = tempfile::tempdir()?;
    let (out, reel) = (dir.path().join("out.jsonl"), dir.path().join("out.reel"));
    let mut args: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
    args.extend([
        "--record".into(),
        reel.clone().into(),
        "--".into(),
        "/usr/bin/python3".into(),
        "-c".into(),
    ]);
    args.push("import socket\nfor turn in range(3000): socket.socket().close()".into());
    let ended = Sockreel::run(dir.path(), "record", args)?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let text = fs::read_to_string(out)?;
    ensure!(text.lines().count() > 6000, "only {} lines", text.lines().count());
    Ok((dir, reel, text))
}

/// A pid that was just used and is free now.
fn dead_pid() -> Result<u32> {
    let mut child = Command::new("true").spawn()?;
    let pid = child.id();
    child.wait()?;
    Ok(pid)
}

#[test]
fn no_such_pid() -> Result<()> {
    let pid = dead_pid()?.to_string();
    fails(1, &[&pid], ["trace", "-p", &pid])?;
    fails(1, &[&pid], ["serve", "--listen", "127.0.0.1:0", "-p", &pid])
}

#[test]
fn a_pid_that_ends_while_we_attach() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for turn in 0..6_u32 {
        let seconds = format!("0.{:02}", turn * 8);
        let mut sleeper = Group::start("sleep", Command::new("sleep").arg(&seconds))?;
        let pid = sleeper.pid();
        let name = format!("ends-{turn}");
        let ended =
            Sockreel::run(dir.path(), &name, ["trace", "--json", "--for", "1s", "-p", &pid.to_string()])?;
        let told = ended.code == 0 || (ended.code == 1 && ended.err.contains(&pid.to_string()));
        ensure!(told, "after {seconds} s: {}: {}", ended.code, ended.err);
        ensure!(sleeper.code()? == 0, "the sleep did not end by itself");
    }
    Ok(())
}

#[test]
fn command_not_found() -> Result<()> {
    fails(1, &["/no/such/command"], ["trace", "--", "/no/such/command"])
}

#[test]
fn port_out_of_range() -> Result<()> {
    fails(2, &["70000"], ["trace", "--port", "70000"])?;
    fails(2, &["70000"], ["serve", "--listen", "127.0.0.1:70000"])
}

#[test]
fn recordings_that_are_none() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let missing = dir.path().join("missing.reel");
    let foreign = dir.path().join("foreign.reel");
    fs::write(&foreign, "a text of somebody else's\n".repeat(100))?;
    let empty = dir.path().join("empty.reel");
    fs::write(&empty, "")?;
    for file in [missing.as_path(), &foreign, &empty, dir.path()] {
        let name = file.to_str().context("no UTF-8")?;
        fails(1, &[name], [OsStr::new("dump"), file.as_os_str()])?;
        fails(1, &[name], open_args(file))?;
    }
    Ok(())
}

#[test]
fn a_newer_recording() -> Result<()> {
    let (dir, reel, _) = recording()?;
    let mut bytes = fs::read(&reel)?;
    // The version in the head, as MCAP writes a map: lengths of 32 bits before key and value.
    let version = format!("\x06\0\0\0format\x01\0\0\0{}", tracer_recording::FORMAT_VERSION);
    let at =
        bytes.windows(version.len()).position(|window| window == version.as_bytes()).context("no version")?;
    bytes[at + version.len() - 1] = b'9';
    let newer = dir.path().join("newer.reel");
    fs::write(&newer, bytes)?;
    fails(1, &["newer.reel", "version 9"], [OsStr::new("dump"), newer.as_os_str()])?;
    fails(1, &["newer.reel", "version 9"], open_args(&newer))
}

#[test]
fn a_truncated_recording_is_read_to_its_last_whole_block() -> Result<()> {
    let (dir, reel, text) = recording()?;
    let bytes = fs::read(&reel)?;
    let cut = dir.path().join("cut.reel");
    fs::write(&cut, &bytes[..bytes.len() * 2 / 3])?;
    let dump =
        Sockreel::run(dir.path(), "cut", [OsString::from("dump"), "--json".into(), cut.clone().into()])?;
    ensure!(dump.err.contains("cut.reel"), "nothing is said of {}: {}", cut.display(), dump.err);
    ensure!(dump.out.lines().count() > 1000, "only {} lines", dump.out.lines().count());
    ensure!(text.starts_with(&dump.out), "what is left is not how it began");
    // The page says so too, with as many inputs, and has as many events.
    let inputs = dump.err.split_whitespace().find_map(|word| word.parse::<u64>().ok());
    let mut open = Sockreel::start(dir.path(), "open", open_args(&cut))?;
    let api = open.api()?;
    wait_for("the end of what is left", || {
        let status = api.get("info")?["status"].clone();
        ensure!(inputs.is_some() && status["cut_off"].as_u64() == inputs, "{}, but {status}", dump.err);
        let events = dump.out.lines().filter(|line| line.contains("\"seq\":")).count();
        ensure!(status["events"].as_u64() == Some(u64::try_from(events)?), "{events}, but {status}");
        Ok(())
    })?;
    drop(api);
    open.insist().map(drop)
}

#[test]
fn a_recording_survives_kill_9() -> Result<()> {
    let server = Server::redis()?;
    let running = server.start()?;
    let (out, reel) = (server.dir().join("out.jsonl"), server.dir().join("out.reel"));
    let mut args: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
    args.extend(["--record".into(), reel.clone().into(), "-p".into(), running.pid().to_string().into()]);
    let mut trace = Sockreel::start(server.dir(), "trace", &args)?;
    wait_for("the snapshot", || ensure_lines(&out, 5))?;
    visits(&server, 200)?;
    wait_for("the lines", || ensure_lines(&out, 400))?;
    // Blocks are closed at least once a second: from then on these lines are in the file.
    let replayed = wait_for("a whole block", || {
        let dump = Sockreel::run(
            server.dir(),
            "peek",
            [OsString::from("dump"), "--json".into(), reel.clone().into()],
        )?;
        ensure!(dump.out.lines().count() > 400, "{} lines: {}", dump.out.lines().count(), dump.err);
        Ok(dump.out.lines().count())
    })?;
    trace.group().signal(Signal::SIGKILL)?;
    ensure!(trace.group().code()? == 128 + 9);
    let dump = Sockreel::run(server.dir(), "dump", [OsString::from("dump"), "--json".into(), reel.into()])?;
    let known = fs::read_to_string(&out)?;
    ensure!(dump.out.lines().count() >= replayed, "{} lines", dump.out.lines().count());
    for (told, known) in dump.out.lines().zip(known.lines()) {
        ensure!(told == known, "{told}\nnot {known}");
    }
    hold(&server).map(drop)
}

#[test]
fn output_that_cannot_be_written() -> Result<()> {
    let missing = "/no/such/directory/out";
    fails(1, &[missing], ["trace", "-o", missing, "--", "true"])?;
    fails(1, &[missing], ["trace", "--record", missing, "--", "true"])?;
    fails(1, &["/dev/full"], ["trace", "-o", "/dev/full", "--", "ls", "/"])
}

/// A small file system that is full soon; unmounted when it is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Result<Self> {
        let disk = Self(tempfile::tempdir()?);
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k", "small"])
            .arg(disk.0.path())
            .status()?;
        ensure!(status.success(), "cannot mount a small file system");
        Ok(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_while_recording() -> Result<()> {
    let server = Server::redis()?;
    let mut running = server.start()?;
    let disk = SmallDisk::new()?;
    let reel = disk.0.path().join("full.reel");
    let mut args: Vec<OsString> =
        vec!["trace".into(), "--json".into(), "--record".into(), reel.clone().into()];
    args.extend(["-p".into(), running.pid().to_string().into()]);
    let trace = Sockreel::start(server.dir(), "trace", &args)?;
    let out = server.dir().join("trace.out");
    wait_for("the snapshot", || ensure_lines(&out, 5))?;
    // The recording ends and says so; everything else goes on.
    wait_for("the full disk", || {
        visits(&server, 100)?;
        let said = trace.stderr()?;
        ensure!(said.contains("full.reel") && said.contains("No space left"), "it said {said}");
        Ok(())
    })?;
    let ended = trace.interrupt()?;
    ensure!(ended.code == 1, "{}: {}", ended.code, ended.err);
    complete(&lines(&out)?)?;
    // What was written is still readable, and the server did not notice.
    let dump = Sockreel::run(server.dir(), "dump", [OsString::from("dump"), "--json".into(), reel.into()])?;
    ensure!(dump.out.lines().count() > 100, "{} lines: {}", dump.out.lines().count(), dump.err);
    for (told, known) in dump.out.lines().zip(ended.out.lines()) {
        ensure!(told == known, "{told}\nnot {known}");
    }
    ensure!(running.is_running()?, "redis ended");
    hold(&server).map(drop)
}

#[test]
fn a_closed_pipe_ends_the_output_and_nothing_else() -> Result<()> {
    let (dir, reel, text) = recording()?;
    let err = dir.path().join("pipe.err");
    let mut dump = Group::start(
        "sockreel dump",
        Command::new(Sockreel::program()?)
            .args([OsString::from("dump"), "--json".into(), reel.into()])
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&err)?),
    )?;
    let stdout = dump.child().stdout.take().context("no standard output")?;
    let mut first = String::new();
    BufReader::new(stdout).read_line(&mut first)?;
    ensure!(text.starts_with(&first), "{first}");
    let code = dump.code()?;
    let said = fs::read_to_string(err)?;
    ensure!(code == 0 && said.is_empty(), "{code}: {said}");
    Ok(())
}

#[test]
fn two_daemons_on_one_port() -> Result<()> {
    let server = Server::redis()?;
    let running = server.start()?;
    let (address, pid) = (format!("127.0.0.1:{}", free_port()?), running.pid().to_string());
    let args = ["serve", "--listen", &address, "-p", &pid];
    let mut serve = Sockreel::start(server.dir(), "serve", args)?;
    serve.url()?;
    fails(1, &[&address], args)?;
    ensure!(serve.api()?.get("info").is_ok(), "the first daemon does not answer any more");
    ensure!(serve.interrupt()?.code == 0);
    Ok(())
}

#[test]
fn a_websocket_client_that_never_reads() -> Result<()> {
    let server = Server::redis()?;
    let mut running = server.start()?;
    let pid = running.pid().to_string();
    let mut serve = Sockreel::start(server.dir(), "serve", ["serve", "--listen", "127.0.0.1:0", "-p", &pid])?;
    let api = serve.api()?;
    let host = api.base.strip_prefix("http://").context("no http")?.to_owned();
    let mut deaf = TcpStream::connect(&host)?;
    deaf.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        deaf,
        "GET /api/v1/live HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c29ja3JlZWwgaXMgZGVhZg==\r\n\
         Authorization: Bearer {}\r\n\r\n",
        api.token
    )?;
    let mut status = [0; 12];
    deaf.read_exact(&mut status)?;
    ensure!(&status == b"HTTP/1.1 101", "{}", String::from_utf8_lossy(&status));
    // One text frame, masked with zeroes (RFC 6455, section 5.2). No `ack` follows, and nothing is read.
    let hello = br#"{"kind":"hello","resume":null}"#;
    let mut frame = vec![0x81, 0x80 | u8::try_from(hello.len())?, 0, 0, 0, 0];
    frame.extend_from_slice(hello);
    deaf.write_all(&frame)?;

    visits(&server, 1000)?;
    wait_for("every connection in the API", || {
        let info = api.get("info")?;
        ensure!(info["status"]["lost"] == 0.0, "lost: {info}");
        let sockets = api.get("sockets")?;
        let ended = sockets["sockets"].as_array().context("no sockets")?;
        let ended =
            ended.iter().filter(|socket| !socket["listener"].is_null() && !socket["ended"].is_null()).count();
        ensure!(ended == 1000, "{ended} ended children");
        Ok(())
    })?;
    complete(&api.events()?)?;
    ensure!(running.is_running()?, "redis ended");
    ensure!(serve.interrupt()?.code == 0);
    drop(deaf);
    Ok(())
}

#[test]
fn without_privilege_it_says_so_in_two_lines() -> Result<()> {
    let dir = tempfile::tempdir()?;
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755))?;
    // Where the program was built others may not look.
    let program = dir.path().join("sockreel");
    fs::copy(Sockreel::program()?, &program)?;
    fs::set_permissions(&program, Permissions::from_mode(0o755))?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]).arg(&program);
    command.args(["trace", "--", "true"]).current_dir("/");
    let ended = Sockreel::start_command(dir.path(), "nobody", &mut command)?.ended()?;
    ensure!(ended.code == 3, "{}: {}", ended.code, ended.err);
    ensure!(ended.err.lines().count() == 2, "not two lines: {}", ended.err);
    ensure!(ended.err.contains("CAP_BPF"), "no way out: {}", ended.err);
    Ok(())
}

#[test]
fn a_recording_is_the_owners_alone() -> Result<()> {
    let (_dir, reel, _) = recording()?;
    let mode = fs::metadata(&reel)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "mode {mode:o}");
    Ok(())
}

fn ensure_lines(file: &Path, number: usize) -> Result<()> {
    let seen = lines(file)?.len();
    if seen < number {
        bail!("{seen} lines");
    }
    Ok(())
}

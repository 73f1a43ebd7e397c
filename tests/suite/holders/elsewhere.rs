//! Holders beyond what is followed: processes that nobody selected, and a namespace of its own.

use super::{Sockreel, answer, held, only_listener, programs, ss};
use crate::harness::{Group, descendants, wait_for};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// What `inherited.py` says once it listens: its port, and the child and number that have the listener too.
fn said(dir: &Path) -> Result<String> {
    wait_for("the port", || {
        let out = fs::read_to_string(dir.join("out"))?;
        ensure!(out.lines().count() == 2, "{out}");
        Ok(out)
    })
}

#[test]
fn holders_that_are_not_followed_are_told_and_nothing_of_how_they_came_by_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Group::start(
        "inherited",
        Command::new("/usr/bin/python3")
            .arg(programs("inherited.py"))
            .stdin(Stdio::null())
            .stdout(fs::File::create(dir.path().join("out"))?),
    )?;
    let said = said(dir.path())?;
    let words: Vec<u64> = said.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [port, child, fd] = words[..] else { anyhow::bail!("{said}") };
    let (port, fd) = (u16::try_from(port)?, i64::try_from(fd)?);
    let parent = u64::from(server.pid());
    wait_for("the child's program", || {
        let comm = fs::read_to_string(format!("/proc/{child}/comm"))?;
        ensure!(comm.trim() == "sleep", "{comm}");
        Ok(())
    })?;
    let kernel = ss(port)?;
    assert_eq!(kernel, vec![(format!("127.0.0.1:{port}"), [(parent, fd), (child, fd)].into())]);
    let others = |list: &Value| -> Result<BTreeSet<(u64, i64)>> {
        let list = list.as_array().context("no list")?;
        ensure!(list.iter().all(|other| other["how"] == "unknown" && other["state"] == "LISTEN"), "{list:?}");
        let pair = |other: &Value| Some((other["pid"].as_u64()?, other["fd"].as_i64()?));
        list.iter().map(|other| pair(other).context("no number")).collect()
    };

    let following = |pid: u64| -> Result<(Sockreel, String)> {
        let dir = dir.path().join(pid.to_string());
        fs::create_dir(&dir)?;
        let args = ["serve", "--listen", "127.0.0.1:0", "-p", &pid.to_string()].map(String::from);
        let mut serve = Sockreel::start(&dir, "serve", args)?;
        let url = serve.url()?;
        Ok((serve, url))
    };
    // One of the two is followed.
    let (serve, url) = following(child)?;
    let who = answer(dir.path(), &["who", &port.to_string(), "--from", &url])?;
    let listener = only_listener(&who)?;
    assert_eq!(held(&listener["holders"])?, [(child, fd)].into());
    assert_eq!(
        (others(&listener["others"])?, &who["not_followed"]),
        ([(parent, fd)].into(), &Value::Array(vec![]))
    );
    // Of the past only who was followed is known.
    let at = who["basis"]["at"]["ts_ns"].to_string();
    let past = answer(dir.path(), &["who", &port.to_string(), "--from", &url, "--at", &at])?;
    assert_eq!(only_listener(&past)?["others"], Value::Array(vec![]));
    serve.interrupt()?;

    // Neither is: a process that has nothing to do with it.
    let apart = Group::start("sleep", Command::new("/usr/bin/sleep").arg("600"))?;
    let (serve, url) = following(apart.pid().into())?;
    let who = answer(dir.path(), &["who", &port.to_string(), "--from", &url])?;
    assert_eq!(
        (&who["sockets"], others(&who["not_followed"])?),
        (&Value::Array(vec![]), kernel[0].1.clone())
    );
    let text =
        Command::new(Sockreel::program()?).args(["who", &port.to_string(), "--from", &url]).output()?;
    println!("{}", String::from_utf8(text.stdout)?);
    serve.interrupt()?;
    Ok(())
}

#[test]
fn a_namespace_of_its_own_and_what_is_left_there() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let script = format!("ip link set lo up && exec /usr/bin/python3 {}", programs("inherited.py"));
    let server = Group::start(
        "unshare",
        Command::new("unshare")
            .args(["--net", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(fs::File::create(dir.path().join("out"))?),
    )?;
    let said = said(dir.path())?;
    let port: u16 = said.lines().next().context("no port")?.parse()?;
    let [inside, ..] = descendants(server.pid())?[..] else { anyhow::bail!("no process") };
    let within = |program: &[&str]| -> Result<String> {
        let output = Command::new("nsenter")
            .args(["--net", "--target", &inside.to_string()])
            .args(program)
            .output()?;
        Ok(String::from_utf8(output.stdout)?)
    };
    let client = "import socket,sys; c = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); print(c.recv(9), c.recv(9))";
    assert_eq!(within(&["/usr/bin/python3", "-c", client, &port.to_string()])?, "b'hello\\n' b''\n");
    let waiting = within(&["ss", "-Htan", "state", "time-wait", &format!("sport = :{port}")])?;
    let peer =
        waiting.split_whitespace().nth(3).with_context(|| format!("nothing waits: {waiting}"))?.to_owned();

    let who = answer(dir.path(), &["who", &port.to_string()])?;
    let listener = only_listener(&who)?;
    let netns = fs::read_link(format!("/proc/{inside}/ns/net"))?.to_string_lossy().into_owned();
    assert_eq!(format!("net:[{}]", listener["socket"]["netns"]), netns);
    let holder =
        listener["holders"].as_array().context("no holders")?.iter().find(|holder| holder["pid"] == inside);
    assert_eq!(holder.map(|holder| &holder["ns_pid"]), Some(&1.into()), "{listener}");
    let left = &who["leftovers"];
    assert_eq!((&left[0]["peer"], &left[0]["netns"]), (&peer.into(), &listener["socket"]["netns"]), "{who}");
    assert_eq!(left.as_array().map(Vec::len), Some(1));
    assert_eq!(who["basis"]["caveats"], Value::Array(Vec::new()));
    Ok(())
}

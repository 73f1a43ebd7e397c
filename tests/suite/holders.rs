//! Who holds what, and how that came: `who`, `handovers` and `sockets` on real servers, against ss(8) and the servers' own word.

mod attached;
mod elsewhere;
mod left;

use crate::harness::{
    Server, Sockreel, descendants, free_port, is_listening, only_alarms, signal_pid, wait_for,
};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    os::{fd::AsRawFd as _, linux::net::SocketAddrExt as _},
    path::Path,
    process::Command,
};

/// A daemon over a command that it started.
struct Daemon<'a> {
    serve: Sockreel,
    url: String,
    dir: &'a Path,
}

impl<'a> Daemon<'a> {
    fn over(dir: &'a Path, command: &[&str]) -> Result<Self> {
        let args = ["serve", "--listen", "127.0.0.1:0", "--"].iter().chain(command);
        let mut serve = Sockreel::start(dir, "serve", args)?;
        let url = serve.url()?;
        Ok(Self { serve, url, dir })
    }

    fn over_server(server: &'a Server) -> Result<Self> {
        let argv: Vec<&str> = server.argv.iter().map(String::as_str).collect();
        Self::over(server.dir(), &argv)
    }

    /// Those findings are all that any detector has.
    fn tells_only(&self, expected: &[&str]) -> Result<()> {
        only_alarms(|detector| self.ask(&[detector]), expected)
    }

    /// What `sockreel ARGS` answers from the daemon.
    fn ask(&self, args: &[&str]) -> Result<Value> {
        answer(self.dir, &[args, &["--from", &self.url]].concat())
    }

    fn root(&self, program: &str) -> Result<u32> {
        self.serve.command(program)?.first().copied().context("no command")
    }

    /// What the command has printed, line by line, from the first that is no URL.
    fn printed(&self, lines: usize) -> Result<Vec<String>> {
        wait_for("the command's words", || {
            let out = self.serve.stdout()?;
            let said: Vec<_> =
                out.lines().filter(|line| !line.starts_with("http://")).map(str::to_owned).collect();
            ensure!(said.len() >= lines, "{said:?}");
            Ok(said)
        })
    }
}

/// What `sockreel ARGS --json` answers.
pub(crate) fn answer(dir: &Path, args: &[&str]) -> Result<Value> {
    let ended = Sockreel::run(dir, "answer", args.iter().chain(&["--json"]))?;
    ensure!(ended.code == 0, "{args:?}: {}", ended.err);
    serde_json::from_str(&ended.out).with_context(|| format!("{args:?} gave {}", ended.out))
}

type Holders = BTreeSet<(u64, i64)>;

/// Processes and numbers of descriptors, of a list of holders.
fn held(holders: &Value) -> Result<Holders> {
    let rows = holders.as_array().with_context(|| format!("no holders: {holders}"))?;
    rows.iter()
        .map(|row| Ok((row["pid"].as_u64().context("no pid")?, row["fd"].as_i64().context("no fd")?)))
        .collect()
}

/// Who holds the listeners of a port, as ss(8) has it: one set a listener, with its local address.
fn ss(port: u16) -> Result<Vec<(String, Holders)>> {
    let output = Command::new("ss").args(["-Hltnp", &format!("sport = :{port}")]).output()?;
    let text = String::from_utf8(output.stdout)?;
    text.lines()
        .map(|line| {
            let local = line.split_whitespace().nth(3).context("no address")?.to_owned();
            let number = |text: &str| {
                let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
                digits.parse::<i64>().with_context(|| format!("no number in {line}"))
            };
            let users = line.split("pid=").skip(1).map(|user| {
                let (_, fd) = user.split_once("fd=").context("no fd")?;
                Ok((u64::try_from(number(user)?)?, number(fd)?))
            });
            Ok((local, users.collect::<Result<_>>()?))
        })
        .collect()
}

/// The one listener of an answer of `who`.
fn only_listener(who: &Value) -> Result<&Value> {
    match who["sockets"].as_array().map(Vec::as_slice) {
        Some([held]) => Ok(held),
        _ => anyhow::bail!("not one socket: {who}"),
    }
}

/// Asks and reads to the end.
fn visit(port: u16, ask: &[u8]) -> Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let own = stream.local_addr()?.port();
    stream.write_all(ask)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok((own, answer))
}

fn programs(name: &str) -> String {
    format!("{}/suite/holders/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Findings of all sockets: what, and the pids it is about.
fn findings(handovers: &Value) -> Result<Vec<(String, Vec<u64>)>> {
    let sockets = handovers["sockets"].as_array().context("no sockets")?;
    let all = sockets.iter().flat_map(|socket| socket["findings"].as_array().into_iter().flatten());
    all.map(|finding| {
        let parties = finding["processes"].as_array().context("no processes")?;
        let pids = parties.iter().filter_map(|party| party["pid"].as_u64()).collect();
        Ok((finding["what"].as_str().context("no what")?.to_owned(), pids))
    })
    .collect()
}

#[test]
fn a_reload_of_nginx_that_leaves_an_old_worker_is_told() -> Result<()> {
    let server = Server::nginx()?;
    let daemon = Daemon::over_server(&server)?;
    server.wait_until_it_listens()?;
    let port = server.port.to_string();
    let master = daemon.root("/usr/sbin/nginx")?;
    let old = descendants(master)?;
    let [stuck, quick] = old[..] else { anyhow::bail!("not two workers: {old:?}") };
    ensure!(findings(&daemon.ask(&["handovers"])?)?.is_empty(), "a finding before anything went wrong");

    signal_pid(stuck, Signal::SIGSTOP)?;
    signal_pid(master, Signal::SIGHUP)?;
    let workers = wait_for("the reload", || {
        let now = descendants(master)?;
        ensure!(now.len() == 3 && !now.contains(&quick), "{old:?} became {now:?}");
        Ok(now)
    })?;
    let handovers = wait_for("the finding", || {
        let handovers = daemon.ask(&["handovers", &port])?;
        ensure!(!findings(&handovers)?.is_empty(), "none yet: {handovers}");
        Ok(handovers)
    })?;
    assert_eq!(findings(&handovers)?, [("left_behind".to_owned(), vec![u64::from(stuck)])]);
    daemon.tells_only(&["handovers left_behind"])?;
    // When the other worker of its generation gave it up.
    let since = &handovers["sockets"][0]["findings"][0]["since"];
    let gave_up = handovers["sockets"][0]["owners"].as_array().context("no owners")?;
    let gave_up = gave_up.iter().find(|owner| owner["pid"] == quick).context("no other worker")?;
    ensure!(since["seq"].is_u64() && *since == gave_up["until"], "{since}: {gave_up}");
    let text = handovers["sockets"][0]["findings"][0]["text"].as_str().context("no text")?;
    for pid in &workers {
        ensure!(text.contains(&pid.to_string()), "{pid} is not in {text}");
    }

    // Who holds the port now: the kernel says the same; and each how, with the event that tells of it.
    let who = daemon.ask(&["who", &port])?;
    let listener = only_listener(&who)?;
    assert_eq!(vec![(server.address(), held(&listener["holders"])?)], ss(server.port)?);
    for holder in listener["holders"].as_array().context("no holders")? {
        let pid = holder["pid"].as_u64().context("no pid")?;
        if pid == u64::from(master) {
            assert_eq!(holder["how"], "socket");
        } else {
            assert_eq!(
                (&holder["how"], holder["from"]["pid"].as_u64()),
                (&"fork".into(), Some(master.into()))
            );
        }
        ensure!(holder["since"]["seq"].is_u64(), "no event: {holder}");
    }
    let before = held(&listener["former"])?;
    ensure!(before.iter().any(|(pid, _)| *pid == u64::from(quick)), "{quick} is not among {before:?}");

    // It goes on, and gives the port up: nothing is left to be told.
    signal_pid(stuck, Signal::SIGCONT)?;
    wait_for("the old worker's end", || {
        ensure!(!descendants(master)?.contains(&stuck), "it runs");
        ensure!(findings(&daemon.ask(&["handovers"])?)?.is_empty(), "still a finding");
        Ok(())
    })?;
    daemon.serve.insist()?;
    Ok(())
}

/// A program of ours: nginx, redis and haproxy open their listeners with close-on-exec, and PostgreSQL's children close them.
#[test]
fn a_child_that_inherited_a_listener_is_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let daemon = Daemon::over(dir.path(), &["/usr/bin/python3", &programs("inherited.py")])?;
    let said = daemon.printed(2)?;
    let (child, fd) = said[1].split_once(' ').context("no number")?;
    let (port, child, fd): (u16, u64, i64) = (said[0].parse()?, child.parse()?, fd.parse()?);
    let server = u64::from(daemon.root("/usr/bin/python3")?);
    wait_for("the child's program", || {
        let comm = fs::read_to_string(format!("/proc/{child}/comm"))?;
        ensure!(comm.trim() == "sleep", "{comm}");
        Ok(())
    })?;
    let port_text = port.to_string();
    // Nobody has accepted: it may be a service that was given its listener.
    ensure!(findings(&daemon.ask(&["handovers"])?)?.is_empty(), "a finding before an accept");
    let (client, answer_) = visit(port, b"")?;
    assert_eq!(answer_, b"hello\n");
    let handovers = wait_for("the accept", || {
        let handovers = daemon.ask(&["handovers"])?;
        ensure!(!findings(&handovers)?.is_empty(), "{handovers}");
        Ok(handovers)
    })?;
    assert_eq!(findings(&handovers)?, [("stray".to_owned(), vec![child])]);
    daemon.tells_only(&["handovers stray"])?;
    ensure!(handovers["sockets"][0]["findings"][0]["since"]["seq"].is_u64(), "no event: {handovers}");

    // Live, and in a snapshot that knows nothing of the past: both name the kernel's holders.
    let kernel = vec![(format!("127.0.0.1:{port}"), [(server, fd), (child, fd)].into())];
    assert_eq!(ss(port)?, kernel);
    for args in [&["who", &port_text, "--from", &daemon.url][..], &["who", &port_text]] {
        let who = answer(dir.path(), args)?;
        let listener = only_listener(&who)?;
        assert_eq!(held(&listener["holders"])?, kernel[0].1, "{args:?}");
        let holders = listener["holders"].as_array().context("no holders")?;
        let sleep = holders.iter().find(|holder| holder["pid"] == child).context("no child")?;
        assert_eq!(
            (&sleep["how"], sleep["from"]["pid"].as_u64()),
            (&"fork".into(), Some(server)),
            "{args:?}"
        );
        if args.len() > 2 {
            assert_eq!(sleep["kept_across"][0]["path"], "/usr/bin/sleep");
            ensure!(listener["listening"]["seq"].is_u64(), "no event: {listener}");
        } else {
            assert_eq!(sleep["inferred"], true);
        }
        // The server closed first: its side of the connection waits. The kernel says so to both.
        let left: Vec<_> = who["leftovers"].as_array().context("no leftovers")?.iter().collect();
        let [left] = left[..] else { anyhow::bail!("{args:?}: not one leftover: {who}") };
        assert_eq!(
            (&left["state"], &left["peer"], &left["inferred"]),
            (&"TIME_WAIT".into(), &format!("127.0.0.1:{client}").into(), &false.into())
        );
        // Whose it was is what the daemon has seen.
        assert_eq!((left["socket"].is_string(), left["gone"].is_object()), (args.len() > 2, args.len() > 2));
        assert_eq!(who["basis"]["caveats"], Value::Array(vec![]), "{args:?}");
    }
    // Of the past it is concluded, and that is said.
    let now = daemon.ask(&["handovers"])?["basis"]["at"]["ts_ns"].to_string();
    let who = daemon.ask(&["who", &port_text, "--at", &now])?;
    let left = &who["leftovers"][0];
    assert_eq!((&left["state"], &left["inferred"]), (&"TIME_WAIT".into(), &true.into()));
    ensure!(who["basis"]["caveats"].to_string().contains("the kernel was not asked"), "{who}");
    let waiting =
        Command::new("ss").args(["-Htan", "state", "time-wait", &format!("sport = :{port}")]).output()?;
    assert_eq!(String::from_utf8(waiting.stdout)?.lines().count(), 1);

    // The server dies, too long after the fork for one that becomes a daemon, and its child keeps the port.
    wait_for("a second since the fork", || {
        let who = daemon.ask(&["who", &port_text])?;
        let holders = only_listener(&who)?["holders"].as_array().context("no holders")?;
        let since = holders.iter().filter_map(|holder| holder["since"]["t"].as_i64()).max();
        let age = who["basis"]["at"]["t"].as_i64().zip(since).map(|(at, since)| at - since);
        ensure!(age > Some(1_000_000_000), "{age:?}");
        Ok(())
    })?;
    signal_pid(u32::try_from(server)?, Signal::SIGKILL)?;
    wait_for("the finding", || {
        let handovers = daemon.ask(&["handovers", &port_text])?;
        let found = findings(&handovers)?;
        ensure!(found == [("kept_alive".to_owned(), vec![child])], "{found:?}");
        Ok(())
    })?;
    daemon.tells_only(&["handovers kept_alive"])?;
    let who = daemon.ask(&["who", &port_text])?;
    assert_eq!(ss(port)?, vec![(format!("127.0.0.1:{port}"), held(&only_listener(&who)?["holders"])?)]);
    signal_pid(u32::try_from(child)?, Signal::SIGKILL)?;
    let gone = wait_for("the end of the listener", || {
        let who = daemon.ask(&["who", &port_text])?;
        ensure!(who["sockets"] == Value::Array(Vec::new()) && who["before"][0].is_object(), "{who}");
        Ok(who)
    })?;
    let former = held(&gone["before"][0]["former"])?;
    assert_eq!(former, kernel[0].1);
    ensure!(gone["before"][0]["ended"]["seq"].is_u64(), "no event: {gone}");
    daemon.tells_only(&[])?;
    daemon.serve.insist()?;
    Ok(())
}

#[test]
fn two_services_on_one_port_are_told_apart() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (redis, nginx) = (Server::redis()?, Server::nginx()?);
    let port = redis.port.to_string();
    let config = nginx.dir().join("nginx.conf");
    let listen =
        fs::read_to_string(&config)?.replace(&format!("127.0.0.1:{}", nginx.port), &format!("[::1]:{port}"));
    fs::write(&config, listen)?;
    let (four, six) = (Daemon::over_server(&redis)?, Daemon::over_server(&nginx)?);
    wait_for("both", || {
        let listen = ss(redis.port)?;
        ensure!(listen.len() == 2 && listen.iter().any(|(_, holders)| holders.len() == 3), "{listen:?}");
        Ok(())
    })?;
    let who = answer(dir.path(), &["who", &port])?;
    let sockets = who["sockets"].as_array().context("no sockets")?;
    let mut found = sockets
        .iter()
        .map(|held_| {
            let local = held_["socket"]["local"].as_str().context("no address")?.to_owned();
            Ok((local, held(&held_["holders"])?))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut kernel = ss(port.parse()?)?;
    found.sort();
    kernel.sort();
    assert_eq!(found, kernel);
    assert_eq!(found.len(), 2);
    let options: Vec<_> = sockets.iter().map(|held| held["socket"]["options"].to_string()).collect();
    assert_eq!(options.iter().filter(|set| set.contains("IPV6_V6ONLY")).count(), 1, "{options:?}");
    // One of them, by its address.
    let one = answer(dir.path(), &["who", &format!("[::1]:{port}")])?;
    assert_eq!(only_listener(&one)?["socket"]["family"], "inet6");
    four.tells_only(&[])?;
    six.tells_only(&[])?;
    four.serve.insist()?;
    six.serve.insist()?;
    Ok(())
}

#[test]
fn a_listener_that_is_passed_at_a_reload_has_two_owners() -> Result<()> {
    let (dir, port) = (tempfile::tempdir()?, free_port()?);
    let (config, socket) = (dir.path().join("haproxy.cfg"), dir.path().join("haproxy.sock"));
    fs::write(
        &config,
        format!(
            "global\n  stats socket {} level admin expose-fd listeners\n\
             defaults\n  mode http\n  timeout client 60s\n  timeout connect 60s\n  timeout server 60s\n\
             frontend test\n  bind 127.0.0.1:{port}\n  http-request return status 200 content-type text/plain string hello\n",
            socket.display()
        ),
    )?;
    let (config, socket) = (config.to_str().context("path")?, socket.to_str().context("path")?);
    // The new process asks the old one for its listeners and then has it end, as a service manager would start it.
    let script = format!(
        "/usr/sbin/haproxy -f {config} & old=$!; echo $old; read go
         /usr/sbin/haproxy -f {config} -x {socket} -sf $old & echo $!; wait"
    );
    let go = dir.path().join("go");
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU)?;
    let script = format!("exec 9<>{}; exec 0<&9; {script}", go.display());
    let daemon = Daemon::over(dir.path(), &["/bin/bash", "-c", &script])?;
    let old: u64 = daemon.printed(1)?[0].parse()?;
    wait_for("haproxy", || is_listening(port))?;
    visit(port, b"GET / HTTP/1.0\r\n\r\n")?;
    fs::OpenOptions::new().write(true).open(&go)?.write_all(b"\n")?;
    let new: u64 = daemon.printed(2)?[1].parse()?;
    wait_for("the handover", || {
        let holders: BTreeSet<u64> =
            ss(port)?.into_iter().flat_map(|(_, holders)| holders).map(|(pid, _)| pid).collect();
        ensure!(holders == [new].into(), "{holders:?}");
        Ok(())
    })?;
    let handovers = wait_for("the old one's end", || {
        let handovers = daemon.ask(&["handovers", &port.to_string()])?;
        let owners = handovers["sockets"][0]["owners"].as_array().context("no owners")?;
        ensure!(owners.len() == 2 && owners[0]["until"].is_object(), "{handovers}");
        Ok(handovers)
    })?;
    let owners = handovers["sockets"][0]["owners"].as_array().context("no owners")?;
    let facts = |owner: &Value| (owner["pid"].as_u64(), owner["how"].clone(), owner["from"]["pid"].as_u64());
    assert_eq!(facts(&owners[0]), (Some(old), "socket".into(), None));
    assert_eq!(facts(&owners[1]), (Some(new), "pass".into(), Some(old)));
    ensure!(owners[1]["until"].is_null(), "{handovers}");
    ensure!(findings(&handovers)?.is_empty(), "{handovers}");
    signal_pid(u32::try_from(new)?, Signal::SIGTERM)?;
    daemon.serve.insist()?;
    Ok(())
}

#[test]
fn an_activated_service_has_its_listener_from_the_program_before() -> Result<()> {
    let (dir, port) = (tempfile::tempdir()?, free_port()?);
    let address = format!("127.0.0.1:{port}");
    let program = format!("{}/suite/strace/programs/activated.py", env!("CARGO_MANIFEST_DIR"));
    let daemon = Daemon::over(
        dir.path(),
        &["/usr/bin/systemd-socket-activate", "-l", &address, "/usr/bin/python3", &program],
    )?;
    wait_for("the listener", || is_listening(port))?;
    let root = u64::from(daemon.root("/usr/bin/systemd-socket-activate")?);
    assert_eq!(visit(port, b"hello\n")?.1, b"hello\n");
    let handovers = wait_for("the activation", || {
        let handovers = daemon.ask(&["handovers"])?;
        let owners = handovers["sockets"][0]["owners"].as_array().context("no owners")?;
        ensure!(owners.len() == 1 && owners[0]["accepted"] == 1, "{handovers}");
        Ok(handovers)
    })?;
    let owner = &handovers["sockets"][0]["owners"][0];
    assert_eq!((owner["pid"].as_u64(), &owner["how"]), (Some(root), &"socket".into()));
    assert_eq!(owner["kept_across"][0]["path"], "/usr/bin/python3");
    ensure!(findings(&handovers)?.is_empty(), "{handovers}");
    visit(port, b"quit\n")?;
    daemon.serve.insist()?;
    Ok(())
}

/// A daemon that follows one holder of a listener, or none, names the others, by ss(8)'s list.
#[test]
fn a_unix_socket_by_its_path_and_by_its_abstract_name() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("x.sock");
    let path = path.to_str().context("path")?;
    let name = format!("sockreel-{}", std::process::id());
    let own = |socket: &std::os::unix::net::UnixListener| {
        (u64::from(std::process::id()), i64::from(socket.as_raw_fd()))
    };
    let by_path = std::os::unix::net::UnixListener::bind(path)?;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name)?;
    let by_name = std::os::unix::net::UnixListener::bind_addr(&address)?;
    for (target, socket) in [(path.to_owned(), &by_path), (format!("@{name}"), &by_name)] {
        let who = answer(dir.path(), &["who", &target])?;
        assert_eq!(held(&only_listener(&who)?["holders"])?, [own(socket)].into(), "{target}");
    }
    Ok(())
}

#[test]
fn sockets_are_those_of_ss() -> Result<()> {
    let server = Server::redis()?;
    let group = server.start()?;
    let (_, _client) = crate::harness::hold(&server)?;
    let told = answer(server.dir(), &["sockets", "-t"])?;
    let of_server = |row: &&Value| {
        held(&row["holders"]).is_ok_and(|held| held.iter().any(|(pid, _)| *pid == u64::from(group.pid())))
    };
    let mut told: Vec<_> = told["sockets"]
        .as_array()
        .context("no sockets")?
        .iter()
        .filter(of_server)
        .map(|row| {
            let socket = &row["socket"];
            let text = |value: &Value| value.as_str().unwrap_or("*").to_owned();
            (
                text(&socket["local"]),
                text(&socket["peer"]),
                text(&socket["steps"][0]["state"]),
                socket["ino"].clone(),
            )
        })
        .collect();
    told.sort_by_key(|row| row.2.clone());
    let ss = Command::new("ss").args(["-Hatnep"]).output()?;
    let text = String::from_utf8(ss.stdout)?;
    let mut kernel: Vec<_> = text
        .lines()
        .filter(|line| line.contains(&format!("pid={},", group.pid())))
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let ino = words.iter().find_map(|word| word.strip_prefix("ino:")).unwrap_or_default();
            let state = if words[0] == "ESTAB" { "ESTABLISHED" } else { words[0] };
            let peer = if words[4].ends_with(":*") { "*" } else { words[4] };
            (words[3].to_owned(), peer.to_owned(), state.to_owned(), Value::from(ino))
        })
        .collect();
    kernel.sort_by_key(|row| row.2.clone());
    assert_eq!(told, kernel);
    assert_eq!(told.len(), 2);
    // The same words in the same columns; but for the peer that a listener does not have.
    let port = format!("sport = :{}", server.port);
    let ss = String::from_utf8(Command::new("ss").args(["-Hltnp", &port]).output()?.stdout)?;
    let mut words: Vec<&str> = ss.split_whitespace().collect();
    words.remove(4);
    words.insert(0, "tcp");
    let text = Sockreel::run(server.dir(), "text", ["sockets", "-lt"])?.out;
    let row = text.lines().find(|line| line.contains(&format!("pid={},", group.pid())));
    let mut told: Vec<&str> = row.context("no row")?.split_whitespace().collect();
    assert_eq!(told.remove(5), "*");
    assert_eq!(told, words);
    let heads: Vec<&str> = text.split_whitespace().take(7).collect();
    assert_eq!(heads, ["Netid", "State", "Recv-Q", "Send-Q", "Local", "Peer", "Process"]);
    Ok(())
}

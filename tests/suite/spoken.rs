//! What is spoken on connections (`--peek`), as real servers and clients know it; and that nothing else of it is kept.

mod secret;

use crate::harness::{Postgres, Server, Sockreel, free_port, is_listening, lines, wait_for};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

/// What an end says, in order: protocol and server's name.
type Spoken = Vec<(String, Option<String>)>;

/// What each end says, by its addresses.
fn spoken(told: &[Value]) -> BTreeMap<(String, String), Spoken> {
    let mut ends: BTreeMap<_, Spoken> = BTreeMap::new();
    for line in told.iter().filter(|line| line["event"] == "spoken") {
        let text = |field: &str| line[field].as_str().map(str::to_owned);
        let end = (text("local").unwrap_or_default(), text("peer").unwrap_or_default());
        ends.entry(end).or_default().push((text("app_protocol").unwrap_or_default(), text("sni")));
    }
    ends
}

/// Whether lines say of each end what `speaker` wrote down of it, and of no other; how many ends it was.
pub(crate) fn same_spoken(log: &[Value], told: &[Value]) -> Result<usize> {
    let told = spoken(told);
    let mut known = BTreeMap::new();
    for entry in log {
        let text = |field: &str| entry[field].as_str().map(str::to_owned);
        let end = (text("local").context("no end")?, text("peer").context("no other end")?);
        let spoken: Vec<String> = serde_json::from_value(entry["spoken"].clone())?;
        let said: Vec<_> =
            told.get(&end).into_iter().flatten().map(|(protocol, _)| protocol.clone()).collect();
        ensure!(said == spoken, "{}: {end:?} says {spoken:?}, told is {said:?}", entry["case"]);
        known.insert(end, spoken);
    }
    let others: Vec<_> = told.keys().filter(|end| !known.contains_key(end)).collect();
    ensure!(others.is_empty(), "told of {others:?}");
    Ok(known.len())
}

/// `trace --peek --json -o FILE ARGS`.
fn trace(dir: &Path, out: &Path, args: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Sockreel> {
    let mut all: Vec<OsString> = ["trace", "--peek", "--json", "-o"].map(OsString::from).into();
    all.push(out.into());
    all.extend(args.into_iter().map(Into::into));
    Sockreel::start(dir, "trace", all)
}

/// The standard output of a client that succeeds.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {out}{err}");
    Ok(out.into_owned())
}

#[test]
fn every_call_that_moves_bytes_at_both_ends() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (log, out) = (dir.path().join("log.jsonl"), dir.path().join("out.jsonl"));
    let args: [OsString; 3] = ["--".into(), env!("CARGO_BIN_EXE_speaker").into(), log.clone().into()];
    let ended = trace(dir.path(), &out, args)?.ended()?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let compared = same_spoken(&lines(&log)?, &lines(&out)?)?;
    println!("{compared} ends");
    Ok(())
}

#[test]
fn without_peek_nothing_is_attached_or_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (log, out, reel) =
        (dir.path().join("log.jsonl"), dir.path().join("out.jsonl"), dir.path().join("out.reel"));
    let mut args: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
    args.extend(["--record".into(), reel.clone().into(), "--".into()]);
    args.extend([env!("CARGO_BIN_EXE_speaker").into(), log.into()]);
    let ended = Sockreel::run(dir.path(), "trace", args)?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let told = lines(&out)?;
    ensure!(spoken(&told).is_empty(), "{told:?}");
    let mut open = Sockreel::start(dir.path(), "open", ["open".as_ref(), reel.as_os_str()])?;
    let info = wait_for("the recording", || open.api()?.get("info"))?;
    let attached = info["attached"].as_array().context("nothing attached")?;
    ensure!(
        !attached.iter().any(|words| words.as_str().is_some_and(|words| words.contains("bytes"))),
        "{info}"
    );
    ensure!(open.interrupt()?.code == 0, "open did not end well");
    Ok(())
}

/// nginx on three ports: plain, HTTP/2 without TLS, and TLS. Its log says of each request which client's port it came from,
/// by which protocol, and which server's name was asked for.
fn nginx(dir: &Path, [plain, h2c, tls]: [u16; 3]) -> Result<Vec<String>> {
    let path = |name: &str| dir.join(name).display().to_string();
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test"])
        .args(["-keyout", &path("key.pem"), "-out", &path("cert.pem")]))?;
    let prefix = dir.display();
    fs::write(
        dir.join("nginx.conf"),
        format!(
            "daemon off; master_process on; worker_processes 1; user root;
             pid {prefix}/nginx.pid; error_log {prefix}/error.log;
             events {{ worker_connections 256; }}
             http {{
                 log_format ends '$server_port $remote_port $scheme $server_protocol $ssl_server_name';
                 access_log {prefix}/access.log ends;
                 client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy;
                 fastcgi_temp_path {prefix}/fastcgi; uwsgi_temp_path {prefix}/uwsgi; scgi_temp_path {prefix}/scgi;
                 server {{
                     listen 127.0.0.1:{plain}; listen 127.0.0.1:{h2c} http2; listen 127.0.0.1:{tls} ssl;
                     ssl_certificate {prefix}/cert.pem; ssl_certificate_key {prefix}/key.pem;
                     location / {{ return 200 hello; }}
                 }}
             }}"
        ),
    )?;
    Ok(["/usr/sbin/nginx", "-c", &path("nginx.conf"), "-e", &path("error.log"), "-p", &path("")]
        .map(str::to_owned)
        .into())
}

#[test]
fn nginx_over_http_1_http_2_and_tls() -> Result<()> {
    let (dir, out) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let ports @ [plain, h2c, tls] = [free_port()?, free_port()?, free_port()?];
    let out = out.path().join("out.jsonl");
    let argv = nginx(dir.path(), ports)?;
    let trace = trace(dir.path(), &out, ["--".to_owned()].into_iter().chain(argv))?;
    for port in ports {
        wait_for("nginx", || is_listening(port)).with_context(|| trace.stderr().unwrap_or_default())?;
    }
    let curl = || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--insecure", "--noproxy", "*"]);
        curl
    };
    for _ in 0..3 {
        run(curl().args([
            format!("http://127.0.0.1:{plain}/{}", "long".repeat(40)),
            format!("http://127.0.0.1:{plain}/"),
        ]))?;
        run(curl().args(["--http1.0", &format!("http://127.0.0.1:{plain}/")]))?;
        run(curl().args(["--http2-prior-knowledge", &format!("http://127.0.0.1:{h2c}/")]))?;
        run(curl().args([format!("https://127.0.0.1:{tls}/")]))?;
        run(curl()
            .args(["--resolve", &format!("shop.example.org:{tls}:127.0.0.1")])
            .arg(format!("https://shop.example.org:{tls}/")))?;
    }
    ask_by_openssl(tls, "pay.example.org")?;
    let log = wait_for("nginx's log", || {
        let log = fs::read_to_string(dir.path().join("access.log"))?;
        ensure!(log.lines().count() == 19, "{log}");
        Ok(log)
    })?;
    let mut known: BTreeMap<(String, String), Spoken> = BTreeMap::new();
    for request in log.lines() {
        let words: Vec<_> = request.split(' ').collect();
        let [port, client, scheme, protocol, name] = words[..] else { bail!("what is {request}?") };
        let protocol = match (scheme, protocol) {
            ("https", _) => "tls",
            (_, "HTTP/1.0" | "HTTP/1.1") => "http/1",
            (_, "HTTP/2.0") => "http/2",
            _ => bail!("what is {request}?"),
        };
        let name = Some(name.to_owned()).filter(|name| name != "-");
        let end = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{client}"));
        known.insert(end, vec![(protocol.to_owned(), name)]);
    }
    wait_for("what nginx says", || {
        let told = spoken(&lines(&out)?);
        ensure!(told == known, "told is {told:?}, nginx knows {known:?}");
        Ok(())
    })?;
    ensure!(known.len() == 16, "{} connections", known.len());
    trace.insist()?;
    Ok(())
}

/// A request by `openssl s_client`, which asks for a name.
fn ask_by_openssl(port: u16, name: &str) -> Result<()> {
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-no_ign_eof", "-servername", name, "-connect"])
        .arg(format!("127.0.0.1:{port}"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let mut input = client.stdin.take().context("no input")?;
    input.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    // It ends with its input, or when the server closes.
    let mut answer = String::new();
    client.stdout.take().context("no output")?.read_to_string(&mut answer)?;
    drop(input);
    client.wait()?;
    ensure!(answer.contains("hello"), "{answer}");
    Ok(())
}

/// The side that connects, untraced servers behind it.
#[test]
fn curl_and_redis_cli_at_their_own_end() -> Result<()> {
    let (server, dir) = (Server::redis()?, tempfile::tempdir()?);
    let _group = server.start()?;
    let port = server.port.to_string();
    let nginx_server = Server::nginx()?;
    let _nginx = nginx_server.start()?;
    for (command, protocol) in [
        (vec!["redis-cli", "-p", &port, "PING"], "redis"),
        (
            vec!["curl", "--silent", "--noproxy", "*", &format!("http://{}/", nginx_server.address())],
            "http/1",
        ),
        (vec!["curl", "--silent", "--noproxy", "*", &format!("telnet://{}/", server.address())], "unknown"),
    ] {
        let out = dir.path().join("out.jsonl");
        let input = if protocol == "unknown" { "QUIT" } else { "" };
        let script = format!(
            "echo {input} | {}",
            command.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
        );
        let ended = trace(dir.path(), &out, ["--", "sh", "-c", &script])?.ended()?;
        ensure!(ended.code == 0, "{command:?}: {}", ended.err);
        let told = spoken(&lines(&out)?);
        let said: Vec<_> = told.values().flatten().map(|(protocol, _)| protocol.as_str()).collect();
        ensure!(said == [protocol], "{command:?}: {told:?}");
    }
    Ok(())
}

#[test]
fn redis_and_its_command_line() -> Result<()> {
    let (server, dir) = (Server::redis()?, tempfile::tempdir()?);
    let out = dir.path().join("out.jsonl");
    let argv = server.argv.clone();
    let trace = trace(dir.path(), &out, ["--".to_owned()].into_iter().chain(argv))?;
    server.wait_until_it_listens().with_context(|| trace.stderr().unwrap_or_default())?;
    let port = server.port.to_string();
    let mut known: BTreeMap<(String, String), Spoken> = BTreeMap::new();
    for _ in 0..3 {
        // `addr=` of the only client is this client's own address.
        let list = run(Command::new("redis-cli").args(["-p", &port, "CLIENT", "LIST"]))?;
        let own = list.split_whitespace().find_map(|word| word.strip_prefix("addr=")).context("no addr=")?;
        known.insert((server.address(), own.to_owned()), vec![("redis".to_owned(), None)]);
    }
    wait_for("what redis says", || {
        let told = spoken(&lines(&out)?);
        ensure!(told == known, "told is {told:?}, redis knows {known:?}");
        Ok(())
    })?;
    trace.insist()?;
    Ok(())
}

#[test]
fn postgres_by_tcp_and_by_its_unix_socket() -> Result<()> {
    let (postgres, dir) = (Postgres::new()?, tempfile::tempdir()?);
    let out = dir.path().join("out.jsonl");
    let trace = trace(dir.path(), &out, ["--".to_owned()].into_iter().chain(postgres.argv.clone()))?;
    let ask = |host: &Path, query: &str| -> Result<String> {
        Ok(run(postgres.client("psql", host).args(["-Atc", query]))?.trim().to_owned())
    };
    let host = Path::new("127.0.0.1");
    wait_for("postgres", || ask(host, "select 1")).with_context(|| trace.stderr().unwrap_or_default())?;
    let address = format!("127.0.0.1:{}", postgres.port);
    let mut known = Vec::new();
    for _ in 0..3 {
        let port = ask(host, "select inet_client_port()")?;
        known.push((address.clone(), format!("127.0.0.1:{port}")));
        ensure!(ask(&postgres.sockets, "select 1")? == "1");
    }
    let unix = format!("unix:{}/.s.PGSQL.{}", postgres.sockets.display(), postgres.port);
    wait_for("what postgres says", || {
        let told = spoken(&lines(&out)?);
        let of =
            |end: &(String, String)| told.get(end).map(|spoken| spoken.iter().map(|(name, _)| name.as_str()));
        for end in &known {
            ensure!(of(end).is_some_and(|said| said.eq(["postgresql"])), "{end:?}: {told:?}");
        }
        let by_unix: Vec<_> =
            told.iter().filter(|((local, _), _)| *local == unix).flat_map(|(_, said)| said).collect();
        ensure!(by_unix.len() == 3 && by_unix.iter().all(|(name, _)| name == "postgresql"), "{told:?}");
        Ok(())
    })?;
    trace.insist()?;
    Ok(())
}

/// A server that speaks WebSocket to who asks for it, and HTTP to the others.
const NODE: &str = "
const { createHash } = require('crypto');
const server = require('http').createServer((request, response) => response.end('hello'));
server.on('upgrade', (request, socket) => {
  const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const head = ['HTTP/1.1 101 Switching Protocols', ...JSON.parse(process.argv[3]), 'Connection: Upgrade',
    'Sec-WebSocket-Accept: ' + createHash('sha1').update(key).digest('base64'), '', ''];
  socket.write(head.join('\\r\\n'));
  socket.on('data', () => {});
  socket.on('error', () => {});
});
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1' });
";

/// The moment at which a connection is switched, at the server's end: between what the client did before and after. `heads`
/// are what the server says first in its answer; the header `Upgrade` may be in reach or not.
fn switched(heads: &[&str], inferred: bool) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (script, port) = (dir.path().join("server.js"), free_port()?);
    fs::write(&script, NODE)?;
    let mut args: Vec<OsString> =
        ["serve", "--peek", "--listen", "127.0.0.1:0", "--", "node"].map(Into::into).into();
    args.extend([script.into(), port.to_string().into(), serde_json::to_string(heads)?.into()]);
    let mut serve = Sockreel::start(dir.path(), "serve", args)?;
    wait_for("node", || is_listening(port))?;
    let now =
        || -> Result<u64> { Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?) };

    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let own = stream.local_addr()?.to_string();
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")?;
        ensure!(stream.read(&mut [0; 4096])? > 0, "no answer");
    }
    let before = now()?;
    let (mut socket, _) = tungstenite::client(format!("ws://127.0.0.1:{port}/"), stream)?;
    let after = now()?;
    socket.send("hello".into())?;

    let api = serve.api()?;
    let told = wait_for("two events", || {
        let mut told = api.events()?;
        told.retain(|event| event["event"] == "spoken");
        ensure!(told.len() == 2, "{told:?}");
        Ok(told)
    })?;
    let [first, second] = &told[..] else { bail!("{told:?}") };
    ensure!(first["app_protocol"] == "http/1" && second["app_protocol"] == "websocket", "{told:?}");
    ensure!(first["socket"] == second["socket"] && second["peer"] == own, "{told:?}");
    ensure!(second["inferred"].as_bool().unwrap_or_default() == inferred, "{second}");
    let moment = second["ts_ns"].as_u64().context("no time")?;
    ensure!((before..=after).contains(&moment), "{moment} is not between {before} and {after}");

    let connection = |at: &str| -> Result<Value> {
        let answer = api.get(&format!("answers/connections?of={port}{at}"))?;
        let found = answer["connections"].as_array().context("no connections")?;
        found.first().cloned().with_context(|| format!("none in {answer}"))
    };
    ensure!(connection("")?["app_protocol"] == "websocket", "{}", connection("")?);
    let earlier = connection(&format!("&at={before}"))?;
    ensure!(earlier["app_protocol"] == "http/1", "{earlier}");
    let sockets = api.get("sockets")?;
    let known =
        sockets["sockets"].as_array().context("no sockets")?.iter().find(|socket| socket["peer"] == own);
    let known = known.with_context(|| format!("not in {sockets}"))?;
    let said: Vec<_> =
        known["spoken"].as_array().context("nothing")?.iter().map(|said| &said["app_protocol"]).collect();
    ensure!(json!(said) == json!(["http/1", "websocket"]), "{known}");
    serve.insist()?;
    Ok(())
}

#[test]
fn a_websocket_is_told_at_the_moment_of_its_101() -> Result<()> {
    switched(&["Upgrade: websocket"], false)
}

#[test]
fn a_websocket_whose_header_is_out_of_reach_is_concluded() -> Result<()> {
    switched(&["Date: Thu, 01 Jan 1970 00:00:00 GMT", "Server: test", "Upgrade: websocket"], true)
}

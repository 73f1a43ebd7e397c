//! The real servers: how each is started, and how a client makes either side close first.

use super::{Group, descendants, is_listening, wait_for};
use anyhow::{Context as _, Result};
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A server with a directory and a port of its own.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// The command and its arguments.
    pub(crate) argv: Vec<String>,
    /// The backlog that it calls `listen` with.
    pub(crate) backlog: u64,
    /// What it exits with after a SIGTERM, as a shell has it.
    pub(crate) code_after_term: i32,
    /// Asks for something and leaves the connection open; `None` where the server always closes after an answer.
    pub(crate) ask: Option<&'static [u8]>,
    /// Asks in such a way that the server closes after its answer.
    pub(crate) ask_and_close: &'static [u8],
    dir: TempDir,
}

impl Server {
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it, not traced, and waits until it listens.
    pub(crate) fn start(&self) -> Result<Group> {
        let (program, args) = self.argv.split_first().context("no command")?;
        let log = fs::File::create(self.dir().join("server.log"))?;
        let group = Group::start(
            self.name,
            Command::new(program)
                .args(args)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .current_dir(self.dir()),
        )?;
        self.wait_until_it_listens()?;
        Ok(group)
    }

    pub(crate) fn wait_until_it_listens(&self) -> Result<()> {
        wait_for(self.name, || is_listening(self.port))?;
        if self.name == "nginx" {
            // Its workers come after the listener.
            let pid = self.dir().join("nginx.pid");
            wait_for("nginx's workers", || {
                let master = fs::read_to_string(&pid)?.trim().parse()?;
                (descendants(master)?.len() == 2).then_some(()).context("not two workers")
            })?;
        }
        Ok(())
    }

    /// nginx with two workers.
    pub(crate) fn nginx() -> Result<Self> {
        let (dir, port) = (tempfile::tempdir()?, free_port()?);
        let prefix = dir.path().display();
        let config = format!(
            "daemon off; master_process on; worker_processes 2; user root;
             pid {prefix}/nginx.pid; error_log {prefix}/error.log;
             events {{ worker_connections 256; }}
             http {{
                 access_log {prefix}/access.log; keepalive_timeout 600s; client_header_timeout 600s;
                 client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy;
                 fastcgi_temp_path {prefix}/fastcgi; uwsgi_temp_path {prefix}/uwsgi; scgi_temp_path {prefix}/scgi;
                 server {{ listen 127.0.0.1:{port} backlog=77; location / {{ return 200 hello; }} }}
             }}"
        );
        let file = dir.path().join("nginx.conf");
        fs::write(&file, config)?;
        let error_log = dir.path().join("error.log");
        let argv =
            words(&["/usr/sbin/nginx", "-c", text(&file)?, "-e", text(&error_log)?, "-p", text(dir.path())?]);
        Ok(Self {
            name: "nginx",
            port,
            argv,
            backlog: 77,
            code_after_term: 0,
            ask: Some(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"),
            ask_and_close: b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
            dir,
        })
    }

    /// redis-server.
    pub(crate) fn redis() -> Result<Self> {
        let (dir, port) = (tempfile::tempdir()?, free_port()?);
        let mut argv = words(&["/usr/bin/redis-server", "--port", &port.to_string(), "--bind", "127.0.0.1"]);
        argv.extend(words(&["--save", "", "--dir", text(dir.path())?, "--tcp-backlog", "88"]));
        Ok(Self {
            name: "redis",
            port,
            argv,
            backlog: 88,
            code_after_term: 0,
            ask: Some(b"PING\r\n"),
            ask_and_close: b"QUIT\r\n",
            dir,
        })
    }

    /// `python3 -m http.server`.
    pub(crate) fn python() -> Result<Self> {
        let (dir, port) = (tempfile::tempdir()?, free_port()?);
        let argv =
            words(&["/usr/bin/python3", "-m", "http.server", &port.to_string(), "--bind", "127.0.0.1"]);
        Ok(Self {
            name: "python",
            port,
            argv,
            // `socketserver.TCPServer.request_queue_size`
            backlog: 5,
            code_after_term: 128 + 15,
            ask: None,
            ask_and_close: b"GET / HTTP/1.0\r\n\r\n",
            dir,
        })
    }

    /// A service that `systemd-socket-activate` starts at its first connection, with the listener that it made.
    pub(crate) fn activated() -> Result<Self> {
        let (dir, port) = (tempfile::tempdir()?, free_port()?);
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/suite/strace/programs/activated.py");
        let address = format!("127.0.0.1:{port}");
        Ok(Self {
            name: "activated",
            port,
            argv: words(&["/usr/bin/systemd-socket-activate", "-l", &address, "/usr/bin/python3", program]),
            // `SOMAXCONN_DELUXE` of systemd, cut to `somaxconn`.
            backlog: 4096,
            code_after_term: 128 + 15,
            ask: None,
            ask_and_close: b"hello\n",
            dir,
        })
    }

    /// Node's HTTP server.
    pub(crate) fn node() -> Result<Self> {
        let (dir, port) = (tempfile::tempdir()?, free_port()?);
        let script = dir.path().join("server.js");
        fs::write(
            &script,
            "const server = require('http').createServer((request, response) => response.end('hello'));
             server.keepAliveTimeout = 600000; server.headersTimeout = 0; server.requestTimeout = 0;
             server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 99 });",
        )?;
        Ok(Self {
            name: "node",
            port,
            argv: words(&["node", text(&script)?, &port.to_string()]),
            backlog: 99,
            code_after_term: 128 + 15,
            ask: Some(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"),
            ask_and_close: b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
            dir,
        })
    }
}

/// A port that was free a moment ago, for servers that cannot be told to take any.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is no UTF-8", PathBuf::from(path).display()))
}

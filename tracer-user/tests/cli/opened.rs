//! `open`: a recording behind its own server.

use crate::{
    recorded::{Recorded, inputs, recorded},
    run, sockreel,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    ffi::OsStr,
    fs::{self},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// A running `open`, ended by the test or by its end.
struct Opened {
    child: Child,
    url: String,
}

impl Opened {
    fn new(recording: &Path, args: &[&str]) -> Self {
        let mut child = sockreel(["open"])
            .arg(recording)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim_end().to_owned() }
    }

    /// Host and port.
    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap().split_once('/').unwrap().0
    }

    /// Status and body of an answer.
    fn get(&self, path: &str, token: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        let host = self.address();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_recording_opens_behind_its_token_until_a_signal_ends_it() {
    let Recorded { path, dir: _dir } = recorded(&inputs(5));
    let mut opened = Opened::new(&path, &[]);
    let token = opened.url.split_once("/?token=").unwrap().1.to_owned();
    let (status, _) = opened.get("/api/v1/events", "0123456789abcdef0123456789abcdef");
    assert_eq!(status, "HTTP/1.1 401 Unauthorized");

    // What is loaded is seen at once; loading takes a moment.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (status, body) = opened.get("/api/v1/events?limit=100", &token);
        assert_eq!(status, "HTTP/1.1 200 OK", "{body}");
        let accepts = body.matches("\"event\":\"accept\"").count();
        if accepts == 5 {
            break;
        }
        assert!(Instant::now() < deadline, "{accepts} accepts: {body}");
    }

    // A second server on the same address names it and the way out.
    let (code, out, err) =
        run([OsStr::new("open"), path.as_os_str(), OsStr::new("--listen"), OsStr::new(opened.address())]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains(opened.address()) && err.contains("--listen 127.0.0.1:0"), "{err}");

    kill(Pid::from_raw(opened.child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(opened.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_token_of_the_users_is_used_and_not_shown() {
    let Recorded { path, dir } = recorded(&inputs(1));
    let file = dir.path().join("token");
    fs::write(&file, "correct-horse-battery-staple\n").unwrap();
    let opened = Opened::new(&path, &["--token-file", file.to_str().unwrap()]);
    assert_eq!(opened.url, format!("http://{}/", opened.address()));
    assert_eq!(opened.get("/api/v1/info", "correct-horse-battery-staple").0, "HTTP/1.1 200 OK");
}

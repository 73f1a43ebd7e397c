//! A small server that has visitors, to look at with sockreel: `cargo xtask run` starts it.
//!
//! One process serves HTTP on a loopback port that the kernel gives and its status on an abstract unix socket; it keeps
//! a log, which threads write through a pipe. A second process is the visitors: some ask once, some keep their
//! connection, some say nothing, and now and then one knocks where nobody listens.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, PipeWriter, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixAddr, UnixListener, UnixStream},
    },
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Connections that are served at the same time; others wait in the accept queue, which is worth seeing.
const WORKERS: usize = 12;
/// Visitors at the same time.
const VISITORS: u64 = 10;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    match args.as_slice() {
        [_, verb, port, status] if verb == "visit" => {
            let port = port.parse().map_err(io::Error::other)?;
            visit(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), status)
        }
        _ => serve(),
    }
}

fn serve() -> io::Result<()> {
    let log = logger()?;
    let status = format!("sockreel-demo-{}", std::process::id());
    let requests = Arc::new(Mutex::new(0_u64));
    serve_status(&status, Arc::clone(&requests))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    eprintln!("serving at http://127.0.0.1:{port}/");

    // The pipe of its standard input ends with us, and then so do the visitors.
    let mut visitors = Command::new(std::env::current_exe()?)
        .args(["visit", &port.to_string(), &status])
        .stdin(Stdio::piped())
        .spawn()?;

    let (queue, waiting) = mpsc::sync_channel::<TcpStream>(0);
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..WORKERS {
        let (waiting, requests, log) = (Arc::clone(&waiting), Arc::clone(&requests), log.try_clone()?);
        thread::spawn(move || {
            loop {
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(stream) = next else { return };
                // A visitor that goes away in the middle of an answer is nothing unusual.
                let _ = answer(stream, &requests, &log);
            }
        });
    }
    for stream in listener.incoming() {
        if queue.send(stream?).is_err() {
            break;
        }
    }
    visitors.kill()
}

/// Answers one connection's requests until it ends or the visitor asks to close.
fn answer(stream: TcpStream, requests: &Mutex<u64>, mut log: &PipeWriter) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut close = false;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            close |= header.to_ascii_lowercase().starts_with("connection: close");
        }
        *requests.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        writeln!(log, "{} {}", writer.peer_addr()?, request.trim())?;
        let connection = if close { "close" } else { "keep-alive" };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: {connection}\r\n\r\n");
        writer.write_all(head.as_bytes())?;
        writer.write_all(b"hello\n")?;
        if close {
            return Ok(());
        }
    }
}

/// A thread that writes to the log what the others put into a pipe. The log has no name: the machine is left as it was.
fn logger() -> io::Result<PipeWriter> {
    let path = std::env::temp_dir().join(format!("sockreel-demo-{}.log", std::process::id()));
    let mut file = File::create_new(&path)?;
    fs::remove_file(&path)?;
    let (mut reader, writer) = io::pipe()?;
    thread::spawn(move || io::copy(&mut reader, &mut file));
    Ok(writer)
}

/// Tells the number of requests to whoever connects to the unix socket.
fn serve_status(name: &str, requests: Arc<Mutex<u64>>) -> io::Result<()> {
    let listener = UnixListener::bind_addr(&UnixAddr::from_abstract_name(name)?)?;
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let count = *requests.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(stream, "{count} requests");
        }
    });
    Ok(())
}

/// Visits until standard input ends.
fn visit(server: SocketAddr, status: &str) -> io::Result<()> {
    let status = UnixAddr::from_abstract_name(status)?;
    for visitor in 0..VISITORS {
        let status = status.clone();
        thread::spawn(move || {
            let mut dice = Dice::new(visitor);
            loop {
                // A refused or broken visit is one of the things to look at.
                let _ = one_visit(server, &status, &mut dice);
                dice.pause(300, 2500);
            }
        });
    }
    io::copy(&mut io::stdin(), &mut io::sink()).map(drop)
}

fn one_visit(server: SocketAddr, status: &UnixAddr, dice: &mut Dice) -> io::Result<()> {
    match dice.roll(10) {
        0..=3 => {
            let mut stream = TcpStream::connect(server)?;
            stream.write_all(b"GET /once HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")?;
            // The server closes first.
            io::copy(&mut stream, &mut io::sink())?;
        }
        4..=5 => {
            let mut stream = TcpStream::connect(server)?;
            let mut answer = [0; 4096];
            for _ in 0..=dice.roll(5) {
                stream.write_all(b"GET /again HTTP/1.1\r\nHost: demo\r\n\r\n")?;
                if stream.read(&mut answer)? == 0 {
                    break;
                }
                dice.pause(200, 1500);
            }
        }
        6 => {
            let _silent = TcpStream::connect(server)?;
            dice.pause(2000, 8000);
        }
        7 => {
            let mut stream = TcpStream::connect(server)?;
            stream.write_all(b"GET /half HTTP/1.1\r\nHost: demo\r\n\r\n")?;
            stream.shutdown(Shutdown::Write)?;
            io::copy(&mut stream, &mut io::sink())?;
        }
        8 => {
            io::copy(&mut UnixStream::connect_addr(status)?, &mut io::sink())?;
        }
        _ => {
            let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            TcpStream::connect(nobody)?;
        }
    }
    Ok(())
}

/// Enough chance for a demonstration (xorshift64).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self((now << 8) | (seed + 1))
    }

    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pause(&mut self, from_ms: u64, to_ms: u64) {
        thread::sleep(Duration::from_millis(from_ms + self.roll(to_ms - from_ms)));
    }
}

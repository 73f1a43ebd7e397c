//! No payload is kept: a secret in it is looked for wherever something could be.

use crate::harness::{Sockreel, wait_for};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::fs::FileExt as _,
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Both ends of connections that carry the secret, among the first bytes and later. It is read from a file.
const CARRIER: &str = "
import signal, socket, struct, sys
secret = open(sys.argv[1], 'rb').read()
listener = socket.create_server(('127.0.0.1', 0))

def hello(name):
    extension = struct.pack('>HHHBH', 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    extension += struct.pack('>HH', 35, len(secret)) + secret
    body = b'\\x03\\x03' + secret[:32] + b'\\x20' + secret[:32] + b'\\x00\\x02\\x13\\x01\\x01\\x00'
    body += struct.pack('>H', len(extension)) + extension
    return b'\\x16\\x03\\x01' + struct.pack('>H', len(body) + 4) + b'\\x01\\x00' + struct.pack('>H', len(body)) + body

OK = b'HTTP/1.1 200 OK\\r\\nX: ' + secret + b'\\r\\n\\r\\n'
SWITCH = b'HTTP/1.1 101 x\\r\\nX: ' + secret + b'\\r\\nUpgrade: websocket\\r\\n\\r\\n'
GET = b'GET /' + secret + b' HTTP/1.1\\r\\nCookie: ' + secret + b'\\r\\n\\r\\n'
talks = [
    [GET, OK + secret, b'POST /' + secret, secret, secret],
    [GET, SWITCH, b'\\x81\\x20' + secret, secret],
    [b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' + secret, secret],
    [b'*2\\r\\n$4\\r\\nAUTH\\r\\n$32\\r\\n' + secret, secret],
    [b'\\0\\0\\0\\x40\\0\\x03\\0\\0user\\0' + secret, secret, secret],
    [hello(b'kept.example.org'), secret, secret],
    [secret, secret],
    [b'G' + secret, secret],
    [b'G', secret, secret],
    [b'GET /', secret[:16], secret[16:]],
    [b'220 ' + secret],
]
held = []
for talk in talks:
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    held += [client, server]
    for turn, said in enumerate(talk):
        ends = (client, server) if turn % 2 == 0 else (server, client)
        for at in range(0, len(said), 1000):
            ends[0].sendall(said[at:at + 1000])
        got = b''
        while len(got) < len(said):
            got += ends[1].recv(len(said) - len(got))
open(sys.argv[2], 'w').close()
signal.pause()
";

/// How a ring buffer is called among the maps.
const RING: &str = "ring buffer";

#[test]
fn no_payload_is_kept() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = |name: &str| dir.path().join(name);
    // Letters that are nowhere else, by the clock: this test's own memory is not looked at.
    let mut number = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let mut secret = Vec::new();
    for _ in 0..32 {
        secret.push(b'a' + u8::try_from(number % 26)?);
        number = number / 26 + number.wrapping_mul(7_919) % 1_000_003;
    }
    fs::write(path("secret"), &secret)?;
    fs::write(path("carrier.py"), CARRIER)?;
    let mut args: Vec<OsString> =
        ["serve", "--peek", "--listen", "127.0.0.1:0", "--record"].map(Into::into).into();
    args.extend([path("out.reel").into(), "--".into(), "/usr/bin/python3".into(), path("carrier.py").into()]);
    args.extend([path("secret").into(), path("ready").into()]);
    let mut serve = Sockreel::start(dir.path(), "serve", args)?;
    wait_for("the connections", || Ok(fs::metadata(path("ready")).map(drop)?))
        .with_context(|| serve.stderr().unwrap_or_default())?;

    let api = serve.api()?;
    let told = wait_for("what is spoken", || {
        let told = api.events()?;
        let spoken = told.iter().filter(|event| event["event"] == "spoken");
        let mut names: Vec<_> = spoken.filter_map(|event| event["app_protocol"].as_str()).collect();
        names.sort_unstable();
        let expected = ["http/1", "http/2", "postgresql", "redis", "tls", "unknown", "websocket"];
        names.dedup();
        ensure!(names == expected, "{names:?}");
        Ok(told)
    })?;
    let asked: Vec<_> = ["sockets", "processes", "answers/connections", "answers/sockets", "info"]
        .iter()
        .map(|path| api.get(path))
        .collect::<Result<_>>()?;

    let pid = serve.group().pid();
    let (mut places, maps) = (memory(pid)?, maps(pid)?);
    let child = serve.command("/usr/bin/python3")?.first().copied().context("no child")?;
    // What is looked at is the right thing: a followed process is in a map, the name in the tracer's memory.
    ensure!(maps.iter().any(|(_, bytes)| holds(bytes, &child.to_ne_bytes())), "{child} is in no map");
    ensure!(
        places.iter().any(|(_, bytes)| holds(bytes, b"kept.example.org")),
        "the name is nowhere in memory"
    );
    ensure!(
        maps.iter().any(|(name, bytes)| name.starts_with(RING) && holds(bytes, b"kept.example.org")),
        "the name is not in the ring buffer"
    );
    println!("{} maps, {} bytes", maps.len(), maps.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
    places.extend(maps);
    places.push(("events".to_owned(), Value::from(told).to_string().into_bytes()));
    places.push(("answers".to_owned(), Value::from(asked).to_string().into_bytes()));
    serve.insist()?;
    for file in ["out.reel", "serve.out", "serve.err"] {
        places.push((file.to_owned(), fs::read(path(file))?));
    }
    let dump = Sockreel::run(dir.path(), "dump", ["dump".as_ref(), path("out.reel").as_os_str()])?;
    ensure!(dump.out.contains("server name kept.example.org"), "{}", dump.out);
    places.push(("dump".to_owned(), dump.out.into_bytes()));
    let part = secret.get(..8).context("a short secret")?;
    for (name, bytes) in &places {
        ensure!(!holds(bytes, part), "the secret is in {name}");
    }
    Ok(())
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Everything that a process has mapped and may write to; the ring buffer's pages, which cannot be read so, are among its maps.
fn memory(pid: u32) -> Result<Vec<(String, Vec<u8>)>> {
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut found = Vec::new();
    for line in fs::read_to_string(format!("/proc/{pid}/maps"))?.lines() {
        let (range, rest) = line.split_once(' ').context("no range")?;
        if !rest.starts_with("rw") || rest.contains("bpf") {
            continue;
        }
        let (from, to) = range.split_once('-').context("no end")?;
        let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        let mut bytes = vec![0; usize::try_from(to - from)?];
        memory.read_exact_at(&mut bytes, from).with_context(|| format!("cannot read {line}"))?;
        found.push((format!("memory: {line}"), bytes));
    }
    Ok(found)
}

/// Commands of bpf(2).
const MAP_LOOKUP: i64 = 1;
const MAP_NEXT_KEY: i64 = 4;
const MAP_FD_BY_ID: i64 = 14;

/// A call of bpf(2) with an attribute of words.
fn bpf(command: i64, attribute: &mut [u64; 16]) -> io::Result<i32> {
    // SAFETY: the attribute is as long as is said; pointers in it are the caller's to places that outlive the call.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, attribute.as_mut_ptr(), size_of_val(attribute)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(i32::try_from(result).unwrap_or(0)) }
}

/// `BPF_MAP_TYPE_RINGBUF` (include/uapi/linux/bpf.h).
const RINGBUF: u64 = 27;

/// Keys and values of every map that a process has open, and what its ring buffer holds. Storage of sockets has no keys to be asked for.
fn maps(pid: u32) -> Result<Vec<(String, Vec<u8>)>> {
    let cpus = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let cpus = cpus.trim().rsplit('-').next().context("no CPUs")?.parse::<usize>()? + 1;
    let mut ids = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let info = fs::read_to_string(entry?.path()).unwrap_or_default();
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        let Some(id) = field("map_id:") else { continue };
        let size = |name: &str| Ok::<_, anyhow::Error>(usize::try_from(field(name).context("no size")?)?);
        let ring = (field("map_type:") == Some(RINGBUF)).then(|| size("max_entries:")).transpose()?;
        ids.push((id, size("key_size:")?, size("value_size:")?, ring));
    }
    ids.sort_unstable();
    ids.dedup();
    let mut found = Vec::new();
    for (id, key_size, value_size, ring) in ids {
        let mut attribute = [0; 16];
        attribute[0] = id;
        // SAFETY: the kernel gave the descriptor, which is ours alone.
        let map = unsafe { OwnedFd::from_raw_fd(bpf(MAP_FD_BY_ID, &mut attribute)?) };
        found.push(match ring {
            Some(size) => (format!("{RING} {id}"), records(&map, size)?),
            None => (format!("map {id}"), entries(&map, key_size, value_size.next_multiple_of(8) * cpus)),
        });
    }
    Ok(found)
}

/// What a ring buffer holds, read or not: after two pages with the positions come its records, which whoever has the map may
/// read (`ringbuf_map_mmap_kern`, kernel/bpf/ringbuf.c).
fn records(map: &OwnedFd, size: usize) -> Result<Vec<u8>> {
    const POSITIONS: usize = 2 * 4096;
    let length = POSITIONS + size;
    // SAFETY: a new mapping, at a place of the kernel's choice.
    let mapped = unsafe {
        libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, map.as_raw_fd(), 0)
    };
    ensure!(mapped != libc::MAP_FAILED, "cannot map the ring buffer: {}", io::Error::last_os_error());
    let mut bytes = vec![0_u8; size];
    // SAFETY: the mapping is `length` bytes long, and a buffer of our own does not overlap it. The kernel may write to it
    // meanwhile: these are bytes of any value, copied once.
    unsafe {
        std::ptr::copy_nonoverlapping(mapped.cast::<u8>().add(POSITIONS), bytes.as_mut_ptr(), size);
        libc::munmap(mapped, length);
    }
    Ok(bytes)
}

fn entries(map: &OwnedFd, key_size: usize, room: usize) -> Vec<u8> {
    let fd = u64::try_from(map.as_raw_fd()).unwrap_or_default();
    let address = |bytes: &mut Vec<u8>| bytes.as_mut_ptr() as u64;
    let (mut key, mut next, mut value) = (vec![0; key_size.max(8)], vec![0; key_size.max(8)], vec![0; room]);
    let (mut all, mut first) = (Vec::new(), true);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let mut attribute = [0; 16];
        attribute[..3].copy_from_slice(&[fd, if first { 0 } else { address(&mut key) }, address(&mut next)]);
        if bpf(MAP_NEXT_KEY, &mut attribute).is_err() || std::time::Instant::now() > deadline {
            return all;
        }
        let mut attribute = [0; 16];
        attribute[..3].copy_from_slice(&[fd, address(&mut next), address(&mut value)]);
        value.fill(0);
        if bpf(MAP_LOOKUP, &mut attribute).is_ok() {
            all.extend_from_slice(&next);
            all.extend_from_slice(&value);
        }
        key.copy_from_slice(&next);
        first = false;
    }
}

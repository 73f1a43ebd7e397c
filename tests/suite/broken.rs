//! Unix connections that a read or write finds broken: what failed and how is what the program itself says.

use crate::{
    harness::wait_for,
    listeners::{Program, serve},
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeSet;

/// Breaks connections in every way there is and makes calls that find out, of each kind one on a connection that no other call
/// has found broken. Says of each connection its inode, why it is broken, which call ended it on which descriptor, and the errors.
const BROKEN: &str = "
import ctypes, errno, json, os, socket, sys, threading, time
STREAM, PACKET = socket.SOCK_STREAM, socket.SOCK_SEQPACKET
libc = ctypes.CDLL(None, use_errno=True)


class Part(ctypes.Structure):
    _fields_ = [('base', ctypes.c_char_p), ('len', ctypes.c_size_t)]


class Message(ctypes.Structure):  # struct mmsghdr, sendmmsg(2)
    _fields_ = [('name', ctypes.c_void_p), ('namelen', ctypes.c_uint), ('parts', ctypes.POINTER(Part)),
                ('count', ctypes.c_size_t), ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t),
                ('flags', ctypes.c_int), ('moved', ctypes.c_uint)]


def messages(call):
    def move(end):
        part = Part(b'x', 1)
        message = Message(parts=ctypes.pointer(part), count=1)
        if call(end.fileno(), ctypes.byref(message), 1, 0, None) < 0:
            raise OSError(ctypes.get_errno(), 'failed')
    return move


sends = [lambda end: end.send(b'x'), lambda end: os.write(end.fileno(), b'x'), lambda end: end.sendmsg([b'x']),
         lambda end: os.writev(end.fileno(), [b'x']), messages(libc.sendmmsg)]
receives = [lambda end: end.recv(1), lambda end: os.read(end.fileno(), 1), lambda end: end.recvmsg(1),
            lambda end: os.readv(end.fileno(), [bytearray(1)]), messages(libc.recvmmsg)]
send, receive = sends[0], receives[0]
kept, told = [], []


def error_of(call, end):
    try:
        call(end)
    except OSError as error:
        return errno.errorcode[error.errno]


def case(cause, by, end, *calls, pid=os.getpid()):
    kept.append(end)
    errors = [error_of(call, end) for call in calls]
    told.append({'ino': os.fstat(end.fileno()).st_ino, 'cause': cause, 'by': by, 'pid': pid, 'errors': errors})


def close(end):
    by = ['close', end.fileno()]
    end.close()
    return by


def shutdown(end, how):
    end.shutdown(how)
    return ['shutdown', end.fileno()]


def pair(kind):
    return socket.socketpair(socket.AF_UNIX, kind)


before = pair(STREAM)
path = '\\0broken-%d' % os.getpid()
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(4)
tcp = socket.create_server(('127.0.0.1', 0))
connected = socket.create_connection(tcp.getsockname())
print('{}', flush=True)
sys.stdin.readline()

one, other = before
case('peer_gone', close(other), one, send, send, *sends)
for kind in (STREAM, PACKET):
    for call in sends:
        one, other = pair(kind)
        case('peer_gone', close(other), one, call)
    for call in receives:
        one, other = pair(kind)
        one.send(b'unread')
        case('peer_gone', close(other), one, call, call, send)
    one, other = pair(kind)
    one.send(b'unread')
    case('peer_gone', close(other), one, send, send, receive)
    one, other = pair(kind)
    case('shut_down', shutdown(one, socket.SHUT_WR), one, send, send)
    close(other)
    one, other = pair(kind)
    by = shutdown(one, socket.SHUT_WR)
    close(other)
    case('shut_down', by, one, send)
    one, other = pair(kind)
    kept.append(other)
    case('peer_shut_down', shutdown(other, socket.SHUT_RD), one, send)

# A send that waits for room.
one, other = pair(STREAM)
one.setblocking(False)
while error_of(send, one) is None:
    pass
one.setblocking(True)
waits = []
sender = threading.Thread(target=lambda: waits.append(error_of(send, one)))
sender.start()
# sendto(2) is number 44 (arch/x86/entry/syscalls/syscall_64.tbl).
while open('/proc/self/task/%d/syscall' % sender.native_id).read().split()[0] != '44':
    time.sleep(0.001)
by = close(other)
sender.join()
case('peer_gone', by, one, send)
told[-1]['errors'] += waits
told[-1]['woken'] = waits[0]

# A process that ends with the other end.
one, other = pair(STREAM)
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.close(writing)
    one.close()
    os.read(reading, 1)
    os._exit(0)
fd = other.fileno()
other.close()
os.close(writing)
os.close(reading)
os.waitpid(child, 0)
case('peer_gone', ['close', fd], one, send, pid=child)

# A listener that nobody accepted from.
waiting = socket.socket(socket.AF_UNIX)
waiting.connect(path)
case('peer_gone', close(listener), waiting, receive, send)

# What is no unix connection.
reading, writing = os.pipe()
os.close(reading)
connected.shutdown(socket.SHUT_WR)
others = [error_of(lambda end: os.write(end, b'x'), writing), error_of(send, connected)]
print(json.dumps({'told': told, 'others': others}), flush=True)
sys.stdin.readline()
";

#[test]
fn a_unix_connection_that_a_call_finds_broken_is_told_and_explained() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut program, _) = Program::start(BROKEN, false)?;
    let mut serve = serve(dir.path(), program.pid(), &[])?;
    let api = serve.api()?;
    let said = program.tell()?;
    ensure!(said["others"] == serde_json::json!(["EPIPE", "EPIPE"]), "{said}");
    let cases = said["told"].as_array().context("no cases")?;
    // By connection and error: the first call is told.
    let errors_of = |case: &Value| -> Result<BTreeSet<String>> {
        let errors = case["errors"].as_array().context("no errors")?;
        Ok(errors.iter().filter_map(|error| error.as_str().map(str::to_owned)).collect())
    };
    let mut expected = 0;
    for case in cases {
        expected += errors_of(case)?.len();
    }
    let of_errors = |event: &&Value| {
        event["event"] == "state" && (event["error"] == "EPIPE" || event["error"] == "ECONNRESET")
    };
    let events = wait_for("what broke", || {
        let events = api.events()?;
        let count = events.iter().filter(of_errors).count();
        ensure!(count >= expected, "{count} of {expected}: {said}");
        Ok(events)
    })?;
    let broken: Vec<&Value> = events.iter().filter(of_errors).collect();
    ensure!(broken.len() == expected, "{expected} expected: {broken:#?}");
    let sockets = api.get("sockets")?["sockets"].as_array().cloned().unwrap_or_default();
    for case in cases {
        let ino = case["ino"].to_string();
        let socket = sockets.iter().find(|socket| socket["ino"].as_str() == Some(&ino));
        let id = &socket.with_context(|| format!("no socket {ino}"))?["id"];
        for error in errors_of(case)? {
            let found: Vec<_> =
                broken.iter().filter(|event| event["socket"] == *id && event["error"] == *error).collect();
            let [told] = found[..] else { bail!("{} lines of {error} of {id}: {case}", found.len()) };
            ensure!(told["to"] == "ESTAB" && told["from"].is_null() && told["via"] == "syscall", "{told:#}");
            let explain = &told["explain"];
            let cause = if error == "EPIPE" { &case["cause"] } else { &Value::from("peer_reset") };
            ensure!(explain["cause"] == *cause && explain["again"].is_null(), "{told:#} not {cause}: {case}");
            ensure!(explain["unseen"].is_null(), "{told:#}");
            let [kind, fd] = [&case["by"][0], &case["by"][1]];
            let holder = &explain["sockets"][0]["holders"][0];
            ensure!(holder["pid"] == case["pid"] && holder["fd"] == *fd, "{told:#}: {case}");
            // The last call that had done so on that descriptor; of one that was woken by it, it may return later.
            let by = events.iter().rfind(|event| {
                let began = event["ts_ns"].as_u64().zip(event["dur_ns"].as_u64().or(Some(0)));
                began.map(|(ts, dur)| ts - dur) < told["ts_ns"].as_u64()
                    && event["event"] == *kind
                    && event["fd"] == *fd
                    && event["pid"] == case["pid"]
            });
            let by = by.with_context(|| format!("nothing ended {case}"))?;
            let ends_later = by["seq"].as_u64() > told["seq"].as_u64();
            ensure!(!ends_later || case["woken"] == *error, "{by:#} after {told:#}");
            let rests = explain["events"].as_array().is_some_and(|events| events.contains(&by["seq"]));
            ensure!(ends_later || rests && explain["ago_ns"].is_u64(), "{told:#} does not rest on {by:#}");
        }
    }
    println!("{expected} errors of {} connections", cases.len());
    ensure!(serve.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

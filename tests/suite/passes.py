"""Passes descriptors over sockets in every way, and with the events of a fanotify group. Usage: passes.py LOG DIR."""

import array
import ctypes
import os
import socket
import struct
import sys

from by_number import call, finish, mark, quiet, tell

SOL_SOCKET, SCM_RIGHTS, SCM_CREDENTIALS, SCM_PIDFD, SO_PASSPIDFD = 1, 1, 2, 4, 76
MSG_PEEK, MSG_CTRUNC, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_CMSG_CLOEXEC = 2, 8, 0x40, 0x4000, 0x40000000
kept = []


def control(*messages):
    """Control data: (type, bytes) each (cmsg(3))."""
    data = b""
    for kind, content in messages:
        data += struct.pack("=QII", 16 + len(content), SOL_SOCKET, kind) + content
        data += bytes(-len(data) % 8)
    return data


def rights(*fds):
    return SCM_RIGHTS, array.array("i", fds).tobytes()


def header(data, room):
    """`struct mmsghdr` around one byte of data and control data (recvmmsg(2))."""
    byte, space = ctypes.create_string_buffer(b"x"), ctypes.create_string_buffer(data, max(room, 1))
    part = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(byte), 1))
    kept.extend([byte, space, part])
    at = ctypes.addressof(space) if room else 0
    return struct.pack("=QQQQQQQQ", 0, 0, ctypes.addressof(part), 1, at, room, 0, 0), space


def received(message, space):
    """The descriptors in what the kernel wrote, in its order."""
    length, flags = struct.unpack_from("=QI", message, 40)
    at, fds = 0, []
    while at + 16 <= length:
        size, _, kind = struct.unpack_from("=QII", space, at)
        if kind in (SCM_RIGHTS, SCM_PIDFD):
            fds += struct.unpack_from(f"={(size - 16) // 4}i", space, at + 16)
        at += (size + 7) & ~7
    return fds, flags


def send(fd, *messages, flags=MSG_NOSIGNAL, fds, make=call):
    data = control(*messages)
    return make("sendmsg", fd, header(data, len(data))[0], flags, **({"dir": "out", "fd": fd, "fds": fds} if fds else {}))


def receive(fd, room, flags=0):
    """`recvmsg` that must bring descriptors (SCM_PIDFD's are close-on-exec whatever the flags)."""
    message, space = header(b"", room)
    message = ctypes.create_string_buffer(message, 64)
    call("recvmsg", fd, message, flags, fd=fd, dir="in")
    fds, back = received(message, space)
    tell(fds=fds)
    if len(fds) == 1:
        tell(new_fd=fds[0], cloexec=not os.get_inheritable(fds[0]))
    return fds, back


def vector(messages):
    headers = [header(data, room) for data, room in messages]
    return ctypes.create_string_buffer(b"".join(head for head, _ in headers), 64 * len(headers)), [s for _, s in headers]


near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
udp.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
named = socket.socket(socket.AF_UNIX)
named.bind(f"\0sockreel-passes-{os.getpid()}")
named.listen()
file = os.open("/etc/passwd", os.O_RDONLY)
sent = [file, listener.fileno(), named.fileno()]
a, b, one_fd, other_fd = near.fileno(), far.fileno(), one.fileno(), other.fileno()

mark("/sockreel-begin")
# Many at once; then less room than they take: only as many as fit are installed.
send(a, rights(*sent), fds=sent)
receive(b, 256)
send(a, rights(*sent), fds=sent)
fitting, flags = receive(b, 16 + 8)
assert len(fitting) == 2 and flags & MSG_CTRUNC, (fitting, flags)
# A peek installs descriptors as well.
send(a, rights(file), fds=[file])
receive(b, 64, MSG_PEEK | MSG_CMSG_CLOEXEC)
receive(b, 64)
# Two messages of rights in one; every kind of control data together.
send(one_fd, rights(file), rights(listener.fileno()), fds=[file, listener.fileno()])
receive(other_fd, 256)
other.setsockopt(SOL_SOCKET, socket.SO_PASSCRED, 1)
other.setsockopt(SOL_SOCKET, SO_PASSPIDFD, 1)
send(one_fd, rights(file), fds=[file])
together, _ = receive(other_fd, 256)
assert len(together) == 2, together
send(one_fd, make=quiet, fds=None)
alone, _ = receive(other_fd, 256)
assert len(alone) == 1, alone
other.setsockopt(SOL_SOCKET, SO_PASSPIDFD, 0)
# Nothing is passed: no event.
credentials = (SCM_CREDENTIALS, struct.pack("=III", os.getpid(), os.getuid(), os.getgid()))
send(one_fd, credentials, make=quiet, fds=None)
message = ctypes.create_string_buffer(header(b"", 256)[0], 64)
assert quiet("recvmsg", other_fd, message, 0) == 1
assert quiet("recvmsg", other_fd, ctypes.create_string_buffer(header(b"", 256)[0], 64), MSG_DONTWAIT) == -11
udp.sendto(b"x", udp.getsockname())
assert quiet("recvmsg", udp.fileno(), ctypes.create_string_buffer(header(b"", 256)[0], 64), 0) == 1
# A send that fails sends nothing, and is told.
send(a, rights(9999), fds=[9999])
# Vectors: the second message of three has a number that is none, so one is sent; then two are.
bad, _ = vector([(control(rights(file)), 24), (control(rights(9999)), 24), (control(rights(file)), 24)])
call("sendmmsg", one_fd, bad, 3, 0, dir="out", fds=[file])
good, _ = vector([(b"", 0), (control(rights(*sent)), 32)])
call("sendmmsg", one_fd, good, 2, 0, dir="out", fds=sent)
into, spaces = vector([(b"", 256), (b"", 0), (b"", 256), (b"", 256)])
call("recvmmsg", other_fd, into, 4, MSG_DONTWAIT, None, dir="in", fd=other_fd)
came = sum((received(into[at * 64:(at + 1) * 64], spaces[at])[0] for at in range(3)), [])
assert len(came) == 4, came
tell(fds=came)
# As many as one message may carry (SCM_MAX_FD).
full = [file] * 253
send(a, rights(*full), fds=full)
most, _ = receive(b, 16 + 253 * 4)
assert len(most) == 253, len(most)
call("close_range", most[0], most[-1], 0)
# A fanotify group: its events bring descriptors of the file and of the process (FAN_REPORT_PIDFD); not before the first
# group is there is a read looked at.
watched = sys.argv[2].encode() + b"/watched"
call("close", call("openat", -100, watched, os.O_CREAT | os.O_WRONLY, 0o600))
group = call("fanotify_init", 0x80 | 2, os.O_RDONLY | os.O_CLOEXEC)  # and FAN_NONBLOCK
assert quiet("fanotify_mark", group, 1, ctypes.c_uint64(0x20), -100, watched) == 0  # FAN_OPEN


def events(name, *args, buffer):
    """A read of two events: the numbers in each, and of the record behind it."""
    for _ in range(2):
        call("openat", -100, watched, 0)
    length = call(name, group, *args, dir="in", fd=group)
    at, fds = 0, []
    while at < length:
        size, fd = struct.unpack_from("=I12xi", buffer, at)
        fds += [fd, struct.unpack_from("=i", buffer, at + 28)[0]]
        at += size
    tell(fds=fds)


space = ctypes.create_string_buffer(4096)
events("read", space, 4096, buffer=space)
parts = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(space), 4096))
events("readv", parts, 1, buffer=space)
assert quiet("read", file, space, 16) == 16
assert quiet("read", group, space, 4096) == -11
# A group that reports files by handles installs none: `FAN_NOFD` in each event.
handles = call("fanotify_init", 0x200 | 2, os.O_RDONLY)  # FAN_NONBLOCK, FAN_REPORT_FID
assert quiet("fanotify_mark", handles, 1, ctypes.c_uint64(0x20), -100, watched) == 0
call("close", call("openat", -100, watched, 0))
assert quiet("read", handles, space, 4096) > 24
# A seek on a socket fails; on a file it is none of ours.
call("lseek", a, 0, 0, fd=a, error="ESPIPE")
quiet("lseek", file, 0, 0)
quiet("lseek", 9999, 0, 0)
mark("/sockreel-end")
finish(sys.argv[1])

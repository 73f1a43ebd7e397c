"""A supervisor puts descriptors into the table of the process that it supervises (seccomp_unotify(2)).

Usage: addfd.py LOG DIR. The supervised process answers with its own table: it runs getppid(2), which its filter sends to
the supervisor.
"""

import ctypes
import json
import os
import socket
import struct
import sys

from by_number import call, finish, libc, mark, quiet, table, tell

NOTIF_RECV, NOTIF_SEND, NOTIF_ADDFD = 0xC0502100, 0xC0182101, 0x40182103
FLAG_SETFD, FLAG_SEND, O_CLOEXEC = 1, 2, 0o2000000
GETPPID = 110


def supervised(peer):
    """After its third call it tells its table and ends. Descriptor 50 is one that a request replaces."""
    libc.prctl(38, 1, 0, 0, 0)
    filters = [(0x20, 0, 0, 0), (0x15, 0, 1, GETPPID), (6, 0, 0, 0x7FC00000), (6, 0, 0, 0x7FFF0000)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in filters))
    header = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", len(filters), ctypes.addressof(program)))
    listener = libc.syscall(317, 1, 8, header)
    replaced = os.dup2(peer.fileno(), 50)
    socket.send_fds(peer, [b"x"], [listener])
    os.close(listener)
    answers = [libc.syscall(GETPPID) for _ in range(3)]
    # The last request lets it run on before the supervisor's call has returned.
    peer.recv(1)
    peer.send(json.dumps({"pid": os.getpid(), "answers": answers, "replaced": replaced, "table": table()}).encode())
    os._exit(0)


def request(listener):
    notif = ctypes.create_string_buffer(80)
    assert quiet("ioctl", listener, NOTIF_RECV, notif) == 0
    return struct.unpack_from("=Q", notif)[0]


def answer(listener, number, value):
    assert quiet("ioctl", listener, NOTIF_SEND, struct.pack("=QqiI", number, value, 0, 0)) == 0


def add(listener, number, source, flags, new, new_flags, **told):
    """`struct seccomp_notif_addfd`."""
    given = call("ioctl", listener, NOTIF_ADDFD, struct.pack("=QIIII", number, flags, source, new, new_flags))
    tell(event="pass", dir="out", fd=listener, fds=[source], **told)
    return given


near, far = socket.socketpair()
child = os.fork()
if child == 0:
    near.close()
    supervised(far)
far.close()
_, (listener,), _, _ = socket.recv_fds(near, 1, 1)
file = os.open("/etc/passwd", os.O_RDONLY)
port = socket.socket()
port.bind(("127.0.0.1", 0))
port.listen()

mark("/sockreel-begin")
first = request(listener)
plain = add(listener, first, file, 0, 0, 0, kind="file", inode=os.fstat(file).st_ino)
closing = add(listener, first, port.fileno(), 0, 0, O_CLOEXEC, kind="socket", inode=os.fstat(port.fileno()).st_ino)
add(listener, first, 9999, 0, 0, 0, error="EBADF")
add(listener, first + 1000, file, 0, 0, 0, error="ENOENT")
answer(listener, first, 0)
second = request(listener)
assert add(listener, second, file, FLAG_SETFD, 50, 0) == 50
answer(listener, second, 0)
# The request adds and answers in one.
third = request(listener)
answering = add(listener, third, file, FLAG_SEND, 0, 0)
mark("/sockreel-end")
near.send(b"x")
told = json.loads(near.recv(65536))
assert told["answers"] == [0, 0, answering], told
os.waitpid(child, 0)
given = [
    {"new_fd": plain, "fds": [plain], "cloexec": False, "kind": "file", "inode": os.fstat(file).st_ino},
    {"new_fd": closing, "fds": [closing], "cloexec": True, "kind": "socket", "inode": os.fstat(port.fileno()).st_ino},
    {"new_fd": 50, "fds": [50], "cloexec": False, "kind": "file", "inode": os.fstat(file).st_ino},
    {"new_fd": answering, "fds": [answering], "cloexec": False, "kind": "file", "inode": os.fstat(file).st_ino},
]
finish(sys.argv[1], target=told, given=given)

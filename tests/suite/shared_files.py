"""Has open files in several processes, by every way that gives one to another, and writes down which are the same one.

Usage: shared_files.py LOG. What is written: [process, descriptor, number of the open file] each, by kcmp(2). It runs on.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import sys

KCMP, KCMP_FILE, PIDFD_GETFD = 312, 0, 438
libc = ctypes.CDLL(None, use_errno=True)


def child(work):
    """A child, once it says so."""
    said, says = os.pipe()
    pid = os.fork()
    if pid == 0:
        work(says)
    assert os.read(said, 1)
    os.close(said)
    os.close(says)
    return pid


def stays(says):
    os.write(says, b"x")
    while True:
        signal.pause()


def executes(says):
    os.dup2(says, 1)
    os.execv(sys.executable, [sys.executable, "-B", sys.argv[0]])


def receives(says):
    """Begins before there are the files: what it has of them, it was sent. One goes back."""
    os.write(says, b"x")
    _, got, _, _ = socket.recv_fds(far, 1, 8)
    socket.send_fds(far, [b"x"], got[:1])
    stays(says)


if len(sys.argv) == 1:
    stays(1)
near, far = socket.socketpair()
receiver = child(receives)
# The same path twice is two open files.
one, two = (os.open("/etc/passwd", os.O_RDONLY) for _ in range(2))
pipe, memory = os.pipe(), os.memfd_create("shared")
listener = socket.create_server(("127.0.0.1", 0))
os.dup(one)
os.dup2(two, 60)
fcntl.fcntl(listener, fcntl.F_DUPFD, 70)
fcntl.fcntl(listener, fcntl.F_DUPFD_CLOEXEC, 70)
for fd in one, pipe[1], listener.fileno(), memory:
    os.set_inheritable(fd, True)
forked, executed = child(stays), child(executes)
socket.send_fds(near, [b"x"], [one, listener.fileno(), pipe[0]])
socket.recv_fds(near, 1, 8)
held = os.pidfd_open(executed)
assert libc.syscall(PIDFD_GETFD, held, memory, 0) > 0

with open(sys.argv[1] + ".part", "w") as file:
    found, first = [], []
    for pid in os.getpid(), receiver, forked, executed:
        for fd in sorted(int(name) for name in os.listdir(f"/proc/{pid}/fd")):
            same = lambda other: libc.syscall(KCMP, pid, other[0], KCMP_FILE, fd, other[1]) == 0
            if (pid, fd) == (os.getpid(), file.fileno()) or libc.syscall(KCMP, pid, pid, KCMP_FILE, fd, fd) != 0:
                continue
            number = next((at for at, other in enumerate(first) if same(other)), len(first))
            if number == len(first):
                first.append((pid, fd))
            found.append([pid, fd, number])
    json.dump(found, file)
os.rename(sys.argv[1] + ".part", sys.argv[1])
stays(1)

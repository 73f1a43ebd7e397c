"""Receives descriptors whose numbers another thread meddles with before the call returns. Usage: raced.py LOG DIR.

Control data lie across two pages. The kernel writes a number, installs the descriptor, and writes the header last
(`scm_detach_fds`, net/core/scm.c): to a page that is missing until the other thread, which userfaultfd(2) wakes, has done
something.
"""

import array
import ctypes
import fcntl
import mmap
import os
import socket
import struct
import sys
import threading
import time

from by_number import call, finish, libc, mark, quiet, tell

PAGE, CMSG_HEADER, MAP_PRIVATE, MAP_ANONYMOUS = mmap.PAGESIZE, 16, 2, 0x20
# Requests of ioctl_userfaultfd(2).
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_ZEROPAGE, REGISTER_MISSING, EVENT_PAGEFAULT = 0xC018AA3F, 0xC020AA00, 0xC020AA04, 1, 18
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
others = []


def beside(name, *args, **told):
    """A call of the other thread."""
    others.append({"call": name, "ret": quiet(name, *args), "tid": threading.get_native_id(), **told})
    return others[-1]["ret"]


def receive(meddle, **told):
    """`recvmsg`; before its header is written `meddle` is called with the place of the number."""
    pages = libc.mmap(None, 2 * PAGE, mmap.PROT_READ | mmap.PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    number = ctypes.c_int.from_address(pages + PAGE)
    number.value = -1
    fcntl.ioctl(faults, UFFDIO_REGISTER, struct.pack("=QQQQ", pages, PAGE, REGISTER_MISSING, 0))

    def attend():
        assert os.read(faults, 32)[0] == EVENT_PAGEFAULT
        meddle(number)
        fcntl.ioctl(faults, UFFDIO_ZEROPAGE, struct.pack("=QQQQ", pages, PAGE, 0, 0))

    attendant = threading.Thread(target=attend)
    attendant.start()
    byte = ctypes.create_string_buffer(1)
    part = ctypes.create_string_buffer(struct.pack("=QQ", ctypes.addressof(byte), 1))
    header = struct.pack("=QQQQQQQQ", 0, 0, ctypes.addressof(part), 1, pages + PAGE - CMSG_HEADER, 24, 0, 0)
    call("recvmsg", b, ctypes.create_string_buffer(header), 0, event="pass", dir="in", fd=b, **told)
    attendant.join()
    return number.value


def closes(number):
    beside("close", number.value, fd=number.value, inode=inode, kind="file")


def moves(number):
    beside("dup", number.value, fd=number.value, inode=inode, kind="file")
    closes(number)


def replaces(number):
    beside("dup2", null, number.value, fd=null, new_fd=number.value, inode=os.fstat(null).st_ino)


def overwrites(number):
    global lost
    lost, number.value = number.value, 9999


near, far = socket.socketpair()
b = far.fileno()
sent, null = os.open("/etc/passwd", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)
inode = os.fstat(sent).st_ino
faults = quiet("userfaultfd", os.O_CLOEXEC)
fcntl.ioctl(faults, UFFDIO_API, struct.pack("=QQQ", 0xAA, 0, 0))
for _ in range(5):
    near.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sent]))])
mark("/sockreel-begin")
gone = {"fds": None, "new_fd": None, "inode": None, "kind": None}
receive(closes, **gone)
receive(moves, **gone)
receive(replaces, **gone)
receive(overwrites, **gone)
fd = receive(lambda number: None, inode=inode, kind="file", cloexec=False)
tell(fds=[fd], new_fd=fd)
mark("/sockreel-end")
# What was overwritten is found by a check, which is taken at once.
with open(f"{sys.argv[2]}/out.jsonl") as trace:
    deadline = time.monotonic() + 20
    while '"repair"' not in trace.read() and time.monotonic() < deadline:
        time.sleep(0.01)
finish(sys.argv[1], others=others, lost={"fd": lost, "inode": inode, "kind": "file"})

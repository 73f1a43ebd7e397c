"""Two processes that share every channel that has a descriptor; prints a JSON object that says who has which.

The child keeps the read ends of the pipe and the FIFO, the parent the write ends; the others they share. After a line on standard
input the parent opens a file and closes the shared memory, and prints what changed.
Usage: channels.py DIRECTORY
"""

import ctypes
import json
import os
import sys

directory = sys.argv[1]
fifo, name = directory + "/fifo", "/sockreel-%d" % os.getpid()
os.mkfifo(fifo)
read, write = os.pipe()
memory = os.memfd_create("pages")
shm = os.open("/dev/shm" + name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
os.unlink("/dev/shm" + name)
libc = ctypes.CDLL(None, use_errno=True)
queue = libc.mq_open(name.encode(), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, None)
assert queue >= 0, os.strerror(ctypes.get_errno())
libc.mq_unlink(name.encode())
counter = ctypes.CDLL(None).eventfd(0, 0)
answer, tell = os.pipe()
parent = os.getpid()
child = os.fork()
if child == 0:
    os.close(write)
    reader = os.open(fifo, os.O_RDONLY)
    os.close(answer)
    os.write(tell, b"%d" % reader)
    os.close(tell)
    os.read(read, 1)
    os._exit(0)
os.close(read)
writer = os.open(fifo, os.O_WRONLY)
os.close(tell)
reader = int(os.read(answer, 100))
os.read(answer, 1)
os.close(answer)
print(
    json.dumps(
        {
            "parent": parent,
            "child": child,
            "pipe": [[parent, write, "w"], [child, read, "r"]],
            "fifo": [[parent, writer, "w"], [child, reader, "r"]],
            "memfd": [[parent, memory, "u"], [child, memory, "u"]],
            "shm": [[parent, shm, "u"], [child, shm, "u"]],
            "mqueue": [[parent, queue, "u"], [child, queue, "u"]],
            "eventfd": [[parent, counter, None], [child, counter, None]],
        }
    ),
    flush=True,
)
sys.stdin.readline()
opened = os.open("/etc/passwd", os.O_RDONLY)
os.close(shm)
os.close(os.open("/etc/group", os.O_RDONLY))
print(json.dumps({"opened": opened, "closed": shm}), flush=True)
sys.stdin.readline()
os.close(write)
os.waitpid(child, 0)

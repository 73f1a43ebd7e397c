"""A child ends, and another gets its number (`set_tid` of clone3(2)). Each opens a file of its own and writes down when it
started, as /proc has it."""
import ctypes
import json
import os
import signal
import struct
import sys

SYS_CLONE3, SIGCHLD = 435, signal.SIGCHLD
libc = ctypes.CDLL(None, use_errno=True)


def fork(tid=0):
    tids = ctypes.c_int(tid)
    fields = [0] * 11
    fields[4] = SIGCHLD
    if tid:
        fields[8:10] = [ctypes.addressof(tids), 1]
    arguments = ctypes.create_string_buffer(struct.pack("11Q", *fields))
    pid = libc.syscall(SYS_CLONE3, arguments, 88)
    if pid < 0:
        sys.exit(f"clone3: {os.strerror(ctypes.get_errno())}")
    return pid


def child(path, told, go):
    file = os.open(path, os.O_RDONLY)
    stat = open(f"/proc/{os.getpid()}/stat").read().rsplit(") ", 1)[1].split()
    found = {"pid": os.getpid(), "ticks": int(stat[19]), "fd": file, "inode": os.fstat(file).st_ino, "path": path}
    os.write(told, json.dumps(found).encode())
    os.read(go, 1)
    os._exit(0)


log = []
number = 0
for path in ["/dev/null", "/dev/zero"]:
    (told, tell), (go, let) = os.pipe(), os.pipe()
    pid = fork(number)
    if pid == 0:
        # It ends with its parent, which lets go then.
        os.close(let)
        child(path, tell, go)
    log.append(json.loads(os.read(told, 4096)))
    number = pid
    if path == "/dev/null":
        os.write(let, b".")
        os.waitpid(pid, 0)
    for fd in (told, tell, go):
        os.close(fd)
with open(sys.argv[1] + ".part", "w") as file:
    json.dump(log, file)
os.rename(sys.argv[1] + ".part", sys.argv[1])
sys.stdin.read()

"""Children that share their parent's table, and children that become another program at once.

Usage: forks.py LOG DIR; each such program is forks.py DIR/NAME DIR ends.
"""

import ctypes
import json
import os
import subprocess
import sys

from by_number import call, finish, mark, quiet

SIGCHLD, CLONE_FILES, AT_EMPTY_PATH = 17, 0x400, 0x1000
_, log, directory, *ends = sys.argv
if ends:
    finish(log)


def arguments(name):
    return [sys.executable, "-B", sys.argv[0], f"{directory}/{name}", directory, "ends"]


def clone3(flags):
    return call("clone3", (ctypes.c_uint64 * 8)(flags, 0, 0, 0, SIGCHLD, 0, 0, 0), 64, event="fork")


def ended(child):
    assert os.waitpid(child, 0)[1] == 0, child


given = [os.open("/etc/passwd", os.O_RDONLY) for _ in range(4)]
for fd in given[1:3]:
    os.set_inheritable(fd, True)
program = os.open(sys.executable, os.O_PATH | os.O_CLOEXEC)
mark("/sockreel-begin")
# What the child does to the table, the parent has too.
child = clone3(CLONE_FILES)
if child == 0:
    os.close(given[0])
    os.dup2(given[1], 50)
    os.open("/dev/null", os.O_RDONLY)
    os._exit(0)
ended(child)
# A program gets a table of its own (`unshare_files`, kernel/fork.c), less what is close-on-exec: nothing changes here.
child = clone3(CLONE_FILES)
if child == 0:
    os.execv(sys.executable, arguments("shared"))
ended(child)
# By a descriptor, which is close-on-exec itself.
child = clone3(0)
if child == 0:
    words = [os.fsencode(word) for word in arguments("execveat")]
    texts = (ctypes.c_char_p * (len(words) + 1))(*words)
    quiet("execveat", program, b"", texts, (ctypes.c_char_p * 1)(), AT_EMPTY_PATH)
    os._exit(1)
ended(child)
mark("/sockreel-end")
# vfork(2): until it is another program, the child has its parent's memory, and a table of its own.
assert subprocess.run(arguments("vfork"), close_fds=True, pass_fds=[given[1]]).returncode == 0
logs = {}
for name in ("shared", "execveat", "vfork"):
    with open(f"{directory}/{name}") as file:
        logs[name] = json.load(file)
finish(log, ended=logs)

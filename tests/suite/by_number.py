"""System calls by number, and what each returned: what a program itself knows.

Every call is made through libc's syscall(2), by its number in arch/x86/entry/syscalls/syscall_64.tbl, so that nothing
else comes in between. What is logged is what a trace must tell: a call that must not be told is made with `quiet`.
"""

import ctypes
import json
import os

NUMBERS = {
    "read": 0, "close": 3, "lseek": 8, "ioctl": 16, "readv": 19, "dup": 32, "dup2": 33, "sendmsg": 46, "recvmsg": 47,
    "getsockopt": 55, "clone": 56, "fcntl": 72, "creat": 85, "mq_open": 240, "mq_unlink": 241, "openat": 257,
    "signalfd": 282, "timerfd_create": 283, "signalfd4": 289, "dup3": 292, "inotify_init1": 294,
    "perf_event_open": 298, "recvmmsg": 299, "fanotify_init": 300, "fanotify_mark": 301, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "sendmmsg": 307, "seccomp": 317, "memfd_create": 319, "bpf": 321, "execveat": 322,
    "userfaultfd": 323, "io_uring_setup": 425, "open_tree": 428, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "pidfd_open": 434, "clone3": 435, "close_range": 436, "openat2": 437, "pidfd_getfd": 438,
    "landlock_create_ruleset": 444, "memfd_secret": 447, "open_tree_attr": 467,
}

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
log = []


def quiet(name, *args):
    """Makes a call that a trace has nothing to tell of."""
    ret = libc.syscall(NUMBERS[name], *args)
    return -ctypes.get_errno() if ret == -1 else ret


def call(name, *args, **told):
    """Makes a call, and logs it with what else is known of it."""
    ret = quiet(name, *args)
    log.append([name, ret, told])
    return ret


def tell(**told):
    """Adds to the newest entry of the log what was learned after the call."""
    log[-1][2].update(told)


def mark(name):
    """A line of the trace that begins or ends what is compared."""
    try:
        os.open(name, os.O_RDONLY)
    except FileNotFoundError:
        pass


def table():
    """The program's descriptors and their inodes."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.fstat(int(name)).st_ino
        except OSError:
            pass
    return found


def finish(path, **more):
    """Writes the log and the table, and ends with that table."""
    with open(path, "w") as file:
        written = table()
        del written[file.fileno()]
        json.dump({"calls": log, "pid": os.getpid(), "table": written, **more}, file)
    os._exit(0)

"""Sets and clears close-on-exec in every way, and runs itself again. Usage: cloexec.py LOG DIR [BEFORE]."""

import json
import os
import sys

import by_number
from by_number import call, finish, mark, quiet, table, tell

AT_FDCWD, O_CLOEXEC, O_PATH = -100, 0o2000000, 0o10000000
FIONCLEX, FIOCLEX, F_DUPFD, F_SETFD, F_DUPFD_CLOEXEC = 0x5450, 0x5451, 0, 2, 1030
CLOSE_RANGE_UNSHARE, CLOSE_RANGE_CLOEXEC = 2, 4


def opened(flags):
    fd = call("openat", AT_FDCWD, b"/etc/passwd", flags)
    tell(new_fd=fd, cloexec=bool(flags & O_CLOEXEC))
    return fd


def copied(name, *args, cloexec):
    fd = call(name, *args)
    tell(new_fd=fd, cloexec=cloexec)
    return fd


def switched(name, fd, *args, cloexec):
    call(name, fd, *args)
    tell(event="setfd", fd=fd, cloexec=cloexec)


if len(sys.argv) > 3:
    before = json.loads(sys.argv[3])
    by_number.log = before["calls"]
    after = table()
    finish(sys.argv[1], gone=sorted(fd for fd in before["had"] if fd not in after))

mark("/sockreel-begin")
plain, closing = opened(0), opened(O_CLOEXEC)
path, closing_path = opened(O_PATH), opened(O_PATH | O_CLOEXEC)
switched("ioctl", opened(0), FIOCLEX, cloexec=True)
both = opened(0)
switched("ioctl", both, FIOCLEX, cloexec=True)
switched("ioctl", both, FIONCLEX, cloexec=False)
# The two requests work on a file without a path's rights, too (open(2), O_PATH).
switched("fcntl", path, F_SETFD, 1, cloexec=True)
switched("fcntl", closing_path, F_SETFD, 0, cloexec=False)
call("ioctl", 9999, FIOCLEX)
tell(event="setfd", fd=9999, error="EBADF")
copied("dup", closing, cloexec=False)
copied("dup2", closing, 50, cloexec=False)
# To the same number, dup2 does nothing; dup3 refuses.
call("dup2", closing, closing)
call("dup3", closing, closing, O_CLOEXEC)
tell(error="EINVAL")
copied("dup3", plain, 51, O_CLOEXEC, cloexec=True)
copied("dup3", plain, 52, 0, cloexec=False)
copied("fcntl", plain, F_DUPFD, 60, cloexec=False)
copied("fcntl", plain, F_DUPFD_CLOEXEC, 60, cloexec=True)
for number in range(70, 76):
    copied("dup2", plain, number, cloexec=False)
call("close_range", 71, 73, CLOSE_RANGE_CLOEXEC)
tell(event="setfd", fds=[71, 72, 73], cloexec=True)
call("close_range", 74, 74, CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)
tell(event="setfd", fds=[74], cloexec=True)
mark("/sockreel-end")
had = sorted(table())
# An argument holds 128 KiB at most; the log is some kilobytes.
more = json.dumps({"calls": by_number.log, "had": had})
os.execv(sys.executable, [sys.executable, "-B", sys.argv[0], sys.argv[1], sys.argv[2], more])

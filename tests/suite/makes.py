"""Makes descriptors in every way that has no test of its own. Usage: makes.py LOG DIR."""

import ctypes
import errno
import os
import socket
import struct
import sys

from by_number import call, finish, libc, mark, quiet, tell

AT_FDCWD, AT_EMPTY_PATH, O_CLOEXEC = -100, 0x1000, 0o2000000
SIGCHLD, CLONE_PIDFD = 17, 0x1000
NS_GET_USERNS, NS_GET_PARENT, NS_GET_NSTYPE = 0xB701, 0xB702, 0xB703
PIDFD_GET_NET_NAMESPACE, TIOCGPTPEER, USERFAULTFD_IOC_NEW = 0xFF04, 0x5441, 0xAA00
SIOCGSKNS, TUNSETIFF, TUNGETDEVNETNS, KVM_CREATE_VM, KVM_CREATE_VCPU = 0x894C, 0x400454CA, 0x54E3, 0xAE01, 0xAE41
directory = sys.argv[2].encode()
skipped = []


def make(name, *args, event, kind, **told):
    """A call whose result is a new descriptor; one that this kernel does not have is logged as it failed."""
    ret = call(name, *args, event=event)
    if ret < 0:
        skipped.append(f"{name}: {errno.errorcode[-ret]}")
        return ret
    tell(new_fd=ret, kind=kind, inode=os.fstat(ret).st_ino, cloexec=not os.get_inheritable(ret), **told)
    return ret


def ioctl(fd, request, *args, kind):
    return make("ioctl", fd, request, *args, event="open", kind=kind, fd=fd)


def beside(number, place, name):
    """The pidfd that a call wrote to the caller's memory: a line beside the fork's, without a call."""
    pidfd = struct.unpack("=i", place.raw[:4])[0]
    besides.append({"new_fd": pidfd, "kind": "pidfd", "inode": os.fstat(pidfd).st_ino, "cloexec": True})
    assert number > 0 and os.readlink(f"/proc/self/fd/{pidfd}") == "anon_inode:[pidfd]", name
    os.waitpid(number, 0)


near, far = socket.socketpair()
ptmx = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
libc.unlockpt(ptmx)
namespace = os.open("/proc/self/ns/pid", os.O_RDONLY)
mount = os.open("/proc/self/ns/mnt", os.O_RDONLY)
attributes = ctypes.create_string_buffer(128)
besides = []
mark("/sockreel-begin")
# Anonymous inodes and file systems.
for flags in (0, O_CLOEXEC):
    make("openat", AT_FDCWD, b"/etc/passwd", flags, event="open", kind="file")
make("openat", AT_FDCWD, b"/etc/passwd", 0o10000000, event="open", kind="file")  # O_PATH
make("creat", directory + b"/made", 0o600, event="open", kind="file", path=os.fsdecode(directory) + "/made")
make("openat2", AT_FDCWD, b"/etc", struct.pack("=QQQ", 0o200000, 0, 0), 24, event="open", kind="directory")
make("memfd_create", b"sockreel", 0, event="memfd", kind="memfd")
make("memfd_secret", 0, event="memfd", kind="memfd")
make("timerfd_create", 0, 0, event="timerfd", kind="timerfd")
signals = ctypes.create_string_buffer(8)
signalfd = make("signalfd4", -1, signals, 8, 0, event="signalfd", kind="signalfd")
call("signalfd4", signalfd, signals, 8, 0, event="signalfd", fd=signalfd, new_fd=signalfd)
# The first form of the call takes no flags.
make("signalfd", -1, signals, 8, event="signalfd", kind="signalfd")
make("inotify_init1", 0, event="inotify", kind="inotify")
make("fanotify_init", 0, 0, event="fanotify", kind="fanotify")
make("userfaultfd", O_CLOEXEC | 1, event="userfaultfd", kind="userfaultfd")
struct.pack_into("=II", attributes, 0, 1, 128)  # PERF_TYPE_SOFTWARE
make("perf_event_open", attributes, 0, -1, -1, 0, event="perf_event", kind="perf_event")
make("io_uring_setup", 2, ctypes.create_string_buffer(120), event="io_uring", kind="io_uring")
make("mq_open", b"sockreel-%d" % os.getpid(), 0o102, 0o600, None, event="mqueue", kind="mqueue")
quiet("mq_unlink", b"sockreel-%d" % os.getpid())
assert quiet("landlock_create_ruleset", None, 0, 1) > 0  # A question for the version.
make("landlock_create_ruleset", struct.pack("=Q", 1), 8, 0, event="landlock", kind="anonymous")
# The mount interface.
tmpfs = make("fsopen", b"tmpfs", 0, event="open", kind="anonymous")
assert quiet("fsconfig", tmpfs, 6, None, None, 0) == 0  # FSCONFIG_CMD_CREATE
mounted = make("fsmount", tmpfs, 0, 0, event="open", kind="directory")
make("fspick", AT_FDCWD, b"/proc", 0, event="open", kind="anonymous")
make("open_tree", AT_FDCWD, b"/etc", 0, event="open", kind="directory")
make("open_tree_attr", AT_FDCWD, b"/etc", 1, struct.pack("=QQQQ", 0, 0, 0, 0), 32, event="open", kind="directory")
handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 136)
assert quiet("name_to_handle_at", AT_FDCWD, b"/etc/passwd", handle, ctypes.create_string_buffer(8), 0) == 0
make("open_by_handle_at", AT_FDCWD, handle, 0, event="open", kind="file")
# Processes.
own = make("pidfd_open", os.getpid(), 0, event="pidfd", kind="pidfd")
make("pidfd_getfd", own, near.fileno(), 0, event="pass", kind="socket", fd=own)
tell(dir="in")
number, length = ctypes.create_string_buffer(4), ctypes.create_string_buffer(struct.pack("=I", 4))
call("getsockopt", near.fileno(), 1, 77, number, length, event="pidfd", fd=near.fileno())  # SO_PEERPIDFD
tell(new_fd=struct.unpack("=i", number.raw)[0], kind="pidfd", cloexec=True)
quiet("getsockopt", near.fileno(), 1, 3, number, length)
place = ctypes.create_string_buffer(8)
child = call("clone", SIGCHLD | CLONE_PIDFD, None, place, None, None, event="fork")
if child == 0:
    os._exit(0)
beside(child, place, "clone")
place = ctypes.create_string_buffer(8)
size = struct.pack("=QQQQQQQQ", CLONE_PIDFD, ctypes.addressof(place), 0, 0, SIGCHLD, 0, 0, 0)
child = call("clone3", size, 64, event="fork")
if child == 0:
    os._exit(0)
beside(child, place, "clone3")
call("execveat", 9999, b"", None, None, AT_EMPTY_PATH, event="exec", error="EBADF")
call("clone3", struct.pack("=QQQQQQQQ", CLONE_PIDFD, 0, 0, 0, SIGCHLD, 0, 0, 0), 8, event="fork", error="EINVAL")
# Requests of ioctl(2).
ioctl(namespace, NS_GET_USERNS, kind="file")
call("ioctl", mount, NS_GET_PARENT, event="open", fd=mount, error="EINVAL")
quiet("ioctl", namespace, NS_GET_NSTYPE)
ioctl(own, PIDFD_GET_NET_NAMESPACE, 0, kind="file")
ioctl(near.fileno(), SIOCGSKNS, kind="file")
ioctl(ptmx, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY, kind="char_device")
faults = make("openat", AT_FDCWD, b"/dev/userfaultfd", os.O_RDWR, event="open", kind="char_device")
ioctl(faults, USERFAULTFD_IOC_NEW, O_CLOEXEC | 1, kind="userfaultfd")
tunnel = make("openat", AT_FDCWD, b"/dev/net/tun", os.O_RDWR, event="open", kind="char_device")
quiet("ioctl", tunnel, TUNSETIFF, ctypes.create_string_buffer(struct.pack("=16xH", 0x1001), 40))
ioctl(tunnel, TUNGETDEVNETNS, kind="file")
kvm = make("openat", AT_FDCWD, b"/dev/kvm", os.O_RDWR, event="open", kind="char_device")
machine = ioctl(kvm, KVM_CREATE_VM, 0, kind="anonymous")
ioctl(machine, KVM_CREATE_VCPU, 0, kind="anonymous")
# Last: from here on every call is filtered.
libc.prctl(38, 1, 0, 0, 0)
allow = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
make("seccomp", 1, 8, struct.pack("=HxxxxxxQ", 1, ctypes.addressof(allow)), event="seccomp", kind="anonymous")
mark("/sockreel-end")
finish(sys.argv[1], besides=besides, skipped=skipped)

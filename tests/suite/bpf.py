"""Makes a descriptor by each command of bpf(2) that has one as its result. Usage: bpf.py LOG DIR."""

import ctypes
import errno
import os
import struct
import sys

from by_number import call, finish, libc, mark, quiet, tell

# Numbers of `enum bpf_cmd`, `enum bpf_prog_type` and `enum bpf_attach_type`, layouts of `union bpf_attr`
# (include/uapi/linux/bpf.h).
MAP_CREATE, PROG_LOAD, OBJ_PIN, OBJ_GET, PROG_GET_FD_BY_ID, MAP_GET_FD_BY_ID, INFO = 0, 5, 6, 7, 13, 14, 15
RAW_TRACEPOINT_OPEN, BTF_LOAD, BTF_GET_FD_BY_ID, LINK_CREATE, LINK_GET_FD_BY_ID = 17, 18, 19, 28, 30
ENABLE_STATS, ITER_CREATE, TOKEN_CREATE = 32, 33, 36
SOCKET_FILTER, RAW_TRACEPOINT, TRACING, SK_LOOKUP = 1, 17, 26, 30
TRACE_ITER, ATTACH_SK_LOOKUP, PATH_FD = 28, 36, 1 << 14
SIZE = 152
kept, skipped = [], []


def place(data):
    """Address of bytes that stay."""
    kept.append(ctypes.create_string_buffer(data, len(data)))
    return ctypes.addressof(kept[-1])


def bpf(command, attributes, make=call, **told):
    return make("bpf", command, ctypes.create_string_buffer(attributes, SIZE), SIZE, **told)


def makes(command, form, *values):
    fd = bpf(command, struct.pack("=" + form, *values), event="bpf")
    if fd < 0:
        skipped.append(f"bpf command {command}: {errno.errorcode[-fd]}")
        return fd
    tell(new_fd=fd, kind="bpf", inode=os.fstat(fd).st_ino, cloexec=not os.get_inheritable(fd))
    assert os.readlink(f"/proc/self/fd/{fd}").startswith(("anon_inode:bpf", "anon_inode:btf", "/bpf-token"))
    return fd


def load(kind, attach=0, function=0):
    """A program that returns 0."""
    instructions = place(struct.pack("=BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0))
    before = (kind, 2, instructions, place(b"GPL\0"), 0, 0, 0, 0, 0, b"", 0, attach)
    return makes(PROG_LOAD, "IIQQIIQII16sII 36x I", *before, function)


def identifier(fd, at):
    """An object's, at that place of what the kernel says of it."""
    said = ctypes.create_string_buffer(256)
    assert bpf(INFO, struct.pack("=IIQ", fd, len(said), ctypes.addressof(said)), make=quiet) == 0
    return struct.unpack_from("=I", said, at)[0]


def function(name):
    """The number of a function's type in the kernel's BTF (Documentation/bpf/btf.rst)."""
    with open("/sys/kernel/btf/vmlinux", "rb") as file:
        raw = file.read()
    head, types, length, strings, _ = struct.unpack_from("=4xIIIII", raw)
    wanted = raw.find(b"\0%s\0" % name, head + strings) + 1 - head - strings
    at, number = head + types, 0
    while at < head + types + length:
        number += 1
        called, info = struct.unpack_from("=II", raw, at)
        kind, members = info >> 24 & 31, info & 0xFFFF
        if (called, kind) == (wanted, 12):
            return number
        sizes = {1: 4, 3: 12, 4: 12 * members, 5: 12 * members, 6: 8 * members, 13: 8 * members, 14: 4,
                 15: 12 * members, 17: 4, 19: 12 * members}
        at += 12 + sizes.get(kind, 0)
    raise LookupError(name)


def delegate(main, asked, done):
    """Does what privilege takes of making a token, from outside the user namespace (bpf(2) knows tokens since Linux 6.9)."""
    os.read(asked, 1)
    with open(f"/proc/{main}/uid_map", "w") as file:
        file.write("0 0 1")
    os.write(done, b"x")
    fd = int(os.read(asked, 16))
    system = quiet("pidfd_getfd", quiet("pidfd_open", main, 0), fd, 0)
    quiet("fsconfig", system, 1, b"delegate_cmds", b"any", 0)  # FSCONFIG_SET_STRING
    os.write(done, b"x" if quiet("fsconfig", system, 6, None, None, 0) == 0 else b"")
    os._exit(0)


def token():
    """A token takes a file system of a user namespace of its own, to which commands are delegated."""
    if libc.unshare(0x10000000) != 0:  # CLONE_NEWUSER
        skipped.append("bpf command 36: no user namespace is to be had")
        return
    os.write(ask, b"x")
    os.read(answer, 1)
    assert libc.unshare(0x20000) == 0  # CLONE_NEWNS
    system = call("fsopen", b"bpf", 0, event="open", kind="anonymous")
    os.write(ask, b"%d" % system)
    if not os.read(answer, 1):
        skipped.append("bpf command 36: this kernel delegates none")
        return
    mounted = call("fsmount", system, 0, 0, event="open", kind="directory")
    makes(TOKEN_CREATE, "II", 0, call("openat", mounted, b".", 0, event="open", kind="directory"))


iterates = function(b"bpf_iter_task")
(asked, ask), (answer, done) = os.pipe(), os.pipe()
main = os.getpid()
if os.fork() == 0:
    os.close(ask)
    delegate(main, asked, done)
os.close(asked)
os.close(done)
namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
mark("/sockreel-begin")
array = makes(MAP_CREATE, "IIII", 2, 4, 4, 1)
makes(MAP_GET_FD_BY_ID, "I", identifier(array, 4))
filters = load(SOCKET_FILTER)
makes(PROG_GET_FD_BY_ID, "I", identifier(filters, 4))
# A file system of its own to pin to.
pins = call("fsopen", b"bpf", 0, event="open", kind="anonymous")
assert quiet("fsconfig", pins, 6, None, None, 0) == 0  # FSCONFIG_CMD_CREATE
directory = call("fsmount", pins, 0, 0, event="open", kind="directory")
pinned = place(b"array\0")
assert bpf(OBJ_PIN, struct.pack("=QIIi", pinned, array, PATH_FD, directory), make=quiet) == 0
makes(OBJ_GET, "QIIi", pinned, 0, PATH_FD, directory)
makes(RAW_TRACEPOINT_OPEN, "QI", place(b"sched_process_exit\0"), load(RAW_TRACEPOINT))
# One type, `int`.
names, types = b"\0int\0", struct.pack("=IIII", 1, 1 << 24, 4, 1 << 24 | 32)
head = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names))
btf = makes(BTF_LOAD, "QQI", place(head + types + names), 0, len(head + types + names))
makes(BTF_GET_FD_BY_ID, "I", identifier(btf, 12))
link = makes(LINK_CREATE, "III", load(SK_LOOKUP, ATTACH_SK_LOOKUP), namespace, ATTACH_SK_LOOKUP)
makes(LINK_GET_FD_BY_ID, "I", identifier(link, 4))
makes(ENABLE_STATS, "I", 0)
makes(ITER_CREATE, "I", makes(LINK_CREATE, "III", load(TRACING, TRACE_ITER, iterates), 0, TRACE_ITER))
# Failures of a command that makes a descriptor are told; a command that makes none is not.
bpf(MAP_GET_FD_BY_ID, struct.pack("=I", 0x7FFFFFFF), event="bpf", error="ENOENT")
bpf(12, bytes(SIZE), make=quiet)  # BPF_MAP_GET_NEXT_ID
token()
mark("/sockreel-end")
finish(sys.argv[1], skipped=skipped)

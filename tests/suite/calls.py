"""Makes system calls one by one and writes down what each returned: what the program itself knows.

Usage: calls.py LOG. Between two attempts to open a file that does not exist, every call is made by number
(arch/x86/entry/syscalls/syscall_64.tbl) through libc's syscall(2), so that nothing else comes in between.
"""

import ctypes
import json
import os
import socket
import struct
import sys
import threading
import time

NUMBERS = {
    "close": 3, "dup": 32, "dup2": 33, "socket": 41, "connect": 42, "accept": 43, "shutdown": 48, "bind": 49,
    "listen": 50, "socketpair": 53, "fcntl": 72, "accept4": 288, "eventfd2": 290, "epoll_create1": 291, "dup3": 292,
    "pipe2": 293, "close_range": 436,
}
AF_UNIX, AF_INET, SOCK_STREAM, SOCK_CLOEXEC = 1, 2, 1, 0o2000000
F_DUPFD, F_SETFD, F_DUPFD_CLOEXEC, FD_CLOEXEC = 0, 2, 1030, 1

libc = ctypes.CDLL(None, use_errno=True)
log = []


def call(name, *args):
    ret = libc.syscall(NUMBERS[name], *args)
    log.append([name, -ctypes.get_errno() if ret == -1 else ret])
    return ret


def inet(port):
    return ctypes.create_string_buffer(struct.pack("=H", AF_INET) + struct.pack(">H4s8x", port, bytes([127, 0, 0, 1])))


def port_of(fd):
    with socket.socket(fileno=os.dup(fd)) as copy:
        return copy.getsockname()[1]


def mark(name):
    try:
        os.open(name, os.O_RDONLY)
    except FileNotFoundError:
        pass


def visit(port):
    time.sleep(0.4)
    socket.create_connection(("127.0.0.1", port)).close()


with socket.socket() as taken:
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    in_use = taken.getsockname()[1]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refused = closed.getsockname()[1]
    pair = (ctypes.c_int * 2)()

    mark("/sockreel-begin")
    listener = call("socket", AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
    call("bind", listener, inet(in_use), 16)
    call("bind", listener, inet(0), 16)
    call("listen", listener, 7)
    mark("/sockreel-pause")
    listening = port_of(listener)
    visitor = threading.Thread(target=visit, args=[listening])
    visitor.start()
    mark("/sockreel-on")
    child = call("accept4", listener, None, None, SOCK_CLOEXEC)
    call("shutdown", child, 1)
    call("close", child)
    call("close", child)
    call("accept", 999, None, None)
    client = call("socket", AF_INET, SOCK_STREAM, 0)
    call("connect", client, inet(refused), 16)
    call("connect", client, inet(in_use), 16)
    copy = call("dup", client)
    call("dup2", client, 50)
    call("dup2", 50, 50)
    call("dup3", client, 51, SOCK_CLOEXEC)
    call("dup3", client, client, 0)
    call("fcntl", client, F_DUPFD, 60)
    call("fcntl", client, F_DUPFD_CLOEXEC, 60)
    call("fcntl", copy, F_SETFD, FD_CLOEXEC)
    call("socketpair", AF_UNIX, SOCK_STREAM, 0, pair)
    call("pipe2", pair, 0)
    call("eventfd2", 0, 0)
    call("epoll_create1", 0)
    call("close_range", 50, 61, 0)
    call("close_range", 3000, 2000, 0)
    call("close", listener)
    mark("/sockreel-end")
    visitor.join()

with open(sys.argv[1], "w") as file:
    json.dump({"calls": log, "listening": listening, "in_use": in_use, "refused": refused, "copy": copy}, file)

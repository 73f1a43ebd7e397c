"""Uses TCP sockets again in each way, and writes down what the kernel said of them in each round. Usage: rounds.py LOG.

A step is the phase of the socket, its peer in it by getpeername(2), and the error that it came with; its state is asked by
TCP_INFO (tcp(7)). The sockets stay open until the process is ended.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys

STATES = {1: "ESTABLISHED", 7: "CLOSE", 10: "LISTEN"}
libc = ctypes.CDLL(None, use_errno=True)
rounds, kept = {}, []


def begin(name):
    s = socket.socket()
    kept.append(s)
    inode = os.fstat(s.fileno()).st_ino
    rounds[name] = {"inode": inode, "fd": s.fileno(), "socket": s, "calls": [], "steps": [["created", None, None]]}
    return s


def note(name, call, phase, peer=None, error=None):
    """What the socket is after a call."""
    found = rounds[name]
    found["calls"].append(call)
    state = STATES[found["socket"].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]]
    wanted = {"connected": "ESTABLISHED", "closed": "CLOSE", "listening": "LISTEN", "bound": "CLOSE"}
    assert phase not in wanted or state == wanted[phase], (name, phase, state)
    found["steps"].append([phase, peer, error])


def connect(name, s, to):
    s.connect(to.getsockname())
    peer = "%s:%d" % s.getpeername()
    rounds[name]["steps"].append(["connecting", peer, None])
    note(name, "connect", "connected", peer)


def refuse(name, s):
    """Nobody listens where another socket is bound."""
    nobody = socket.socket()
    kept.append(nobody)
    nobody.bind(("127.0.0.1", 0))
    try:
        s.connect(nobody.getsockname())
        raise AssertionError(name)
    except ConnectionRefusedError:
        rounds[name]["steps"].append(["connecting", "%s:%d" % nobody.getsockname(), None])
        note(name, "connect", "closed", error="ECONNREFUSED")


def disconnect(name, s):
    assert libc.connect(s.fileno(), struct.pack("=HHIQ", socket.AF_UNSPEC, 0, 0, 0), 16) == 0
    note(name, "connect", "closed")


def listen(name, s, backlog):
    s.listen(backlog)
    rounds[name]["backlog"] = backlog
    note(name, "listen", "listening")


servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
refused = begin("connects after a refusal")
refuse("connects after a refusal", refused)
connect("connects after a refusal", refused, servers[0])
free = begin("connects after AF_UNSPEC")
connect("connects after AF_UNSPEC", free, servers[0])
disconnect("connects after AF_UNSPEC", free)
connect("connects after AF_UNSPEC", free, servers[1])
again = begin("listens after shutdown")
again.bind(("127.0.0.1", 0))
note("listens after shutdown", "bind", "bound")
listen("listens after shutdown", again, 3)
again.shutdown(socket.SHUT_RDWR)
note("listens after shutdown", "shutdown", "closed")
listen("listens after shutdown", again, 5)
turned = begin("listens after it was connected")
connect("listens after it was connected", turned, servers[1])
disconnect("listens after it was connected", turned)
listen("listens after it was connected", turned, 2)

written = []
for name, found in rounds.items():
    s, ends = found.pop("socket"), []
    for end in s.getsockname, s.getpeername:
        try:
            ends.append("%s:%d" % end())
        except OSError:
            ends.append(None)
    written.append({"name": name, "local": ends[0], "peer": ends[1], **found})
with open(sys.argv[1] + ".part", "w") as file:
    json.dump(written, file)
os.rename(sys.argv[1] + ".part", sys.argv[1])
signal.pause()

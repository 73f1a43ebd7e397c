"""Makes sockets of every family and writes down what they themselves say of their addresses and options.

Usage: families.py LOG. What is written of a socket: its inode, getsockname(2) and getpeername(2) in the form of an event's
address, its options by getsockopt(2). The sockets stay open until the process is ended.
"""

import ctypes
import errno
import fcntl
import json
import os
import socket
import struct
import sys
import time

ANY = 0xFFFFFFFF
TCP_DEFER_ACCEPT, TCP_FASTOPEN, AF_XDP, NETLINK_GENERIC = 9, 23, 44, 16
libc = ctypes.CDLL(None, use_errno=True)
sockets, calls, failures = {}, [], []


def text(s, address):
    if s.family == socket.AF_INET:
        return "%s:%d" % address
    if s.family == socket.AF_INET6:
        return "[%s]:%d" % address[:2]
    if s.family == socket.AF_UNIX:
        if isinstance(address, bytes):
            return "unix:@" + address[1:].decode()
        return "unix:" + address
    if s.family == socket.AF_NETLINK:
        portid, groups = address
        return "netlink:%d" % portid + (",groups=%#x" % groups if groups else "")
    if s.family == socket.AF_PACKET:
        interface, protocol = address[:2]
        return "packet:%s@%s" % (
            "*" if protocol == 3 else "0x%04x" % protocol,
            socket.if_nametoindex(interface) if interface else "*",
        )
    cid, port = address
    return "vsock:%s:%s" % tuple("*" if number == ANY else number for number in (cid, port))


def addresses(s):
    found = []
    for name in (s.getsockname, s.getpeername):
        try:
            found.append(text(s, name()))
        except OSError:
            found.append(None)
    return found


def options(s):
    def number(level, option):
        try:
            return s.getsockopt(level, option)
        except OSError:
            return 0

    found = []
    if number(socket.SOL_SOCKET, socket.SO_REUSEADDR):
        found.append("SO_REUSEADDR")
    if number(socket.SOL_SOCKET, socket.SO_REUSEPORT):
        found.append("SO_REUSEPORT")
    if s.family == socket.AF_INET6 and number(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        found.append("IPV6_V6ONLY")
    # Python has no buffers for vsock's options.
    vsock = s.family == socket.AF_VSOCK
    linger = struct.pack("ii", 0, 0) if vsock else s.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    on, seconds = struct.unpack("ii", linger)
    if on:
        found.append("SO_LINGER=%d" % seconds)
    if s.family in (socket.AF_INET, socket.AF_INET6) and s.type == socket.SOCK_STREAM:
        for name, option in (("TCP_DEFER_ACCEPT", TCP_DEFER_ACCEPT), ("TCP_FASTOPEN", TCP_FASTOPEN)):
            value = number(socket.IPPROTO_TCP, option)
            # They act on listeners; of a connection they are not told.
            listens = number(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            if value and listens:
                found.append("%s=%d" % (name, value))
    if fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK:
        found.append("O_NONBLOCK")
    return found


def keep(name, s):
    """The socket, to be written down at the end."""
    sockets[name] = s
    return s


def log_option(s, level, option, value):
    """Sets an option and writes down what it then is."""
    try:
        s.setsockopt(level, option, value)
        error = 0
    except OSError as failed:
        error = failed.errno
    if option == socket.SO_LINGER and level == socket.SOL_SOCKET:
        on, seconds = struct.unpack("ii", s.getsockopt(level, option, 8))
        asked_on, asked_seconds = struct.unpack("ii", value)
        calls.append([s.fileno(), level, option, -error, asked_seconds if asked_on else -1, seconds if on else -1])
    else:
        calls.append([s.fileno(), level, option, -error, value, s.getsockopt(level, option)])


def fails(s, name, argument):
    """A call that cannot succeed, with its error and what it asked for."""
    try:
        getattr(s, name)(argument)
        raise AssertionError(name)
    except OSError as no:
        asked = None if name == "listen" else text(s, argument)
        failures.append({"call": name, "fd": s.fileno(), "error": errno.errorcode[no.errno], "asked": asked})


def pair_over(server, client, address=None):
    server.listen(4)
    client.connect(address or server.getsockname())
    child, _ = server.accept()
    return child


def disconnect(s):
    assert libc.connect(s.fileno(), struct.pack("=HHIQ", 0, 0, 0, 0), 16) == 0


loopback = ("127.0.0.1", 0)
directory = os.path.dirname(os.path.abspath(sys.argv[1]))

# inet: a listener with every option, its client and child.
listener = keep("tcp listener", socket.socket())
for option, value in (
    ((socket.SOL_SOCKET, socket.SO_REUSEADDR), 1),
    ((socket.SOL_SOCKET, socket.SO_REUSEPORT), 1),
    ((socket.SOL_SOCKET, socket.SO_LINGER), struct.pack("ii", 1, 17)),
    ((socket.IPPROTO_TCP, TCP_DEFER_ACCEPT), 5),
    ((socket.IPPROTO_TCP, TCP_DEFER_ACCEPT), 0),
    ((socket.IPPROTO_TCP, TCP_FASTOPEN), 23),
):
    log_option(listener, *option, value)
listener.bind(loopback)
client = keep("tcp client", socket.socket())
keep("tcp child", pair_over(listener, client))
deferred = keep("deferring listener", socket.socket())
log_option(deferred, socket.IPPROTO_TCP, TCP_DEFER_ACCEPT, 5)
deferred.bind(loopback)
deferred.listen(1)

# inet6: one that takes both, reached over IPv4, and one that does not.
dual = keep("dual-stack listener", socket.socket(socket.AF_INET6))
log_option(dual, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
dual.bind(("::", 0))
mapped = keep("client of a mapped address", socket.socket(socket.AF_INET6))
keep("mapped child", pair_over(dual, mapped, ("::ffff:127.0.0.1", dual.getsockname()[1])))
only = keep("v6only listener", socket.socket(socket.AF_INET6))
log_option(only, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
only.bind(("::1", 0))
six = keep("inet6 client", socket.socket(socket.AF_INET6))
keep("inet6 child", pair_over(only, six))

# unix: path, abstract, unnamed; stream, datagram, seqpacket.
for name, kind in (("stream", socket.SOCK_STREAM), ("seqpacket", socket.SOCK_SEQPACKET)):
    server = keep("unix %s listener" % name, socket.socket(socket.AF_UNIX, kind))
    server.bind(os.path.join(directory, name) if name == "stream" else b"\0reel-" + str(os.getpid()).encode())
    user = keep("unix %s client" % name, socket.socket(socket.AF_UNIX, kind))
    keep("unix %s child" % name, pair_over(server, user))
box = keep("unix datagram box", socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
box.bind(os.path.join(directory, "box"))
sender = keep("unix datagram sender", socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
sender.connect(os.path.join(directory, "box"))
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
keep("unix pair one", one), keep("unix pair other", other)

# UDP: bound, connected, connected anew, disconnected.
bound = keep("udp bound", socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
bound.bind(loopback)
second = keep("udp bound too", socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
second.bind(("::1", 0))
anew = keep("udp connected anew", socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
anew.connect(bound.getsockname())
anew.connect(listener.getsockname())
gone = keep("udp disconnected", socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
gone.connect(bound.getsockname())
disconnect(gone)
sent = keep("udp that sent", socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
sent.sendto(b"x", bound.getsockname())
message = keep("udp6 that sent a message", socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
message.sendmsg([b"x"], [], 0, second.getsockname())
refused = keep("udp whose send failed", socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
try:
    # 65,536 bytes are more than a datagram holds.
    refused.sendto(bytes(65_536), bound.getsockname())
except OSError:
    pass
# Without an address nothing is sent, and the socket has its port all the same.
for name, send in (("send", lambda s: s.send(b"x")), ("sendmsg", lambda s: s.sendmsg([b"x"])),
                   ("write", lambda s: os.write(s.fileno(), b"x")),
                   ("writev", lambda s: os.writev(s.fileno(), [b"x"]))):
    lost = keep("udp whose %s has no destination" % name, socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    try:
        send(lost)
    except OSError as no:
        assert no.errno == errno.EDESTADDRREQ, no
udp6 = keep("udp inet6", socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
udp6.connect(second.getsockname())

# netlink: with groups, of another protocol, connected to a peer.
route = keep("netlink route", socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE))
route.bind((0, 0x11))
generic = keep("netlink generic", socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_GENERIC))
generic.bind((0, 0))
user = keep("netlink connected", socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_USERSOCK))
user.connect((12345, 0))

# packet: of one interface and protocol, of every one.
arp = keep("packet arp", socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0))
arp.bind(("lo", 0x0806))
keep("packet all", socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))

# Non-blocking in each way.
keep("nonblock by type", socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
by_fcntl = keep("nonblock by fcntl", socket.socket())
flags = fcntl.fcntl(by_fcntl, fcntl.F_GETFL)
fcntl.fcntl(by_fcntl, fcntl.F_SETFL, flags)
fcntl.fcntl(by_fcntl, fcntl.F_SETFL, flags | os.O_NONBLOCK)
by_ioctl = keep("nonblock by ioctl", socket.socket())
by_ioctl.setblocking(False)
back = keep("blocking again", socket.socket())
back.setblocking(False)
back.setblocking(True)

skipped = []
try:
    vsock = keep("vsock listener", socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
    keep("vsock unbound", socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
    vsock.bind((ANY, ANY))
    vsock.listen(3)
    # What fails before there is a need for a transport.
    vsock.setblocking(False)
    fails(vsock, "bind", (ANY, ANY))
    fails(vsock, "connect", (2, 1))
    fails(sockets["vsock unbound"], "listen", 1)
except OSError as no:
    skipped.append("vsock: %s" % no)
loop = None
try:
    loop = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    loop.setblocking(False)
    # VMADDR_CID_LOCAL (vsock(7)): only where the loopback transport is there.
    loop.bind((1, ANY))
    loop.setblocking(True)
    server = keep("vsock loopback listener", loop)
    user = keep("vsock loopback client", socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
    keep("vsock loopback child", pair_over(server, user))
except OSError as no:
    skipped.append("vsock loopback: %s" % no)
    if loop:
        loop.close()
unknown = None
try:
    # A family without a name here, made without Python, which knows its own alone.
    unknown = libc.socket(AF_XDP, socket.SOCK_RAW, 0)
    if unknown < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    # `struct sockaddr_xdp` (include/uapi/linux/if_xdp.h) without a queue.
    assert libc.bind(unknown, struct.pack("=HHIII", AF_XDP, 0, 0x7FFFFFFF, 0, 0), 16) < 0
    failures.append({"call": "bind", "fd": unknown, "error": errno.errorcode[ctypes.get_errno()],
                     "asked": "family-44:" + struct.pack("=HIII", 0, 0x7FFFFFFF, 0, 0).hex()})
except OSError as no:
    skipped.append("family 44: %s" % no)
    unknown = None

written = {}
for name, s in sockets.items():
    local, peer = addresses(s)
    written[name] = {
        "fd": s.fileno(),
        "inode": os.fstat(s.fileno()).st_ino,
        "local": local,
        "peer": peer,
        "options": options(s),
        "listens": bool(s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)),
    }
facts = {"sockets": written, "calls": calls, "failures": failures, "skipped": skipped, "pid": os.getpid()}
if unknown is not None:
    facts["unknown"] = {"fd": unknown, "inode": os.fstat(unknown).st_ino}
with open(sys.argv[1] + ".part", "w") as file:
    json.dump(facts, file)
os.rename(sys.argv[1] + ".part", sys.argv[1])
while True:
    time.sleep(60)

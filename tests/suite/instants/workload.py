"""Servers and clients in a network namespace of their own that open and close all the time, until they are killed.

Usage: workload.py DIR COMMAND... COMMAND churns too. Writes the marker's pid to DIR/marker once all of them serve: at each
SIGUSR1 that process opens /sockreel/mark/N, which does not exist, for N = 1, 2, 3 ...
"""

import array
import http.client
import itertools
import os
import random
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time

HOST = "127.0.0.1"
DIR = sys.argv[1]
NGINX = f"""
daemon off; master_process on; worker_processes 2; user root;
pid {DIR}/nginx.pid; error_log {DIR}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {DIR}/access.log;
    client_body_temp_path {DIR}/body; proxy_temp_path {DIR}/proxy; fastcgi_temp_path {DIR}/fastcgi;
    uwsgi_temp_path {DIR}/uwsgi; scgi_temp_path {DIR}/scgi;
    server {{ listen {HOST}:8080 backlog=77; listen [::]:8081 ipv6only=off; location / {{ return 200 hello; }} }}
}}
"""


def spawn(work, *args):
    """Forks a process that does its work until it is killed."""
    pid = os.fork()
    if pid == 0:
        random.seed(os.getpid())
        try:
            work(*args)
        finally:
            os._exit(1)
    return pid


def listens(port):
    while socket.socket().connect_ex((HOST, port)):
        time.sleep(0.02)


def again(turn):
    """Repeats a turn, whatever goes wrong in it, with pauses in which others have theirs."""
    while True:
        try:
            turn()
        except (OSError, EOFError, http.client.HTTPException):
            pass
        time.sleep(random.uniform(0, 0.01))


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(100):
            self.request.sendall(data)


class Threading(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


class Forking(socketserver.ForkingTCPServer):
    allow_reuse_address = True


class UnixThreading(socketserver.ThreadingUnixStreamServer):
    request_queue_size = 3


def serve(kind, address):
    with kind(address, Echo) as server:
        server.serve_forever(0.01)


def udp_echo():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::", 7007))
        while True:
            data, peer = sock.recvfrom(100)
            sock.sendto(data, peer)


def web():
    """One request, or a few on one connection."""
    host, port = random.choice([(HOST, 8080), (HOST, 8081), ("::1", 8081)])
    connection = http.client.HTTPConnection(host, port, timeout=5)
    for _ in range(random.choice([1, 1, 1, 4])):
        connection.request("GET", "/")
        connection.getresponse().read()
    connection.close()


def redis():
    with socket.create_connection((HOST, 6379), 5) as sock:
        for turn in range(random.randrange(1, 5)):
            sock.sendall(b"INCR turns\r\n")
            sock.recv(100)
        if random.random() < 0.02:
            sock.sendall(b"BGSAVE\r\n")
            sock.recv(100)


def echo(port):
    with socket.create_connection((HOST, port), 5) as sock:
        sock.sendall(b"hello")
        sock.recv(100)
        if random.random() < 0.2:
            sock.shutdown(socket.SHUT_WR)
            sock.recv(100)


def unix_stream():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(f"{DIR}/echo")
        sock.sendall(b"hello")
        sock.recv(100)


def datagrams():
    with socket.socket(random.choice([socket.AF_INET, socket.AF_INET6]), socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect((HOST if sock.family == socket.AF_INET else "::1", 7007))
        sock.send(b"hello")
        sock.recv(100)


def pairs():
    """Descriptors go from one socket to another."""
    kind = random.choice([socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    with one, other, open("/dev/null", "rb") as file:
        rights = array.array("i", [one.fileno(), file.fileno()])
        one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        _, control, _, _ = other.recvmsg(1, socket.CMSG_SPACE(8))
        received = array.array("i")
        for _, _, data in control:
            received.frombytes(data)
        for fd in received:
            os.dup2(fd, 70 + fd % 5)
            os.close(fd)


def executes():
    """A child that executes a program with some descriptors."""
    pipe = os.pipe()
    os.set_inheritable(pipe[1], True)
    if (pid := os.fork()) == 0:
        os.execv("/bin/true", ["true"])
    os.waitpid(pid, 0)
    os.close(pipe[0])
    os.close(pipe[1])


def others():
    """Sockets of other families, held for a while."""
    ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    frames = socket.socket(socket.AF_PACKET, random.choice([socket.SOCK_RAW, socket.SOCK_DGRAM]), 0)
    route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with ping, frames, route:
        if random.random() < 0.5:
            ping.bind((HOST, 0))
            frames.bind(("lo", random.choice([3, 0x0806])))
            route.bind((0, random.choice([0, 0x11])))
        if random.random() < 0.3:
            ping.connect((HOST, 0))
        time.sleep(0.02)


def clients(*turns):
    threads = [threading.Thread(target=again, args=[turn]) for turn in turns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def marker():
    for number in itertools.count(1):
        signal.sigwait({signal.SIGUSR1})
        try:
            os.open(f"/sockreel/mark/{number}", os.O_RDONLY)
        except FileNotFoundError:
            pass


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
marks = spawn(marker)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
with open(f"{DIR}/nginx.conf", "w") as file:
    file.write(NGINX)
subprocess.Popen(["/usr/sbin/nginx", "-c", f"{DIR}/nginx.conf", "-e", f"{DIR}/error.log", "-p", DIR])
subprocess.Popen(
    ["redis-server", "--port", "6379", "--bind", HOST, "--save", "", "--dir", DIR], stdout=subprocess.DEVNULL
)
spawn(serve, Threading, (HOST, 7001))
spawn(serve, Forking, (HOST, 7002))
spawn(serve, UnixThreading, f"{DIR}/echo")
spawn(udp_echo)
for port in (8080, 8081, 6379, 7001, 7002):
    listens(port)
spawn(clients, web, web, redis)
spawn(clients, lambda: echo(7001), lambda: echo(7002), unix_stream)
spawn(clients, datagrams, pairs, executes)
kept = [
    socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6),
    socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)),
    socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, socket.NETLINK_ROUTE),
]
kept[2].bind((0, 1))
spawn(clients, others)
subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
with open(f"{DIR}/marker.new", "w") as file:
    file.write(str(marks))
os.rename(f"{DIR}/marker.new", f"{DIR}/marker")
while True:
    os.wait()

"""A server that was given its listener (sd_listen_fds(3)): what a client sends comes back; `quit` ends it.

Usage: activated.py
"""

import os
import socket

assert int(os.environ["LISTEN_PID"]) == os.getpid() and os.environ["LISTEN_FDS"] == "1"
listener = socket.socket(fileno=3)
os.set_inheritable(3, False)
while True:
    connection, _ = listener.accept()
    with connection:
        connection.getsockname(), connection.getpeername()
        line = connection.recv(100)
        connection.sendall(line)
        if line == b"quit\n":
            break

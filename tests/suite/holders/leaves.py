"""Connections of one listener, each left in another state by who closed and what was not yet read: says the port, then of each
the kernel's state (as ss(8) has it) and the client's port."""

import json
import signal
import socket

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(10)
port = listener.getsockname()[1]
print(port, flush=True)


def connect():
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    return client, listener.accept()[0]


def fill(server):
    server.setblocking(False)
    try:
        while True:
            server.send(bytes(65536))
    except BlockingIOError:
        pass


kept, made = [], {}
for state in ("ESTAB", "FIN-WAIT-1", "CLOSING", "LAST-ACK", "FIN-WAIT-2", "TIME-WAIT"):
    client, server = connect()
    made[state] = client.getsockname()[1]
    kept.append(client)
    if state == "ESTAB":
        kept.append(server)
        continue
    if state == "LAST-ACK":
        client.shutdown(socket.SHUT_WR)
        server.recv(1)
    if state in ("FIN-WAIT-1", "CLOSING", "LAST-ACK"):
        fill(server)
    server.close()
    if state == "CLOSING":
        client.shutdown(socket.SHUT_WR)
    if state == "TIME-WAIT":
        client.recv(1)
        client.close()
print(json.dumps(made), flush=True)
signal.pause()

"""A server whose child inherits its listener by accident.

It prints its port, starts `sleep` with its descriptors, prints the child's pid and the listener's number, and answers every connection with one line.
Usage: inherited.py
"""

import socket
import subprocess

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(7)
listener.set_inheritable(True)
print(listener.getsockname()[1], flush=True)
child = subprocess.Popen(["/usr/bin/sleep", "600"], close_fds=False)
print(child.pid, listener.fileno(), flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"hello\n")
    # This side closes first: the connection stays behind in TIME_WAIT.
    connection.close()

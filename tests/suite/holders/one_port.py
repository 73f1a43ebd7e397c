"""A service on a port of one family.

Usage: one_port.py 4 0 | one_port.py 6 PORT; prints the port.
"""

import socket
import sys

family, host = {"4": (socket.AF_INET, "0.0.0.0"), "6": (socket.AF_INET6, "::")}[sys.argv[1]]
listener = socket.socket(family)
if family == socket.AF_INET6:
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((host, int(sys.argv[2])))
listener.listen(5)
print(listener.getsockname()[1], flush=True)
while True:
    listener.accept()[0].close()

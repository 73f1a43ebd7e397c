"""socketserver in its two forms at once: what a client sends comes back, and the server closes.

Usage: echo.py FORKING_PORT THREADED_PORT. SIGTERM ends it.
"""

import signal
import socketserver
import sys
import threading


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        # What the program itself knows of the connection.
        self.request.getsockname(), self.request.getpeername()
        self.wfile.write(self.rfile.readline())


class Forking(socketserver.ForkingTCPServer):
    allow_reuse_address = True


class Threading(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


forking, threaded = (int(port) for port in sys.argv[1:3])
servers = [Forking(("127.0.0.1", forking), Echo), Threading(("127.0.0.1", threaded), Echo)]
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
threads = [threading.Thread(target=server.serve_forever, args=[0.1], daemon=True) for server in servers]
for thread in threads:
    thread.start()
signal.sigwait({signal.SIGTERM})
for server in servers:
    server.shutdown()
    server.server_close()

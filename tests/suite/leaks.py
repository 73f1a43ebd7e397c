"""Servers that leave something behind, each in its own way; a line each of what they know of it themselves."""
import http.server, json, os, socket, sys, threading, time

what, log = sys.argv[1], open(sys.argv[2], 'a', buffering=1)


def note(**fact):
    log.write(json.dumps(fact) + '\n')


class Forgetful(http.server.BaseHTTPRequestHandler):
    """Opens a file for each request, and forgets to close it one time in a hundred."""
    asked = 0

    def do_GET(self):
        Forgetful.asked += 1
        file = os.open('/etc/hostname', os.O_RDONLY)
        body = os.read(file, 100)
        if Forgetful.asked % 100 == 0:
            note(left=file, thread=threading.get_native_id())
        else:
            os.close(file)
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if what == 'forgetful':
    server = http.server.HTTPServer(('127.0.0.1', 0), Forgetful)
    note(port=server.server_address[1], pid=os.getpid())
    server.serve_forever()
elif what in ('deaf', 'deaf-dual'):
    # One client hangs up and is not heard, one stays, and one that hangs up is let go. Over IPv4, also where the server has IPv6.
    dual = what == 'deaf-dual'
    server = (socket.create_server(('::', 0), family=socket.AF_INET6, dualstack_ipv6=True) if dual
              else socket.create_server(('127.0.0.1', 0)))
    ready, go = os.pipe()
    client = os.fork()
    if client == 0:
        server.close()
        port = json.loads(os.read(ready, 100))
        kept = [socket.create_connection(('127.0.0.1', port)) for _ in range(3)]
        note(hung_up=('[::ffff:127.0.0.1]:%d' if dual else '127.0.0.1:%d') % kept[0].getsockname()[1], by=os.getpid())
        kept[0].close()
        kept[2].close()
        time.sleep(600)
    os.write(go, json.dumps(server.getsockname()[1]).encode())
    held = [server.accept()[0] for _ in range(3)]
    held[2].recv(1)
    held[2].close()
    note(holds=held[0].fileno(), pid=os.getpid())
    time.sleep(600)
elif what == 'unread':
    # Of three clients that send 100 bytes or nothing, one is never read, one is read in part, and one says nothing.
    server = socket.create_server(('127.0.0.1', 0))
    clients = [socket.create_connection(server.getsockname()) for _ in range(3)]
    held = [server.accept()[0] for _ in range(3)]
    clients[0].send(b'x' * 100)
    clients[1].send(b'x' * 100)
    held[1].recv(1)
    note(peer='127.0.0.1:%d' % clients[0].getsockname()[1], holds=held[0].fileno(), pid=os.getpid())
    time.sleep(600)
elif what == 'exec':
    # Two sockets: one closes on exec, one is meant to stay or was forgotten.
    kept, closed = socket.socket(), socket.socket()
    os.set_inheritable(kept.fileno(), True)
    note(survives=kept.fileno(), pid=os.getpid())
    os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(600)'])

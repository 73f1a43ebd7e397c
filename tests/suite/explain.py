"""Calls that fail for a known reason, one after the other; a JSON line each of what the kernel and `ss` say of the reason."""
import ctypes, errno, json, os, socket, struct, subprocess, sys, threading, time

HOST = '127.0.0.1'
log = open(sys.argv[1], 'w', buffering=1)
dir = sys.argv[2]
libc = ctypes.CDLL(None, use_errno=True)
INET, INET6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX


def note(step, error, cause, **more):
    log.write(json.dumps({'step': step, 'error': error, 'cause': cause, **more}) + '\n')


marked = None


def mark(step):
    """The name of a step is opened before it, so that its lines can be told apart."""
    global marked
    if marked != step:
        marked = step
        try:
            os.open('/sockreel-' + step, os.O_RDONLY)
        except OSError:
            pass


def fails(step, cause, action, **more):
    """Runs what fails, and notes how."""
    mark(step)
    try:
        action()
        note(step, None, cause, **more)
    except OSError as failed:
        note(step, errno.errorcode[failed.errno], cause, **more)


def tcp(family=INET, address=None, *options):
    made = socket.socket(family)
    for level, option in options:
        made.setsockopt(level, option, 1)
    if address:
        made.bind(address)
    return made


def listener(family=INET, address=(HOST, 0), *options):
    made = tcp(family, address, *options)
    made.listen(8)
    return made


REUSEADDR = (socket.SOL_SOCKET, socket.SO_REUSEADDR)
REUSEPORT = (socket.SOL_SOCKET, socket.SO_REUSEPORT)
V6ONLY = (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def port(of):
    return of.getsockname()[1]


def own(of, relation, *options):
    return {'fd': of.fileno(), 'pid': os.getpid(), 'relation': relation, 'options': list(options)}


# EADDRINUSE
held = listener()
other = tcp()
fails('same', 'address_held', lambda: other.bind((HOST, port(held))), holder=own(held, 'same'))
other = tcp(INET, None, REUSEADDR)
fails('wildcard', 'address_held', lambda: other.bind(('', port(held))), holder=own(held, 'wildcard'),
      asks=['SO_REUSEADDR'])
other = tcp(INET6)
fails('dual', 'address_held', lambda: other.bind(('::', port(held))), holder=own(held, 'dual_stack'))
dual = listener(INET6, ('::', 0), REUSEADDR, REUSEPORT)
other = tcp(INET, None, REUSEADDR)
fails('dual-taken', 'address_held', lambda: other.bind((HOST, port(dual))),
      holder=own(dual, 'dual_stack', 'SO_REUSEADDR', 'SO_REUSEPORT'), asks=['SO_REUSEADDR'])
six = listener(INET6, ('::', 0), V6ONLY)
four = tcp()
fails('v6only', None, lambda: four.bind((HOST, port(six))))
# Both may bind, one may listen (socket(7)).
one, two = tcp(INET, (HOST, 0), REUSEADDR), tcp(INET, None, REUSEADDR)
two.bind((HOST, port(one)))
one.listen(1)
fails('listen', 'address_held', lambda: two.listen(1), holder=own(one, 'same', 'SO_REUSEADDR'),
      asks=['SO_REUSEADDR'])
udp = socket.socket(INET, socket.SOCK_DGRAM)
udp.bind((HOST, 0))
other = socket.socket(INET, socket.SOCK_DGRAM)
fails('udp', 'address_held', lambda: other.bind((HOST, port(udp))), holder=own(udp, 'same'))
# The server closes first: its side of the connection stays for a minute.
server = listener()
client = socket.create_connection(server.getsockname())
child = server.accept()[0]
left, peer = server.getsockname(), '%s:%d' % client.getsockname()
child.close()
client.recv(1)
client.close()
server.close()
deadline = time.monotonic() + 5
while True:
    rows = subprocess.run(['ss', '-tnH', 'state', 'time-wait', 'sport', '=', ':%d' % left[1]], capture_output=True,
                          text=True).stdout.split()
    if rows or time.monotonic() > deadline:
        break
again = tcp()
fails('time-wait', 'address_left_over', lambda: again.bind(left), peer=peer, ss=rows[3] if rows else None)
again = tcp(INET, None, REUSEADDR)
fails('time-wait-one-side', 'address_left_over', lambda: again.bind(left), asks=['SO_REUSEADDR'])
server = listener(INET, (HOST, 0), REUSEADDR)
client = socket.create_connection(server.getsockname())
child = server.accept()[0]
left = server.getsockname()
child.close()
client.recv(1)
client.close()
server.close()
fails('time-wait-both-sides', None, lambda: again.bind(left))
path = dir + '/unix'
name = socket.socket(UNIX)
name.bind(path)
name.listen(1)
other = socket.socket(UNIX)
fails('unix-held', 'address_held', lambda: other.bind(path), holder=own(name, 'same'))
old = socket.socket(UNIX)
old.bind(dir + '/old')
old.close()
fails('unix-left', 'address_unknown', lambda: other.bind(dir + '/old'))

# ECONNREFUSED
gone = listener()
at = gone.getsockname()
number = gone.fileno()
gone.close()
client = tcp()
fails('closed', 'listener_closed', lambda: client.connect(at), holder={'fd': number, 'pid': os.getpid()})
bound = tcp(INET, (HOST, 0))
client = tcp()
fails('nobody', 'nobody_listens', lambda: client.connect(bound.getsockname()))
two = listener(INET, ('127.0.0.2', 0))
client = tcp()
fails('other-address', 'other_address', lambda: client.connect((HOST, port(two))), holder=own(two, None))
client = tcp()
fails('v4-of-v6only', 'other_family', lambda: client.connect((HOST, port(six))), holder=own(six, None, 'IPV6_V6ONLY'))
client = tcp(INET6)
fails('v6-of-v4', 'other_family', lambda: client.connect(('::1', port(held))), holder=own(held, None))
client = tcp()
client.setblocking(False)
fails('nonblocking', 'nobody_listens', lambda: client.connect(bound.getsockname()))
fails('unix-refused', 'nobody_listens', lambda: socket.socket(UNIX).connect(dir + '/old'))
read, write = os.pipe()
done, end = os.pipe()
pid = os.fork()
if pid == 0:
    if libc.unshare(0x40000000) != 0:
        os._exit(1)
    far = listener(INET, ('', 0))
    os.write(write, json.dumps([port(far), far.fileno(), os.stat('/proc/self/ns/net').st_ino]).encode())
    os.read(done, 1)
    os._exit(0)
number, fd, namespace = json.loads(os.read(read, 100))
client = tcp()
fails('namespace', 'other_namespace', lambda: client.connect((HOST, number)), netns=namespace,
      holder={'fd': fd, 'pid': pid, 'relation': None, 'options': []})
os.write(end, b'x')
os.waitpid(pid, 0)

# A connection that is left over in another namespace is out of sight: nothing is said of whose it was.
left = held.getsockname()
mark('time-wait-elsewhere')
pid = os.fork()
if pid == 0:
    if libc.unshare(0x40000000) != 0:
        os._exit(1)
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    server = listener()
    there = server.getsockname()
    client = socket.create_connection(there)
    child = server.accept()[0]
    child.close()
    client.recv(1)
    client.close()
    server.close()
    again = tcp()
    fails('time-wait-elsewhere', 'address_unknown', lambda: again.bind(there), unseen=['leftovers_elsewhere'])
    # What holds the address in this namespace is not in the way there.
    fails('held-elsewhere', None, lambda: tcp().bind(left))
    os._exit(0)
os.waitpid(pid, 0)

# How connections end.
server = listener()
client = socket.create_connection(server.getsockname())
child = server.accept()[0]
mark('destroyed')
subprocess.run(['ss', '-KH', 'dst', HOST, 'dport', '=', ':%d' % client.getsockname()[1]], stdout=subprocess.DEVNULL)
try:
    child.send(b'x')
    log.write('{"skipped": "this kernel does not destroy sockets (CONFIG_INET_DIAG_DESTROY)"}\n')
except ConnectionAbortedError:
    note('destroyed', 'ECONNABORTED', 'destroyed', state=True)
    # A connect that waits, since nobody accepts and the queue is full, has the error itself.
    flooded = tcp(INET, (HOST, 0))
    flooded.listen(0)
    first, waits, over = socket.create_connection(flooded.getsockname()), tcp(), threading.Event()

    def destroy():
        while not over.is_set():
            subprocess.run(['ss', '-KHt', 'state', 'syn-sent', 'dport', '=', ':%d' % port(flooded)],
                           stdout=subprocess.DEVNULL)
            over.wait(0.05)

    destroyer = threading.Thread(target=destroy)
    destroyer.start()
    fails('connect-destroyed', 'destroyed', lambda: waits.connect(flooded.getsockname()))
    over.set()
    destroyer.join()


def write_on():
    for _ in range(100):
        child.send(b'x')


# A child of the second has its client's address as IPv6 maps it, the client has it as IPv4.
for ending, accepts in ('', server), ('-dual', listener(INET6, ('::', 0))):
    mark('reset' + ending)
    client = socket.create_connection((HOST, port(accepts)))
    child = accepts.accept()[0]
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    peer = {'fd': client.fileno(), 'pid': os.getpid()}
    client.close()
    fails('reset' + ending, 'peer_reset', lambda: child.recv(1), holder=peer, state=True)
    mark('pipe' + ending)
    client = socket.create_connection((HOST, port(accepts)))
    child = accepts.accept()[0]
    peer = {'fd': client.fileno(), 'pid': os.getpid()}
    client.close()
    child.send(b'x')
    fails('pipe' + ending, 'peer_gone', write_on, holder=peer, state=True)

# What a socket does not allow.
fails('family', 'no_family', lambda: socket.socket(12, socket.SOCK_STREAM))


def connect_to_other_family():
    address = struct.pack('=H', INET6) + bytes(26)
    made = tcp()
    if libc.connect(made.fileno(), address, len(address)) != 0:
        raise OSError(ctypes.get_errno(), '')


fails('mismatch', 'family_mismatch', connect_to_other_family)
plain = tcp()
fails('accept', 'not_listening', plain.accept)
client = socket.create_connection(server.getsockname())
fails('listen-connected', 'is_connected', lambda: client.listen(1))
fails('listen-unnamed', 'not_bound', lambda: socket.socket(UNIX).listen(1))
fails('bind-again', 'already_bound', lambda: bound.bind((HOST, 0)))
first = int(open('/proc/sys/net/ipv4/ip_unprivileged_port_start').read())
os.setresuid(65534, 65534, 65534)
low = tcp()
fails('low', 'low_port' if first > 1 else None, lambda: low.bind((HOST, 1)), first_port=first)
mark('end')

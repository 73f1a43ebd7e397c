import { FakeSession } from "./session.ts";

/**
 * A host with much to do: servers of which one does not keep up with its queue, one is near its limit and one fails,
 * descriptors that came from elsewhere, and sockets of every kind.
 */
export function busy(id = "busy"): FakeSession {
  const session = new FakeSession(id);
  const slow = session.process(2000, "slow-server");
  session.standard(slow);
  const queue = session.listen(slow, 3, "0.0.0.0:8080", 8);
  const counted = kinds(session);
  const full = session.process(2001, "leaky", { fd_limit: 48 });
  session.standard(full);
  const listener = session.listen(full, 3, "[::]:5432");
  const failing = session.process(2002, "failing");
  session.standard(failing);
  session.open(failing, 3, "file", "/etc/failing.conf");
  session.listen(failing, 4, "127.0.0.1:9100");
  session.open(failing, 5, "epoll", "[eventpoll]", "epoll", true);
  session.open(failing, 6, "eventfd", "[eventfd]", "eventfd");
  session.socket(failing, 7);
  const child = session.fork(full, 2003);
  session.open(child, 4, "file", "/var/lib/shared", "pass");
  const waiting = [];
  for (let i = 0; i < 40; i += 1) {
    session.pass(700);
    // A full queue takes nobody: it holds one more than its limit.
    if (waiting.length <= 8) {
      waiting.push(session.queue(queue, `10.0.${i % 7}.${i}:${40_000 + i}`, "10.0.0.2:8080"));
    } else session.overflow(slow, queue, 2);
    if (i % 3 === 0 || i < 10) {
      const next = waiting.shift();
      if (next) {
        session.pass(0.03);
        const held = session.accept(slow, queue, next, 4, 3);
        session.pass(40);
        session.close(slow, held, i % 3 === 0 ? "local" : "peer");
      }
    }
    const kept = session.queue(listener, `[::1]:${50_000 + i}`, "[::1]:5432");
    session.pass(1);
    session.accept(full, listener, kept, 4 + i, 3);
    if (i % 4 === 0) {
      session.fail(failing, {
        event: "connect",
        call: "connect",
        fd: 7,
        ret: -111,
        error: "ECONNREFUSED",
        asked: "10.9.9.9:443",
        explain: {
          text: "10.9.9.9:443 is not known to be this host's: its host, or a firewall on the way, refused; not seen: the peer's process",
          cause: "remote",
          unseen: ["peer"],
        },
      });
    }
  }
  for (let i = 0; i < 20; i += 1) {
    const other = session.process(2100 + i, `job-${i}`);
    session.open(other, 1, "pipe", "", "snapshot");
    session.socket(other, 3, { local: `127.0.0.1:${41_000 + i}`, peer: "127.0.0.1:6379" });
  }
  session.pass(1800);
  counted();
  session.pass(200);
  return session;
}

/**
 * A gateway with visitors over IPv6, a cache behind a unix socket, a worker at the other end of a pair, and a name server
 * that it asks by UDP. Returns what reads the counters of its connections.
 */
function kinds(session: FakeSession): () => void {
  const gateway = session.process(1990, "gateway");
  session.standard(gateway);
  const doors = session.listen(gateway, 3, "[::]:8443");
  const cache = session.process(1991, "cache");
  session.standard(cache);
  const named = session.listen(cache, 3, "unix:/run/cache.sock", 128);
  const resolver = session.process(3_914_118, "systemd-resolve");
  session.udp(resolver, 3, "[::]:53");
  const visitor = session.process(1993, "visitor");
  const read = [0, 1].map((i) => {
    const { client, child } = session.connect(visitor, 3 + i, doors, `[::1]:${52_000 + i}`);
    session.pass(400 + 900 * i);
    session.accept(gateway, doors, child, 4 + i, 3);
    return () => {
      const [up, down] = [812 + 90 * i, 48_210_331 - 47_000_000 * i];
      session.read(client, { bytes_acked: up, bytes_received: down, rtt_us: 61 + 40 * i, retransmits: 0 });
      session.read(child, { bytes_acked: down, bytes_received: up, rtt_us: 58 + 40 * i, retransmits: 3 * i });
    };
  });
  const { child } = session.connect(gateway, 6, named, "unix:");
  session.pass(0.05);
  session.accept(cache, named, child, 4, 3);
  session.pair(gateway, 7, 8);
  session.udp(gateway, 9, "10.0.0.2:50123", "10.0.0.53:53");
  // Its kernel was not asked for a name: it told none.
  session.open(gateway, 10, "file", "");
  session.fork(gateway, 1994);
  return () => {
    for (const one of read) one();
  };
}

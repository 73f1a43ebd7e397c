import { FakeSession } from "./session.ts";

/**
 * A host with much to do: servers of which one does not keep up with its queue, one is near its limit and one fails, and
 * descriptors that came from elsewhere.
 */
export function busy(id = "busy"): FakeSession {
  const session = new FakeSession(id);
  const slow = session.process(2000, "slow-server");
  session.open(slow, 0, "char_device", "/dev/null", "snapshot");
  const queue = session.listen(slow, 3, "0.0.0.0:8080", 8);
  const full = session.process(2001, "leaky", { fd_limit: 48 });
  const listener = session.listen(full, 3, "[::]:5432");
  const failing = session.process(2002, "failing");
  session.listen(failing, 4, "127.0.0.1:9100");
  session.socket(failing, 7);
  const child = session.fork(full, 2003);
  session.open(child, 20, "file", "/var/lib/shared", "pass");
  const waiting = [];
  for (let i = 0; i < 40; i += 1) {
    session.pass(700);
    // A full queue takes nobody: it holds one more than its limit.
    if (waiting.length <= 8) waiting.push(session.queue(queue, `10.0.${i % 7}.${i}:${40_000 + i}`));
    if (i % 3 === 0 || i < 10) {
      const next = waiting.shift();
      if (next) {
        const held = session.accept(slow, queue, next, 4 + (i % 6), 3);
        session.pass(40);
        session.close(slow, held, i % 3 === 0 ? "local" : "peer");
      }
    }
    const kept = session.queue(listener, `[::1]:${50_000 + i}`);
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
        explain: { text: "Nobody listens on 10.9.9.9:443.", cause: "nobody_listens", failures: 1 + i / 4 },
      });
    }
  }
  for (let i = 0; i < 20; i += 1) {
    const other = session.process(2100 + i, `job-${i}`);
    session.open(other, 1, "pipe", `pipe:[${7000 + i}]`, "snapshot");
    session.socket(other, 3, { local: `127.0.0.1:${41_000 + i}`, peer: "127.0.0.1:6379" });
  }
  session.pass(2000);
  return session;
}

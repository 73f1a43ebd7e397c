import type { Descriptor, Process, Socket } from "../../src/protocol/types.gen.ts";
import { FakeSession } from "./session.ts";

/** What a test needs of the told story. */
export interface Story {
  readonly session: FakeSession;
  readonly master: Process;
  readonly worker: Process;
  readonly listener: Socket;
  /** A connection that is open at the end. */
  readonly open: { readonly socket: Socket; readonly descriptor: Descriptor };
}

export const HOSTILE = "evil<img src=x onerror=alert(1)>\u202etxt.\u0007";

/** A web server with a worker that had visitors for about a minute: all phases of a socket occur. */
export function nginx(id?: string, source: "live" | "recording" = "live"): Story {
  const session = new FakeSession(id, source);
  const master = session.process(811, "nginx");
  session.open(master, 0, "char_device", "/dev/null", "snapshot");
  session.open(master, 1, "char_device", "/dev/null", "snapshot");
  session.open(master, 2, "file", "/var/log/nginx/error.log", "snapshot");
  session.open(master, 3, "file", "/etc/nginx/nginx.conf", "snapshot");
  session.pass(1500);
  session.open(master, 4, "file", "/var/log/nginx/access.log");
  session.socket(master, 5);
  const listener = session.listen(master, 6, "127.0.0.1:80");
  session.pass(300);
  const worker = session.fork(master, 812);
  session.pass(20);
  session.open(worker, 7, "epoll", "[eventpoll]", "epoll", true);
  session.open(worker, 8, "eventfd", "[eventfd]", "eventfd");

  const visits: { child: Socket; descriptor: Descriptor }[] = [];
  for (let i = 0; i < 14; i += 1) {
    session.pass(2300 + ((i * 7919) % 1700));
    const child = session.queue(listener, `127.0.0.1:${51200 + i}`);
    session.pass(i === 6 ? 900 : 0.018 * (i + 1));
    const descriptor = session.accept(worker, listener, child, 9 + (i % 4));
    visits.push({ child, descriptor });
    const old = visits[i - 3];
    if (old) {
      if (i % 3 === 0) {
        session.step(old.child, "half_closed", "CLOSE_WAIT");
        session.pass(700);
        session.close(worker, old.descriptor, "peer");
      } else session.close(worker, old.descriptor, "local");
    }
  }

  // A connection to a backend that is slow to answer, and one that is refused.
  const upstream = session.socket(worker, 14, { peer: "10.0.0.7:9000", local: "10.0.0.2:40112" });
  session.step(upstream, "connecting", "SYN_SENT");
  session.pass(1800);
  session.step(upstream, "connected", "ESTABLISHED");
  const refused = session.socket(worker, 15, { peer: "10.0.0.8:9000" });
  session.step(refused, "connecting", "SYN_SENT");
  session.pass(1100);
  session.step(refused, "closed", "CLOSE", "ECONNREFUSED");
  session.fail(master, {
    event: "bind",
    call: "bind",
    fd: 5,
    ret: -98,
    error: "EADDRINUSE",
    asked: "0.0.0.0:443",
  });

  const curl = session.process(990, "curl", { fd_limit: null });
  session.open(curl, 0, "pipe", "", "snapshot");
  const client = session.socket(curl, 5, { peer: "127.0.0.1:80", local: "127.0.0.1:51300" });
  session.step(client, "connecting", "SYN_SENT");
  session.pass(60);
  session.step(client, "connected", "ESTABLISHED");
  session.pass(2200);
  session.exit(curl);

  const evil = session.process(1313, HOSTILE);
  session.open(evil, 3, "file", `/tmp/${HOSTILE}`);
  session.doubt(evil, "unread");

  // Four wait in the queue at the end; one is taken out.
  for (let i = 0; i < 3; i += 1) session.queue(listener, `127.0.0.1:${51500 + i}`);
  session.pass(1500);
  const last = visits.at(-1);
  if (!last) throw new Error("The story has no visits.");
  return { session, master, worker, listener, open: { socket: last.child, descriptor: last.descriptor } };
}

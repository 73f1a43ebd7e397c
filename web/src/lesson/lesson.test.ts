import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { nginx } from "../../test/fake/nginx.ts";
import { FakeSession } from "../../test/fake/session.ts";
import type { Line, Process, Socket } from "../protocol/types.gen.ts";
import { Session } from "../store/session.ts";
import { answers, lowestFree } from "./questions.ts";
import { tell } from "./sentences.ts";

function asked(fake: FakeSession, listener: Socket, process: Process, edge = fake.now) {
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  const { entities } = session;
  const own = { listener: entities.sockets.get(listener.id), process: entities.processes.get(process.id) };
  if (!own.listener || !own.process) throw new Error("not there");
  const lines = fake.lines.filter((line) => line.process === process.id);
  return answers({ entities, listener: own.listener, process: own.process, lines, edge });
}

describe("questions are answered from the record", () => {
  const story = nginx();
  const [port, before, number, seek, fork] = asked(story.session, story.listener, story.worker);

  test("whether an accepted socket has a port of its own", () => {
    expect(port?.answer).toContain("No. All 14 accepted sockets have port 80");
    expect(port?.answer).toContain("14 different ones");
    expect(port?.evidence[0]?.text).toBe("127.0.0.1:80 ↔ 127.0.0.1:51200");
  });

  test("what a client does before accept", () => {
    expect(before?.answer).toBe(
      "The kernel connects it and lets it wait: 17 clients were ESTABLISHED in the queue, not accepted yet. 14 of them were accepted later, after 900 ms at most; 3 still wait, for up to 1.50 s so far.",
    );
    expect(before?.evidence.map(({ text }) => text)).toEqual([
      "127.0.0.1:51206 was connected 900 ms before accept returned",
      "127.0.0.1:51213 was connected 252 µs before accept returned",
      "127.0.0.1:51500 is connected and has waited 1.50 s",
    ]);
  });

  test("each client that was queued is told once: accepted, waiting, or gone", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    const first = fake.queue(listener, "127.0.0.1:1001");
    fake.pass(20);
    const gone = fake.queue(listener, "127.0.0.1:1002");
    fake.accept(server, listener, first, 4);
    fake.pass(10);
    fake.step(gone, "closed", "CLOSE", "ECONNRESET");
    gone.ended = fake.now;
    fake.queue(listener, "127.0.0.1:1003");
    fake.pass(500);
    const [, asks] = asked(fake, listener, server);
    expect(asks?.answer).toContain("3 clients were ESTABLISHED");
    expect(asks?.answer).toContain(
      "1 of them was accepted later, after 20.0 ms at most; 1 still waits, for up to 500 ms so far; 1 ended in the queue.",
    );
    // Nobody was accepted at an earlier moment: what came later is not told.
    const [, early] = asked(fake, listener, server, (first.queued ?? 0) + 5e6);
    expect(early?.answer).toMatch(
      /1 client was ESTABLISHED in the queue.* 1 still waits, for up to 5.00 ms so far\.$/,
    );
    expect(early?.answer).not.toContain("accepted later");
  });

  test("the state of one that waits is called as its family's is", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "unix:/run/x.sock");
    fake.queue(listener, "unix:");
    const [, asks] = asked(fake, listener, server);
    expect(asks?.answer).toContain("1 client was ESTAB in the queue");
  });

  test("what is not in the record is not answered", () => {
    expect(seek?.known).toBe(false);
    expect(seek?.answer).toContain("No program in this record tried.");
    expect(number?.known).toBe(true);
  });

  test("who shares a listener", () => {
    expect(fork?.answer).toContain("one more descriptor stands for it");
    expect(fork?.answer).toContain("nginx 812 got 14");
  });

  test("numbers: the lowest that is free, counted over the calls that choose so", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    for (const fd of [0, 1, 2]) fake.open(server, fd, "file", "/dev/null", "snapshot");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    fake.pass(5);
    const file = fake.open(server, 4, "file", "/a");
    fake.pass(5);
    fake.close(server, file, "local");
    fake.pass(5);
    const child = fake.queue(listener, "127.0.0.1:5000");
    fake.accept(server, listener, child, 4, 3);
    fake.pass(5);
    // As dup2 would: it is told its number, and no such call is looked at.
    fake.socket(server, 9);
    const [, , answer] = asked(fake, listener, server);
    expect(answer?.answer).toMatch(
      /^The lowest that is free: the next one of server 1 would be 5 at the newest moment that is known\./,
    );
    // 3, 4 and 4 again; 9 is not the lowest.
    expect(answer?.answer).toMatch(/3 of the 4 calls looked at got the lowest number/);
    expect(answer?.answer).toMatch(/1 of these had been used before/);
  });

  test("lseek on a socket", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    fake.fail(server, { event: "lseek", call: "lseek", fd: 3, ret: -29, error: "ESPIPE" });
    const answer = asked(fake, listener, server)[3];
    expect(answer?.answer).toContain("1 of 1 tries in this record failed so");
    expect(answer?.evidence[0]?.text).toBe("lseek(3) returned -29 (ESPIPE)");
  });

  test("the lowest free number of a table at an instant", () => {
    const session = new Session();
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    fake.open(server, 0, "file", "/a");
    fake.open(server, 2, "file", "/b");
    session.apply({ kind: "hello", info: fake.info, resumed: false });
    session.apply(fake.change(0, 0));
    expect(lowestFree(session.entities, server.table, fake.now)).toBe(1);
  });
});

describe("sentences", () => {
  const line = (more: Partial<Line>): Line => ({ seq: 1, ts_ns: 0, via: "syscall", event: "open", ...more });

  test("the way of a server", () => {
    expect(tell(line({ event: "socket", call: "socket", new_fd: 5, protocol: "tcp" })).what).toBe(
      "socket() made a tcp socket and gave it descriptor 5.",
    );
    expect(tell(line({ event: "bind", call: "bind", fd: 5, local: "127.0.0.1:80" })).what).toBe(
      "bind() gave descriptor 5 the address 127.0.0.1:80.",
    );
    // As many as there are places in the picture of the queue.
    const listens = { event: "listen", call: "listen", fd: 5, local: "127.0.0.1:80", backlog: 4096 };
    expect(tell(line({ ...listens, queue_limit: 8 })).what).toBe(
      "listen() made descriptor 5 wait for clients on 127.0.0.1:80; queue limit 8.",
    );
    expect(tell(line(listens)).what).toBe("listen() made descriptor 5 wait for clients on 127.0.0.1:80.");
    const accepted = {
      event: "accept",
      call: "accept4",
      fd: 5,
      new_fd: 9,
      peer: "127.0.0.1:5000",
      wait_ns: 18_200,
    };
    expect(tell(line(accepted)).what).toBe(
      "accept4() took 127.0.0.1:5000, which had waited 18.2 µs, out of the queue and gave it descriptor 9.",
    );
    expect(tell(line({ event: "fork", call: "clone", ret: 812, child: "812@5" })).what).toBe(
      "clone() made a child process, 812.",
    );
    expect(tell(line({ event: "close", call: "close", fd: 9, closed_first: "peer" })).what).toBe(
      "Descriptor 9 was closed. The peer closed first.",
    );
  });

  test("failures say why, what still runs says so, and hostile text is shown", () => {
    const failed = tell(line({ event: "lseek", call: "lseek", fd: 3, error: "ESPIPE" }));
    expect(failed.what).toBe("lseek(3) failed: ESPIPE.");
    expect(failed.why).toContain("A socket is a stream");
    expect(tell(line({ event: "accept", call: "accept", fd: 5, pending: true })).what).toBe(
      "accept(5) waits.",
    );
    expect(tell(line({ call: "openat", path: "/x\u202e", new_fd: 3 })).what).toContain("/x\\u{202e}");
  });

  test("every kind of event has words", () => {
    const kinds =
      "socket socketpair bind listen accept connect shutdown close dup open pipe eventfd epoll timerfd pass fork exec exit state queued setfd unshare lseek setsockopt setfl snapshot lost register repair";
    for (const event of kinds.split(" ")) {
      const { what } = tell(line({ event, fd: 3 }));
      expect(what).toMatch(/^[A-Z0-9a-z].*\.$/);
      expect(what).not.toContain("undefined");
    }
  });
});

describe("sentences", () => {
  const line = (more: Partial<Line>): Line => ({ seq: 1, ts_ns: 0, via: "kernel", ...more }) as Line;

  test.each<[Partial<Line>, string]>([
    [{ event: "state", from: "CLOSE", to: "LISTEN" }, "The socket went from CLOSE to LISTEN."],
    [{ event: "state", to: "ESTAB", error: "EPIPE" }, "The socket stays ESTAB: EPIPE."],
    [
      { event: "state", from: "SYN_RECV", to: "ESTABLISHED", peer: "127.0.0.1:7" },
      "The connection with 127.0.0.1:7 went from SYN_RECV to ESTABLISHED.",
    ],
    [
      { event: "overflow", local: "127.0.0.1:80", drops: 1, queue_len: 2 },
      "127.0.0.1:80 dropped 1 packet, with 2 in the queue.",
    ],
    [
      { event: "overflow", local: "127.0.0.1:80", peer: "127.0.0.1:7" },
      "127.0.0.1:7 met a full queue on 127.0.0.1:80 and was dropped.",
    ],
    [
      { event: "retransmit", local: "127.0.0.1:7", peer: "127.0.0.1:80" },
      "127.0.0.1:7 got no answer from 127.0.0.1:80 and asked for the connection again.",
    ],
    [
      { event: "spoken", peer: "127.0.0.1:7", app_protocol: "tls", sni: "a.example" },
      "tls is spoken with 127.0.0.1:7, for the server name a.example.",
    ],
    [{ event: "standing", standing: "exact" }, "What is told of the table is certain again."],
    [
      { event: "standing", standing: "repaired", repaired: 2, since_ns: 7 },
      "What is told of the table is right again; 2 differences were found so far.",
    ],
    [
      { event: "standing", standing: "doubtful", why: "ring_full", since_ns: 7 },
      "What is told of the table may be wrong: records were lost.",
    ],
  ])("%o", (told, sentence) => {
    expect(tell(line(told)).what).toBe(sentence);
  });

  test("drops are not put down to a full queue where none met one", () => {
    const why = (more: Partial<Line>) => tell(line({ event: "overflow", drops: 5, ...more })).why;
    expect(why({ queue_full_min: 0, queue_full_max: 0 })).toContain("other reasons");
    for (const told of [{ queue_full_min: 0, queue_full_max: 3 }, {}]) {
      expect(why(told)).toContain("A full queue lets nobody in");
    }
  });

  test("every event that is no call that makes a descriptor has a sentence of its own", async () => {
    const model = await readFile(new URL("../../../tracer-user/model/src/event.rs", import.meta.url), "utf8");
    const [, kinds = ""] = model.match(/ EventKind \{(.*?)\n {4}\}/s) ?? [];
    const names = [...kinds.matchAll(/[A-Z]\w+ "(\w+)"/g)].map(([, name]) => name ?? "");
    expect(names.length).toBeGreaterThan(30);
    const MAKES =
      "pipe eventfd epoll timerfd signalfd inotify fanotify memfd pidfd userfaultfd perf_event io_uring mqueue landlock bpf seccomp";
    for (const event of names.filter((name) => !MAKES.split(" ").includes(name))) {
      expect(tell(line({ event })).what).not.toBe(`${event.replaceAll("_", " ")}.`);
    }
  });
});

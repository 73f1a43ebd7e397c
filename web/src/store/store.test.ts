import { describe, expect, test } from "vitest";
import { nginx } from "../../test/fake/nginx.ts";
import { FakeSession } from "../../test/fake/session.ts";
import type { Line, ServerMessage } from "../protocol/types.gen.ts";
import { holding, lastHeld } from "./entities.ts";
import { EventLog } from "./events.ts";
import { inOrder } from "./ordered.ts";
import { Session } from "./session.ts";

type Told = Extract<ServerMessage, { kind: "kept" }>;

function begun(fake: FakeSession): Session {
  const session = new Session();
  expect(session.apply({ kind: "hello", info: fake.info, resumed: false })).toEqual({ kind: "began" });
  return session;
}

function sorted<T extends { id: string }>(all: Iterable<T>): T[] {
  return [...all].sort((a, b) => a.id.localeCompare(b.id));
}

function expectSame(session: Session, fake: FakeSession): void {
  expect(sorted(session.entities.processes.values())).toEqual(sorted(fake.processes.values()));
  expect(sorted(session.entities.descriptors.values())).toEqual(sorted(fake.descriptors.values()));
  expect(sorted(session.entities.sockets.values())).toEqual(sorted(fake.sockets.values()));
}

describe("session", () => {
  test("changes replace whole objects, and are acknowledged by their revision", () => {
    const told = nginx();
    const session = begun(told.session);
    expect(session.resume).toBeNull();
    const first = told.session.change(0, 0);
    expect(session.apply(first)).toEqual({
      kind: "changed",
      ack: first.to,
      skipped: { count: 0, before: 1 },
    });
    told.session.pass(5);
    told.session.close(told.worker, told.open.descriptor, "peer");
    session.apply(told.session.change(first.to, told.session.lines.length));
    expectSame(session, told.session);
    // The second change told no event.
    const seq = first.events.at(-1)?.seq;
    expect(session.resume).toEqual({ session: "fake-1", rev: told.session.rev, seq });
  });

  test("a resumed connection goes on, one that is not starts anew", () => {
    const told = nginx();
    const session = begun(told.session);
    session.apply(told.session.change(0, 0));
    expect(session.apply({ kind: "hello", info: told.session.info, resumed: true })).toEqual({
      kind: "resumed",
    });
    expectSame(session, told.session);

    const other = new FakeSession("fake-2");
    other.process(5, "other");
    expect(session.apply({ kind: "hello", info: other.info, resumed: false })).toEqual({ kind: "began" });
    expect(session.entities.processes.size).toBe(0);
    expect(session.events.length).toBe(0);
    expect(session.resume).toBeNull();
    session.apply(other.change(0, 0));
    expectSame(session, other);
  });

  test("a change that builds on another revision is refused", () => {
    const told = nginx();
    const session = begun(told.session);
    const first = told.session.change(0, 0);
    session.apply(first);
    expect(session.apply({ ...first, from: first.to + 1 })).toEqual({ kind: "broken" });
  });

  test("evicted objects leave every index", () => {
    const told = nginx();
    const session = begun(told.session);
    session.apply(told.session.change(0, 0));
    const { socket, descriptor } = told.open;
    session.apply({
      kind: "evict",
      processes: [told.master.id],
      descriptors: [descriptor.id],
      sockets: [socket.id],
    });
    const { entities } = session;
    expect(entities.processes.has(told.master.id)).toBe(false);
    expect(entities.holders(socket.id)).toEqual([]);
    expect(entities.children(told.listener.id).some(({ id }) => id === socket.id)).toBe(false);
    const slot = entities.slots(descriptor.table).find(({ fd }) => fd === descriptor.fd);
    expect(slot?.held.some(({ id }) => id === descriptor.id)).toBe(false);
    session.apply({ kind: "evict", processes: ["?"], descriptors: ["?"], sockets: ["?"] });
  });

  test("who is told what is kept lets go of all else once it is told whole", () => {
    const told = nginx();
    const session = begun(told.session);
    const first = told.session.change(0, 0);
    session.apply(first);
    const { socket, descriptor } = told.open;
    const numbers = (all: Iterable<string>, gone: string) =>
      [...all]
        .filter((id) => id !== gone)
        .map((id) => Number(id.slice(1)))
        .sort((a, b) => a - b)
        .map((number): [number, number] => [number, number]);
    const part: Told = {
      kind: "kept",
      rev: first.to,
      processes: [],
      descriptors: [],
      sockets: [],
      more: true,
    };
    const { entities } = session;
    const [descriptors, sockets] = [entities.descriptors.size, entities.sockets.size];
    const runs = numbers(entities.descriptors.keys(), descriptor.id);
    const parts = [
      { ...part, descriptors: runs.slice(0, 5) },
      { ...part, descriptors: runs.slice(5) },
      { ...part, sockets: numbers(entities.sockets.keys(), socket.id) },
    ];
    for (const message of parts) {
      expect(session.apply(message)).toEqual({ kind: "kept", ack: first.to });
      expect([entities.descriptors.size, entities.sockets.size]).toEqual([descriptors, sockets]);
    }
    session.apply({ ...part, processes: [told.worker.id], more: false });
    expect([...entities.processes.keys()]).toEqual([told.worker.id]);
    expect([entities.descriptors.size, entities.sockets.size]).toEqual([descriptors - 1, sockets - 1]);
    expect([entities.descriptors.has(descriptor.id), entities.sockets.has(socket.id)]).toEqual([
      false,
      false,
    ]);
    // What comes next builds on the change before, as if nothing had been between.
    expect(session.resume?.rev).toBe(first.to);
  });

  test("what was told of what is kept before the connection broke counts for nothing", () => {
    const told = nginx();
    const session = begun(told.session);
    const first = told.session.change(0, 0);
    session.apply(first);
    const nothing: Told = {
      kind: "kept",
      rev: first.to,
      processes: [],
      descriptors: [],
      sockets: [],
      more: false,
    };
    session.apply({
      ...nothing,
      sockets: [[0, 4_000_000_000]],
      descriptors: [[0, 4_000_000_000]],
      more: true,
    });
    session.apply({ kind: "hello", info: told.session.info, resumed: true });
    session.apply(nothing);
    expect([session.entities.sockets.size, session.entities.descriptors.size]).toEqual([0, 0]);
  });

  test("random changes, cut at random places, end in the told state", () => {
    let seed = 42;
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return Math.floor((seed / 2147483648) * n);
    };
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    const session = begun(fake);
    let rev = 0;
    let seq = 0;
    const open = new Map<number, ReturnType<FakeSession["accept"]>>();
    for (let i = 0; i < 600; i += 1) {
      fake.pass(random(5) + 1);
      const fd = 4 + random(8);
      const held = open.get(fd);
      if (held) {
        fake.close(server, held, random(2) ? "peer" : "local");
        open.delete(fd);
      } else open.set(fd, fake.accept(server, listener, fake.queue(listener, `127.0.0.1:${i}`), fd, 3));
      if (random(7) === 0) {
        const change = fake.change(rev, seq);
        session.apply(change);
        rev = change.to;
        seq = fake.lines.length;
      }
    }
    session.apply(fake.change(rev, seq));
    expectSame(session, fake);
    expect(session.events.length).toBe(fake.lines.length);
    for (const slot of session.entities.slots(server.table)) {
      slot.held.forEach((one, i) => {
        const next = slot.held[i + 1];
        if (next) expect(one.closed).toBeLessThanOrEqual(next.opened);
      });
    }
    for (let t = 0; t < fake.now; t += fake.now / 50) {
      const told = [...fake.descriptors.values()].filter(
        (one) => one.opened <= t && (one.closed ?? t + 1) > t,
      );
      expect(sorted(session.entities.tableAt(server.table, t))).toEqual(sorted(told));
    }
  });
});

test("a slot holds nothing at the instant of its closing", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  const file = fake.open(server, 3, "file", "/x");
  fake.pass(10);
  fake.close(server, file, "local");
  const session = begun(fake);
  session.apply(fake.change(0, 0));
  const [slot] = session.entities.slots(server.table);
  if (!slot) throw new Error("no slot");
  expect(holding(slot, 9e6)?.id).toBe(file.id);
  expect(holding(slot, 10e6)).toBeUndefined();
  expect(lastHeld(slot, 10e6)?.id).toBe(file.id);
  expect(lastHeld(slot, -1)).toBeUndefined();
});

describe("event log", () => {
  const lines = (from: number, to: number): Line[] =>
    Array.from({ length: to - from + 1 }, (_, i) => ({
      seq: from + i,
      ts_ns: 0,
      t: from + i,
      event: "open",
      via: "syscall",
      ret: -2,
      error: "ENOENT",
      path: `/x/${from + i}`,
    }));
  const seqs = (log: EventLog) =>
    Array.from({ length: log.rows }, (_, i) => {
      const row = log.row(i);
      return row === undefined ? undefined : "seq" in row ? row.seq : `${row.from}-${row.to}`;
    });

  test("events in another order are found by their numbers", () => {
    const log = new EventLog();
    log.add(lines(1, 4).map((line) => ({ ...line, pid: line.seq % 2 })));
    expect([...inOrder(log, ({ pid }) => pid, false)]).toEqual([2, 4, 1, 3]);
    expect([...inOrder(log, ({ pid }) => pid, true)]).toEqual([1, 3, 2, 4]);
    log.add(lines(9, 9));
    expect([log.find(3)?.seq, log.find(9)?.seq, log.find(5), log.find(0)]).toEqual([
      3,
      9,
      undefined,
      undefined,
    ]);
  });

  test("holes are rows until they are filled; lines may come twice and late", () => {
    const log = new EventLog();
    expect(log.add(lines(10, 12))).toBe(false);
    expect(log.length).toBe(3);
    log.add(lines(20, 21));
    expect(seqs(log)).toEqual([10, 11, 12, "13-19", 20, 21]);
    log.add(lines(12, 14));
    expect(log.length).toBe(7);
    expect(seqs(log)).toEqual([10, 11, 12, 13, 14, "15-19", 20, 21]);
    log.add(lines(15, 19));
    log.add(lines(8, 9));
    expect(seqs(log)).toEqual(Array.from({ length: 14 }, (_, i) => 8 + i));
    expect(log.row(14)).toBeUndefined();
  });

  test("keeps columns over many chunks and drops the oldest", () => {
    const log = new EventLog(10_000);
    for (let from = 1; from < 30_000; from += 1000) log.add(lines(from, from + 999));
    expect(log.length).toBeLessThanOrEqual(10_000);
    expect(log.length).toBeGreaterThan(5_000);
    expect(log.lastSeq).toBe(30_000);
    const last = log.row(log.rows - 1);
    if (!last || !("seq" in last)) throw new Error("no last row");
    expect([last.seq, last.t, last.ret, last.text("error"), last.text("detail")]).toEqual([
      30_000,
      30_000,
      -2,
      "ENOENT",
      "/x/30000",
    ]);
  });

  test("events that have no text in common come back as they were told", () => {
    const log = new EventLog();
    const texts = ["call", "error", "comm", "process", "socket", "listener", "local", "peer"] as const;
    const own = (seq: number) => Object.fromEntries(texts.map((name) => [name, `${name} of ${seq}`]));
    // A whole chunk and the begin of another.
    log.add(lines(1, 5000).map((line) => ({ ...line, ...own(line.seq), event: `event of ${line.seq}` })));
    for (const seq of [1, 4095, 4096, 4097, 5000]) {
      const row = log.find(seq);
      expect(Object.fromEntries(texts.map((name) => [name, row?.text(name)]))).toEqual(own(seq));
      expect([row?.text("event"), row?.text("detail")]).toEqual([`event of ${seq}`, `/x/${seq}`]);
    }
  });

  test("behind a filter, missing numbers are no holes", () => {
    const log = new EventLog(100, false);
    log.add([...lines(1, 1), ...lines(7, 7), ...lines(9, 9)]);
    expect(seqs(log)).toEqual([1, 7, 9]);
  });
});

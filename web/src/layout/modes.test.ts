import { expect, test } from "vitest";
import { FakeSession } from "../../test/fake/session.ts";
import type { Socket } from "../protocol/types.gen.ts";
import { RecordingRenderer } from "../render/recording.ts";
import { joined } from "../store/entities.ts";
import { Session } from "../store/session.ts";
import { errorsOf } from "./errors.ts";
import { LISTED_CLOSED } from "./instances.ts";
import { layRows } from "./lay.ts";
import { layLinks } from "./links.ts";
import { type Mode, slotKey } from "./rows.ts";
import { layScene } from "./timeline.ts";
import { TimeScale } from "./timescale.ts";
import { lanesOf } from "./tree.ts";

function seen(fake: FakeSession): Session {
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  return session;
}

function lay(session: Session, edge: number, mode: Mode) {
  const { entities, failures } = session;
  return layRows(mode, { entities, failures, edge, matching: undefined, expanded: new Map() });
}

function marks(session: Session, edge: number, mode: Mode, span = 10e9): { x: number; y: number }[] {
  const renderer = new RecordingRenderer();
  renderer.lanes(
    layScene({
      ...session,
      entities: session.entities,
      overflows: session.overflows,
      rows: lay(session, edge, mode).rows,
      scale: new TimeScale(0, span, 1000),
      scroll: 0,
      height: 900,
      edge,
      keptSince: 0,
      selected: undefined,
    }),
  );
  const crosses = renderer.scene?.marks.filter(({ shape }) => shape === "cross") ?? [];
  return crosses.map(({ x, y }) => ({ x: Math.round(x), y }));
}

/** A server whose children overlap: two at a time at most. */
function busy(): { fake: FakeSession; listener: Socket } {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  const listener = fake.listen(server, 3, "127.0.0.1:80");
  const open = [];
  for (let i = 0; i < 6; i += 1) {
    fake.pass(100);
    const child = fake.queue(listener, `127.0.0.1:${1001 + i}`);
    fake.pass(1);
    open.push(fake.accept(server, listener, child, 4 + (i % 2)));
    const old = open[i - 1];
    fake.pass(50);
    if (old) fake.close(server, old, "peer");
  }
  return { fake, listener };
}

test("instances: what is open stands first, the oldest at the top; what was closed follows", () => {
  const { fake } = busy();
  const rows = lay(seen(fake), fake.now, "instances").rows.flatMap((row) =>
    row.kind === "instance" ? [`${row.descriptor.fd} ${row.descriptor.closed === null}`] : [],
  );
  expect(rows).toEqual(["3 true", "5 true", "4 false", "5 false", "4 false", "5 false", "4 false"]);
});

test("listeners: each child takes the first row that is free, and no two in a row overlap", () => {
  const { fake, listener } = busy();
  const session = seen(fake);
  const rows = lay(session, fake.now, "listeners").rows;
  expect(rows.map((row) => row.kind)).toEqual(["listener", "lane", "lane"]);
  const lanes = lanesOf(session.entities, session.entities.sockets.get(listener.id) as Socket);
  expect(lanes.map((lane) => lane.length)).toEqual([3, 3]);
  for (const lane of lanes) {
    lane.forEach((child, i) => {
      const before = lane[i - 1];
      const end = before && session.entities.holders(before.id)[0]?.closed;
      if (before) expect(end).toBeLessThanOrEqual(joined(child));
    });
  }
});

test("children that come later keep the others where they are", () => {
  const { fake, listener } = busy();
  const session = seen(fake);
  const known = session.entities.sockets.get(listener.id) as Socket;
  const before = lanesOf(session.entities, known).map((lane) => [...lane]);
  const rev = fake.rev;
  fake.pass(10);
  fake.queue(listener, "127.0.0.1:2000");
  session.apply(fake.change(rev, fake.lines.length));
  const after = lanesOf(session.entities, known);
  before.forEach((lane, i) => {
    expect(after[i]?.slice(0, lane.length)).toEqual(lane);
  });
  expect(after.flat().length).toBe(7);
});

test("an error is marked in every mode, however far one zooms out", () => {
  const { fake } = busy();
  const [server] = [...fake.processes.values()];
  if (!server) throw new Error("no server");
  fake.pass(100);
  fake.fail(server, { event: "listen", call: "listen", fd: 3, ret: -22, error: "EINVAL" });
  fake.fail(server, { event: "socket", call: "socket", ret: -24, error: "EMFILE" });
  fake.fail(server, { event: "accept", call: "accept4", fd: 3, ret: -11, error: "EAGAIN" });
  const reset = fake.socket(server, 40, { peer: "10.0.0.1:9" });
  fake.step(reset, "closed", "CLOSE", "ECONNREFUSED");
  const session = seen(fake);
  const edge = fake.now;
  // On the process, the listener's number, and the socket's.
  expect(marks(session, edge, "slots").length).toBe(3);
  expect(marks(session, edge, "slots", 1e15).length).toBe(3);
  expect(marks(session, edge, "listeners").length).toBe(1);
  expect(marks(session, edge, "instances").length).toBe(3);
  const { entities, failures } = session;
  const collapsed = layRows("slots", {
    entities,
    failures,
    edge,
    matching: undefined,
    expanded: new Map([[server.id, false]]),
  });
  expect(collapsed.rows.length).toBe(1);
  expect(failures.counts.get(server.id)).toBe(2);
});

test("a collapsed process shows all of its slots, or how many of them were open", () => {
  const drawn = (more: number) => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const opened = Array.from({ length: 20 }, (_, fd) => fake.open(server, fd, "file", `/${fd}`));
    fake.pass(2000);
    for (let i = 0; i < more; i += 1) fake.open(server, 20 + i, "file", `/${20 + i}`);
    fake.pass(2000);
    for (const one of opened) fake.close(server, one, "local");
    fake.pass(1000);
    const session = seen(fake);
    const { entities, failures } = session;
    const { rows } = layRows("slots", {
      ...{ entities, failures, edge: fake.now, matching: undefined },
      expanded: new Map([[server.id, false]]),
    });
    const renderer = new RecordingRenderer();
    renderer.lanes(
      layScene({
        ...session,
        ...{ entities, failures, overflows: session.overflows, rows, edge: fake.now },
        ...{ scale: new TimeScale(0, 10e9, 1000), scroll: 0, height: 900, keptSince: 0, selected: undefined },
      }),
    );
    return {
      bars: renderer.bars().slice(1),
      labels: renderer.scene?.labels.map(({ x, text }) => `${x} ${text}`),
    };
  };
  const few = drawn(2);
  expect(few.bars.length).toBe(22);
  expect(few.labels).toEqual([]);
  const many = drawn(10);
  // 20, then 30, then the 10 that stay; 32 pixels of the row less 10 are 30 of them.
  expect(many.bars).toEqual([
    "connected level 0..200 @44+15",
    "connected level 200..400 @37+22",
    "connected level 400..500 @52+7",
  ]);
  expect(many.labels).toEqual(["8 at most 30 open"]);
});

test("an error of a child is marked where the child has no row of its own", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  const listener = fake.listen(server, 3, "127.0.0.1:80");
  fake.pass(100);
  fake.step(listener, "listening", "LISTEN", "ENETDOWN");
  const reset = fake.queue(listener, "127.0.0.1:1001");
  fake.pass(100);
  fake.step(reset, "closed", "CLOSE", "ECONNRESET");
  const accepted = fake.queue(listener, "127.0.0.1:1002");
  fake.pass(100);
  fake.accept(server, listener, accepted, 4);
  fake.step(accepted, "closed", "CLOSE", "ECONNRESET");
  const session = seen(fake);
  const { entities, failures } = session;
  const drawn = (mode: Mode, closed: readonly string[]) => {
    const expanded = new Map(closed.map((key) => [key, false]));
    const { rows } = layRows(mode, { entities, failures, edge: fake.now, matching: undefined, expanded });
    return rows.map((row) => {
      const { times, failed } = errorsOf(entities, failures, row, new TimeScale(0, 1e15, 1000));
      return `${row.kind} ${[...times, ...failed].flat().length}`;
    });
  };
  expect(drawn("listeners", [])).toEqual(["listener 1", "lane 1", "lane 1"]);
  expect(drawn("listeners", [listener.id])).toEqual(["listener 3"]);
  expect(drawn("slots", [])).toEqual(["process 0", "slot 1", "child 1", "child 1", "slot 1"]);
  expect(drawn("slots", [`${server.id}/3`])).toEqual(["process 0", "slot 2", "slot 1"]);
  expect(drawn("slots", [server.id])).toEqual(["process 3"]);
  // Accepted since: its number's row has it.
  const before = fake.rev;
  fake.accept(server, listener, reset, 5);
  session.apply(fake.change(before, fake.lines.length));
  expect(entities.lostFaults(listener.id)).toEqual([]);
  expect(entities.childFaults(listener.id).length).toBe(2);
  entities.evictSocket(reset.id);
  expect(entities.childFaults(listener.id).length).toBe(1);
});

test("beyond the closed descriptors that have rows, one row has their errors", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  for (let i = 0; i < LISTED_CLOSED + 3; i += 1) {
    fake.pass(1);
    const socket = fake.socket(server, 3);
    const held = [...fake.descriptors.values()].at(-1);
    if (i < 5) fake.fail(server, { event: "bind", call: "bind", fd: 3, ret: -98, error: "EADDRINUSE" });
    if (i < 4) fake.step(socket, "closed", "CLOSE", "ECONNREFUSED");
    fake.pass(1);
    if (held) fake.close(server, held, "local");
  }
  fake.fail(server, { event: "bind", call: "bind", fd: 3, ret: -9, error: "EBADF" });
  const session = seen(fake);
  const { entities, failures } = session;
  const { rows } = layRows("instances", {
    entities,
    failures,
    edge: fake.now,
    matching: undefined,
    expanded: new Map([[server.id, true]]),
  });
  const counts = rows.map((row) => {
    const { times, failed } = errorsOf(entities, failures, row, new TimeScale(0, 1e15, 1000));
    return [times.flat().length, failed.flat().length];
  });
  expect(counts[0]).toEqual([0, 1]);
  expect(rows.at(-1)?.kind).toBe("more");
  expect(counts.at(-1)).toEqual([3, 3]);
  expect(counts[1]).toEqual([1, 1]);
  expect(counts.flat().reduce((sum, n) => sum + n, 0)).toBe(10);
});

test("what the kernel tells of a connection by itself is marked where that is, and explained there", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  const [one] = fake.pair(server, 4, 5);
  fake.pass(10);
  const explain = { cause: "peer_gone", text: "the peer had closed" };
  fake.fail(server, { event: "state", socket: one.id, error: "EPIPE", explain });
  fake.pass(10);
  const session = seen(fake);
  const { entities, failures } = session;
  expect(failures.counts.size).toBe(0);
  const scale = new TimeScale(0, 1e9, 1000);
  for (const [mode, kind] of [
    ["slots", "slot"],
    ["instances", "instance"],
  ] as const) {
    const { rows } = lay(session, fake.now, mode);
    const told = rows.flatMap((row) => {
      const found = errorsOf(entities, failures, row, scale).failed.flat();
      return found.map(({ explain }) => [
        row.kind,
        "socket" in row ? row.socket?.id : undefined,
        explain?.cause,
      ]);
    });
    expect(told).toEqual([[kind, one.id, "peer_gone"]]);
  }
});

test("links: a listener's children, both ends of a connection, and who shares an open file", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  const listener = fake.listen(server, 3, "127.0.0.1:80");
  const client = fake.process(2, "client");
  fake.pass(10);
  const near = fake.socket(client, 7, { local: "127.0.0.1:5000", peer: "127.0.0.1:80" });
  const child = fake.queue(listener, "127.0.0.1:5000");
  fake.pass(10);
  fake.accept(server, listener, child, 4);
  const shared = fake.open(server, 9, "file", "/log");
  const dup = fake.open(server, 10, "file", "/log", "dup");
  dup.file = shared.file;
  // Unix sockets have no names: each tells the other end, and both are passed on.
  const unix = { family: "unix", protocol: "unix" };
  const one = fake.socket(server, 20, unix);
  const far = fake.socket(server, 21, { ...unix, other_end: one.id });
  one.other_end = far.id;
  const held = [...fake.descriptors.values()].find(({ socket }) => socket === one.id);
  fake.pass(10);
  for (const [fd, how] of [
    [8, "fork"],
    [9, "pass"],
  ] as const) {
    const copy = fake.open(client, fd + 100, "socket", "", how);
    Object.assign(copy, { socket: one.id, file: held?.file });
  }
  // The listener has two rows.
  const twin = fake.open(server, 30, "socket", "", "dup");
  const first = [...fake.descriptors.values()].find(({ socket }) => socket === listener.id);
  Object.assign(twin, { socket: listener.id, file: first?.file });
  fake.pass(10);
  const session = seen(fake);
  const { entities } = session;
  const question = {
    entities,
    rows: lay(session, fake.now, "slots"),
    scale: new TimeScale(0, fake.now, 1000),
    edge: fake.now,
    keptSince: 0,
  };
  const links = (socket: string | undefined, fd: number) =>
    layLinks(question, {
      socket: socket === undefined ? undefined : entities.sockets.get(socket),
      descriptor: [...entities.descriptors.values()].find((one) => one.fd === fd),
      process: server.id,
      row: slotKey(server.id, fd),
    }).links;
  const tied = (socket: string | undefined, fd: number) => links(socket, fd).map(({ tie }) => tie);
  expect(tied(listener.id, 3)).toEqual(["accept", "shared"]);
  // They begin at the row that is selected.
  for (const fd of [3, 30]) {
    const { y = 0, height = 0 } =
      question.rows.rows[question.rows.index.get(slotKey(server.id, fd)) ?? -1] ?? {};
    expect(links(listener.id, fd).map(({ y0 }) => y0)).toEqual([y + height / 2, y + height / 2]);
  }
  expect(tied(child.id, 4)).toEqual(["accept", "pair"]);
  expect(tied(near.id, 7)).toEqual(["pair"]);
  expect(tied(undefined, 9)).toEqual(["shared"]);
  // Duplicated, inherited and passed descriptors share one open file alike.
  expect(tied(one.id, 20)).toEqual(["pair", "shared", "shared"]);
  // None reaches into the time of which nothing is kept.
  const [{ x = 0 } = {}] = links(child.id, 4);
  const since = (back: number) => Object.assign(question, { keptSince: question.scale.t(x - back) });
  since(5);
  expect(links(child.id, 4)[0]?.bend).toBeCloseTo(5);
  since(-1);
  expect(tied(child.id, 4)).not.toContain("accept");
});

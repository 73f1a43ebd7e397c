import { describe, expect, test } from "vitest";
import { nginx } from "../../test/fake/nginx.ts";
import { FakeSession } from "../../test/fake/session.ts";
import { Failures } from "../store/failures.ts";
import { Session } from "../store/session.ts";
import { readRowFilter } from "./filter.ts";
import { layRows } from "./lay.ts";
import { Matching } from "./matching.ts";
import { type Mode, type Question, type Rows, rowAt } from "./rows.ts";
import { FEW_CHILDREN, LISTED_CHILDREN } from "./slots.ts";

function told(fake: FakeSession): Session {
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  return session;
}

function lay(
  fake: FakeSession,
  more: Partial<Question> = {},
  mode: Mode = "slots",
  session = told(fake),
): Rows {
  return layRows(mode, {
    entities: session.entities,
    failures: session.failures,
    edge: fake.now,
    matching: undefined,
    expanded: new Map(),
    ...more,
  });
}

function searched({ entities, failures }: Session, text: string): Matching {
  const parsed = readRowFilter(text, failures);
  if (typeof parsed === "string") throw new Error(parsed);
  const matching = new Matching(entities, failures, parsed);
  for (const _ of matching.all());
  return matching;
}

const shown = ({ rows }: Rows) =>
  rows.map((row) =>
    row.kind === "process"
      ? row.process.comm
      : row.kind === "slot"
        ? `fd ${row.slot.fd}`
        : row.kind === "child"
          ? row.socket.peer
          : row.kind === "instance"
            ? `fd ${row.descriptor.fd} ${row.descriptor.closed === null ? "open" : "closed"}`
            : row.kind === "listener"
              ? `listener ${row.socket.local}`
              : row.kind === "lane"
                ? row.children.map(({ peer }) => peer).join(" ")
                : `${row.count} more`,
  );

describe("rows", () => {
  test("processes as first seen, slots by number; a process without sockets is collapsed", () => {
    const fake = new FakeSession();
    const b = fake.process(20, "b");
    const a = fake.process(10, "a");
    fake.open(a, 1, "file", "/x");
    fake.listen(b, 7, "127.0.0.1:80");
    fake.open(b, 3, "file", "/y");
    expect(shown(lay(fake))).toEqual(["b", "fd 3", "fd 7", "a"]);
    expect(
      shown(
        lay(fake, {
          expanded: new Map([
            [a.id, true],
            [b.id, false],
          ]),
        }),
      ),
    ).toEqual(["b", "a", "fd 1"]);
  });

  test("a slot is one row, whatever it held", () => {
    const { rows, index } = lay(nginx().session);
    const slots = rows.filter((row) => row.kind === "slot").map((row) => row.key);
    expect(new Set(slots).size).toBe(slots.length);
    expect(rows.map((row) => index.get(row.key))).toEqual(rows.map((_, i) => i));
    let y = 0;
    for (const row of rows) {
      expect(row.y).toBe(y);
      expect(rows[rowAt(rows, y)]).toBe(row);
      y += row.height;
    }
    expect(rowAt(rows, y)).toBe(-1);
    expect(rowAt(rows, -1)).toBe(-1);
  });

  test("few children are listed once, where they were accepted", () => {
    const told = nginx();
    const laid = lay(told.session);
    const owners = new Set(laid.rows.filter((row) => row.kind === "child").map((row) => row.process.pid));
    expect(owners).toEqual(new Set([told.worker.pid]));
    expect(laid.rows.filter((row) => row.kind === "child")).toHaveLength(17);
  });

  test("many children are listed on demand, the newest of them; the others are counted", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    for (let i = 0; i <= FEW_CHILDREN; i += 1) {
      const child = fake.queue(listener, `127.0.0.1:${1000 + i}`);
      fake.pass(1);
      fake.close(server, fake.accept(server, listener, child, 4, 3), "peer");
    }
    expect(shown(lay(fake))).toEqual(["server", "fd 3", "fd 4"]);
    for (let i = 0; i < LISTED_CHILDREN; i += 1) fake.queue(listener, `127.0.0.1:${2000 + i}`);
    const rows = shown(lay(fake, { expanded: new Map([[`${server.id}/3`, true]]) }));
    expect(rows.slice(0, 4)).toEqual(["server", "fd 3", "25 more", "127.0.0.1:2000"]);
    expect(rows).toHaveLength(3 + LISTED_CHILDREN + 1);
  });

  test("nothing after the edge is there", () => {
    const { session } = nginx();
    expect(shown(lay(session, { edge: 1.4e9 }))).toEqual(["nginx"]);
    expect(lay(session, { edge: -1 }).rows).toEqual([]);
  });

  test("siblings are counted", () => {
    const { rows } = lay(nginx().session);
    for (const level of [1, 2, 3]) {
      const one = rows.find((row) => row.level === level);
      expect(one?.place).toBe(1);
    }
    const [first, second] = rows.filter((row) => row.level === 1);
    expect([first?.setSize, second?.place]).toEqual([4, 2]);
  });
});

describe("filter", () => {
  test.each([
    ["pid:811 fd:6", ["nginx", "fd 6"]],
    ["state:listening -pid:812", ["nginx", "fd 6"]],
    ["port:9000", ["nginx", "fd 14", "fd 15"]],
    ["error:ECONNREFUSED", ["nginx", "fd 15"]],
    ["peer:*:51201", ["nginx", "fd 10"]],
    ["kind:epoll,eventfd", ["nginx", "fd 7", "fd 8"]],
    ["error.log pid:811", ["nginx", "fd 2"]],
    ["comm:curl kind:pipe", ["curl", "fd 0"]],
  ])("%s", (text, expected) => {
    const fake = nginx().session;
    const session = told(fake);
    const rows = lay(fake, { matching: searched(session, text) }, "slots", session);
    expect(shown(rows).filter((row) => !row?.startsWith("127"))).toEqual(expected);
    expect(rows.hidden).toBe(rows.slots - expected.length + 1);
  });

  test.each([
    "state:connected",
    "port:1005,1010 fd:>4",
    "-comm:server",
    "comm:renamed",
    "error:*",
    "error:ENOTCONN",
    "error:EMFILE",
  ])("%s finds the same when it goes along with what changes as when it looks at everything", (text) => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const child = fake.fork(server, 2);
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    const session = told(fake);
    let rev = fake.rev;
    let lines = fake.lines.length;
    const along = searched(session, text);
    const { watcher } = session.failures;
    const open: ReturnType<FakeSession["accept"]>[] = [];
    for (let i = 0; i < 60; i += 1) {
      fake.pass(1);
      const queued = fake.queue(listener, `127.0.0.1:${1000 + i}`);
      if (i % 5 === 0) fake.step(queued, "closed", "CLOSE", "ECONNRESET");
      open.push(fake.accept(server, listener, queued, 4 + (i % 5), 0.5));
      const oldest = open.length === 5 ? open.shift() : undefined;
      if (oldest) fake.close(server, oldest, "peer");
      if (i % 3 === 0) fake.fail(server, { call: "shutdown", fd: 4 + (i % 6), ret: -107, error: "ENOTCONN" });
      if (i === 20) fake.fail(child, { event: "socket", call: "socket", ret: -24, error: "EMFILE" });
      if (i === 40) fake.exec(child, "renamed");
      if (i % 7 > 0) continue;
      const change = fake.change(rev, lines);
      expect(session.apply(change).kind).toBe("changed");
      rev = change.to;
      lines = fake.lines.length;
      if (i === 49) {
        const [gone] = [...fake.descriptors.values()].filter(({ closed }) => closed !== null);
        session.apply({
          kind: "evict",
          processes: [],
          descriptors: [gone?.id ?? ""],
          sockets: [gone?.socket ?? ""],
        });
      }
      const modes = ["slots", "instances"] as const;
      const laid = (matching: Matching) =>
        modes.map((mode) => {
          const { rows, slots, hidden } = lay(fake, { matching }, mode, session);
          return [rows.map(({ key }) => key), slots, hidden];
        });
      expect(laid(along)).toEqual(laid(searched(session, text)));
      session.entities.watcher = along;
      session.failures.watcher = watcher;
    }
  });

  test("error: finds what calls failed on while it was open, and a process that could not get any", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    fake.open(server, 0, "file", "/dev/null");
    const first = fake.open(server, 4, "file", "/first");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    const late = fake.process(2, "late");
    fake.open(late, 0, "file", "/dev/null");
    fake.pass(1);
    fake.fail(server, { event: "accept", call: "accept4", fd: 3, ret: -24, error: "EMFILE" });
    fake.fail(server, { event: "close", call: "close", fd: 99, ret: -9, error: "EBADF" });
    fake.fail(late, { event: "socket", call: "socket", ret: -24, error: "EMFILE" });
    fake.close(server, first, "local");
    fake.pass(1);
    fake.open(server, 4, "file", "/second");
    fake.fail(server, { event: "bind", call: "bind", fd: 4, ret: -88, error: "ENOTSOCK" });
    const explain = { text: "The peer reset it.", cause: "reset", failures: 1 };
    fake.fail(server, { event: "state", socket: listener.id, error: "ECONNRESET", explain });
    const session = told(fake);
    const found = (text: string, mode: Mode) =>
      shown(lay(fake, { matching: searched(session, text) }, mode, session));
    for (const [text, slots, instances] of [
      ["error:EMFILE", ["server", "fd 3", "late"], ["server", "fd 3 open", "late"]],
      ["error:EMFILE kind:socket", ["server", "fd 3"], ["server", "fd 3 open"]],
      ["error:EBADF", ["server"], ["server"]],
      ["error:ENOTSOCK", ["server", "fd 4"], ["server", "fd 4 open"]],
      ["error:ECONNRESET", ["server", "fd 3"], ["server", "fd 3 open"]],
      ["ebadf", ["server"], ["server"]],
      ["error:EPIPE", [], []],
      ["-error:* pid:1", ["server", "fd 0", "fd 4"], ["server", "fd 0 open", "fd 4 closed"]],
    ] as const) {
      expect(found(text, "slots"), text).toEqual(slots);
      expect(found(text, "instances"), text).toEqual(instances);
    }
    expect(found("error:EMFILE", "listeners")).toEqual(["listener 127.0.0.1:80"]);
  });

  test("says what it cannot read", () => {
    expect(readRowFilter("prot:443", new Failures())).toMatch(
      /^prot:443: no field is called "prot"; .* process pid comm/,
    );
    expect(readRowFilter("port:", new Failures())).toBe(
      'port:: a value is missing; "port:*" asks whether there is one',
    );
  });
});

test("of what is gone, a failed call alone opens nothing; a listener does", () => {
  const fake = new FakeSession();
  const helper = fake.process(1, "helper");
  fake.open(helper, 1, "file", "/x");
  fake.fail(helper, { event: "bind", call: "bind", fd: 1, ret: -98, error: "EADDRINUSE" });
  const server = fake.process(2, "server");
  fake.listen(server, 3, "127.0.0.1:80");
  const opened = () =>
    lay(fake).rows.flatMap((row) => (row.kind === "process" ? [[row.process.comm, row.expanded]] : []));
  expect(opened()).toEqual([
    ["helper", true],
    ["server", true],
  ]);
  fake.exit(helper);
  fake.exit(server);
  expect(opened()).toEqual([
    ["helper", false],
    ["server", true],
  ]);
});

describe.each(["slots", "instances", "listeners"] as const)("%s", (mode) => {
  const two = () => {
    const fake = new FakeSession();
    const one = fake.process(1, "one");
    fake.listen(one, 3, "127.0.0.1:81");
    const two = fake.process(2, "two");
    fake.listen(two, 3, "127.0.0.1:82");
    return { fake, two };
  };
  const heads = ({ rows }: Rows) =>
    rows.filter(({ level }) => level === 1).map((row) => [row.process.comm, "place" in row && row.place]);

  test("rows of a pinned process stand first, and are counted so", () => {
    const { fake, two: second } = two();
    expect(heads(lay(fake, {}, mode))).toEqual([
      ["one", 1],
      ["two", 2],
    ]);
    expect(heads(lay(fake, { pinned: new Set([second.id]) }, mode))).toEqual([
      ["two", 1],
      ["one", 2],
    ]);
  });

  test.each([
    ["normal", 32, 24],
    ["compact", 24, 18],
    ["dense", 18, 6],
  ] as const)("%s rows stand below each other without a gap", (density, head, row) => {
    const { rows, height } = lay(nginx().session, { density }, mode);
    let y = 0;
    for (const one of rows) {
      expect(one.y).toBe(y);
      expect(one.height).toBe(one.level === 1 ? head : row);
      y += one.height;
    }
    expect(height).toBe(y);
  });
});

import { describe, expect, test } from "vitest";
import { FakeSession } from "../../test/fake/session.ts";
import type { Socket, Tcp } from "../protocol/types.gen.ts";
import { Session } from "../store/session.ts";
import { bytesAt, closedFirst, connectionsAt, countersAt } from "./connections.ts";

function seen(fake: FakeSession): Session {
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  return session;
}

const at = (session: Session, t: number, ended = false) =>
  connectionsAt({ entities: session.entities, at: t, filter: undefined, ended });

const counters = (t: number, acked: number, received: number): Tcp => ({
  t,
  bytes_acked: acked,
  bytes_received: received,
  rtt_us: 31,
  retransmits: 2,
});

describe("connections", () => {
  /** A client on this host that hangs up first, and one from elsewhere. */
  function told() {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    const client = fake.process(2, "client");
    fake.pass(10);
    const near = fake.socket(client, 7, { local: "127.0.0.1:5000", peer: "127.0.0.1:80" });
    fake.step(near, "connected", "ESTABLISHED");
    const child = fake.queue(listener, "127.0.0.1:5000");
    fake.pass(10);
    fake.accept(server, listener, child, 4);
    const far = fake.queue(listener, "10.0.0.9:6000");
    fake.accept(server, listener, far, 5);
    fake.pass(10);
    const open = fake.now;
    near.tcp = counters(fake.now, 101, 2_001);
    child.tcp = counters(fake.now, 2_001, 100);
    far.tcp = counters(fake.now, 55, 44);
    fake.step(near, "half_closed", "FIN_WAIT1");
    near.closed_first = "local";
    child.closed_first = "peer";
    fake.pass(10);
    for (const socket of [near, child]) {
      fake.step(socket, "closed", "CLOSE");
      socket.ended = fake.now;
    }
    return { session: seen(fake), near, child, far, open, end: fake.now };
  }

  test("both ends are one row; an end that is elsewhere is an address", () => {
    const { session, near, child, far, open } = told();
    const found = at(session, open);
    expect(found.map(({ client, server }) => [client?.socket.id, server?.socket.id])).toEqual([
      [near.id, child.id],
      [undefined, far.id],
    ]);
    expect(found[0]?.client?.process?.comm).toBe("client");
    expect(found[0]?.server?.holder?.fd).toBe(4);
  });

  test("who holds an end is who has it open, not who had a copy for a moment", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const socket = fake.socket(server, 3, { local: "127.0.0.1:1", peer: "127.0.0.1:2" });
    fake.step(socket, "connected", "ESTABLISHED");
    fake.pass(5);
    const child = fake.fork(server, 2);
    fake.pass(5);
    const copy = [...fake.descriptors.values()].find(({ table }) => table === child.table);
    if (!copy) throw new Error("a copy");
    copy.closed = fake.now;
    copy.closed_by = "close";
    const open = fake.now;
    const owner = (t: number) => at(seen(fake), t)[0]?.client?.process?.pid;
    expect(owner(open)).toBe(1);
    expect(owner(open + 1)).toBe(1);
  });

  test("one that waits is its listener's, however many have that; of one that was accepted only its own", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    fake.pass(5);
    fake.fork(server, 2);
    fake.pass(5);
    const child = fake.queue(listener, "127.0.0.1:1000");
    fake.pass(5);
    const owner = () => {
      const end = at(seen(fake), fake.now)[0]?.server;
      return [end?.process?.pid, end?.others];
    };
    expect(owner()).toEqual([1, 1]);
    fake.accept(server, listener, child, 4, 3);
    fake.pass(5);
    expect(owner()).toEqual([1, 0]);
  });

  test("bytes each way are what an end received, or what was acknowledged of it", () => {
    const { session, open } = told();
    const [pair, alone] = at(session, open);
    if (!pair || !alone) throw new Error("two are there");
    expect(bytesAt(pair, open)).toEqual({ up: 100, down: 2_001 });
    expect(bytesAt(alone, open)).toEqual({ up: 44, down: 55 });
    expect(bytesAt(pair, open - 1)).toEqual({});
    expect(countersAt(pair.client, open)?.rtt_us).toBe(31);
  });

  test("who closed first is told from its moment on, also of what has ended", () => {
    const { session, near, open, end } = told();
    const [pair] = at(session, open);
    expect(pair && closedFirst(pair, open - 1)).toBeUndefined();
    expect(pair && closedFirst(pair, open)).toEqual({ who: "client", t: open });
    expect(at(session, end).map(({ client }) => client?.socket.id)).toEqual([undefined]);
    const all = at(session, end, true);
    expect(all.map(({ client, ended }) => [client?.socket.id, ended])).toEqual([
      [near.id, end],
      [undefined, undefined],
    ]);
  });

  test("unix sockets know their other end, and whose was closed first", () => {
    const fake = new FakeSession();
    const one = fake.process(1, "one");
    const unix: Partial<Socket> = { family: "unix", protocol: null, local: "unix:", peer: "unix:/run/x" };
    const near = fake.socket(one, 3, unix);
    const far = fake.socket(one, 4, { ...unix, local: "unix:/run/x", peer: "unix:", other_end: near.id });
    near.other_end = far.id;
    for (const socket of [near, far]) fake.step(socket, "connected", "ESTAB");
    fake.pass(5);
    fake.step(far, "closed", "UNCONN");
    const session = seen(fake);
    const [pair, ...more] = at(session, fake.now, true);
    expect(more).toEqual([]);
    expect([pair?.client?.socket.id, pair?.server?.socket.id]).toEqual([near.id, far.id]);
    expect(pair && closedFirst(pair, fake.now)).toEqual({ who: "server", t: fake.now });
  });

  test("an address that is used again is not taken for the other end of an earlier connection", () => {
    const fake = new FakeSession();
    const one = fake.process(1, "one");
    const early = fake.socket(one, 3, { local: "127.0.0.1:1", peer: "127.0.0.1:2" });
    fake.step(early, "connected", "ESTABLISHED");
    fake.pass(5);
    early.ended = fake.now;
    fake.pass(5);
    const late = fake.socket(one, 4, { local: "127.0.0.1:2", peer: "127.0.0.1:1" });
    fake.step(late, "connected", "ESTABLISHED");
    const found = at(seen(fake), fake.now, true);
    expect(found.map(({ client, server }) => [client?.socket.id, server?.socket.id])).toEqual([
      [early.id, undefined],
      [late.id, undefined],
    ]);
  });
});

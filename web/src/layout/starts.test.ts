import { expect, test } from "vitest";
import { nginx } from "../../test/fake/nginx.ts";
import { FakeSession } from "../../test/fake/session.ts";
import { Failures } from "../store/failures.ts";
import { Session } from "../store/session.ts";
import { summarizing } from "./overview.ts";
import { startsAt } from "./starts.ts";

test("the fullest queue, the fullest table, the most errors", () => {
  const { session: fake, worker, master, listener } = nginx();
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  const starts = startsAt(session.entities, session.failures, fake.now);
  expect(starts.queue).toEqual({ listener, waiting: 3, limit: 511, past: false });
  expect([starts.limit?.process.id, starts.limit?.open, starts.limit?.most]).toEqual([worker.id, 14, 1024]);
  expect([starts.errors?.process.id, starts.errors?.count]).toEqual([master.id, 1]);

  const early = startsAt(session.entities, new Failures(), 1e9);
  expect([early.queue, early.limit?.process.id, early.errors]).toEqual([undefined, master.id, undefined]);
});

test("where every program has ended: the longest queue that there was, and who failed", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  const listener = fake.listen(server, 3, "127.0.0.1:80");
  const other = fake.listen(server, 4, "127.0.0.1:81");
  const short = fake.process(2, "short");
  fake.fail(short, { call: "bind", fd: 5, ret: -98, error: "EADDRINUSE" });
  fake.exit(short);
  const waiting = [1, 2, 3].map((port) => fake.queue(listener, `127.0.0.1:${port}`));
  fake.pass(10);
  waiting.forEach((child, i) => void fake.accept(server, listener, child, 10 + i, 3));
  // The limit that counts is the one of the moment when the queue was longest.
  fake.pass(10);
  Object.assign(listener, { queue_limit: 1, former_limits: [{ until: fake.now, limit: 7 }] });
  fake.queue(other, "127.0.0.1:4");
  fake.pass(10);
  const before = fake.now - 1;
  fake.exit(server);
  fake.pass(10);
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  const at = (t: number) => {
    const { queue, limit, errors } = startsAt(session.entities, session.failures, t);
    const { listener: of, ...rest } = queue ?? {};
    return [{ ...rest, of: of?.local }, limit?.process.comm, [errors?.process.comm, errors?.count]];
  };
  expect(at(fake.now)).toEqual([
    { of: "127.0.0.1:80", waiting: 3, limit: 7, past: true },
    undefined,
    ["short", 1],
  ]);
  // While one lives, its queues are told as they are.
  expect(at(before)).toEqual([
    { of: "127.0.0.1:81", waiting: 1, limit: 511, past: false },
    "server",
    ["short", 1],
  ]);
});

test("where nobody ever waited and nothing failed there is nothing to start from", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  fake.listen(server, 3, "127.0.0.1:80");
  fake.exit(server);
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  const nothing = { queue: undefined, limit: undefined, errors: undefined };
  expect(startsAt(session.entities, session.failures, fake.now)).toEqual(nothing);
});

test("what a call returned and its socket met meanwhile is one failure", () => {
  const fake = new FakeSession();
  const client = fake.process(1, "client");
  const blocking = fake.socket(client, 3, { peer: "10.0.0.8:9000" });
  const other = fake.socket(client, 4, { peer: "10.0.0.8:9000" });
  fake.pass(10);
  for (const socket of [blocking, other]) fake.step(socket, "closed", "CLOSE", "ECONNREFUSED");
  fake.pass(1);
  // The other connect did not wait.
  fake.fail(client, {
    event: "connect",
    call: "connect",
    fd: 3,
    socket: blocking.id,
    ret: -111,
    error: "ECONNREFUSED",
    dur_ns: 5e6,
  });
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  expect(startsAt(session.entities, session.failures, fake.now).errors?.count).toBe(2);
  const { value } = summarizing(session.entities, session.failures, 0, fake.now, 1).next();
  expect([...(value?.errors ?? [])]).toEqual([2]);
});

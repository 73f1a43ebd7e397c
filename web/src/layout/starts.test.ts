import { expect, test } from "vitest";
import { nginx } from "../../test/fake/nginx.ts";
import { FakeSession } from "../../test/fake/session.ts";
import { Session } from "../store/session.ts";
import { startsAt } from "./starts.ts";

test("the fullest queue, the fullest table, the most errors", () => {
  const { session: fake, worker, master, listener } = nginx();
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  const starts = startsAt(session.entities, session.failures.counts, fake.now);
  expect(starts.queue).toEqual({ listener, waiting: 3, limit: 511, past: false });
  expect([starts.limit?.process.id, starts.limit?.open, starts.limit?.most]).toEqual([worker.id, 14, 1024]);
  expect([starts.errors?.process.id, starts.errors?.count]).toEqual([master.id, 1]);

  const early = startsAt(session.entities, new Map(), 1e9);
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
    const { queue, limit, errors } = startsAt(session.entities, session.failures.counts, t);
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
  expect(startsAt(session.entities, session.failures.counts, fake.now)).toEqual(nothing);
});

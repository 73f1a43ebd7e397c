import { expect, test } from "vitest";
import { FakeSession } from "../../test/fake/session.ts";
import { Session } from "../store/session.ts";
import { type Summary, summarizing } from "./overview.ts";

/** The whole count at once. */
function summarize(...question: Parameters<typeof summarizing>): Summary {
  const counting = summarizing(...question);
  for (;;) {
    const { done, value } = counting.next();
    if (done) return value;
  }
}

test("every opening, closing and change falls into one bucket; open descriptors are carried on", () => {
  const fake = new FakeSession();
  const process = fake.process(1, "server");
  fake.open(process, 0, "file", "/x", "snapshot");
  fake.pass(1000);
  const refused = fake.socket(process, 3, { peer: "10.0.0.8:9000" });
  fake.pass(1000);
  fake.step(refused, "closed", "CLOSE", "ECONNREFUSED");
  fake.pass(1000);
  fake.fail(process, { event: "bind", call: "bind", fd: 3, ret: -98, error: "EADDRINUSE" });
  fake.exit(process);
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));

  const all = summarize(session.entities, session.failures, 0, 4e9, 4);
  expect([...all.open]).toEqual([1, 2, 2, 0]);
  expect([...all.errors]).toEqual([0, 0, 1, 1]);
  const sum = (counts: Uint32Array) => counts.reduce((a, b) => a + b, 0);
  const steps = session.entities.sockets.get(refused.id)?.steps.length ?? 0;
  expect(sum(all.changes)).toBe(4 + steps);

  const late = summarize(session.entities, session.failures, 2.5e9, 4e9, 1);
  expect([...late.open]).toEqual([0]);
  expect([...late.changes]).toEqual([2]);
});

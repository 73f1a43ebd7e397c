import { expect, test } from "vitest";
import { FakeSession } from "../../test/fake/session.ts";
import { Session } from "../store/session.ts";
import { levels, peaks } from "./queue.ts";
import { TimeScale } from "./timescale.ts";
import { percentile, queueAt } from "./waits.ts";

function told() {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  const listener = fake.listen(server, 3, "127.0.0.1:80");
  fake.pass(1000);
  const first = fake.queue(listener, "127.0.0.1:1001");
  fake.pass(10);
  fake.queue(listener, "127.0.0.1:1002");
  fake.pass(10);
  fake.accept(server, listener, first, 4);
  fake.pass(10);
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  return session.entities.children(listener.id);
}

test("a queue at an instant: who waits, who waited", () => {
  const children = told();
  const began = children[0]?.queued ?? 0;
  expect(queueAt(children, 0)).toEqual({ waiting: [], waits: [], accepted: 0 });
  const [early, late] = [queueAt(children, began + 15e6), queueAt(children, began + 25e6)];
  expect(early.waiting.map((child) => child.peer)).toEqual(["127.0.0.1:1001", "127.0.0.1:1002"]);
  expect(late.waiting.map((child) => child.peer)).toEqual(["127.0.0.1:1002"]);
  expect(late.waits).toEqual([20e6]);
  expect(late.accepted).toBe(1);
});

test("the length of a queue over time", () => {
  const children = told();
  const began = children[0]?.queued ?? 0;
  const whole = levels(children, began - 1e6, began + 30e6);
  expect([...whole.times]).toEqual([began - 1e6, began, began + 10e6, began + 20e6]);
  expect([...whole.lengths]).toEqual([0, 1, 2, 1]);
  const part = levels(children, began + 15e6, began + 18e6);
  expect([[...part.times], [...part.lengths]]).toEqual([[began + 15e6], [2]]);
});

test("a pixel shows the longest that the queue was in it, however many waited one after another", () => {
  const children = told();
  const began = children[0]?.queued ?? 0;
  const counted = levels(children, began - 20e6, began + 30e6);
  // 10 ms a pixel.
  const scale = new TimeScale(began - 20e6, began + 30e6, 5);
  expect([...peaks(counted, scale, began + 30e6)]).toEqual([0, 0, 1, 2, 1]);
  const early = peaks(counted, scale, began + 5e6);
  expect([...early]).toEqual([0, 0, 1, -1, -1]);
});

test("percentiles are values that occurred", () => {
  expect(percentile([], 0.5)).toBeUndefined();
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100];
  expect([0.5, 0.9, 0.99, 1].map((part) => percentile(waits, part))).toEqual([5, 9, 100, 100]);
});

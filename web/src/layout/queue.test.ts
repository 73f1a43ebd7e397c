import { expect, test } from "vitest";
import { FakeSession } from "../../test/fake/session.ts";
import { Session } from "../store/session.ts";
import { levels, percentile, queueAt } from "./queue.ts";

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
  expect(levels(children, began - 1e6, began + 30e6)).toEqual([
    { t: began - 1e6, length: 0 },
    { t: began, length: 1 },
    { t: began + 10e6, length: 2 },
    { t: began + 20e6, length: 1 },
  ]);
  expect(levels(children, began + 15e6, began + 18e6)).toEqual([{ t: began + 15e6, length: 2 }]);
});

test("percentiles are values that occurred", () => {
  expect(percentile([], 0.5)).toBeUndefined();
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100];
  expect([0.5, 0.9, 0.99, 1].map((part) => percentile(waits, part))).toEqual([5, 9, 100, 100]);
});

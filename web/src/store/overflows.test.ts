import { expect, test } from "vitest";
import type { Line } from "../protocol/types.gen.ts";
import { Overflows } from "./overflows.ts";

const line = (seq: number, more: Partial<Line> = {}): Line =>
  ({ event: "overflow", seq, t: seq * 10, listener: "s1", via: "kernel", ts_ns: 0, ...more }) as Line;

test("a listener's overflows, in order, each once; without a count it is one packet", () => {
  const overflows = new Overflows();
  overflows.add([line(9, { drops: 3 }), line(4)]);
  overflows.add([line(4), line(5, { listener: "s2" }), line(6, { event: "accept" })]);
  expect(overflows.of("s1")).toEqual([
    { seq: 4, t: 40, drops: 1 },
    { seq: 9, t: 90, drops: 3 },
  ]);
  expect(overflows.of("s2").length).toBe(1);
  overflows.evict("s2");
  expect(overflows.of("s2")).toEqual([]);
});

test("beyond the limit the oldest of a listener go, which is said", () => {
  const overflows = new Overflows(2);
  overflows.add([line(1), line(2), line(3, { listener: "s2" })]);
  expect(overflows.since).toBeUndefined();
  overflows.add([line(4)]);
  expect(overflows.of("s1").map(({ seq }) => seq)).toEqual([2, 4]);
  expect(overflows.since).toBe(20);
  overflows.clear();
  expect(overflows.since).toBeUndefined();
});

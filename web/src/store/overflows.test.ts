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

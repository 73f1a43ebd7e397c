import { describe, expect, test } from "vitest";
import { count } from "../base/time.ts";
import { MARK_PX, merged, widthOf } from "./merge.ts";
import { TimeScale } from "./timescale.ts";

const own = (t: number) => t;
/** As `x ×many`, at 1 ns a pixel. */
const marks = (times: number[], start = 0, until = Number.POSITIVE_INFINITY) =>
  Array.from(
    merged(times, own, new TimeScale(start, start + 1000, 1000), until),
    ({ x, many }) => `${x} ×${many}`,
  );

describe("marks of what stands close together", () => {
  test("are one with their number, and it has room before the next", () => {
    expect(marks([100, 112, 122, 123, 200])).toEqual(["100 ×3", "123 ×1", "200 ×1"]);
    expect(marks([100, 113, 200])).toEqual(["100 ×1", "113 ×1", "200 ×1"]);
    const many = Array.from({ length: 5000 }, (_, i) => i / 10);
    const found = [...merged(many, own, new TimeScale(0, 1000, 1000), 1e9)];
    expect(found.reduce((sum, one) => sum + one.many, 0)).toBe(5000);
    found.forEach(({ x, many }, i) => {
      const next = found[i + 1];
      if (next) expect(next.x - x).toBeGreaterThanOrEqual(widthOf(many));
    });
  });

  test("count what each of them counts for, and nothing after the edge", () => {
    const scale = new TimeScale(0, 1000, 1000);
    const drops = [...merged([100, 101, 102], own, scale, 101, (t) => t)];
    expect(drops).toEqual([{ x: 100, first: 0, end: 2, many: 201 }]);
    expect(marks([100, 101, 102], 0, 99)).toEqual([]);
  });

  test("that begin before what is in sight stand at its edge, with their number", () => {
    expect(marks([95, 103, 300], 100)).toEqual(["-5 ×2", "200 ×1"]);
    expect(marks([90, 99, 103, 300], 100)).toEqual(["0 ×3", "200 ×1"]);
    expect(marks([90, 99, 300], 100)).toEqual(["200 ×1"]);
  });

  test("stay together while one pans", () => {
    const times = Array.from({ length: 4000 }, (_, i) => 7 * i + (i % 5));
    const at = (start: number) =>
      Array.from(merged(times, own, new TimeScale(start, start + 500, 500), 1e9), ({ first }) => first);
    const [before, after] = [at(10_000), at(10_060)];
    const both = before.filter((first) => (times[first] as number) > 10_060);
    const from = after.indexOf(both[0] as number);
    expect(after.slice(from, from + both.length)).toEqual(both);
    expect(both.length).toBeGreaterThan(10);
  });
});

test("a number has room as it is written", () => {
  for (const many of [2, 9, 10, 999, 1000, 12_345, 999_999, 1_000_000])
    expect(widthOf(many)).toBe(MARK_PX + 6.5 * count(many).length + 3);
});

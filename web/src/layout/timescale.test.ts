import { expect, test } from "vitest";
import { TimeScale, tickStep, ticks } from "./timescale.ts";

test("time and pixels are inverse to each other", () => {
  const scale = new TimeScale(1e9, 3e9, 1000);
  expect(scale.nsPerPx).toBe(2e6);
  expect(scale.x(2e9)).toBe(500);
  expect(scale.t(500)).toBe(2e9);
  expect(scale.x(0)).toBe(-500);
});

test.each([
  [60e9 / 1200, 90, 5e9],
  [1e6, 100, 1e8],
  [1e6, 101, 2e8],
  [3600e9 / 1000, 100, 600e9],
  [1, 100, 100],
  [86400e9 / 100, 100, 86400e9],
  [86400e9, 100, 100 * 86400e9],
])("%d ns a pixel, %d pixels apart: every %d ns", (nsPerPx, gap, step) => {
  expect(tickStep(nsPerPx, gap)).toBe(step);
});

test("ticks fall on round wall-clock times", () => {
  // Offset 0 is 0.4 s after a full minute: the next round ten seconds come at 9.6 s.
  const { step, times } = ticks(new TimeScale(0, 40e9, 400), 60e9 + 4e8, 100);
  expect(step).toBe(10e9);
  expect(times).toEqual([9.6e9, 19.6e9, 29.6e9, 39.6e9]);
});

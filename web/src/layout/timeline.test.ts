import { expect, test } from "vitest";
import { Clock } from "../base/time.ts";
import { Session } from "../store/session.ts";
import { layScene } from "./timeline.ts";
import { TimeScale } from "./timescale.ts";

/** Seconds of the ticks of an empty session that begins at a whole minute. */
function ticks(seconds: number, width: number): number[] {
  const { entities, failures, overflows } = new Session();
  const scale = new TimeScale(0, seconds * 1e9, width);
  const view = {
    entities,
    failures,
    overflows,
    rows: [],
    scale,
    scroll: 0,
    height: 100,
    edge: seconds * 1e9,
  };
  const clock = new Clock("1795348800000000000");
  const { ticks } = layScene({ ...view, clock, keptSince: 0, losses: [], selected: undefined });
  return ticks.map(({ x }) => Math.round(scale.t(x) / 1e9));
}

test("a narrow ruler has its times nearer to each other: one alone says nothing of how long anything took", () => {
  expect(ticks(40, 195)).toEqual([0, 15, 30]);
  // As many nanoseconds a pixel, with more room.
  expect(ticks(80, 390)).toEqual([0, 30, 60]);
});

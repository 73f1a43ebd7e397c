import { expect, test } from "vitest";
import type { Source } from "../net/source.ts";
import type { Line } from "../protocol/types.gen.ts";
import { Reading } from "./reading.ts";

/** Events 1 to `count`, of which each `nth` is an accept; answers as a daemon does, and notes what was asked. */
function events(count: number, nth: number) {
  const asked: string[] = [];
  const source = {
    events: async (from: number, limit: number, filter: string, before = count + 1) => {
      asked.push(`${from}..${before}`);
      const lines: Line[] = [];
      for (let seq = Math.max(1, from); seq < Math.min(before, count + 1); seq += 1) {
        if (filter && seq % nth !== 0) continue;
        if (lines.length === limit) return { events: lines, next_seq: seq };
        lines.push({ event: "accept", seq, via: "syscall", ts_ns: seq, t: seq } as Line);
      }
      return { events: lines, next_seq: null };
    },
  } as unknown as Source;
  return { source, asked };
}

const on = () => true;
const span = ({ log }: Reading) => [log.firstSeq, log.lastSeq, log.length];

test("a filtered list begins with the newest, and goes back a page at a time", async () => {
  const { source } = events(100_000, 10);
  const reading = new Reading(source, "event:accept", 100_001);
  await reading.newer(100_000);
  expect(reading.reached).toBe(true);
  await reading.older(1, on);
  expect(reading.log.lastSeq).toBe(100_000);
  expect(reading.log.length).toBeGreaterThanOrEqual(500);
  const first = reading.log.firstSeq ?? 0;
  expect(first - reading.from).toBeLessThan(10);
  await reading.older(1, on);
  expect(reading.log.firstSeq).toBeLessThan(first);
  expect(reading.log.lastSeq).toBe(100_000);
});

test("for what is rare ever more is looked through at once, up to the oldest", async () => {
  const { source, asked } = events(1_000_000, 500_000);
  const reading = new Reading(source, "event:accept", 1_000_001);
  await reading.older(1, on);
  expect(span(reading)).toEqual([500_000, 1_000_000, 2]);
  expect(reading.from).toBe(1);
  expect(asked.length).toBeLessThan(30);
});

test("around a moment it reads on in both directions, without holes", async () => {
  const { source } = events(10_000, 1);
  const reading = new Reading(source, "", 5_000);
  await reading.newer(10_000);
  await reading.older(1, on);
  expect(span(reading)).toEqual([4_500, 5_499, 1_000]);
  expect(reading.reached).toBe(false);
  await reading.newer(10_000);
  expect(span(reading)).toEqual([4_500, 5_999, 1_500]);
  expect(reading.log.rows).toBe(1_500);
});

test("what was read last stays; beyond the limit the other end goes, and is read again", async () => {
  const { source } = events(30_000, 1);
  const reading = new Reading(source, "", 15_000, 6_000);
  for (let i = 0; i < 20; i += 1) await reading.older(1, on);
  const [first, last] = span(reading);
  expect(first).toBe(5_000);
  expect(last).toBeLessThan(14_999);
  await reading.newer(30_000);
  expect(reading.log.lastSeq).toBe((last ?? 0) + 500);
  expect(reading.log.rows).toBe(reading.log.length);
});

test("another list ends the reading", async () => {
  const { source, asked } = events(1_000_000, 500_000);
  const reading = new Reading(source, "event:accept", 1_000_001);
  await reading.older(1, () => false);
  expect(asked.length).toBe(1);
});

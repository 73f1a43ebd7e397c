import { describe, expect, test } from "vitest";
import { visible } from "./escape.ts";
import { lowerBound, upperBound } from "./search.ts";
import { Slices } from "./slices.ts";
import { Clock, count, duration } from "./time.ts";

test("counts are grouped by thousands", () => {
  const counts = [0, -7, 999, -999, 1000, -1000, 1_234_567].map(count);
  expect(counts).toEqual(["0", "-7", "999", "-999", "1,000", "-1,000", "1,234,567"]);
});

describe("visible", () => {
  test("leaves what is harmless", () => {
    expect(visible("nginx: worker ü 名 🙂 <b>&amp;")).toBe("nginx: worker ü 名 🙂 <b>&amp;");
  });

  test("shows controls, bidi, zero width and line separators as escapes", () => {
    expect(visible("a\u0000b\u001b[31m\u007f\u0085")).toBe("a\\u{0}b\\u{1b}[31m\\u{7f}\\u{85}");
    expect(visible("exe\u202etxt.\u2066x\u2069\u200b\ufeff\u061c")).toBe(
      "exe\\u{202e}txt.\\u{2066}x\\u{2069}\\u{200b}\\u{feff}\\u{61c}",
    );
    expect(visible("a\nb\tc\r\u2028\u2029")).toBe("a\\nb\\tc\\r\\u{2028}\\u{2029}");
    expect(visible("tag\u{e0041}")).toBe("tag\\u{e0041}");
  });
});

describe("duration", () => {
  test.each([
    [0, "0 s"],
    [1, "1 ns"],
    [999, "999 ns"],
    [18_200, "18.2 µs"],
    [920, "920 ns"],
    [2_300_000_000, "2.30 s"],
    [144_000, "144 µs"],
    [59_900_000_000, "59.9 s"],
    [184e9, "3 m 04 s"],
    [60e9, "1 m 00 s"],
    [7500e9, "2 h 05 m"],
    [7230e9, "2 h 00 m"],
    [-5e6, "−5.00 ms"],
  ])("%d ns is %s", (ns, text) => expect(duration(ns)).toBe(text));
});

describe("Clock", () => {
  // 2026-11-22T12:00:00.5Z
  const clock = new Clock("1795348800500000000");

  test("shows as many decimals as the step needs", () => {
    expect(clock.timeOfDay(0, 1e9)).toBe("12:00:00");
    expect(clock.timeOfDay(1, 1e6)).toBe("12:00:00.500");
    expect(clock.timeOfDay(1234, 1e3)).toBe("12:00:00.500001");
    expect(clock.timeOfDay(1234, 1)).toBe("12:00:00.500001234");
    expect(clock.timeOfDay(-600e6, 1e6)).toBe("11:59:59.900");
  });

  test("knows the distance to midnight", () => expect(clock.phase()).toBe(12 * 3600e9 + 5e8));

  test("takes nonsense for the epoch", () => expect(new Clock("soon").timeOfDay(0, 1e9)).toBe("00:00:00"));
});

test("bounds", () => {
  const items = [1, 3, 3, 5];
  const same = (x: number) => x;
  expect([0, 1, 3, 4, 5, 6].map((x) => lowerBound(items, x, same))).toEqual([0, 0, 1, 3, 3, 4]);
  expect([0, 1, 3, 4, 5, 6].map((x) => upperBound(items, x, same))).toEqual([0, 1, 3, 3, 4, 4]);
});

describe("slices", () => {
  test("long work leaves the others their turn, and its result comes once", async () => {
    const slices = new Slices<number>(4);
    let steps = 0;
    let turns = 0;
    // It ends only if others have their turns meanwhile, or in vain.
    function* work(): Generator<void, number, void> {
      for (const until = performance.now() + 5000; turns < 3 && performance.now() < until; steps += 1) yield;
      return steps;
    }
    const results: number[] = [];
    const others = setInterval(() => (turns += 1), 1);
    await new Promise<void>((done) => {
      slices.start(work(), (result) => {
        results.push(result);
        done();
      });
      expect(slices.busy).toBe(true);
    });
    clearInterval(others);
    expect([results, slices.busy]).toEqual([[steps], false]);
    expect(turns).toBe(3);
    expect(slices.took).toBeGreaterThan(0);
  });

  test("what is little is done at once, and what was stopped or begun anew brings nothing", async () => {
    const slices = new Slices<string>(4);
    function* endless(): Generator<void, string, void> {
      for (;;) yield;
    }
    // biome-ignore lint/correctness/useYield: it is done in one step
    function* short(): Generator<void, string, void> {
      return "short";
    }
    const results: string[] = [];
    slices.start(endless(), (result) => results.push(result));
    slices.start(short(), (result) => results.push(result));
    expect([results, slices.busy]).toEqual([["short"], false]);
    slices.start(endless(), (result) => results.push(result));
    slices.stop();
    await new Promise((done) => setTimeout(done, 10));
    expect([results, slices.busy]).toEqual([["short"], false]);
  });

  test("whoever cannot wait has the result at once", () => {
    const slices = new Slices<string>(0);
    const results: string[] = [];
    let told = 0;
    function* long(): Generator<void, string, void> {
      for (let i = 0; i < 1000; i += 1) yield;
      return "all";
    }
    slices.start(
      long(),
      (result) => results.push(result),
      () => (told += 1),
    );
    expect([results, told]).toEqual([[], 1]);
    slices.finish();
    expect([results, told, slices.busy]).toEqual([["all"], 1, false]);
    slices.finish();
    expect(results).toEqual(["all"]);
  });
});

import { describe, expect, test } from "vitest";
import { Viewport } from "./viewport.ts";

function viewport(edge = 100e9): Viewport {
  const one = new Viewport();
  one.reach(0, edge);
  return one;
}

describe("viewport", () => {
  test("follows the last minute, with a little room at the right", () => {
    const one = viewport();
    expect(one.span).toBe(60e9);
    expect(one.end).toBe(101.2e9);
    one.reach(0, 110e9);
    expect(one.end).toBe(111.2e9);
  });

  test("shows less while there is less", () => {
    const one = new Viewport();
    const spans = [1e9, 5e9, 7e9, 11e9, 25e9, 31e9, 51e9, 500e9].map((edge) => {
      one.reach(0, edge);
      return one.span;
    });
    expect(spans).toEqual([5e9, 5e9, 8e9, 12e9, 25e9, 35e9, 60e9, 60e9]);
    one.zoom(2, 0);
    one.reach(0, 501e9);
    expect(one.span).toBe(120e9);
    // Of a record that forgets within a minute no more is shown than there was, and no less.
    one.restart();
    one.reach(0, 22e9);
    one.reach(15e9, 31e9);
    expect([one.span, one.end]).toEqual([25e9, 31.5e9]);
  });

  test("a span that is given, as by a link, stays while more comes", () => {
    const one = viewport(5e9);
    one.follow(17e9);
    expect(one.span).toBe(17e9);
    one.reach(0, 500e9);
    expect(one.span).toBe(17e9);
    expect(one.end).toBe(500e9 + 17e9 * 0.02);
  });

  test("a step into the past ends following, the right edge brings it back", () => {
    const one = viewport();
    one.pan(-10e9, true);
    expect(one.following).toBe(false);
    one.reach(0, 101e9);
    expect(one.end).toBe(91.2e9);
    one.pan(5e9, true);
    expect(one.following).toBe(false);
    one.pan(10e9, true);
    expect(one.following).toBe(true);
    expect(one.end).toBe(102.2e9);
  });

  test("a recording has no edge to follow", () => {
    const one = viewport();
    one.pan(-10e9, false);
    one.pan(50e9, false);
    expect(one.following).toBe(false);
  });

  test("zoom keeps the moment under the pointer, and the right end while following", () => {
    const one = viewport();
    one.zoom(0.5, 0);
    expect([one.following, one.span, one.end]).toEqual([true, 30e9, 100.6e9]);
    one.pan(-30e9, true);
    const part = (60e9 - one.start) / one.span;
    one.zoom(0.1, 60e9);
    expect(one.span).toBeCloseTo(3e9);
    expect((60e9 - one.start) / one.span).toBeCloseTo(part);
  });

  test("zoom has ends", () => {
    const one = viewport();
    one.zoom(1e-12, 50e9);
    expect(one.span).toBe(1000);
    one.zoom(1e12, 50e9);
    expect(one.span).toBe(150e9);
  });

  test("fit shows everything with some room", () => {
    const one = viewport();
    one.fit();
    expect(one.start).toBeCloseTo(-5e9, 3);
    expect(one.end).toBeCloseTo(105e9, 3);
  });
});

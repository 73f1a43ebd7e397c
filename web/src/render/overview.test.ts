import { expect, test } from "vitest";
import { drawOverview, type OverviewScene } from "./overview.ts";
import { LIGHT } from "./palette.ts";

/** What is filled in a colour, as `x width` of each box; of a shape the first point's `x`. */
function filled(scene: Partial<OverviewScene>): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  const note = (what: string) => {
    found[to.fillStyle] ??= [];
    found[to.fillStyle]?.push(what);
  };
  const to = {
    fillStyle: "",
    strokeStyle: "",
    lineWidth: 1,
    globalAlpha: 1,
    first: 0,
    fillRect: (x: number, _y: number, width: number) => note(`${Math.round(x)} ${Math.round(width)}`),
    beginPath() {},
    moveTo(x: number) {
      this.first = x;
    },
    lineTo() {},
    stroke() {},
    strokeRect() {},
    fill() {
      note(`at ${Math.round(this.first)}`);
    },
  };
  const count = new Uint32Array(10);
  drawOverview(
    to as unknown as CanvasRenderingContext2D,
    {
      width: 1000,
      height: 36,
      summary: { from: 0, to: 100, changes: count, errors: count, open: count },
      losses: [],
      bookmarks: [],
      cursor: undefined,
      window: { from: 0, to: 100 },
      ...scene,
    },
    LIGHT,
  );
  return found;
}

test("losses, errors and bookmarks stand in the strip where they were", () => {
  const errors = new Uint32Array(10);
  errors[7] = 1;
  const none = new Uint32Array(10);
  const drawn = filled({
    summary: { from: 0, to: 100, changes: none, errors, open: none },
    losses: [{ seq: 1, t: 50, count: 17, cause: "ring_full" }],
    bookmarks: [20],
  });
  // Errors and losses have one colour and two forms: a bar at the top, a dashed line from top to bottom.
  const alarms = drawn[LIGHT.lost] ?? [];
  expect(alarms.filter((box) => box === "700 100").length).toBe(1);
  expect(alarms.filter((box) => box === "499 3").length).toBe(9);
  expect(alarms.length).toBe(10);
  expect(drawn[LIGHT.accent]).toEqual(["at 200", "200 1"]);
});

test("without any there is none", () => {
  const drawn = filled({});
  expect(drawn[LIGHT.lost]).toBeUndefined();
  expect(drawn[LIGHT.accent]).toBeUndefined();
});

test("the selected failure is told apart from others, in the accent's colour", () => {
  const drawn = filled({ failure: 50 });
  expect(drawn[LIGHT.accent]).toEqual(["495 10"]);
  expect(drawn[LIGHT.roles.error]).toEqual(["498 5"]);
});

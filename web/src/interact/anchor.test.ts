import { expect, test } from "vitest";
import type { Row, Rows } from "../layout/rows.ts";
import { Arrivals, heldAt, holdingOn } from "./anchor.ts";

/** Rows of 20 pixels: processes in capitals, others in small letters. */
function rows(keys: string): Rows {
  const all = [...keys].map(
    (key, i) => ({ key, y: i * 20, height: 20, level: key === key.toUpperCase() ? 1 : 2 }) as unknown as Row,
  );
  const index = new Map(all.map(({ key }, i) => [key, i]));
  return { rows: all, index, height: all.length * 20, slots: 0, hidden: 0 };
}

test("what is at the top stays there, part of it out of sight as before", () => {
  const before = rows("AabBcd");
  expect(heldAt(rows("AaxybBcd"), holdingOn(before, 45, undefined), 45)).toBe(85);
  expect(heldAt(rows("AbBcd"), holdingOn(before, 45, undefined), 45)).toBe(25);
});

test("what is under the pointer stays there, whatever comes above it in sight", () => {
  const before = rows("AabBcd");
  expect(heldAt(rows("AabxyBcd"), holdingOn(before, 0, 90), 0)).toBe(40);
  // Below the last row there is nothing to hold by.
  expect(heldAt(rows("AabxyBcd"), holdingOn(before, 0, 500), 0)).toBe(0);
});

test("where a row is gone, the next that is left holds the others", () => {
  const before = rows("AabBcd");
  expect(heldAt(rows("AabBd"), holdingOn(before, 80, undefined), 80)).toBe(60);
  expect(heldAt(rows("xyz"), holdingOn(before, 80, undefined), 80)).toBe(80);
});

test("processes that came out of sight are told until they are seen", () => {
  const arrivals = new Arrivals();
  arrivals.look(rows("AaBb"), 40, true);
  expect(arrivals.unseen(rows("AaBb"), 40)).toEqual([]);
  const now = rows("AaBbCcDd");
  arrivals.look(now, 100, false);
  // C stands at 80, in sight.
  expect(arrivals.unseen(now, 100).map(({ key }) => key)).toEqual(["D"]);
  expect(arrivals.unseen(now, 140)).toEqual([]);
  expect(arrivals.unseen(now, 40)).toEqual([]);
});

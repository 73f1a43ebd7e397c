import { expect, test } from "vitest";
import { FORMS, SHAPES, TIES } from "../render/scene.ts";
import { legend } from "./legend.ts";
import { look } from "./life.ts";

const entries = legend().flatMap((group) => group.entries);
const lanes = entries.flatMap(({ piece }) => (piece.of === "lanes" ? [piece] : []));

test("the key has every form, mark, tie and band that the lanes draw", () => {
  const forms = lanes.flatMap(({ scene: { bars } }) => [...bars.form.slice(0, bars.length)]);
  expect([...new Set(forms.map((form) => FORMS[form]))].sort()).toEqual([...FORMS].sort());
  const marks = lanes.flatMap(({ scene }) => scene.marks.map(({ shape }) => shape));
  expect([...new Set(marks)].sort()).toEqual([...SHAPES].sort());
  const ties = lanes.flatMap(({ overlay }) => overlay?.links.map(({ tie }) => tie) ?? []);
  expect([...ties].sort()).toEqual([...TIES].sort());
  const bands = lanes.flatMap(({ scene }) => scene.bands.map(({ kind }) => kind));
  expect(bands).toEqual(["lost", "unkept", "ahead"]);
});

test("each has words of its own, and a phase has the form and colour that its row has", () => {
  expect(new Set(entries.map(({ words }) => words)).size).toBe(entries.length);
  const listening = entries.find(({ words }) => words === "A listener")?.piece;
  const { form, role } = look({ t: 0, phase: "listening", state: "LISTEN", error: null });
  expect([form, role]).toEqual(["double", "listening"]);
  const bars = listening?.of === "lanes" ? listening.scene.bars : undefined;
  expect(FORMS[bars?.form[0] ?? -1]).toBe(form);
});

test("each piece of the strip shows one thing", () => {
  const strips = entries.flatMap(({ piece }) => (piece.of === "strip" ? [piece.scene] : []));
  const sum = (all: Uint32Array) => all.reduce((a, b) => a + b, 0);
  const shown = strips.map(({ summary: { changes, errors, open }, losses, bookmarks, window }) => [
    sum(changes) > 0,
    sum(errors) > 0,
    sum(open) > 0,
    losses.length > 0,
    bookmarks.length > 0,
    window.to - window.from < 8,
  ]);
  expect(shown.map((things) => things.filter((thing) => thing).length)).toEqual([1, 1, 1, 1, 1, 1]);
  expect(shown[0]?.map((_, i) => shown.some((things) => things[i]))).toEqual(Array(6).fill(true));
});

import { describe, expect, test } from "vitest";
import { drawBar, type Patterns } from "./bars.ts";
import { FORCED, isSystem } from "./palette.ts";
import { FORMS, type Form } from "./scene.ts";

/** What is filled for a bar, in one colour: what tells forms apart where the system imposes its colours. */
function drawn(form: Form, height: number): string {
  const filled: string[] = [];
  const to = {
    fillStyle: "",
    globalAlpha: 1,
    fillRect: (...box: number[]) => {
      filled.push(`${to.fillStyle} ${to.globalAlpha} ${box.map((n) => n.toFixed(1)).join(" ")}`);
    },
  };
  const patterns = { to, of: (kind: string, colour: string) => `${kind} ${colour}` } as unknown as Patterns;
  drawBar(patterns, { x: 0, y: 0, width: 60, height }, "CanvasText", form, FORCED);
  return filled.join(", ");
}

describe("a form is told from the others without its colour", () => {
  const lives = FORMS.filter((form) => !["level", "limit", "full"].includes(form));
  // As high as in rows of each height, and as in a collapsed process with some slots.
  test.each([15, 13, 5, 3.5])("%d pixels high", (height) => {
    expect(new Set(lives.map((form) => drawn(form, height))).size).toBe(lives.length);
  });

  test("a queue's area takes the listener's bar away where that has the same colour", () => {
    const [first] = drawn("level", 15).split(", ");
    expect(first).toBe(`${FORCED.ground} 1 0.0 0.0 60.0 15.0`);
    expect([FORCED.ground, FORCED.line].every(isSystem)).toBe(true);
  });

  test("in two pixels: whole, half open, connecting and waiting", () => {
    const told = (["solid", "upper", "hatch", "fold", "line"] as const).map((form) => drawn(form, 2));
    expect(new Set(told).size).toBe(told.length);
  });
});

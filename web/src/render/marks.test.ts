import { expect, test } from "vitest";
import { drawMark } from "./marks.ts";
import { FORCED, LIGHT, type Palette } from "./palette.ts";
import type { Mark } from "./scene.ts";

/** What is filled for a mark, each as `colour x of its first point`. */
function filled(mark: Pick<Mark, "shape" | "role">, palette: Palette): string[] {
  const found: string[] = [];
  const to = {
    fillStyle: "",
    at: 0,
    beginPath() {},
    moveTo(_x: number, y: number) {
      this.at = y;
    },
    lineTo() {},
    fill() {
      found.push(`${to.fillStyle} ${this.at}`);
    },
  };
  drawMark(to as unknown as CanvasRenderingContext2D, { x: 10, y: 0, height: 24, ...mark }, palette);
  return found;
}

test.each(["accept", "accepts"] as const)(
  "%s: another process's is told by its form: it is hollow",
  (shape) => {
    for (const palette of [LIGHT, FORCED]) {
      const { ground, roles } = palette;
      expect(filled({ shape, role: "connected" }, palette)).toEqual([
        `${ground} 14`,
        `${roles.connected} 15`,
      ]);
      const hollow = [`${ground} 14`, `${roles.idle} 15`, `${ground} 17.5`];
      expect(filled({ shape, role: "idle" }, palette)).toEqual(hollow);
    }
  },
);

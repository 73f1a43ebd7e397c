import { count } from "../base/time.ts";
import { MARK_PX, widthOf } from "../layout/merge.ts";
import type { Palette } from "./palette.ts";
import type { Mark, Overlay } from "./scene.ts";

export const SMALL = "10px system-ui, sans-serif";

/** Space above and below a bar in its row. */
export const INSET = 4;

/** A bookmark: a pennant on the ruler with a dotted line below. */
export function flag(to: CanvasRenderingContext2D, x: number, { top, height }: Overlay): void {
  to.beginPath();
  to.moveTo(x, top - 14);
  to.lineTo(x + 9, top - 10);
  to.lineTo(x, top - 6);
  to.fill();
  for (let y = top - 14; y < height; y += 4) to.fillRect(x, y, 1, 2);
}

/** Around a mark that is selected. */
export function ring(to: CanvasRenderingContext2D, x: number, y: number, palette: Palette): void {
  for (const [colour, width] of [
    [palette.ground, 5],
    [palette.accent, 2.5],
  ] as const) {
    to.strokeStyle = colour;
    to.lineWidth = width;
    to.beginPath();
    to.arc(x, y, 9, 0, 2 * Math.PI);
    to.stroke();
  }
}

export function drawMark(to: CanvasRenderingContext2D, mark: Mark, palette: Palette): void {
  drawShape(to, mark, palette);
  if (mark.many === undefined) return;
  // Accepts stand in the lower part of a row, what was dropped in the upper, errors between them.
  const { x, y, height, shape, many } = mark;
  const top = shape === "overflow" ? y + 1 : shape === "accepts" ? y + height - 12 : y + height / 2 - 6;
  to.fillStyle = palette.ground;
  to.fillRect(x + MARK_PX / 2, top, widthOf(many) - MARK_PX, 11);
  to.fillStyle = palette.text;
  to.font = SMALL;
  to.textAlign = "left";
  to.textBaseline = "middle";
  to.fillText(count(many), x + MARK_PX / 2 + 1, top + 6);
}

function drawShape(to: CanvasRenderingContext2D, mark: Mark, palette: Palette): void {
  const { x, y, height, shape } = mark;
  const top = y + INSET;
  const bottom = y + height - INSET - 1;
  // In the lowest rows a mark is as high as its row: what reaches into the next one would be that one's.
  const small = Math.min(1, (height - 1) / 12);
  to.fillStyle = palette.roles[mark.role];
  switch (shape) {
    case "accept":
    case "accepts": {
      const wide = shape === "accepts" ? 5 : 4;
      const base = Math.min(bottom + 3, y + height - 1);
      const tall = Math.min(7, height - 2);
      // A frame in the ground's colour lifts the mark off the listener's bar.
      triangle(to, x, base + 1, wide + 1.5, tall + 2, palette.ground);
      triangle(to, x, base, wide, tall, palette.roles[mark.role]);
      // Another process's is hollow.
      if (mark.role === "idle") triangle(to, x, base - 1, wide / 2, tall / 2, palette.ground);
      return;
    }
    case "notch":
      to.fillStyle = palette.ground;
      to.beginPath();
      to.moveTo(x - 0.5, top);
      to.lineTo(x + 5, (top + bottom) / 2);
      to.lineTo(x - 0.5, bottom);
      to.fill();
      return;
    case "inherited":
      // A hook from above: it came from elsewhere.
      to.fillStyle = palette.text;
      to.fillRect(x - 1, y + 1, 1.5, bottom - y - 1);
      to.fillRect(x - 5, y + 1, 5, 1.5);
      return;
    case "passed":
      for (const [half, colour] of [
        [6, palette.ground],
        [4.5, palette.text],
      ] as const) {
        to.fillStyle = colour;
        to.beginPath();
        const middle = (top + bottom) / 2;
        to.moveTo(x - half, middle);
        to.lineTo(x, middle - half);
        to.lineTo(x + half, middle);
        to.lineTo(x, middle + half);
        to.fill();
      }
      return;
    case "overflow":
      // An arrow that a bar keeps out, on a ground of its own.
      to.fillStyle = palette.ground;
      to.fillRect(x - MARK_PX / 2, y, MARK_PX, 12 * small);
      to.fillStyle = palette.roles.error;
      to.fillRect(x - 5, y + 8 * small, 10, 2.5 * small);
      to.beginPath();
      to.moveTo(x - 4, y + small);
      to.lineTo(x + 4, y + small);
      to.lineTo(x, y + 7 * small);
      to.fill();
      return;
    case "cap":
      to.fillRect(x - 1, top, 1.5, bottom - top);
      return;
    case "arrow":
      to.strokeStyle = palette.roles[mark.role];
      to.lineWidth = 1.5;
      to.beginPath();
      to.moveTo(x, top + 2);
      to.lineTo(x + 5, (top + bottom) / 2);
      to.lineTo(x, bottom - 2);
      to.stroke();
      return;
    case "cross": {
      const middle = (top + bottom) / 2;
      const half = Math.max(2.5, 4 * small);
      for (const [colour, width] of [
        [palette.ground, 2 * half - 3],
        [palette.roles.error, 2.5],
      ] as const) {
        to.strokeStyle = colour;
        to.lineWidth = width;
        to.beginPath();
        to.moveTo(x - half, middle - half);
        to.lineTo(x + half, middle + half);
        to.moveTo(x + half, middle - half);
        to.lineTo(x - half, middle + half);
        to.stroke();
      }
    }
  }
}

/** A triangle that points up to `y - height` from its base at `y`. */
function triangle(
  to: CanvasRenderingContext2D,
  x: number,
  y: number,
  half: number,
  height: number,
  colour: string,
): void {
  to.fillStyle = colour;
  to.beginPath();
  to.moveTo(x, y - height);
  to.lineTo(x + half, y);
  to.lineTo(x - half, y);
  to.fill();
}

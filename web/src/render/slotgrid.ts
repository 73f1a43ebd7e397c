import type { Cell } from "../layout/slotgrid.ts";
import { drawBar, type Patterns } from "./bars.ts";
import { type Palette, textOn } from "./palette.ts";

/** Side of a cell, the gap to the next one included (CSS pixels). */
export const CELL_PX = 22;
const GAP_PX = 2;

export interface GridScene {
  readonly width: number;
  readonly height: number;
  /** Cells of a line. */
  readonly columns: number;
  /** The first line in sight, and how far it is scrolled out (pixels). */
  readonly scroll: number;
  readonly size: number;
  readonly cells: ReadonlyMap<number, Cell>;
  readonly limit: number | null;
  readonly selected: number | undefined;
  /** Whether the table may be wrong. */
  readonly doubtful: boolean;
}

/** Draws a table's numbers as cells, line by line from 0, with the limit between two of them. */
export function drawGrid(patterns: Patterns, scene: GridScene, palette: Palette): void {
  const { to } = patterns;
  const { width, height, columns, scroll, size, cells, limit } = scene;
  to.fillStyle = palette.ground;
  to.fillRect(0, 0, width, height);
  to.font = "9px system-ui, sans-serif";
  to.textAlign = "center";
  to.textBaseline = "middle";
  const first = Math.floor(scroll / CELL_PX) * columns;
  const last = Math.min(size, (Math.ceil((scroll + height) / CELL_PX) + 1) * columns);
  for (let fd = first; fd < last; fd += 1) {
    const x = (fd % columns) * CELL_PX;
    const y = Math.floor(fd / columns) * CELL_PX - scroll;
    const cell = cells.get(fd);
    if (cell) drawCell(patterns, cell, `${fd % 1000}${scene.doubtful ? "?" : ""}`, x, y, palette);
    else {
      to.strokeStyle = limit !== null && fd >= limit ? palette.ground : palette.edge;
      to.lineWidth = 1;
      to.strokeRect(x + 1.5, y + 1.5, CELL_PX - GAP_PX - 2, CELL_PX - GAP_PX - 2);
    }
    if (fd === scene.selected) {
      to.strokeStyle = palette.accent;
      to.lineWidth = 2;
      to.strokeRect(x, y, CELL_PX - 1, CELL_PX - 1);
    }
  }
  if (limit !== null && limit < size) drawLimit(to, scene, limit, palette);
}

function drawCell(
  patterns: Patterns,
  cell: Cell,
  text: string,
  x: number,
  y: number,
  palette: Palette,
): void {
  const { to } = patterns;
  const side = CELL_PX - GAP_PX;
  const colour = palette.roles[cell.role];
  const ink = textOn(colour);
  to.fillStyle = colour;
  to.strokeStyle = colour;
  to.lineWidth = 1.5;
  let number = palette.text;
  switch (cell.shape) {
    case "socket":
      drawBar(
        patterns,
        { x: x + 1, y: y + 1, width: side - 1, height: side - 1 },
        colour,
        cell.form,
        palette,
      );
      if (cell.form === "solid") number = ink;
      else plate(to, text, x, y, palette);
      break;
    case "listener":
      to.fillRect(x + 1, y + 1, side - 1, side - 1);
      to.fillStyle = ink;
      to.fillRect(x + 1, y + 3, side - 1, 1);
      number = ink;
      break;
    case "file":
      to.strokeRect(x + 1.5, y + 1.5, side - 2, side - 2);
      break;
    case "pipe":
      to.fillRect(x + 1, y + 1, side - 1, 2);
      to.fillRect(x + 1, y + side - 2, side - 1, 2);
      break;
    case "other":
      to.beginPath();
      to.arc(x + side / 2 + 0.5, y + side / 2 + 0.5, side / 2 - 1, 0, 2 * Math.PI);
      to.stroke();
      break;
  }
  to.fillStyle = number;
  // Below the corners' signs, of which the right one would touch its last digit.
  to.fillText(text, x + side / 2 + 0.5, y + side / 2 + 2.5, side - 2);
  // Corners: close-on-exec at the right, where it came from at the left.
  if (cell.cloexec) {
    to.fillStyle = number;
    to.fillRect(x + side - 4, y + 2, 3, 3);
  }
  if (cell.origin) {
    to.fillStyle = palette.accent;
    to.beginPath();
    to.moveTo(x, y);
    to.lineTo(x + 7, y);
    to.lineTo(x, y + 7);
    to.fill();
    if (cell.origin === "passed") {
      to.beginPath();
      to.moveTo(x, y + side);
      to.lineTo(x + 7, y + side);
      to.lineTo(x, y + side - 7);
      to.fill();
    }
  }
}

/** What a number is read on where its cell is not all of one colour. */
function plate(to: CanvasRenderingContext2D, text: string, x: number, y: number, palette: Palette): void {
  const side = CELL_PX - GAP_PX;
  to.strokeStyle = palette.ground;
  to.lineWidth = 3;
  to.lineJoin = "round";
  to.strokeText(text, x + side / 2 + 0.5, y + side / 2 + 2.5, side - 2);
}

/** The limit: a line below the last number that is allowed. */
function drawLimit(
  to: CanvasRenderingContext2D,
  { columns, scroll, width }: GridScene,
  limit: number,
  palette: Palette,
): void {
  const x = (limit % columns) * CELL_PX - 0.5;
  const y = Math.floor(limit / columns) * CELL_PX - scroll - 1;
  to.strokeStyle = palette.bad;
  to.lineWidth = 2;
  to.beginPath();
  to.moveTo(Math.min(width, columns * CELL_PX), y);
  to.lineTo(x, y);
  to.lineTo(x, y + CELL_PX);
  to.lineTo(0, y + CELL_PX);
  to.stroke();
}

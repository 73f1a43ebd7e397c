import { INSET } from "./marks.ts";
import { isSystem, type Palette, ROLES, type Role, textOn } from "./palette.ts";
import { type Bars, FORMS, type Form } from "./scene.ts";

type PatternKind = "hatch" | "strokes" | "dashes" | "sparse";

/** Patterns of one canvas, by kind and colour. */
export class Patterns {
  readonly #made = new Map<string, CanvasPattern | string>();

  constructor(readonly to: CanvasRenderingContext2D) {}

  /** Forgets them: those of another device pixel ratio look different. */
  clear(): void {
    this.#made.clear();
  }

  of(kind: PatternKind, colour: string): CanvasPattern | string {
    const key = `${kind} ${colour}`;
    let pattern = this.#made.get(key);
    if (pattern === undefined) {
      pattern = drawPattern(this.to, kind, colour);
      this.#made.set(key, pattern);
    }
    return pattern;
  }
}

export function drawBars(patterns: Patterns, bars: Bars, palette: Palette): void {
  for (let i = 0; i < bars.length; i += 1) {
    const role = ROLES[bars.role[i] ?? 0] as Role;
    const form = FORMS[bars.form[i] ?? 0] as Form;
    const full = bars.height[i] ?? 0;
    // A queue's level and its top say how high they are themselves.
    const queue = form === "level" || form === "full";
    const inset = queue || full < 12 ? 0 : full < 20 ? INSET / 2 : INSET;
    drawBar(
      patterns,
      {
        x: bars.x0[i] ?? 0,
        y: (bars.y[i] ?? 0) + inset,
        width: Math.max(1, (bars.x1[i] ?? 0) - (bars.x0[i] ?? 0)),
        height: full - 2 * inset - (full >= 5 && !queue ? 1 : 0),
      },
      palette.roles[role],
      form,
      palette,
    );
  }
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Bars lower than this have forms of their own. */
const LOW_PX = 6;

export function drawBar(patterns: Patterns, box: Box, colour: string, form: Form, palette: Palette): void {
  const { to } = patterns;
  const { x, y, width, height } = box;
  to.fillStyle = colour;
  if (form === "level") {
    // It lies on the listener's bar, which may have no other colour.
    if (isSystem(colour)) to.fillStyle = palette.ground;
    else to.globalAlpha = 0.45;
    to.fillRect(x, y, width, height);
    to.globalAlpha = 1;
    to.fillStyle = patterns.of("strokes", colour);
    to.fillRect(x, y, width, height);
    to.fillStyle = colour;
    to.fillRect(x, y, width, 1);
    return;
  }
  if (form === "limit") {
    for (let at = x; at < x + width; at += 8) to.fillRect(at, y, Math.min(5, x + width - at), 1.5);
    return;
  }
  if (form === "full") {
    to.fillRect(x, y, width, height);
    // What it lies on may have its colour.
    to.fillStyle = palette.ground;
    to.fillRect(x, y + height, width, 1);
    return;
  }
  if (height < LOW_PX) {
    drawLow(patterns, box, colour, form, palette);
    return;
  }
  switch (form) {
    case "solid":
      to.fillRect(x, y, width, height);
      // A gap of one pixel keeps neighbours of one colour apart.
      to.fillStyle = palette.ground;
      to.fillRect(x + width - 0.5, y, 0.5, height);
      return;
    case "outline":
    case "tick":
      frame(to, x, y + 2, width, height - 4);
      if (form === "tick") to.fillRect(x, y, Math.min(3, width), height);
      return;
    case "double":
      to.fillRect(x, y - 2, width, 1);
      to.fillRect(x, y, width, height);
      to.fillStyle = textOn(colour);
      to.globalAlpha = 0.75;
      to.fillRect(x, y + 1, width, 1);
      to.globalAlpha = 1;
      return;
    case "hatch":
      to.fillStyle = patterns.of("hatch", colour);
      to.fillRect(x, y, width, height);
      to.fillStyle = colour;
      frame(to, x, y, width, height);
      return;
    case "upper":
      to.fillRect(x, y, width, height / 2);
      to.fillRect(x, y + height - 1, width, 1);
      return;
    case "lower":
      to.fillRect(x, y, width, 1);
      to.fillRect(x, y + height / 2, width, height / 2);
      return;
    case "queue":
      to.fillStyle = patterns.of("strokes", colour);
      to.fillRect(x, y + height - 6, width, 6);
      to.fillStyle = colour;
      to.fillRect(x, y + height - 1, width, 1);
      return;
    case "tail":
      to.fillRect(x, y + height / 2 - 2, width, 4);
      return;
    case "line":
      to.fillRect(x, y + height / 2 - 1, width, 2);
      return;
    case "fold":
      to.globalAlpha = 0.35;
      to.fillRect(x, y, width, height);
      to.globalAlpha = 1;
      to.fillStyle = patterns.of("strokes", colour);
      to.fillRect(x, y, width, height);
      return;
  }
}

/** A row of the lowest height, or a strip of a collapsed process: the form is what a few pixels can show of it. */
function drawLow(patterns: Patterns, box: Box, colour: string, form: Form, palette: Palette): void {
  const { to } = patterns;
  const { x, y, width, height } = box;
  switch (form) {
    case "double":
      to.fillRect(x, y, width, height);
      to.fillStyle = palette.ground;
      if (height >= 3) to.fillRect(x, y + 1, width, 1);
      return;
    case "hatch":
      to.fillStyle = patterns.of("strokes", colour);
      to.fillRect(x, y, width, height);
      return;
    case "upper":
    case "lower":
      // Half of two pixels would be a thing that is no socket.
      if (height < 3) to.fillStyle = patterns.of("dashes", colour);
      to.fillRect(
        x,
        height < 3 || form === "upper" ? y : y + height / 2,
        width,
        height < 3 ? height : height / 2,
      );
      return;
    case "fold":
      to.globalAlpha = 0.6;
      to.fillRect(x, y, width, height);
      to.globalAlpha = 1;
      return;
    case "queue":
      to.fillStyle = patterns.of("strokes", colour);
      to.fillRect(x, y + height - Math.min(2, height), width, Math.min(2, height));
      return;
    case "outline":
    case "tick":
      to.fillRect(x, y, width, Math.min(1, height));
      if (height >= 3) to.fillRect(x, y + height - 1, width, 1);
      if (form === "tick") to.fillRect(x, y, Math.min(3, width), height);
      return;
    case "line":
    case "tail":
      to.fillRect(
        x,
        form === "tail" ? y + height - 1 : y + Math.floor(height / 2),
        width,
        Math.min(1, height),
      );
      return;
    default: {
      // Lower than a listener's, which fills its row.
      const inset = height < 5 ? 0 : 1;
      to.fillRect(x, y + inset, width, height - 2 * inset);
    }
  }
}

function frame(to: CanvasRenderingContext2D, x: number, y: number, width: number, height: number): void {
  if (width < 3) {
    to.fillRect(x, y, width, height);
    return;
  }
  to.fillRect(x, y, width, 1.5);
  to.fillRect(x, y + height - 1.5, width, 1.5);
  to.fillRect(x, y, 1.5, height);
  to.fillRect(x + width - 1.5, y, 1.5, height);
}

function drawPattern(
  to: CanvasRenderingContext2D,
  kind: PatternKind,
  colour: string,
): CanvasPattern | string {
  const size = kind === "strokes" ? 4 : kind === "sparse" ? 12 : 8;
  const tile = document.createElement("canvas");
  tile.width = size;
  tile.height = size;
  const on = tile.getContext("2d");
  if (!on) return colour;
  on.strokeStyle = colour;
  on.fillStyle = colour;
  if (kind === "strokes" || kind === "dashes") {
    on.fillRect(0, 0, kind === "strokes" ? 2 : 5, size);
  } else {
    on.lineWidth = kind === "hatch" ? 2.5 : 1.5;
    on.beginPath();
    for (const shift of [-size, 0, size]) {
      on.moveTo(shift, size);
      on.lineTo(shift + size, 0);
    }
    on.stroke();
  }
  return to.createPattern(tile, "repeat") ?? colour;
}

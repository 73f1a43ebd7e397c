import { type Palette, ROLES, type Role, textOn } from "./palette.ts";
import type { Renderer } from "./renderer.ts";
import { FORMS, type Form, type Label, type Mark, type Overlay, type Scene, type Tie } from "./scene.ts";

const FONT = "11px system-ui, sans-serif";
const SMALL = "10px system-ui, sans-serif";
/** Space above and below a bar in its row. */
const INSET = 4;

/** What ties two rows together, in the curve between them. */
const DASHES: Readonly<Record<Tie, number[]>> = { accept: [], pair: [7, 4], shared: [2, 3] };

/** Draws on two canvases, one over the other, so that the pointer's movement never redraws the lanes. */
export class Canvas2dRenderer implements Renderer {
  readonly #lanes: CanvasRenderingContext2D;
  readonly #overlay: CanvasRenderingContext2D;
  readonly #patterns = new Map<string, CanvasPattern | string>();
  #widths = new Map<string, number>();
  #ratio = 1;

  constructor(lanes: HTMLCanvasElement, overlay: HTMLCanvasElement) {
    const below = lanes.getContext("2d", { alpha: false });
    const above = overlay.getContext("2d");
    if (!below || !above) throw new Error("This browser gives no 2D canvas.");
    this.#lanes = below;
    this.#overlay = above;
  }

  resize(width: number, height: number, ratio: number): void {
    this.#ratio = ratio;
    this.#patterns.clear();
    for (const { canvas } of [this.#lanes, this.#overlay]) {
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
    }
  }

  lanes(scene: Scene, palette: Palette): void {
    const to = this.#lanes;
    to.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    to.fillStyle = palette.ground;
    to.fillRect(0, 0, scene.width, scene.height);
    for (const line of scene.lines) {
      if (line.state !== "plain" || line.kind === "process") {
        to.fillStyle = line.state === "selected" ? palette.selected : palette.raised;
        to.fillRect(0, line.y, scene.width, line.height);
      }
      to.fillStyle = palette.line;
      to.fillRect(0, line.y + line.height - 1, scene.width, 1);
    }
    to.fillStyle = palette.line;
    for (const tick of scene.ticks) to.fillRect(Math.round(tick.x), scene.top, 1, scene.height - scene.top);
    for (const band of scene.bands) if (band.kind !== "lost") this.#band(scene, band, palette);
    to.save();
    to.beginPath();
    to.rect(0, scene.top, scene.width, scene.height - scene.top);
    to.clip();
    this.#bars(scene, palette);
    for (const mark of scene.marks) drawMark(to, mark, palette);
    for (const label of scene.labels) this.#label(label, palette);
    to.restore();
    for (const band of scene.bands) if (band.kind === "lost") this.#band(scene, band, palette);
    this.#ruler(scene, palette);
  }

  overlay(overlay: Overlay, palette: Palette): void {
    const to = this.#overlay;
    to.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    to.clearRect(0, 0, overlay.width, overlay.height);
    to.save();
    to.beginPath();
    to.rect(0, overlay.top, overlay.width, overlay.height - overlay.top);
    to.clip();
    const { outline } = overlay;
    if (outline) {
      to.strokeStyle = palette.accent;
      to.lineWidth = 2;
      const width = Math.max(4, outline.x1 - outline.x0);
      to.strokeRect(outline.x0 - 1, outline.y + INSET - 2, width + 2, outline.height - 2 * INSET + 4);
    }
    to.lineWidth = overlay.links.length > 8 ? 1 : 1.5;
    to.strokeStyle = palette.accent;
    to.fillStyle = palette.accent;
    for (const link of overlay.links) {
      const bend = Math.min(28, Math.abs(link.y1 - link.y0) / 2 + 6);
      to.beginPath();
      to.moveTo(link.x, link.y0);
      to.bezierCurveTo(link.x - bend, link.y0, link.x - bend, link.y1, link.x, link.y1);
      to.setLineDash(DASHES[link.tie]);
      to.stroke();
      to.beginPath();
      to.arc(link.x, link.y1, 3, 0, 2 * Math.PI);
      to.fill();
    }
    to.setLineDash([]);
    to.restore();
    this.#range(overlay, palette);
    to.fillStyle = palette.accent;
    for (const x of overlay.bookmarks) flag(to, Math.round(x), overlay);
    if (overlay.note) {
      to.font = FONT;
      this.#tag(
        to,
        overlay.note,
        overlay.width / 2,
        overlay.top + 14,
        palette.accent,
        palette.onAccent,
        overlay.width,
      );
    }
    if (overlay.pointer !== undefined) {
      to.fillStyle = palette.edge;
      to.fillRect(Math.round(overlay.pointer), overlay.top - 6, 1, 6);
    }
    if (overlay.cursor) {
      const x = Math.round(overlay.cursor.x);
      to.fillStyle = palette.accent;
      to.fillRect(x, 0, 1, overlay.height);
      to.font = FONT;
      this.#tag(
        to,
        overlay.cursor.label,
        x,
        overlay.top / 2,
        palette.accent,
        palette.onAccent,
        overlay.width,
      );
    }
  }

  #range({ range, top, width, height }: Overlay, palette: Palette): void {
    if (!range) return;
    const to = this.#overlay;
    to.fillStyle = palette.accent;
    to.globalAlpha = 0.12;
    to.fillRect(range.x0, top, range.x1 - range.x0, height - top);
    to.globalAlpha = 1;
    to.fillRect(Math.round(range.x0), top, 1, height - top);
    to.fillRect(Math.round(range.x1), top, 1, height - top);
    to.font = FONT;
    this.#tag(to, range.label, (range.x0 + range.x1) / 2, top + 12, palette.accent, palette.onAccent, width);
  }

  #bars(scene: Scene, palette: Palette): void {
    const { bars } = scene;
    for (let i = 0; i < bars.length; i += 1) {
      const role = ROLES[bars.role[i] ?? 0] as Role;
      const form = FORMS[bars.form[i] ?? 0] as Form;
      const full = bars.height[i] ?? 0;
      // A queue's level says how high it is itself.
      const inset = form === "level" || full < 12 ? 0 : full < 20 ? INSET / 2 : INSET;
      this.#bar(
        bars.x0[i] ?? 0,
        (bars.y[i] ?? 0) + inset,
        Math.max(1, (bars.x1[i] ?? 0) - (bars.x0[i] ?? 0)),
        full - 2 * inset - (full >= 5 && form !== "level" ? 1 : 0),
        palette.roles[role],
        form,
        palette,
      );
    }
  }

  #bar(
    x: number,
    y: number,
    width: number,
    height: number,
    colour: string,
    form: Form,
    palette: Palette,
  ): void {
    const to = this.#lanes;
    to.fillStyle = colour;
    if (form === "level") {
      to.globalAlpha = 0.45;
      to.fillRect(x, y, width, height);
      to.globalAlpha = 1;
      to.fillStyle = this.#pattern("strokes", colour);
      to.fillRect(x, y, width, height);
      to.fillStyle = colour;
      to.fillRect(x, y, width, 1);
      return;
    }
    if (form === "limit") {
      for (let at = x; at < x + width; at += 8) to.fillRect(at, y, Math.min(5, x + width - at), 1.5);
      return;
    }
    if (height < 6) {
      // A strip of a collapsed process: only the colour is left, and other things than sockets stay thin.
      to.fillRect(
        x,
        y,
        width,
        form === "line" || form === "tail" || form === "queue" ? Math.min(1, height) : height,
      );
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
        to.fillStyle = this.#pattern("hatch", colour);
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
        to.fillStyle = this.#pattern("strokes", colour);
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
        to.fillStyle = this.#pattern("strokes", colour);
        to.fillRect(x, y, width, height);
        return;
    }
  }

  #label(label: Label, palette: Palette): void {
    const to = this.#lanes;
    to.font = label.on ? FONT : SMALL;
    to.textBaseline = "middle";
    to.textAlign = "left";
    const text = this.#cut(to, label.text, label.width);
    if (!text) return;
    const y = label.y + 12;
    if (label.on) {
      to.fillStyle = textOn(palette.roles[label.on]);
      to.fillText(text, label.x, y + 1);
      return;
    }
    // On the thin line of a file the text needs a ground of its own.
    to.fillStyle = palette.ground;
    to.fillRect(label.x - 4, y - 7, this.#width(to, text) + 8, 14);
    to.fillStyle = palette.muted;
    to.fillText(text, label.x, y);
  }

  #band(scene: Scene, band: { x0: number; x1: number; kind: string; label: string }, palette: Palette): void {
    const to = this.#lanes;
    const width = Math.max(band.kind === "lost" ? 6 : 0, band.x1 - band.x0);
    const height = scene.height - scene.top;
    if (band.kind === "lost") {
      to.fillStyle = this.#pattern("hatch", palette.lost);
      to.globalAlpha = 0.55;
      to.fillRect(band.x0, scene.top, width, height);
      to.globalAlpha = 1;
      to.fillStyle = palette.lost;
      to.fillRect(band.x0, scene.top, 1, height);
      to.fillRect(band.x0 + width - 1, scene.top, 1, height);
      to.font = FONT;
      this.#tag(to, band.label, band.x0 + width / 2, scene.top + 10, palette.bad, palette.onBad, scene.width);
    } else {
      to.globalAlpha = 0.5;
      to.fillStyle = this.#pattern("sparse", palette.line);
      to.fillRect(band.x0, scene.top, width, height);
      to.globalAlpha = 1;
    }
  }

  #ruler(scene: Scene, palette: Palette): void {
    const to = this.#lanes;
    to.fillStyle = palette.raised;
    to.fillRect(0, 0, scene.width, scene.top);
    to.fillStyle = palette.line;
    to.fillRect(0, scene.top - 1, scene.width, 1);
    to.font = FONT;
    to.textBaseline = "middle";
    to.textAlign = "left";
    for (const tick of scene.ticks) {
      to.fillStyle = palette.edge;
      to.fillRect(Math.round(tick.x), scene.top - 8, 1, 8);
      to.fillStyle = palette.muted;
      const x = Math.round(tick.x) + 5;
      // Half a time is none.
      if (x + this.#width(to, tick.label) <= scene.width) to.fillText(tick.label, x, scene.top / 2);
    }
  }

  #tag(
    to: CanvasRenderingContext2D,
    text: string,
    x: number,
    y: number,
    ground: string,
    ink: string,
    limit: number,
  ): void {
    const width = this.#width(to, text) + 12;
    const left = Math.max(2, Math.min(limit - width - 2, x - width / 2));
    to.fillStyle = ground;
    to.beginPath();
    to.roundRect(left, y - 8, width, 16, 3);
    to.fill();
    to.fillStyle = ink;
    to.textAlign = "left";
    to.textBaseline = "middle";
    to.fillText(text, left + 6, y + 0.5);
  }

  #cut(to: CanvasRenderingContext2D, text: string, width: number): string {
    if (this.#width(to, text) <= width) return text;
    const fits = Math.floor((text.length * width) / Math.max(1, this.#width(to, text))) - 1;
    return fits >= 4 ? `${text.slice(0, fits)}…` : "";
  }

  #width(to: CanvasRenderingContext2D, text: string): number {
    const key = `${to.font}\n${text}`;
    let width = this.#widths.get(key);
    if (width === undefined) {
      if (this.#widths.size > 5000) this.#widths = new Map();
      width = to.measureText(text).width;
      this.#widths.set(key, width);
    }
    return width;
  }

  #pattern(kind: "hatch" | "strokes" | "sparse", colour: string): CanvasPattern | string {
    const key = `${kind} ${colour}`;
    let pattern = this.#patterns.get(key);
    if (pattern === undefined) {
      pattern = drawPattern(this.#lanes, kind, colour);
      this.#patterns.set(key, pattern);
    }
    return pattern;
  }
}

/** A bookmark: a pennant on the ruler with a dotted line below. */
function flag(to: CanvasRenderingContext2D, x: number, { top, height }: Overlay): void {
  to.beginPath();
  to.moveTo(x, top - 14);
  to.lineTo(x + 9, top - 10);
  to.lineTo(x, top - 6);
  to.fill();
  for (let y = top - 14; y < height; y += 4) to.fillRect(x, y, 1, 2);
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
  kind: "hatch" | "strokes" | "sparse",
  colour: string,
): CanvasPattern | string {
  const size = kind === "strokes" ? 4 : kind === "hatch" ? 8 : 12;
  const tile = document.createElement("canvas");
  tile.width = size;
  tile.height = size;
  const on = tile.getContext("2d");
  if (!on) return colour;
  on.strokeStyle = colour;
  on.fillStyle = colour;
  if (kind === "strokes") {
    on.fillRect(0, 0, 2, size);
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

function drawMark(to: CanvasRenderingContext2D, mark: Mark, palette: Palette): void {
  const { x, y, height, shape } = mark;
  const top = y + INSET;
  const bottom = y + height - INSET - 1;
  to.fillStyle = palette.roles[mark.role];
  switch (shape) {
    case "accept":
    case "accepts": {
      const wide = shape === "accepts" ? 6 : 4;
      // A frame in the ground's colour lifts the mark off the listener's bar.
      triangle(to, x, bottom + 4, wide + 1.5, 9, palette.ground);
      triangle(to, x, bottom + 3, wide, 7, palette.roles[mark.role]);
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
    case "full":
      to.fillStyle = palette.ground;
      to.beginPath();
      to.moveTo(x - 6.5, y);
      to.lineTo(x + 6.5, y);
      to.lineTo(x, y + 10.5);
      to.fill();
      to.fillStyle = palette.roles.error;
      to.beginPath();
      to.moveTo(x - 5, y + 1);
      to.lineTo(x + 5, y + 1);
      to.lineTo(x, y + 9);
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
      for (const [colour, width] of [
        [palette.ground, 5],
        [palette.roles.error, 2.5],
      ] as const) {
        to.strokeStyle = colour;
        to.lineWidth = width;
        to.beginPath();
        to.moveTo(x - 4, middle - 4);
        to.lineTo(x + 4, middle + 4);
        to.moveTo(x + 4, middle - 4);
        to.lineTo(x - 4, middle + 4);
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

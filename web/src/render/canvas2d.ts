import { MARK_PX, widthOf } from "../layout/merge.ts";
import { drawBars, Patterns } from "./bars.ts";
import { drawMark, flag, INSET, ring, SMALL } from "./marks.ts";
import { isSystem, type Palette, textOn } from "./palette.ts";
import type { Renderer } from "./renderer.ts";
import type { Label, Link, Mark, Overlay, Scene, Tie } from "./scene.ts";

const FONT = "11px system-ui, sans-serif";
/** What ties two rows together, in the curve between them. */
const DASHES: Readonly<Record<Tie, number[]>> = { accept: [], pair: [7, 4], shared: [2, 3] };

/** What a band is, where there is no room to say since when. */
const SHORT: Readonly<Record<string, string>> = { unkept: "not kept", ahead: "not shown" };

/** Whether a link may run through a label, which is as high as a row. */
function crosses({ x, y0, y1, bend }: Link, text: Pick<Label, "x" | "y" | "width">): boolean {
  return (
    text.x < x + 6 &&
    text.x + text.width > x - bend &&
    text.y < Math.max(y0, y1) + 6 &&
    text.y + 24 > Math.min(y0, y1) - 6
  );
}

/** Draws on two canvases, one over the other, so that the pointer's movement never redraws the lanes. */
export class Canvas2dRenderer implements Renderer {
  readonly #lanes: CanvasRenderingContext2D;
  readonly #overlay: CanvasRenderingContext2D;
  readonly #patterns: Patterns;
  #widths = new Map<string, number>();
  /** Those that the lanes show. */
  #labels: readonly Label[] = [];
  /** Likewise, those with numbers. */
  #numbers: readonly Mark[] = [];
  /** Likewise, the times in the ruler, from where to where. */
  #ruled: readonly (readonly [from: number, to: number])[] = [];
  #ratio = 1;

  constructor(lanes: HTMLCanvasElement, overlay: HTMLCanvasElement) {
    const below = lanes.getContext("2d", { alpha: false });
    const above = overlay.getContext("2d");
    if (!below || !above) throw new Error("This browser gives no 2D canvas.");
    this.#lanes = below;
    this.#patterns = new Patterns(below);
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
    this.#labels = scene.labels;
    this.#numbers = scene.marks.filter(({ many }) => many !== undefined);
    to.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    to.fillStyle = palette.ground;
    to.fillRect(0, 0, scene.width, scene.height);
    for (const line of scene.lines) {
      if (line.kind !== "process" || line.state === "selected") continue;
      to.fillStyle = palette.raised;
      to.fillRect(0, line.y, scene.width, line.height);
    }
    to.fillStyle = palette.line;
    // The system's colours have no faint one, and a line as strong as a file's bar would be taken for it.
    to.globalAlpha = isSystem(palette.line) ? 0.25 : 1;
    for (const line of scene.lines) to.fillRect(0, line.y + line.height - 1, scene.width, 1);
    for (const tick of scene.ticks) to.fillRect(Math.round(tick.x), scene.top, 1, scene.height - scene.top);
    to.globalAlpha = 1;
    // Between two lines, on the ground that the bars' colours are made for.
    to.fillStyle = palette.accent;
    for (const { state, y, height } of scene.lines) {
      if (state === "selected") for (const at of [y - 1, y + height - 1]) to.fillRect(0, at, scene.width, 1);
    }
    for (const band of scene.bands) if (band.kind !== "lost") this.#band(scene, band, palette);
    to.save();
    to.beginPath();
    to.rect(0, scene.top, scene.width, scene.height - scene.top);
    to.clip();
    drawBars(this.#patterns, scene.bars, palette);
    for (const mark of scene.marks) drawMark(to, mark, palette);
    for (const label of scene.labels) this.#label(to, label, palette, false);
    to.restore();
    this.#ruler(scene, palette);
    for (const band of scene.bands) if (band.kind === "lost") this.#band(scene, band, palette);
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
    this.#links(overlay.links, palette);
    // Neither the frame nor a link goes through a number.
    for (const mark of this.#numbers) {
      const text = { x: mark.x - MARK_PX / 2, y: mark.y, width: widthOf(mark.many ?? 1) };
      if (mark.y === outline?.y || overlay.links.some((link) => crosses(link, text)))
        drawMark(to, mark, palette);
    }
    if (overlay.failure) ring(to, overlay.failure.x, overlay.failure.y, palette);
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
    if (overlay.cursor && overlay.cursor.x >= 0 && overlay.cursor.x <= overlay.width) {
      const x = Math.round(overlay.cursor.x);
      to.fillStyle = palette.accent;
      to.fillRect(x, 0, 1, overlay.height);
      to.font = FONT;
      this.#clear(overlay, overlay.cursor.label, x, palette);
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

  /** Half a time beside a tag would be another one: those that it covers in part go. */
  #clear({ top, width }: Overlay, text: string, x: number, palette: Palette): void {
    const to = this.#overlay;
    const [left, wide] = this.#place(to, text, x, width);
    to.fillStyle = palette.raised;
    for (const [from, end] of this.#ruled) {
      if (from < left + wide && end > left) to.fillRect(from, top / 2 - 8, end - from, 16);
    }
    to.fillStyle = palette.accent;
  }

  #links(links: readonly Link[], palette: Palette): void {
    const to = this.#overlay;
    const wide = links.length > 8 ? 1 : 1.5;
    // A border in the ground's colour sets them off the bars that they cross.
    for (const [border, colour] of [
      [1, palette.ground],
      [0, palette.accent],
    ] as const) {
      to.strokeStyle = colour;
      to.fillStyle = colour;
      to.lineWidth = wide + 2 * border;
      for (const { tie, x, y0, y1, bend } of links) {
        to.beginPath();
        to.moveTo(x, y0);
        to.bezierCurveTo(x - bend, y0, x - bend, y1, x, y1);
        to.setLineDash(border > 0 ? [] : DASHES[tie]);
        to.stroke();
        to.beginPath();
        to.arc(x, y1, 3 + border, 0, 2 * Math.PI);
        to.fill();
      }
    }
    to.setLineDash([]);
    for (const label of this.#labels) {
      if (links.some((link) => crosses(link, label))) this.#label(to, label, palette, true);
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

  /** @param halo Sets its text off from what crosses it. */
  #label(to: CanvasRenderingContext2D, label: Label, palette: Palette, halo: boolean): void {
    to.font = label.on ? FONT : SMALL;
    to.textBaseline = "middle";
    to.textAlign = "left";
    const text = this.#cut(to, label);
    if (!text) return;
    const y = label.y + 12;
    if (label.on) {
      if (halo) {
        to.strokeStyle = palette.roles[label.on];
        to.lineWidth = 4;
        to.lineJoin = "round";
        to.strokeText(text, label.x, y + 1);
      }
      to.fillStyle = textOn(palette.roles[label.on]);
      to.fillText(text, label.x, y + 1);
      return;
    }
    // On the thin line of a file, or on stripes, the text needs a ground of its own.
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
      to.fillStyle = this.#patterns.of("hatch", palette.lost);
      to.globalAlpha = 0.55;
      to.fillRect(band.x0, scene.top, width, height);
      to.globalAlpha = 1;
      to.fillStyle = palette.lost;
      to.fillRect(band.x0, scene.top, 1, height);
      to.fillRect(band.x0 + width - 1, scene.top, 1, height);
      to.font = FONT;
      // In the ruler: over the rows it would hide what failed just then.
      this.#tag(
        to,
        band.label,
        (band.x0 + band.x1) / 2,
        scene.top / 2,
        palette.bad,
        palette.onBad,
        scene.width,
      );
    } else {
      // Time that nothing is known of must not look like time in which nothing happened.
      to.globalAlpha = 0.85;
      to.fillStyle = this.#patterns.of("sparse", palette.edge);
      to.fillRect(band.x0, scene.top, width, height);
      to.globalAlpha = 1;
      to.font = FONT;
      const label = [band.label, SHORT[band.kind] ?? ""].find((one) => this.#width(to, one) + 12 <= width);
      if (!label) return;
      const text = this.#width(to, label);
      const x = band.x0 + (width - text) / 2;
      to.fillStyle = palette.ground;
      to.fillRect(x - 6, scene.top + 4, text + 12, 16);
      to.fillStyle = palette.muted;
      to.textAlign = "left";
      to.textBaseline = "middle";
      to.fillText(label, x, scene.top + 12.5);
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
    to.fillStyle = palette.edge;
    for (const tick of scene.ticks) to.fillRect(Math.round(tick.x), scene.top - 8, 1, 8);
    const right = this.#times(scene, false);
    // All of them on one side, so that none stands nearer to another one's tick.
    const left = right.length < 2 ? this.#times(scene, true) : [];
    to.fillStyle = palette.muted;
    const times = left.length > right.length ? left : right;
    for (const [label, x] of times) to.fillText(label, x, scene.top / 2);
    this.#ruled = times.map(([label, x]) => [x, x + this.#width(to, label)]);
  }

  /** The ticks' labels that have room on one side of them: half a time is none. */
  #times({ ticks, bands, width }: Scene, left: boolean): [label: string, x: number][] {
    const to = this.#lanes;
    const lost = bands.filter(({ kind }) => kind === "lost");
    return ticks.flatMap(({ x, label }) => {
      const own = this.#width(to, label);
      const from = Math.round(x) + (left ? -5 - own : 5);
      const free = lost.every((band) => {
        const [tag, wide] = this.#place(to, band.label, (band.x0 + band.x1) / 2, width);
        return from + own < tag || from > tag + wide;
      });
      return free && from >= 0 && from + own <= width ? [[label, from]] : [];
    });
  }

  /** Where a tag that stands around a place begins, and how wide it is. */
  #place(to: CanvasRenderingContext2D, text: string, x: number, limit: number): [x: number, width: number] {
    const width = this.#width(to, text) + 12;
    return [Math.max(2, Math.min(limit - width - 2, x - width / 2)), width];
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
    const [left, width] = this.#place(to, text, x, limit);
    to.fillStyle = ground;
    to.beginPath();
    to.roundRect(left, y - 8, width, 16, 3);
    to.fill();
    to.fillStyle = ink;
    to.textAlign = "left";
    to.textBaseline = "middle";
    to.fillText(text, left + 6, y + 0.5);
  }

  #cut(to: CanvasRenderingContext2D, { text, least, width }: Label): string {
    if (this.#width(to, text) <= width) return text;
    if (least !== undefined) return this.#width(to, least) <= width ? least : "";
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
}

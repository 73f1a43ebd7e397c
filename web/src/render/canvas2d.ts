import { drawBars, Patterns } from "./bars.ts";
import { drawMark, flag, INSET } from "./marks.ts";
import { type Palette, textOn } from "./palette.ts";
import type { Renderer } from "./renderer.ts";
import type { Label, Overlay, Scene, Tie } from "./scene.ts";

const FONT = "11px system-ui, sans-serif";
const SMALL = "10px system-ui, sans-serif";
/** What ties two rows together, in the curve between them. */
const DASHES: Readonly<Record<Tie, number[]>> = { accept: [], pair: [7, 4], shared: [2, 3] };

/** Draws on two canvases, one over the other, so that the pointer's movement never redraws the lanes. */
export class Canvas2dRenderer implements Renderer {
  readonly #lanes: CanvasRenderingContext2D;
  readonly #overlay: CanvasRenderingContext2D;
  readonly #patterns: Patterns;
  #widths = new Map<string, number>();
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
    drawBars(this.#patterns, scene.bars, palette);
    for (const mark of scene.marks) drawMark(to, mark, palette);
    for (const label of scene.labels) this.#label(label, palette);
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
    if (overlay.cursor && overlay.cursor.x >= 0 && overlay.cursor.x <= overlay.width) {
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
      to.fillStyle = this.#patterns.of("hatch", palette.lost);
      to.globalAlpha = 0.55;
      to.fillRect(band.x0, scene.top, width, height);
      to.globalAlpha = 1;
      to.fillStyle = palette.lost;
      to.fillRect(band.x0, scene.top, 1, height);
      to.fillRect(band.x0 + width - 1, scene.top, 1, height);
      to.font = FONT;
      // In the ruler: over the rows it would hide what failed just then.
      this.#tag(to, band.label, band.x0 + width / 2, scene.top / 2, palette.bad, palette.onBad, scene.width);
    } else {
      to.globalAlpha = 0.5;
      to.fillStyle = this.#patterns.of("sparse", palette.line);
      to.fillRect(band.x0, scene.top, width, height);
      to.globalAlpha = 1;
      to.font = FONT;
      const text = this.#width(to, band.label);
      if (text + 24 > width) return;
      const x = band.x0 + (width - text) / 2;
      to.fillStyle = palette.ground;
      to.fillRect(x - 6, scene.top + 4, text + 12, 16);
      to.fillStyle = palette.muted;
      to.textAlign = "left";
      to.textBaseline = "middle";
      to.fillText(band.label, x, scene.top + 12.5);
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
}

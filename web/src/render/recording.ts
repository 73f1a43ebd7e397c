import { ROLES } from "./palette.ts";
import type { Renderer } from "./renderer.ts";
import { FORMS, type Overlay, type Scene } from "./scene.ts";

/** Keeps what it is given instead of drawing it, so that tests read scenes without a browser. */
export class RecordingRenderer implements Renderer {
  scene: Scene | undefined;
  last: Overlay | undefined;
  size: readonly [number, number, number] = [0, 0, 1];

  resize(width: number, height: number, ratio: number): void {
    this.size = [width, height, ratio];
  }

  lanes(scene: Scene): void {
    this.scene = scene;
  }

  overlay(overlay: Overlay): void {
    this.last = overlay;
  }

  /** The bars as readable lines: `listening double 0..600 @44+18`. */
  bars(): string[] {
    const bars = this.scene?.bars;
    if (!bars) return [];
    return Array.from({ length: bars.length }, (_, i) => {
      const at = `${Math.round(bars.x0[i] ?? 0)}..${Math.round(bars.x1[i] ?? 0)}`;
      const y = `${Math.round(bars.y[i] ?? 0)}+${Math.round(bars.height[i] ?? 0)}`;
      return `${ROLES[bars.role[i] ?? 0]} ${FORMS[bars.form[i] ?? 0]} ${at} @${y}`;
    });
  }
}

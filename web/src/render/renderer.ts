import type { Palette } from "./palette.ts";
import type { Overlay, Scene } from "./scene.ts";

/** Draws scenes. A scene's cost is bounded by its pixels, so a renderer draws all that it is given. */
export interface Renderer {
  /** Size in CSS pixels, and device pixels for each of them. */
  resize(width: number, height: number, ratio: number): void;
  lanes(scene: Scene, palette: Palette): void;
  overlay(overlay: Overlay, palette: Palette): void;
}

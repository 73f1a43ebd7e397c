/**
 * The page's one animation loop. Whoever makes something dirty calls `request`; a frame runs the painters in the order
 * in which they were added. Nothing dirty means no frame, and out of sight there is none.
 */
export class Frames {
  readonly #painters: (() => void)[] = [];
  #pending = false;
  /** Something was asked for while nobody could see it. */
  #missed = false;
  /** Frames painted so far. */
  painted = 0;

  add(painter: () => void): void {
    this.#painters.push(painter);
  }

  /** The page is in sight again. */
  shown(): void {
    if (this.#missed) this.request();
  }

  request(): void {
    // Out of sight nothing is drawn, whatever a browser makes of hidden pages.
    this.#missed = document.hidden;
    if (this.#pending || this.#missed) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      this.painted += 1;
      for (const paint of this.#painters) paint();
    });
  }
}

/**
 * The page's one animation loop. Whoever makes something dirty calls `request`; a frame runs the painters in the order
 * in which they were added. Nothing dirty means no frame.
 */
export class Frames {
  readonly #painters: (() => void)[] = [];
  #pending = false;
  /** Frames painted so far. */
  painted = 0;

  add(painter: () => void): void {
    this.#painters.push(painter);
  }

  request(): void {
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      this.painted += 1;
      for (const paint of this.#painters) paint();
    });
  }
}

/** How much of the time between two frames a slice takes at most (milliseconds). */
const SLICE_MS = 4;

/**
 * Does long work a slice at a time between all that the page does otherwise, so that neither a frame nor the user waits
 * for it. The work pauses wherever it yields; one piece of work at a time.
 */
export class Slices<T> {
  #work: Generator<void, T, void> | undefined;
  #next: ReturnType<typeof setTimeout> | undefined;
  /** How long the present work, or the last, has taken itself (milliseconds). */
  took = 0;

  get busy(): boolean {
    return this.#work !== undefined;
  }

  /** Begins anew; what was under way is left undone. */
  start(work: Generator<void, T, void>, done: (result: T) => void): void {
    this.stop();
    this.#work = work;
    this.took = 0;
    this.#slice(work, done);
  }

  stop(): void {
    clearTimeout(this.#next);
    this.#work = undefined;
  }

  #slice(work: Generator<void, T, void>, done: (result: T) => void): void {
    const begun = performance.now();
    for (let now = begun; now < begun + SLICE_MS; ) {
      const step = work.next();
      now = performance.now();
      if (!step.done) continue;
      this.took += now - begun;
      this.#work = undefined;
      done(step.value);
      return;
    }
    this.took += performance.now() - begun;
    this.#next = setTimeout(() => this.#slice(work, done));
  }
}

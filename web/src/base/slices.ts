/**
 * Does long work a slice at a time between all that the page does otherwise, so that neither a frame nor the user waits
 * for it. The work pauses wherever it yields; one piece of work at a time.
 */
export class Slices<T> {
  #work: Work<T> | undefined;
  #next: ReturnType<typeof setTimeout> | undefined;
  /** How long the present work, or the last, has taken itself (milliseconds). */
  took = 0;

  /** @param most How long a slice may take (milliseconds). */
  constructor(readonly most: number) {}

  get busy(): boolean {
    return this.#work !== undefined;
  }

  /**
   * Begins anew; what was under way is left undone.
   * @param sliced Is told after each slice but the last.
   */
  start(steps: Generator<void, T, void>, done: (result: T) => void, sliced: () => void = () => {}): void {
    this.stop();
    this.#work = { steps, done, sliced };
    this.took = 0;
    this.#slice(this.most);
  }

  /** Does what is left at once, for whoever cannot wait. */
  finish(): void {
    clearTimeout(this.#next);
    this.#slice(Number.POSITIVE_INFINITY);
  }

  stop(): void {
    clearTimeout(this.#next);
    this.#work = undefined;
  }

  #slice(most: number): void {
    const work = this.#work;
    if (!work) return;
    const begun = performance.now();
    for (let now = begun; now < begun + most; ) {
      const step = work.steps.next();
      now = performance.now();
      if (!step.done) continue;
      this.took += now - begun;
      this.#work = undefined;
      work.done(step.value);
      return;
    }
    this.took += performance.now() - begun;
    this.#next = setTimeout(() => this.#slice(this.most));
    work.sliced();
  }
}

interface Work<T> {
  readonly steps: Generator<void, T, void>;
  readonly done: (result: T) => void;
  readonly sliced: () => void;
}

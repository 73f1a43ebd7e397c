/** Time over which a rate is taken (nanoseconds). */
const WINDOW = 3e9;

/** How fast a counter grows. */
export class Rate {
  readonly #seen: { readonly t: number; readonly count: number }[] = [];

  clear(): void {
    this.#seen.length = 0;
  }

  /** @param t Nanoseconds. */
  add(t: number, count: number): void {
    this.#seen.push({ t, count });
    while (this.#seen.length > 2 && (this.#seen[1]?.t ?? t) < t - WINDOW) this.#seen.shift();
  }

  get perSecond(): number {
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    if (!first || !last || last.t <= first.t) return 0;
    return Math.round(((last.count - first.count) * 1e9) / (last.t - first.t));
  }
}

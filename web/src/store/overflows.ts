import { lowerBound } from "../base/search.ts";
import type { Line } from "../protocol/types.gen.ts";

/** Of one listener; beyond, the oldest go. */
const MOST = 5_000;

/** What asks the server for the same lines. */
export const OVERFLOWED = "event:overflow";

/** A moment at which a listener turned clients away, or was found to have done so since the look before. */
export interface Overflow {
  readonly seq: number;
  readonly t: number;
  /** Packets that were dropped. */
  readonly drops: number;
}

/** When listeners dropped what clients sent, as the record has it. Lines may come in any order and twice. */
export class Overflows {
  readonly #listeners = new Map<string, Overflow[]>();
  /** From when on each listener has all of them here; `undefined` while each has all. */
  since: number | undefined;

  constructor(readonly limit = MOST) {}

  add(lines: readonly Line[]): void {
    for (const { event, listener, seq, t, drops } of lines) {
      if (event !== "overflow" || listener === undefined || t === undefined) continue;
      const known = this.#listeners.get(listener) ?? [];
      this.#listeners.set(listener, known);
      const at = lowerBound(known, seq, (one) => one.seq);
      if (known[at]?.seq === seq) continue;
      known.splice(at, 0, { seq, t, drops: drops ?? 1 });
      const gone = known.length > this.limit ? known.shift() : undefined;
      if (gone) this.since = Math.max(this.since ?? 0, known[0]?.t ?? gone.t);
    }
  }

  clear(): void {
    this.since = undefined;
    this.#listeners.clear();
  }

  evict(listener: string): void {
    this.#listeners.delete(listener);
  }

  /** In order. */
  of(listener: string): readonly Overflow[] {
    return this.#listeners.get(listener) ?? [];
  }
}

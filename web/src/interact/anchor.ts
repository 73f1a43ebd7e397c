import { type Row, type Rows, rowAt } from "../layout/rows.ts";

/** A row and its distance from the top of what is in sight. */
interface Held {
  readonly key: string;
  readonly below: number;
}

/** Rows that may be held by, from the one that is wanted on: the first of them that is still there holds the others. */
const CANDIDATES = 50;

/**
 * What keeps rows where they are while others come and go above them: the one under the pointer, else the first in sight.
 * @param point Where the pointer rests, below the top of what is in sight.
 */
export function holdingOn({ rows }: Rows, scroll: number, point: number | undefined): readonly Held[] {
  const at = [point ?? 0, 0].map((y) => rowAt(rows, scroll + y)).find((index) => index >= 0);
  return at === undefined
    ? []
    : rows.slice(at, at + CANDIDATES).map(({ key, y }) => ({ key, below: y - scroll }));
}

/** How far to scroll so that what holds stands where it stood. */
export function heldAt({ rows, index }: Rows, held: readonly Held[], scroll: number): number {
  for (const { key, below } of held) {
    const row = rows[index.get(key) ?? -1];
    if (row) return row.y - below;
  }
  return scroll;
}

/** Rows of the first level that came below what is in sight, so that nobody sees them come. */
export class Arrivals {
  /** Rows of the last look. */
  #known: ReadonlySet<string> = new Set();
  #below: string[] = [];

  clear(): void {
    this.#known = new Set();
    this.#below = [];
  }

  /** Takes note of what there is. @param still Whether what is new is no news; at the first look it never is. */
  look({ rows }: Rows, bottom: number, still: boolean): void {
    const quiet = still || this.#known.size === 0;
    const now = new Set<string>();
    for (const { level, key, y } of rows) {
      if (level !== 1) continue;
      now.add(key);
      if (!quiet && y >= bottom && !this.#known.has(key)) this.#below.push(key);
    }
    this.#known = now;
  }

  /** Those that have not been in sight since they came. */
  unseen({ rows, index }: Rows, bottom: number): readonly Row[] {
    const found = this.#below
      .map((key) => rows[index.get(key) ?? -1])
      .filter((row) => row !== undefined && row.y >= bottom) as Row[];
    this.#below = found.map(({ key }) => key);
    return found;
  }
}

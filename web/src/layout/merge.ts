import { lowerBound, upperBound } from "../base/search.ts";
import type { TimeScale } from "./timescale.ts";

/** Room that a mark takes, and each character of the number beside it (pixels). */
export const MARK_PX = 13;
const CHARACTER_PX = 6.5;
/** Panning by so much begins at another moment: between that, the same marks stay together. */
const BLOCK_PX = 1024;

/** One mark, where the first of what it stands for happened: things from `first` to before `end`. */
export interface Merged {
  readonly x: number;
  readonly first: number;
  readonly end: number;
  /** How many of what is counted they are. */
  readonly many: number;
}

/** Room of a mark with the number beside it, where it stands for several (pixels). */
export function widthOf(many: number): number {
  // As long as `count` writes it, which takes longer: this is asked for each mark of each frame.
  const digits = String(many).length;
  return MARK_PX + (many > 1 ? CHARACTER_PX * (digits + Math.floor((digits - 1) / 3)) + 3 : 0);
}

/** The number beside a mark, where that stands for several and the row has room for it. */
export function numbered(many: number, bare: boolean): { many?: number } {
  return many > 1 && !bare ? { many } : {};
}

/** From when on what is marked has to be known, so that panning does not merge it otherwise. */
export function mergedFrom({ start, nsPerPx }: TimeScale): number {
  return (Math.floor(start / (BLOCK_PX * nsPerPx)) - 1) * BLOCK_PX * nsPerPx;
}

/**
 * The marks of what happened until a moment. What would stand in another one's room is merged into it, and its number says
 * so: nothing vanishes, however far one zooms out.
 * @param amount What each of them counts for, if that is not one.
 */
export function* merged<T>(
  items: readonly T[],
  time: (item: T) => number,
  scale: TimeScale,
  until: number,
  amount?: (item: T) => number,
): Iterable<Merged> {
  const last = upperBound(items, Math.min(until, scale.t(scale.width + MARK_PX)), time);
  for (let first = lowerBound(items, mergedFrom(scale), time); first < last; ) {
    const t = time(items[first] as T);
    let end = first;
    let many = 0;
    // With more of them the number is longer, and covers more of them.
    for (let next = first + 1; next > end; ) {
      if (amount) for (const item of items.slice(end, next)) many += amount(item);
      else many += next - end;
      end = next;
      next = Math.min(last, lowerBound(items, t + widthOf(many) * scale.nsPerPx, time));
    }
    const x = scale.x(t);
    if (x + MARK_PX / 2 > 0) yield { x, first, end, many };
    // Of what goes on in sight the mark stays there, too: a number alone would be one of anything.
    else if (time(items[end - 1] as T) >= scale.start) yield { x: 0, first, end, many };
    first = end;
  }
}

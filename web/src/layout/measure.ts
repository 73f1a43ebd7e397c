import { lowerBound, upperBound } from "../base/search.ts";
import type { Entities } from "../store/entities.ts";

/** What happened in a range. */
export interface Measure {
  readonly opened: number;
  readonly closed: number;
  readonly accepted: number;
  readonly failed: number;
}

/** Counts what happened in a range, its ends included, by what is kept in order: what it costs grows with the slots. */
export function measure(
  entities: Entities,
  { from, to }: { readonly from: number; readonly to: number },
): Measure {
  const within = <T>(items: readonly T[], key: (item: T) => number) =>
    upperBound(items, to, key) - lowerBound(items, from, key);
  let [opened, closed, failed] = [0, 0, 0];
  for (const { held } of entities.allSlots()) {
    opened += within(held, (one) => one.opened);
    // What a slot holds comes one after another, so their ends are in order, too.
    closed += within(held, (one) => one.closed ?? Number.POSITIVE_INFINITY);
  }
  for (const [, times] of entities.faulty()) failed += within(times, (t) => t);
  return { opened, closed, accepted: within(entities.accepts, (t) => t), failed };
}

import { lowerBound, upperBound } from "../base/search.ts";
import type { Entities } from "../store/entities.ts";

/** What happened in a range. */
export interface Measure {
  readonly opened: number;
  readonly closed: number;
  readonly accepted: number;
  readonly failed: number;
  /** TCP connections of which one end came to its end, and what those ends had received in order and sent with success (bytes). */
  readonly ended: number;
  readonly received: number;
  readonly sent: number;
}

/** Counts what happened in a range, its ends included, by what slots keep in order, and by each socket. */
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
  let [accepted, ended, received, sent] = [0, 0, 0, 0];
  for (const { accepted: when, ended: end, tcp } of entities.sockets.values()) {
    if (when !== null && when >= from && when <= to) accepted += 1;
    if (end === null || !tcp || end < from || end > to) continue;
    ended += 1;
    received += tcp.bytes_received ?? 0;
    sent += tcp.bytes_acked ?? 0;
  }
  return { opened, closed, accepted, failed, ended, received, sent };
}

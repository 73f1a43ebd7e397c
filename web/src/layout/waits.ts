import type { Socket } from "../protocol/types.gen.ts";
import { left } from "./queue.ts";

/** What an accept queue held at an instant, and how long its connections waited so far. */
export interface QueueState {
  /** In the queue at the instant, longest wait first. */
  readonly waiting: readonly Socket[];
  /** Waits that ended until the instant (nanoseconds), shortest first. */
  readonly waits: readonly number[];
  /** Accepted until the instant, those whose wait was not seen included. */
  readonly accepted: number;
}

/** @param children A listener's children, in the order in which they joined. */
export function queueAt(children: readonly Socket[], at: number): QueueState {
  const waiting: Socket[] = [];
  const waits: number[] = [];
  let accepted = 0;
  for (const child of children) {
    if (child.accepted !== null && child.accepted <= at) {
      accepted += 1;
      if (child.wait_ns !== null) waits.push(child.wait_ns);
    } else if (child.queued !== null && child.queued <= at && left(child) > at) waiting.push(child);
  }
  waits.sort((a, b) => a - b);
  return { waiting, waits, accepted };
}

/** The smallest wait that at least `part` of all waits do not exceed (nearest rank). */
export function percentile(sorted: readonly number[], part: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
}

import type { Socket } from "../protocol/types.gen.ts";

/** What an accept queue held at an instant, and how long its connections waited so far. */
export interface QueueState {
  /** In the queue at the instant, longest wait first. */
  readonly waiting: readonly Socket[];
  /** Waits that ended until the instant (nanoseconds), shortest first. */
  readonly waits: readonly number[];
  /** Accepted until the instant, those whose wait was not seen included. */
  readonly accepted: number;
}

/** When a child that was queued left the queue: accepted, or gone with the listener or by a reset. */
function left(child: Socket): number {
  return child.accepted ?? child.ended ?? Number.POSITIVE_INFINITY;
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

/** Length of the queue from a moment on. */
export interface Level {
  readonly t: number;
  readonly length: number;
}

/** How long the queue was between two moments: its length at the first, and every change until the second. */
export function levels(children: readonly Socket[], from: number, to: number): Level[] {
  const changes: { t: number; by: 1 | -1 }[] = [];
  let length = 0;
  for (const child of children) {
    if (child.queued === null || child.queued > to) continue;
    const until = left(child);
    if (until <= from) continue;
    if (child.queued <= from) length += 1;
    else changes.push({ t: child.queued, by: 1 });
    if (until <= to) changes.push({ t: until, by: -1 });
  }
  // At one moment, who leaves goes before who comes: the queue is never shown longer than it was.
  changes.sort((a, b) => a.t - b.t || a.by - b.by);
  const found: Level[] = [{ t: from, length }];
  for (const { t, by } of changes) {
    length += by;
    found.push({ t, length });
  }
  return found;
}

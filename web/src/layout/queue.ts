import type { Socket } from "../protocol/types.gen.ts";
import type { TimeScale } from "./timescale.ts";

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

/** Lengths of a queue, each from its moment on. */
export interface Levels {
  readonly times: Float64Array;
  readonly lengths: Int32Array;
}

/** How long the queue was between two moments: its length at the first, and every change until the second. */
export function levels(children: readonly Socket[], from: number, to: number): Levels {
  const came: number[] = [];
  const went: number[] = [];
  let length = 0;
  for (const child of children) {
    if (child.queued === null || child.queued > to) continue;
    const until = left(child);
    if (until <= from) continue;
    if (child.queued <= from) length += 1;
    else came.push(child.queued);
    if (until <= to) went.push(until);
  }
  const ins = Float64Array.from(came).sort();
  const outs = Float64Array.from(went).sort();
  const times = new Float64Array(1 + ins.length + outs.length);
  const lengths = new Int32Array(times.length);
  times[0] = from;
  lengths[0] = length;
  let [i, o] = [0, 0];
  for (let at = 1; at < times.length; at += 1) {
    const [comes, goes] = [ins[i] ?? Number.POSITIVE_INFINITY, outs[o] ?? Number.POSITIVE_INFINITY];
    // At one moment, who leaves goes before who comes: the queue is never shown longer than it was.
    if (goes <= comes) {
      length -= 1;
      o += 1;
    } else {
      length += 1;
      i += 1;
    }
    times[at] = Math.min(comes, goes);
    lengths[at] = length;
  }
  return { times, lengths };
}

/** The longest that a queue was in each pixel of a scale; -1 where that is not known. */
export function peaks({ times, lengths }: Levels, scale: TimeScale, until: number): Int32Array {
  const peaks = new Int32Array(Math.max(0, Math.ceil(scale.width))).fill(-1);
  for (let at = 0; at < times.length; at += 1) {
    if ((times[at] as number) > until) break;
    const from = Math.floor(scale.x(times[at] as number));
    const end = scale.x(Math.min(times[at + 1] ?? until, until));
    const to = Math.max(from, Math.ceil(end) - 1);
    const length = lengths[at] as number;
    for (let px = Math.max(0, from); px <= to && px < peaks.length; px += 1) {
      if ((peaks[px] as number) < length) peaks[px] = length;
    }
  }
  return peaks;
}

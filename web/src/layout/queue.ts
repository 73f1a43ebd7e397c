import { upperBound } from "../base/search.ts";
import type { Socket } from "../protocol/types.gen.ts";
import { type Entities, joined } from "../store/entities.ts";
import type { TimeScale } from "./timescale.ts";

/** When a child that was queued left the queue: accepted, or gone with the listener or by a reset. */
export function left(child: Socket): number {
  return child.accepted ?? child.ended ?? Number.POSITIVE_INFINITY;
}

/** How many a queue held at an instant: cheap enough for each frame, since no waits are sorted. */
export function lengthAt(children: readonly Socket[], at: number): number {
  let length = 0;
  for (const child of children)
    if (child.queued !== null && child.queued <= at && left(child) > at) length += 1;
  return length;
}

/** How many a queue holds: one more than its limit (`sk_acceptq_is_full`, include/net/sock.h; `unix_recvq_full`). */
export function roomOf(limit: number): number {
  return limit + 1;
}

/** A limit that a queue had between two moments. */
export interface Limit {
  readonly since: number;
  readonly until: number;
  readonly limit: number;
}

/** Limits of a listener's queue, oldest first; none where it is not known. */
export function limitsOf({ queue_limit, former_limits = [] }: Socket): readonly Limit[] {
  if (queue_limit === null) return [];
  const ends = [...former_limits, { until: Number.POSITIVE_INFINITY, limit: queue_limit }];
  return ends.map((one, i) => ({ ...one, since: ends[i - 1]?.until ?? Number.NEGATIVE_INFINITY }));
}

/** The limit of a listener's queue at an instant, as far as it is known. */
export function limitAt(listener: Socket, at: number): number | undefined {
  return limitsOf(listener).find(({ until }) => at < until)?.limit;
}

/** What a listener's row tells of it at an instant: how many wait against which limit, and how many children it has had. */
export interface Told {
  readonly waiting: number;
  readonly limit: number | undefined;
  readonly children: number;
}

/** The server's own figures are of the newest moment, and know of children that are not kept any more. */
export function toldOf(entities: Entities, listener: Socket, at: number): Told {
  if (at >= entities.now) {
    const { queue_len, queue_limit, children } = listener;
    return { waiting: queue_len ?? 0, limit: queue_limit ?? undefined, children };
  }
  const kept = entities.children(listener.id);
  const later = kept.length - upperBound(kept, at, joined);
  return {
    waiting: lengthAt(kept, at),
    limit: limitAt(listener, at),
    children: Math.max(0, listener.children - later),
  };
}

/** Lengths of a queue, or how many of something there were, each from its moment on. */
export interface Levels {
  readonly times: Float64Array;
  readonly lengths: Int32Array;
}

/** How long the queue was between two moments: its length at the first, and every change until the second. */
export function levels(children: readonly Socket[], from: number, to: number): Levels {
  return counted(children, ({ queued }) => queued ?? Number.POSITIVE_INFINITY, left, from, to);
}

/** How many of some things there were at a time between two moments. */
export function counted<T>(
  things: Iterable<T>,
  begins: (thing: T) => number,
  ends: (thing: T) => number,
  from: number,
  to: number,
): Levels {
  const came: number[] = [];
  const went: number[] = [];
  let length = 0;
  for (const thing of things) {
    const since = begins(thing);
    if (since > to) continue;
    const until = ends(thing);
    if (until <= from) continue;
    if (since <= from) length += 1;
    else came.push(since);
    if (until <= to) went.push(until);
  }
  const ins = Float64Array.from(came).sort();
  const outs = Float64Array.from(went).sort();
  const times = new Float64Array(1 + ins.length + outs.length);
  const lengths = new Int32Array(times.length);
  times[0] = from;
  lengths[0] = length;
  let [i, o] = [0, 0];
  let at = 0;
  while (i < ins.length || o < outs.length) {
    const [comes, goes] = [ins[i] ?? Number.POSITIVE_INFINITY, outs[o] ?? Number.POSITIVE_INFINITY];
    // What comes and goes at one moment is one change: never more are shown than there were.
    if (goes <= comes) {
      length -= 1;
      o += 1;
    } else {
      length += 1;
      i += 1;
    }
    const t = Math.min(comes, goes);
    if (t > (times[at] as number)) at += 1;
    times[at] = t;
    lengths[at] = length;
  }
  return { times: times.subarray(0, at + 1), lengths: lengths.subarray(0, at + 1) };
}

/** The most that there were in each pixel of a scale; -1 where that is not known. */
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

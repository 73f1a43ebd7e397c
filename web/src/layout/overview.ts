import type { Entities } from "../store/entities.ts";
import type { Failures } from "../store/failures.ts";

/** The whole kept time in buckets of equal length. */
export interface Summary {
  readonly from: number;
  readonly to: number;
  /** Descriptors opened and closed, and changes of sockets. */
  readonly changes: Uint32Array;
  /** Failed calls, and verdicts on sockets. */
  readonly errors: Uint32Array;
  /** Descriptors that are open at the bucket's end. */
  readonly open: Uint32Array;
}

/** Objects that are counted between two looks at the clock. */
const PORTION = 2000;

/**
 * Counts what happened in each of `count` buckets between two moments. It pauses after each portion, so that a frame
 * need not wait for all of it; what changes meanwhile is in the next count.
 */
export function* summarizing(
  entities: Entities,
  failures: Failures,
  from: number,
  to: number,
  count: number,
): Generator<void, Summary, void> {
  let looked = 0;
  const changes = new Uint32Array(count);
  const errors = new Uint32Array(count);
  /** How many more descriptors are open at a bucket's end than at that of the bucket before. */
  const grown = new Int32Array(count);
  const perNs = count / Math.max(1, to - from);
  const bucket = (t: number) =>
    t < from || t > to ? -1 : Math.min(count - 1, Math.floor((t - from) * perNs));
  let atStart = 0;
  for (const { opened, closed } of entities.descriptors.values()) {
    if (++looked % PORTION === 0) yield;
    const first = bucket(opened);
    if (first >= 0) {
      changes[first] = (changes[first] as number) + 1;
      grown[first] = (grown[first] as number) + 1;
    } else if (opened < from) atStart += 1;
    if (closed === null) continue;
    const last = bucket(closed);
    if (last >= 0) {
      changes[last] = (changes[last] as number) + 1;
      grown[last] = (grown[last] as number) - 1;
    } else if (closed < from) atStart -= 1;
  }
  for (const { id, steps } of entities.sockets.values()) {
    if (++looked % PORTION === 0) yield;
    for (const step of steps) {
      const at = bucket(step.t);
      if (at < 0) continue;
      changes[at] = (changes[at] as number) + 1;
      if (step.error && !failures.returned(id, step.t)) errors[at] = (errors[at] as number) + 1;
    }
  }
  // What the kernel told of a socket by itself stands among its steps.
  for (const { t, call } of failures.all) {
    const at = call === undefined ? -1 : bucket(t);
    if (at >= 0) errors[at] = (errors[at] as number) + 1;
  }
  let held = atStart;
  const open = Uint32Array.from(grown, (more) => {
    held += more;
    return Math.max(0, held);
  });
  return { from, to, changes, errors, open };
}

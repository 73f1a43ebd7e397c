import { lowerBound, upperBound } from "../base/search.ts";
import type { Socket } from "../protocol/types.gen.ts";
import { acceptedAt, type Entities, joined } from "../store/entities.ts";
import type { Overflow } from "../store/overflows.ts";
import type { Strip } from "./life.ts";
import { type Levels, levels, limitsOf, peaks, roomOf } from "./queue.ts";
import type { TimeScale } from "./timescale.ts";

/** Accepts within so many pixels of each other are one mark. */
const FOLD_PX = 4;
/** Space of a row that its queue does not take (pixels), above and below together; a row without text has none to spare. */
const INSET = 8;
/** A queue that is not empty is at least so high (pixels). */
const LEAST_PX = 3;
/** A queue that was at least so full, as a part of its limit, has the limit drawn beside it. */
const NEAR = 0.5;

const NONE = { limit: undefined, until: Number.POSITIVE_INFINITY };

/** While a row has its listener: what happened to that before and after is other rows'. */
export interface Held {
  readonly from: number;
  readonly to: number;
}

/** The marks of a listener's row: a child taken out of the queue each, and what waits in it. */
export function drawListener(
  strip: Strip,
  listener: Socket,
  held: Held,
  own: (child: Socket) => boolean,
): void {
  const children = strip.entities.children(listener.id);
  const edge = Math.min(strip.edge, held.to);
  drawQueue({ ...strip, edge }, listener, held.from, children);
  drawAccepts({ ...strip, edge }, held.from, children, own);
}

function drawAccepts(
  { scene, scale, edge, y, height }: Strip,
  from: number,
  children: readonly Socket[],
  own: (child: Socket) => boolean,
): void {
  const end = upperBound(children, Math.min(scale.end, edge), joined);
  // A child that was queued before the visible time may be accepted within it: look back over a few.
  for (let i = Math.max(0, lowerBound(children, scale.start, joined) - 256); i < end; ) {
    const child = children[i] as Socket;
    const at = acceptedAt(child);
    if (at === undefined || at < from || at > edge) {
      i += 1;
      continue;
    }
    const x = scale.x(at);
    const next = Math.min(end, lowerBound(children, scale.t(Math.max(x, 0) + FOLD_PX), joined));
    const many = next - i > 2;
    if (x >= -4 && x <= scale.width + 4) {
      const role = own(child) ? "connected" : "idle";
      scene.marks.push({ x, y, height, shape: many ? "accepts" : "accept", role });
    }
    i = many ? Math.max(i + 1, next) : i + 1;
  }
}

/** Marks what was dropped; what lies close together is one mark. */
export function drawOverflows(
  { scene, scale, edge, y, height }: Strip,
  overflows: readonly Overflow[],
): void {
  for (let i = lowerBound(overflows, scale.t(-6), time); i < overflows.length; ) {
    const { t } = overflows[i] as Overflow;
    const x = scale.x(t);
    if (t > edge || x > scale.width + 6) return;
    scene.marks.push({ x, y, height, shape: "overflow", role: "error" });
    i = Math.max(i + 1, lowerBound(overflows, scale.t(x + FOLD_PX), time));
  }
}

/** What was dropped while a row had its listener. */
export function overflowsWhile(overflows: readonly Overflow[], { from, to }: Held): readonly Overflow[] {
  const [first, end] = [lowerBound(overflows, from, time), upperBound(overflows, to, time)];
  return end - first === overflows.length ? overflows : overflows.slice(first, end);
}

/** What was dropped near a place: all that one mark may stand for. */
export function overflowAt(overflows: readonly Overflow[], t: number, near: number): Overflow | undefined {
  const found = overflows.slice(lowerBound(overflows, t - near, time), upperBound(overflows, t + near, time));
  const [first] = found;
  return first && { ...first, drops: found.reduce((sum, { drops }) => sum + drops, 0) };
}

const time = ({ t }: Overflow) => t;

/** The queue's length as an area whose full height is a full queue. */
function drawQueue(strip: Strip, listener: Socket, from: number, children: readonly Socket[]): void {
  const { scene, entities, scale, edge, y, height, bare } = strip;
  const until = Math.min(edge, listener.ended ?? edge);
  if (until <= scale.start) return;
  const lengths = peaks(remembered(entities, listener, children, scale), scale, until);
  const limits = limitsOf(listener);
  const room = bare ? height - 1 : height - INSET;
  const bottom = y + height - (bare ? 1 : INSET / 2);
  let near: { x0: number; x1: number } | undefined;
  for (let px = Math.max(0, Math.floor(scale.x(from))); px < lengths.length; ) {
    const length = lengths[px] as number;
    const { limit, until: changes } = limits.find(({ until }) => scale.x(until) >= px + 1) ?? NONE;
    const most = roomOf(limit ?? 0);
    const same = Math.min(lengths.length, scale.x(changes));
    let end = px + 1;
    while (end < same && lengths[end] === length) end += 1;
    if (length > 0) {
      const tall = Math.max(bare ? 2 : LEAST_PX, Math.min(1, length / most) * room);
      scene.bars.push(px, end, bottom - tall, tall, "connecting", "level");
      if (!bare && limit !== undefined && length >= most * NEAR) {
        near = near ? { x0: near.x0, x1: end } : { x0: px, x1: end };
      }
      if (limit !== undefined && length >= most) {
        scene.marks.push({ x: (px + end) / 2, y, height, shape: "full", role: "error" });
      }
    }
    px = end;
  }
  if (near) scene.bars.push(near.x0, near.x1, bottom - room - 1, 1, "error", "limit");
}

interface Remembered {
  readonly revision: number;
  readonly from: number;
  readonly to: number;
  readonly levels: Levels;
}

const known = new WeakMap<Socket, Remembered>();

/** Lengths around the time in sight: counted anew only when something came or the view left what was counted. */
function remembered(
  { revision }: Entities,
  listener: Socket,
  children: readonly Socket[],
  scale: TimeScale,
): Levels {
  const before = known.get(listener);
  if (before?.revision === revision && before.from <= scale.start && before.to >= scale.end)
    return before.levels;
  const span = scale.end - scale.start;
  const [from, to] = [scale.start - span, scale.end + span];
  const counted = levels(children, from, to);
  known.set(listener, { revision, from, to, levels: counted });
  return counted;
}

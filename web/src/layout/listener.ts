import { lowerBound, upperBound } from "../base/search.ts";
import type { Socket } from "../protocol/types.gen.ts";
import type { Entities } from "../store/entities.ts";
import type { Overflow } from "../store/overflows.ts";
import type { Strip } from "./life.ts";
import { MARK_PX, merged, mergedFrom, numbered, widthOf } from "./merge.ts";
import { type Levels, levels, limitsOf, peaks, roomOf } from "./queue.ts";
import type { TimeScale } from "./timescale.ts";
import { Worked } from "./worked.ts";

/** Of accepts that are one mark, so many are looked at for one of the row's own. */
const LOOKED = 32;
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

/** What stands on a listener's row: marks of children that were taken out of the queue, and what waits in it. */
export function drawListener(
  strip: Strip,
  listener: Socket,
  held: Held,
  own: (child: Socket) => boolean,
): void {
  const within = { ...strip, edge: Math.min(strip.edge, held.to) };
  drawQueue(within, listener, held.from);
  drawAccepts(within, listener, held.from, own);
}

function drawAccepts(
  { scene, entities, scale, edge, y, height, bare }: Strip,
  listener: Socket,
  from: number,
  own: (child: Socket) => boolean,
): void {
  const { accepts } = remembered(entities, listener, scale);
  const held = accepts.slice(lowerBound(accepts, from, accepted));
  for (const { x, first, end, many } of merged(held, accepted, scale, edge)) {
    const mine = held.slice(first, Math.min(end, first + LOOKED)).some(own);
    const shape = many > 1 ? "accepts" : "accept";
    scene.marks.push({ x, y, height, shape, role: mine ? "connected" : "idle", ...numbered(many, bare) });
  }
}

const accepted = (child: Socket) => child.accepted ?? Number.POSITIVE_INFINITY;

/** Marks what was dropped, with how many packets that were. */
export function drawOverflows(
  { scene, scale, edge, y, height, bare }: Strip,
  overflows: readonly Overflow[],
): void {
  for (const { x, many } of merged(overflows, time, scale, edge, drops)) {
    scene.marks.push({ x, y, height, shape: "overflow", role: "error", ...numbered(many, bare) });
  }
}

/** What was dropped while a row had its listener. */
export function overflowsWhile(overflows: readonly Overflow[], { from, to }: Held): readonly Overflow[] {
  const [first, end] = [lowerBound(overflows, from, time), upperBound(overflows, to, time)];
  return end - first === overflows.length ? overflows : overflows.slice(first, end);
}

/** What was dropped where a mark stands: all that it stands for. */
export function overflowAt(
  overflows: readonly Overflow[],
  scale: TimeScale,
  edge: number,
  x: number,
): Overflow | undefined {
  for (const { x: at, first, many } of merged(overflows, time, scale, edge, drops)) {
    const found = overflows[first];
    if (found && x >= at - MARK_PX / 2 && x < at - MARK_PX / 2 + widthOf(many))
      return { ...found, drops: many };
  }
  return undefined;
}

const time = ({ t }: Overflow) => t;
const drops = (one: Overflow) => one.drops;

/** The queue's length as an area whose full height is a full queue; where its limit is not known, that some wait. */
function drawQueue(strip: Strip, listener: Socket, from: number): void {
  const { scene, entities, scale, edge, y, height, bare } = strip;
  const until = Math.min(edge, listener.ended ?? edge);
  if (until <= scale.start) return;
  const lengths = peaks(remembered(entities, listener, scale).levels, scale, until);
  const limits = limitsOf(listener);
  const room = bare ? height - 1 : height - INSET;
  const bottom = y + height - (bare ? 1 : INSET / 2);
  let near: { x0: number; x1: number } | undefined;
  const full: [x0: number, x1: number][] = [];
  for (let px = Math.max(0, Math.floor(scale.x(from))); px < lengths.length; ) {
    const length = lengths[px] as number;
    const { limit, until: changes } = limits.find(({ until }) => scale.x(until) >= px + 1) ?? NONE;
    const most = limit === undefined ? Number.POSITIVE_INFINITY : roomOf(limit);
    const same = Math.min(lengths.length, scale.x(changes));
    let end = px + 1;
    while (end < same && lengths[end] === length) end += 1;
    if (length > 0) {
      const tall = Math.max(bare ? 2 : LEAST_PX, Math.min(1, length / most) * room);
      scene.bars.push(px, end, bottom - tall, tall, "connecting", "level");
      if (!bare && length >= most * NEAR) near = near ? { x0: near.x0, x1: end } : { x0: px, x1: end };
      if (length >= most) full.push([px, end]);
    }
    px = end;
  }
  if (near) scene.bars.push(near.x0, near.x1, bottom - room - 1, 1, "error", "limit");
  for (const [x0, x1] of full) {
    scene.bars.push(x0, Math.max(x1, x0 + LEAST_PX), bottom - room, bare ? 2 : 3, "error", "full");
  }
}

interface Remembered {
  readonly from: number;
  readonly to: number;
  readonly levels: Levels;
  /** Children that were accepted meanwhile, in that order. */
  readonly accepts: readonly Socket[];
}

const known = new Worked<Socket, Remembered>();

/** What there was around the time in sight: looked for anew only when something came or the view left that. */
function remembered(entities: Entities, listener: Socket, scale: TimeScale): Remembered {
  const { revision } = entities;
  const since = mergedFrom(scale);
  const before = known.at(revision, listener);
  if (before && before.from <= since && before.to >= scale.end) return before;
  const span = scale.end - scale.start;
  const [from, to] = [since - span, scale.end + span];
  const children = entities.children(listener.id);
  const accepts = children.filter((child) => accepted(child) >= from && accepted(child) <= to);
  accepts.sort((a, b) => accepted(a) - accepted(b));
  return known.keep(revision, listener, { from, to, levels: levels(children, from, to), accepts });
}

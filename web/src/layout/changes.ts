import { lowerBound } from "../base/search.ts";
import type { Socket } from "../protocol/types.gen.ts";
import { type Entities, joined } from "../store/entities.ts";
import type { Row } from "./rows.ts";
import type { TimeScale } from "./timescale.ts";

/** A moment is taken for that of a change that is this near (pixels). */
const SNAP_PX = 15;
/** Descriptors of a slot that are looked at on each side of a moment. */
const NEIGHBOURS = 4;

/** The moment of the change of a row's content that is nearest to `t`, if one is near enough; else `t`. */
export function snap(entities: Entities, row: Row | undefined, scale: TimeScale, t: number): number {
  const near = SNAP_PX * scale.nsPerPx;
  let best = t;
  let least = near;
  for (const at of row ? changes(entities, row, t) : []) {
    if (Math.abs(at - t) < least) {
      least = Math.abs(at - t);
      best = at;
    }
  }
  return best;
}

/** Moments around `t` at which what a row shows changed, in no order. */
function* changes(entities: Entities, row: Row, t: number): Generator<number> {
  if (row.kind === "process") {
    yield row.process.seen;
    if (row.process.ended !== null) yield row.process.ended;
  } else if (row.kind === "child") {
    yield* lived(row.socket);
  } else if (row.kind === "lane") {
    const at = lowerBound(row.children, t, joined);
    for (const child of row.children.slice(Math.max(0, at - NEIGHBOURS), at + NEIGHBOURS))
      yield* lived(child);
  } else if (row.kind === "instance" || row.kind === "listener") {
    yield row.descriptor.opened;
    if (row.descriptor.closed !== null) yield row.descriptor.closed;
    if (row.socket) yield* lived(row.socket);
  } else if (row.kind === "slot") {
    const { held } = row.slot;
    const at = lowerBound(held, t, ({ opened }) => opened);
    for (const descriptor of held.slice(Math.max(0, at - NEIGHBOURS), at + NEIGHBOURS)) {
      yield descriptor.opened;
      if (descriptor.closed !== null) yield descriptor.closed;
      const socket = descriptor.socket ? entities.sockets.get(descriptor.socket) : undefined;
      if (socket) yield* lived(socket);
    }
  }
}

function* lived(socket: Socket): Generator<number> {
  for (const step of socket.steps) yield step.t;
  if (socket.ended !== null) yield socket.ended;
}

/** The next moment after `t`, or the one before it, at which what one of the rows shows changed, with that row. */
export function neighbour(
  entities: Entities,
  rows: readonly Row[],
  t: number,
  step: 1 | -1,
  edge: number,
): { readonly t: number; readonly row: Row } | undefined {
  let best: { t: number; row: Row } | undefined;
  for (const row of rows) {
    for (const at of changes(entities, row, t)) {
      if ((at - t) * step <= 0 || at > edge) continue;
      if (best === undefined || Math.abs(at - t) < Math.abs(best.t - t)) best = { t: at, row };
    }
  }
  return best;
}

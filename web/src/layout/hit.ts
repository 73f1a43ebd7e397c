import { lowerBound, upperBound } from "../base/search.ts";
import type { Descriptor, Socket } from "../protocol/types.gen.ts";
import { type Entities, joined } from "../store/entities.ts";
import { type Row, rowAt } from "./rows.ts";
import type { TimeScale } from "./timescale.ts";

export interface Hit {
  readonly row: Row;
  /** For a slot: what it held there. */
  readonly descriptor: Descriptor | undefined;
  /** For an accept mark: the child. */
  readonly child: Socket | undefined;
}

/** How near counts as on it (pixels). */
const NEAR = 5;
/** Accept marks stand in the lower part of a listener's row. */
const MARKS = 11;

/** What lies at a point of the lanes (`y` counts from the first row's top). */
export function hit(
  rows: readonly Row[],
  entities: Entities,
  scale: TimeScale,
  edge: number,
  x: number,
  y: number,
): Hit | undefined {
  const row = rows[rowAt(rows, y)];
  if (!row) return undefined;
  if (row.kind !== "slot") return { row, descriptor: undefined, child: undefined };
  const low = y > row.y + row.height - MARKS;
  const child = low && row.socket ? childAt(entities.children(row.socket.id), scale, x) : undefined;
  return { row, descriptor: descriptorAt(row.slot.held, scale, edge, x), child };
}

function descriptorAt(
  held: readonly Descriptor[],
  scale: TimeScale,
  edge: number,
  x: number,
): Descriptor | undefined {
  const at = upperBound(held, scale.t(x), (one) => one.opened);
  const distance = (one: Descriptor | undefined): number => {
    if (!one || one.opened > edge) return Number.POSITIVE_INFINITY;
    const x0 = scale.x(one.opened);
    const x1 = scale.x(Math.min(one.closed ?? edge, edge));
    return x < x0 ? x0 - x : x > x1 ? x - x1 : 0;
  };
  const candidates = [held[at - 1], held[at]];
  const [nearest] = candidates.sort((a, b) => distance(a) - distance(b));
  return distance(nearest) <= NEAR ? nearest : undefined;
}

function childAt(children: readonly Socket[], scale: TimeScale, x: number): Socket | undefined {
  const near = NEAR * scale.nsPerPx;
  let best: Socket | undefined;
  let least = near;
  const first = lowerBound(children, scale.t(x) - near - 60e9, joined);
  const end = upperBound(children, scale.t(x) + near, joined);
  for (const child of children.slice(Math.max(first, end - 500), end)) {
    const distance = Math.abs((child.accepted ?? Number.POSITIVE_INFINITY) - scale.t(x));
    if (distance <= least) {
      least = distance;
      best = child;
    }
  }
  return best;
}

import { lowerBound, upperBound } from "../base/search.ts";
import type { Descriptor, Socket } from "../protocol/types.gen.ts";
import { childEnd, type Entities, joined } from "../store/entities.ts";
import type { Failure, Failures } from "../store/failures.ts";
import type { Overflow, Overflows } from "../store/overflows.ts";
import { errorsOf, failureAt } from "./errors.ts";
import { overflowAt } from "./listener.ts";
import { type Row, rowAt } from "./rows.ts";
import { overflowsOf } from "./timeline.ts";
import type { TimeScale } from "./timescale.ts";

export interface Hit {
  readonly row: Row;
  /** For a slot: what it held there. */
  readonly descriptor: Descriptor | undefined;
  /** For an accept mark, and on a lane: the child. */
  readonly child: Socket | undefined;
  readonly failure: Failure | undefined;
  /** What a listener dropped there. */
  readonly overflow?: Overflow | undefined;
}

/** How near counts as on it (pixels). */
const NEAR = 5;
/** Accept marks stand in the lower part of a listener's row, marks of what it dropped in the upper. */
const MARKS = 11;

interface Lanes {
  readonly rows: readonly Row[];
  readonly entities: Entities;
  readonly failures: Failures;
  readonly overflows: Overflows;
  readonly scale: TimeScale;
  readonly edge: number;
}

/** What lies at a point of the lanes (`y` counts from the first row's top). */
export function hit(lanes: Lanes, x: number, y: number): Hit | undefined {
  const row = lanes.rows[rowAt(lanes.rows, y)];
  const found = row && inRow(lanes, row, x, y);
  if (!found || y > row.y + MARKS) return found;
  const { overflows, scale, edge } = lanes;
  return { ...found, overflow: overflowAt(overflowsOf(overflows, row), scale, edge, x) };
}

function inRow({ entities, failures, scale, edge }: Lanes, row: Row, x: number, y: number): Hit {
  const errors = errorsOf(entities, failures, row, scale);
  const failure = failureAt(errors, scale.t(x), NEAR * scale.nsPerPx);
  const low = y > row.y + row.height - MARKS;
  const mark = (listener: Socket | undefined) =>
    low && listener ? childAt(entities.children(listener.id), scale, x) : undefined;
  switch (row.kind) {
    case "slot":
      return {
        row,
        descriptor: descriptorAt(row.slot.held, scale, edge, x),
        child: mark(row.socket),
        failure,
      };
    case "instance":
    case "listener":
      return {
        row,
        descriptor: descriptorAt([row.descriptor], scale, edge, x),
        child: mark(row.socket),
        failure,
      };
    case "lane":
      return { row, descriptor: undefined, child: inLane(row.children, entities, scale, edge, x), failure };
    default:
      return { row, descriptor: undefined, child: undefined, failure };
  }
}

function inLane(
  children: readonly Socket[],
  entities: Entities,
  scale: TimeScale,
  edge: number,
  x: number,
): Socket | undefined {
  const at = upperBound(children, scale.t(x + NEAR), joined) - 1;
  const child = children[at];
  const end = child && (childEnd(entities, child) ?? edge);
  return end !== undefined && scale.x(Math.min(end, edge)) >= x - NEAR ? child : undefined;
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

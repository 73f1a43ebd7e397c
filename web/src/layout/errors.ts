import { lowerBound, upperBound } from "../base/search.ts";
import type { Descriptor, Socket } from "../protocol/types.gen.ts";
import { type Entities, holding, joined, type Slot } from "../store/entities.ts";
import { type Failure, type Failures, isWithin } from "../store/failures.ts";
import { failedOn } from "./failed.ts";
import type { Strip } from "./life.ts";
import { MARK_PX, merged, mergedFrom, numbered } from "./merge.ts";
import type { ProcessRow, Row } from "./rows.ts";
import type { TimeScale } from "./timescale.ts";

/** When sockets of a row met errors, and which calls on it failed. */
export interface Errors {
  readonly times: readonly (readonly number[])[];
  readonly failed: readonly (readonly Failure[])[];
}

/** The errors that a row answers for in the time in sight. A process's own row has what none of its other rows shows. */
export function errorsOf(entities: Entities, failures: Failures, row: Row, scale: TimeScale): Errors {
  switch (row.kind) {
    case "process":
      return ofProcess(entities, failures, row, scale);
    case "slot":
      return {
        times: [
          entities.errors(row.process.table, row.slot.fd),
          row.socket && row.expanded === false ? entities.lostFaults(row.socket.id) : [],
        ],
        failed: [failures.ofSlot(row.process.id, row.slot.fd), ...brokenIn(row.slot, failures, scale)],
      };
    case "instance": {
      return {
        times: [row.socket ? entities.faults(row.socket.id) : []],
        failed: [failedOn(failures, row.process.id, row.descriptor), failures.ofSocket(row.socket?.id)],
      };
    }
    case "child":
      return { times: [entities.faults(row.socket.id)], failed: [failures.ofSocket(row.socket.id)] };
    case "lane": {
      const there = inSight(row.children, scale);
      return {
        times: there.map(({ id }) => entities.faults(id)),
        failed: failures.tellsOfSockets ? there.map(({ id }) => failures.ofSocket(id)) : [],
      };
    }
    case "listener": {
      const { id } = row.socket;
      return {
        times: [entities.faults(id), row.expanded === false ? entities.childFaults(id) : []],
        failed: [failures.ofSlot(row.process.id, row.descriptor.fd), failures.ofSocket(id)],
      };
    }
    case "more":
      return { times: row.times ?? [], failed: row.failed ? [row.failed] : [] };
  }
}

/** What the kernel told by itself of the sockets that a slot held in the time in sight. */
function brokenIn({ held }: Slot, failures: Failures, { start, end }: TimeScale): (readonly Failure[])[] {
  if (!failures.tellsOfSockets) return [];
  const first = Math.max(0, lowerBound(held, start, opened) - 1);
  return held.slice(first, upperBound(held, end, opened)).map(({ socket }) => failures.ofSocket(socket));
}

const opened = (one: Descriptor) => one.opened;

function ofProcess(entities: Entities, failures: Failures, row: ProcessRow, scale: TimeScale): Errors {
  const { process, expanded } = row;
  const failed = failures.ofProcess(process.id);
  if (expanded) {
    const numbers = new Map(row.slots.map((slot) => [slot.fd, slot]));
    const shown = ({ fd, t }: Failure) => {
      const slot = fd === undefined ? undefined : numbers.get(fd);
      return slot !== undefined && (!row.single || holding(slot, t) !== undefined);
    };
    return { times: [], failed: [failed.filter((failure) => !shown(failure))] };
  }
  const listens = row.slots.flatMap(({ held }) => held.at(-1)?.socket ?? []);
  return {
    times: [
      ...row.slots.map(({ fd }) => entities.errors(process.table, fd)),
      ...listens.map((socket) => entities.lostFaults(socket)),
    ],
    failed: [failed, ...row.slots.flatMap((slot) => brokenIn(slot, failures, scale))],
  };
}

/** Children of a lane come one after another: the one before the time in sight may reach into it. */
function inSight(children: readonly Socket[], { start, end }: TimeScale): readonly Socket[] {
  const first = Math.max(0, lowerBound(children, start, joined) - 1);
  return children.slice(first, lowerBound(children, end, joined));
}

const at = ({ t }: Failure) => t;

/** Marks errors on a row. */
export function drawErrors(strip: Strip, { times, failed }: Errors): void {
  const { scene, scale, edge, y, height, bare } = strip;
  const until = Math.min(edge, scale.t(scale.width + MARK_PX));
  // What a failed call returned and its socket met meanwhile is one error, and so is what both tell of one moment.
  const returned = (t: number) =>
    failed.some((list) => {
      const next = list[upperBound(list, t, at)];
      return next?.call !== undefined && isWithin(t, next);
    });
  const lists = [
    ...times.map((list) => within(list, (t) => t, scale, until).filter((t) => !returned(t))),
    // A call that failed during another one is an error of its own.
    ...failed.map((list) =>
      within(list, at, scale, until).filter((t) => list[0]?.call !== undefined || !returned(t)),
    ),
  ].filter((list) => list.length > 0);
  const all = lists.length > 1 ? [...new Set(lists.flat())].sort((a, b) => a - b) : (lists[0] ?? []);
  for (const { x, many } of merged(all, (t) => t, scale, until)) {
    scene.marks.push({ x, y, height, shape: "cross", role: "error", ...numbered(many, bare) });
  }
}

function within<T>(
  list: readonly T[],
  time: (one: T) => number,
  scale: TimeScale,
  until: number,
): readonly number[] {
  return list.slice(lowerBound(list, mergedFrom(scale), time), upperBound(list, until, time)).map(time);
}

/** The failed call of a row that is nearest to a place, if one is near enough. */
export function failureAt({ failed }: Errors, t: number, near: number): Failure | undefined {
  let best: Failure | undefined;
  for (const list of failed) {
    const next = lowerBound(list, t, at);
    for (const one of [list[next - 1], list[next]]) {
      if (!one || Math.abs(one.t - t) > near) continue;
      if (!best || Math.abs(one.t - t) < Math.abs(best.t - t)) best = one;
    }
  }
  return best;
}

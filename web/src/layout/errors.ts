import { lowerBound, upperBound } from "../base/search.ts";
import type { Descriptor, Socket } from "../protocol/types.gen.ts";
import { type Entities, holding, joined, type Slot } from "../store/entities.ts";
import type { Failure, Failures } from "../store/failures.ts";
import { failedOn } from "./failed.ts";
import type { Strip } from "./life.ts";
import type { ProcessRow, Row } from "./rows.ts";
import type { TimeScale } from "./timescale.ts";

/** Errors within so many pixels of each other are one mark: none of them vanishes, however far one zooms out. */
const FOLD_PX = 4;

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

/** Marks errors on a row; what lies close together is one mark. */
export function drawErrors(strip: Strip, { times, failed }: Errors): void {
  const drawn = new Set<number>();
  for (const list of times) marks(strip, list, (t) => t, drawn);
  for (const list of failed) marks(strip, list, at, drawn);
}

function marks<T>(strip: Strip, list: readonly T[], time: (one: T) => number, drawn: Set<number>): void {
  const { scene, scale, edge, y, height } = strip;
  const last = Math.min(edge, scale.t(scale.width + 6));
  for (let i = lowerBound(list, scale.t(-6), time); i < list.length; ) {
    const t = time(list[i] as T);
    if (t > last) return;
    const x = scale.x(t);
    const bucket = Math.floor(x / FOLD_PX);
    if (!drawn.has(bucket)) {
      drawn.add(bucket);
      scene.marks.push({ x, y, height, shape: "cross", role: "error" });
    }
    i = Math.max(i + 1, lowerBound(list, scale.t((bucket + 1) * FOLD_PX), time));
  }
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

import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import { childEnd, type Entities, joined } from "../store/entities.ts";
import { laneKey, listenerKey, pinnedFirst, type Question, type Rows, Stack } from "./rows.ts";

/** Lanes listed under a listener. */
export const LISTED_LANES = 500;

/** Listeners, each with its children below it: a child takes the first row in which no other is there. */
export function layListeners({ entities, edge, matching, expanded, density, pinned }: Question): Rows {
  const stack = new Stack(density);
  let all = 0;
  let hidden = 0;
  const owners = new Map<string, Process>();
  for (const process of entities.processes.values()) {
    if (!owners.has(process.table)) owners.set(process.table, process);
  }
  const groups: { socket: Socket; process: Process; descriptor: Descriptor; lanes: Socket[][] }[] = [];
  for (const socket of entities.sockets.values()) {
    if (!socket.steps.some(({ phase, t }) => phase === "listening" && t <= edge)) continue;
    const holders = entities.holders(socket.id);
    const descriptor = holders.find(({ closed }) => closed === null || closed > edge) ?? holders[0];
    const process = descriptor && owners.get(descriptor.table);
    if (!descriptor || !process) continue;
    all += 1;
    const fits = (child: Socket) => matching?.fits({ process, descriptor: undefined, socket: child }) ?? true;
    const own = matching?.fits({ process, descriptor, socket }) ?? true;
    const lanes = lanesOf(entities, socket)
      .map((lane) => lane.filter((child) => joined(child) <= edge && (own || fits(child))))
      .filter((lane) => lane.length > 0);
    if (own || lanes.length > 0) groups.push({ socket, process, descriptor, lanes });
    else hidden += 1;
  }
  pinnedFirst(groups, ({ process }) => process, pinned).forEach(
    ({ socket, process, descriptor, lanes }, at) => {
      const key = listenerKey(socket.id);
      const open = lanes.length > 0 ? (expanded.get(key) ?? true) : undefined;
      stack.push({
        kind: "listener",
        key,
        level: 1,
        setSize: groups.length,
        place: at + 1,
        process,
        socket,
        descriptor,
        expanded: open,
      });
      if (!open) return;
      const shown = lanes.slice(0, LISTED_LANES);
      const more = lanes.length - shown.length;
      const setSize = shown.length + (more > 0 ? 1 : 0);
      shown.forEach((children, nth) => {
        stack.push({
          kind: "lane",
          key: laneKey(socket.id, nth + 1),
          level: 2,
          setSize,
          place: nth + 1,
          process,
          listener: socket,
          nth: nth + 1,
          children,
        });
      });
      if (more === 0) return;
      stack.push({
        kind: "more",
        key: `${key}/more`,
        level: 2,
        setSize,
        place: setSize,
        process,
        fd: undefined,
        count: more,
        times: lanes
          .slice(LISTED_LANES)
          .flat()
          .map(({ id }) => entities.faults(id))
          .filter((list) => list.length > 0),
      });
    },
  );
  return stack.done(all, hidden);
}

/** Children of one listener that have their lanes already. */
interface Packing {
  /** The child that was packed first: another one means that some were forgotten since. */
  first: Socket | undefined;
  last: Socket | undefined;
  packed: number;
  lanes: Socket[][];
}

const packings = new WeakMap<Entities, WeakMap<Socket, Packing>>();

/** Nobody looks at lanes any more: they would hold on to children that are forgotten. */
export function forgetLanes(entities: Entities): void {
  packings.delete(entities);
}

/** The lanes of a listener's children; only those that joined since the last time are packed anew. */
export function lanesOf(entities: Entities, listener: Socket): readonly (readonly Socket[])[] {
  let known = packings.get(entities);
  if (!known) {
    known = new WeakMap();
    packings.set(entities, known);
  }
  const children = entities.children(listener.id);
  let packing = known.get(listener);
  const goesOn = packing && packing.first === children[0] && packing.last === children[packing.packed - 1];
  if (!packing || !goesOn) {
    packing = { first: children[0], last: undefined, packed: 0, lanes: [] };
    known.set(listener, packing);
  }
  for (const child of children.slice(packing.packed)) {
    const from = joined(child);
    const free = packing.lanes.find((lane) => {
      const before = lane.at(-1);
      const end = before && childEnd(entities, before);
      return end !== undefined && end <= from;
    });
    if (free) free.push(child);
    else packing.lanes.push([child]);
  }
  packing.packed = children.length;
  packing.last = children.at(-1);
  return packing.lanes;
}

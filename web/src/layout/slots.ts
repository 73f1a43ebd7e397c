import { upperBound } from "../base/search.ts";
import type { Descriptor, Process } from "../protocol/types.gen.ts";
import { type Entities, joined, lastHeld, type Slot } from "../store/entities.ts";
import type { Failures } from "../store/failures.ts";
import {
  childKey,
  isOpen,
  pinnedFirst,
  processKey,
  type Question,
  type Rows,
  Stack,
  slotKey,
} from "./rows.ts";

/** Children listed under a listener; older ones are counted, and their slots' rows still draw them. */
export const LISTED_CHILDREN = 1000;
/** Up to so many children are listed without being asked for; more would push the slots out of sight. */
export const FEW_CHILDREN = 24;
/** Of so many processes any socket is shown without being asked for; of later ones, what they serve or failed at. */
const FIRST_PROCESSES = 8;

interface Kept {
  readonly slot: Slot;
  readonly descriptor: Descriptor;
}

/** A row is a number of a table: processes as first seen, slots by number, children as they joined. */
export function laySlots({ entities, failures, edge, matching, expanded, density, pinned }: Question): Rows {
  const stack = new Stack(density);
  let slots = 0;
  let hidden = 0;
  /** Listeners whose children are listed without being asked for: once, where they were accepted first. */
  const listedOnce = new Set<string>();

  const groups: { process: Process; kept: Kept[]; held: number }[] = [];
  for (const process of entities.processes.values()) {
    if (process.seen > edge) continue;
    const all = entities.slots(process.table);
    const kept: Kept[] = [];
    let held = 0;
    for (const slot of all) {
      const descriptor = lastHeld(slot, edge);
      if (!descriptor) continue;
      slots += 1;
      if (isOpen(descriptor, edge)) held += 1;
      // A slot stays in sight if anything that it held fits: what is looked for may be closed by now.
      if (!matching || matching.anyOf(process, slot.fd, edge)) kept.push({ slot, descriptor });
      else hidden += 1;
    }
    if (matching && kept.length === 0 && !matching.alone(process)) continue;
    groups.push({ process, kept, held });
  }

  pinnedFirst(groups, ({ process }) => process, pinned).forEach(({ process, kept, held }, at) => {
    const key = processKey(process.id);
    const open =
      expanded.get(key) ??
      (matching !== undefined || isTelling(entities, failures, process, kept, at < FIRST_PROCESSES, edge));
    stack.push({
      kind: "process",
      key,
      level: 1,
      setSize: groups.length,
      place: at + 1,
      process,
      expanded: open,
      slots: kept.map(({ slot }) => slot),
      open: held,
    });
    if (!open) return;
    kept.forEach(({ slot, descriptor }, place) => {
      const socket = descriptor.socket ? entities.sockets.get(descriptor.socket) : undefined;
      const children = socket ? entities.children(socket.id) : [];
      const known = upperBound(children, edge, joined);
      const key = slotKey(process.id, slot.fd);
      const few =
        socket !== undefined &&
        known <= FEW_CHILDREN &&
        !listedOnce.has(socket.id) &&
        children.some((child) => entities.holders(child.id).some(({ table }) => table === process.table));
      if (few) listedOnce.add(socket.id);
      const listed = known > 0 ? (expanded.get(key) ?? few) : undefined;
      stack.push({
        kind: "slot",
        key,
        level: 2,
        setSize: kept.length,
        place: place + 1,
        process,
        slot,
        descriptor,
        socket,
        expanded: listed,
      });
      if (!listed || !socket) return;
      const first = Math.max(0, known - LISTED_CHILDREN);
      const setSize = known - first + (first > 0 ? 1 : 0);
      let nth = 1;
      if (first > 0) {
        stack.push({
          kind: "more",
          key: `${key}/more`,
          level: 3,
          setSize,
          place: nth++,
          process,
          fd: slot.fd,
          count: first,
          times: children
            .slice(0, first)
            .filter(({ accepted }) => accepted === null)
            .map(({ id }) => entities.faults(id))
            .filter((list) => list.length > 0),
        });
      }
      for (const child of children.slice(first, known)) {
        stack.push({
          kind: "child",
          key: childKey(process.id, slot.fd, child.id),
          level: 3,
          setSize,
          place: nth++,
          process,
          fd: slot.fd,
          listener: socket,
          socket: child,
        });
      }
    });
  });
  return stack.done(slots, hidden);
}

/**
 * Whether a process is shown open at first: it listens or met an error, or it is one of the first with a socket. Of those that
 * are gone, a start-up's helpers that looked for files in vain would push the servers out of sight.
 */
function isTelling(
  entities: Entities,
  failures: Failures,
  process: Process,
  kept: readonly Kept[],
  first: boolean,
  edge: number,
): boolean {
  const gone = process.ended !== null && process.ended <= edge;
  if (!gone && (failures.ofProcess(process.id)[0]?.t ?? Number.POSITIVE_INFINITY) <= edge) return true;
  return kept.some(({ slot, descriptor }) => {
    if (descriptor.socket === null) return false;
    if (first || (entities.errors(process.table, slot.fd)[0] ?? Number.POSITIVE_INFINITY) <= edge)
      return true;
    const socket = entities.sockets.get(descriptor.socket);
    return socket?.steps.some(({ phase, t }) => phase === "listening" && t <= edge) ?? false;
  });
}

import type { Descriptor, Process } from "../protocol/types.gen.ts";
import { type Entities, holding } from "../store/entities.ts";
import type { Failures } from "../store/failures.ts";
import { instanceKey, isOpen, pinnedFirst, processKey, type Question, type Rows, Stack } from "./rows.ts";

/** Rows of a process: what is open always has one, of what was closed the newest. */
export const LISTED_CLOSED = 1000;
/** A process with so many rows is open without being asked for. */
const FEW = 200;

interface Group {
  readonly process: Process;
  readonly shown: readonly Descriptor[];
  readonly open: number;
  /** Closed ones that have no row. */
  readonly more: readonly Descriptor[];
}

/** A row is a descriptor from filled to emptied, the oldest first: what nobody closes stands at the top. */
export function layInstances(question: Question): Rows {
  const { entities, failures, edge, matching, expanded, density, pinned } = question;
  const stack = new Stack(density);
  let all = 0;
  let hidden = 0;
  const groups: Group[] = [];
  for (const process of entities.processes.values()) {
    if (process.seen > edge) continue;
    const open: Descriptor[] = [];
    const closed: Descriptor[] = [];
    for (const slot of entities.slots(process.table)) {
      for (const descriptor of slot.held) {
        if (descriptor.opened > edge) continue;
        all += 1;
        if (matching && !matching.of(process, slot.fd).has(descriptor)) hidden += 1;
        else (isOpen(descriptor, edge) ? open : closed).push(descriptor);
      }
    }
    if (matching && open.length + closed.length === 0 && !matching.alone(process)) continue;
    open.sort(byAge);
    closed.sort(byAge);
    const newest = closed.slice(-LISTED_CLOSED);
    groups.push({
      process,
      shown: [...open, ...newest],
      open: open.length,
      more: closed.slice(0, -LISTED_CLOSED),
    });
  }
  pinnedFirst(groups, ({ process }) => process, pinned).forEach(({ process, shown, open, more }, at) => {
    const key = processKey(process.id);
    const isExpanded = expanded.get(key) ?? shown.length <= FEW;
    stack.push({
      kind: "process",
      key,
      level: 1,
      setSize: groups.length,
      place: at + 1,
      process,
      expanded: isExpanded,
      slots: entities.slots(process.table),
      open,
      single: true,
    });
    if (!isExpanded) return;
    const setSize = shown.length + (more.length > 0 ? 1 : 0);
    shown.forEach((descriptor, place) => {
      stack.push({
        kind: "instance",
        key: instanceKey(process.id, descriptor.id),
        level: 2,
        setSize,
        place: place + 1,
        process,
        descriptor,
        socket: descriptor.socket ? entities.sockets.get(descriptor.socket) : undefined,
      });
    });
    if (more.length === 0) return;
    stack.push({
      kind: "more",
      key: `${key}/more`,
      level: 2,
      setSize,
      place: setSize,
      process,
      fd: undefined,
      count: more.length,
      ...errorsBeyond(entities, failures, process, more),
    });
  });
  return stack.done(all, hidden);
}

/** The errors of descriptors that have no row. */
function errorsBeyond(entities: Entities, failures: Failures, process: Process, more: readonly Descriptor[]) {
  const beyond = new Set(more);
  const slots = new Map(entities.slots(process.table).map((slot) => [slot.fd, slot]));
  const times = more.map(({ socket }) => (socket ? entities.faults(socket) : []));
  const failed = failures.ofProcess(process.id).filter(({ fd, t }) => {
    const slot = slots.get(fd ?? -1);
    const held = slot && holding(slot, t);
    return held !== undefined && beyond.has(held);
  });
  return { times: times.filter((list) => list.length > 0), failed };
}

function byAge(a: Descriptor, b: Descriptor): number {
  return a.opened - b.opened || a.fd - b.fd;
}

import { upperBound } from "../base/search.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import { type Entities, joined, lastHeld, type Slot } from "../store/entities.ts";
import type { RowFilter } from "./filter.ts";

export const PROCESS_HEIGHT = 32;
export const ROW_HEIGHT = 24;
/** Children listed under a listener; older ones are counted, and their slots' rows still draw them. */
export const LISTED_CHILDREN = 1000;
/** Up to so many children are listed without being asked for; more would push the slots out of sight. */
export const FEW_CHILDREN = 24;

interface Common {
  /** Stable identity, also across layouts. */
  readonly key: string;
  readonly y: number;
  readonly height: number;
  readonly level: 1 | 2 | 3;
  /** Number of siblings, and the place among them from 1. */
  readonly setSize: number;
  readonly place: number;
  readonly process: Process;
}

export interface ProcessRow extends Common {
  readonly kind: "process";
  readonly expanded: boolean;
  readonly slots: readonly Slot[];
  /** Descriptors that are open. */
  readonly open: number;
}

export interface SlotRow extends Common {
  readonly kind: "slot";
  readonly slot: Slot;
  /** What the slot holds, or held last. */
  readonly descriptor: Descriptor;
  readonly socket: Socket | undefined;
  /** For a listener with children: whether they are listed. */
  readonly expanded: boolean | undefined;
}

export interface ChildRow extends Common {
  readonly kind: "child";
  readonly fd: number;
  readonly listener: Socket;
  readonly socket: Socket;
}

/** Stands for the children that are not listed. */
export interface MoreRow extends Common {
  readonly kind: "more";
  readonly fd: number;
  readonly count: number;
}

export type Row = ProcessRow | SlotRow | ChildRow | MoreRow;

export interface Rows {
  readonly rows: readonly Row[];
  readonly index: ReadonlyMap<string, number>;
  readonly height: number;
  /** Slots, and how many of them the filter hides. */
  readonly slots: number;
  readonly hidden: number;
}

export interface Question {
  readonly entities: Entities;
  /** Nothing after this moment is shown. */
  readonly edge: number;
  readonly filter: RowFilter | undefined;
  /** Whether a row is expanded, where the user said so. */
  readonly expanded: ReadonlyMap<string, boolean>;
}

export function processKey(process: string): string {
  return process;
}

export function slotKey(process: string, fd: number): string {
  return `${process}/${fd}`;
}

export function childKey(process: string, fd: number, socket: string): string {
  return `${process}/${fd}/${socket}`;
}

/** The rows of the timeline, from top to bottom: processes as first seen, slots by number, children as they joined. */
export function layRows({ entities, edge, filter, expanded }: Question): Rows {
  const rows: Row[] = [];
  const index = new Map<string, number>();
  let y = 0;
  let slots = 0;
  let hidden = 0;
  /** Listeners whose children are listed without being asked for: once, where they were accepted first. */
  const listedOnce = new Set<string>();

  const groups: { process: Process; kept: { slot: Slot; descriptor: Descriptor }[]; held: number }[] = [];
  for (const process of entities.processes.values()) {
    if (process.seen > edge) continue;
    const all = entities.slots(process.table);
    const kept: { slot: Slot; descriptor: Descriptor }[] = [];
    let held = 0;
    for (const slot of all) {
      const descriptor = lastHeld(slot, edge);
      if (!descriptor) continue;
      slots += 1;
      if (isOpen(descriptor, edge)) held += 1;
      if (!filter || matches(slot, process, entities, filter, edge)) kept.push({ slot, descriptor });
      else hidden += 1;
    }
    if (filter && kept.length === 0) continue;
    groups.push({ process, kept, held });
  }

  const push = (row: Row) => {
    index.set(row.key, rows.length);
    rows.push(row);
    y += row.height;
  };
  groups.forEach(({ process, kept, held }, at) => {
    const key = processKey(process.id);
    const open =
      expanded.get(key) ?? (filter !== undefined || kept.some(({ descriptor }) => descriptor.socket));
    push({
      kind: "process",
      key,
      y,
      height: PROCESS_HEIGHT,
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
      push({
        kind: "slot",
        key,
        y,
        height: ROW_HEIGHT,
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
        push({
          kind: "more",
          key: `${key}/more`,
          y,
          height: ROW_HEIGHT,
          level: 3,
          setSize,
          place: nth++,
          process,
          fd: slot.fd,
          count: first,
        });
      }
      for (const child of children.slice(first, known)) {
        push({
          kind: "child",
          key: childKey(process.id, slot.fd, child.id),
          y,
          height: ROW_HEIGHT,
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
  return { rows, index, height: y, slots, hidden };
}

/** Index of the row at a height, or -1. */
export function rowAt(rows: readonly Row[], y: number): number {
  const at = upperBound(rows, y, (row) => row.y) - 1;
  const row = rows[at];
  return row && y < row.y + row.height ? at : -1;
}

export function isOpen(descriptor: Descriptor, edge: number): boolean {
  return descriptor.opened <= edge && (descriptor.closed === null || descriptor.closed > edge);
}

/** A slot stays in sight if anything that it held fits: what is looked for may be closed by now. */
function matches(slot: Slot, process: Process, entities: Entities, filter: RowFilter, edge: number): boolean {
  for (let i = slot.held.length - 1; i >= 0; i -= 1) {
    const descriptor = slot.held[i] as Descriptor;
    if (descriptor.opened > edge) continue;
    const socket = descriptor.socket ? entities.sockets.get(descriptor.socket) : undefined;
    if (filter({ process, descriptor, socket })) return true;
  }
  return false;
}

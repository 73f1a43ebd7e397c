import { lowerBound, upperBound } from "../base/search.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";

/** One number of one table: what it held, oldest first. Its descriptors never overlap. */
export interface Slot {
  readonly fd: number;
  readonly held: Descriptor[];
}

/** When a child joined its listener's family: when it was queued, or accepted, or first seen. */
export function joined(child: Socket): number {
  return child.queued ?? child.accepted ?? child.steps[0]?.t ?? 0;
}

/** When a child came out of the accept queue; `undefined` while it waits, and for one that never did. */
export function acceptedAt(child: Socket): number | undefined {
  return child.accepted ?? undefined;
}

/**
 * Processes, descriptors and sockets with the indexes that drawing needs. An object keeps its identity when a newer
 * version of it arrives: its fields are replaced in place, so that every index stays right.
 */
export class Entities {
  /** By id, in the order in which they were first seen. */
  readonly processes = new Map<string, Process>();
  readonly descriptors = new Map<string, Descriptor>();
  readonly sockets = new Map<string, Socket>();
  readonly #tables = new Map<string, Map<number, Slot>>();
  readonly #sorted = new Map<string, readonly Slot[]>();
  readonly #children = new Map<string, Socket[]>();
  readonly #holders = new Map<string, Descriptor[]>();

  putProcess(process: Process): void {
    const known = this.processes.get(process.id);
    if (known) Object.assign(known, process);
    else this.processes.set(process.id, process);
  }

  putDescriptor(descriptor: Descriptor): void {
    const known = this.descriptors.get(descriptor.id);
    if (known && known.socket === descriptor.socket && known.opened === descriptor.opened) {
      Object.assign(known, descriptor);
      return;
    }
    if (known) this.evictDescriptor(known.id);
    this.descriptors.set(descriptor.id, descriptor);
    insert(this.#slot(descriptor.table, descriptor.fd).held, descriptor, openedAt);
    if (descriptor.socket) insert(list(this.#holders, descriptor.socket), descriptor, openedAt);
  }

  putSocket(socket: Socket): void {
    const known = this.sockets.get(socket.id);
    if (known && known.listener === socket.listener && joined(known) === joined(socket)) {
      Object.assign(known, socket);
      return;
    }
    if (known) this.evictSocket(known.id);
    this.sockets.set(socket.id, socket);
    if (socket.listener) insert(list(this.#children, socket.listener), socket, joined);
  }

  evictProcess(id: string): void {
    this.processes.delete(id);
  }

  evictDescriptor(id: string): void {
    const known = this.descriptors.get(id);
    if (!known) return;
    this.descriptors.delete(id);
    const slots = this.#tables.get(known.table);
    const slot = slots?.get(known.fd);
    if (slots && slot) {
      remove(slot.held, known, openedAt);
      if (slot.held.length === 0) {
        slots.delete(known.fd);
        this.#sorted.delete(known.table);
        if (slots.size === 0) this.#tables.delete(known.table);
      }
    }
    if (known.socket) removeFrom(this.#holders, known.socket, known, openedAt);
  }

  evictSocket(id: string): void {
    const known = this.sockets.get(id);
    if (!known) return;
    this.sockets.delete(id);
    if (known.listener) removeFrom(this.#children, known.listener, known, joined);
  }

  /** The slots of a table that hold or held something, by number. */
  slots(table: string): readonly Slot[] {
    let sorted = this.#sorted.get(table);
    if (!sorted) {
      sorted = [...(this.#tables.get(table)?.values() ?? [])].sort((a, b) => a.fd - b.fd);
      this.#sorted.set(table, sorted);
    }
    return sorted;
  }

  /** A listener's children, in the order in which they joined. */
  children(listener: string): readonly Socket[] {
    return this.#children.get(listener) ?? [];
  }

  /** The descriptors that point or pointed to a socket, in the order in which they were filled. */
  holders(socket: string): readonly Descriptor[] {
    return this.#holders.get(socket) ?? [];
  }

  /** What a table held at an instant, by number. */
  tableAt(table: string, at: number): Descriptor[] {
    const found: Descriptor[] = [];
    for (const slot of this.slots(table)) {
      const held = holding(slot, at);
      if (held) found.push(held);
    }
    return found;
  }

  #slot(table: string, fd: number): Slot {
    let slots = this.#tables.get(table);
    if (!slots) {
      slots = new Map();
      this.#tables.set(table, slots);
    }
    let slot = slots.get(fd);
    if (!slot) {
      slot = { fd, held: [] };
      slots.set(fd, slot);
      this.#sorted.delete(table);
    }
    return slot;
  }
}

/** What a slot held last at an instant, be it emptied again or not. */
export function lastHeld(slot: Slot, at: number): Descriptor | undefined {
  return slot.held[upperBound(slot.held, at, openedAt) - 1];
}

/** What a slot held at an instant. */
export function holding(slot: Slot, at: number): Descriptor | undefined {
  const last = lastHeld(slot, at);
  return last && (last.closed === null || last.closed > at) ? last : undefined;
}

function openedAt(descriptor: Descriptor): number {
  return descriptor.opened;
}

function list<T>(lists: Map<string, T[]>, key: string): T[] {
  let found = lists.get(key);
  if (!found) {
    found = [];
    lists.set(key, found);
  }
  return found;
}

function insert<T>(items: T[], item: T, key: (item: T) => number): void {
  const at = upperBound(items, key(item), key);
  if (at === items.length) items.push(item);
  else items.splice(at, 0, item);
}

function remove<T>(items: T[], item: T, key: (item: T) => number): void {
  for (let at = lowerBound(items, key(item), key); at < items.length; at += 1) {
    if (items[at] === item) {
      items.splice(at, 1);
      return;
    }
  }
}

function removeFrom<T>(lists: Map<string, T[]>, key: string, item: T, order: (item: T) => number): void {
  const items = lists.get(key);
  if (!items) return;
  remove(items, item, order);
  if (items.length === 0) lists.delete(key);
}

import { lowerBound, upperBound } from "../base/search.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";

/** One number of one table: what it held, oldest first. Its descriptors never overlap. */
export interface Slot {
  readonly fd: number;
  readonly held: Descriptor[];
}

/** Whoever has to know of each object that comes, changes or goes, after it has. */
export interface Watcher {
  processChanged(process: Process): void;
  descriptorChanged(descriptor: Descriptor): void;
  socketChanged(socket: Socket): void;
}

/** When a child joined its listener's family: when it was queued, or accepted, or first seen. */
export function joined(child: Socket): number {
  return child.queued ?? child.accepted ?? child.steps[0]?.t ?? 0;
}

/**
 * Processes, descriptors and sockets with the indexes that drawing needs. An object keeps its identity when a newer
 * version of it arrives: its fields are replaced in place, so that every index stays right.
 */
export class Entities {
  /** Grows with every object that comes, changes or goes. */
  revision = 0;
  /** The moment up to which the server has told. */
  now = 0;
  watcher: Watcher | undefined;
  /** By id, in the order in which they were first seen. */
  readonly processes = new Map<string, Process>();
  readonly descriptors = new Map<string, Descriptor>();
  readonly sockets = new Map<string, Socket>();
  readonly #tables = new Map<string, Map<number, Slot>>();
  readonly #sorted = new Map<string, readonly Slot[]>();
  readonly #children = new Map<string, Socket[]>();
  readonly #holders = new Map<string, Descriptor[]>();
  /** Descriptors by the open file description that they share; a single one stands for itself. */
  readonly #files = new Map<string, Descriptor | Descriptor[]>();
  /** When the sockets behind a slot met an error, by table and number; how many steps of a socket are among them. */
  readonly #errors = new Map<string, Map<number, number[]>>();
  readonly #faulty = new Map<string, number[]>();
  /** When children met errors: by listener, and by `lostKey` of those that were never accepted; and what of a child is among them. */
  readonly #childFaults = new Map<string, number[]>();
  readonly #ofChild = new Map<
    string,
    { readonly keys: readonly string[]; readonly times: readonly number[] }
  >();

  putProcess(process: Process): void {
    this.revision += 1;
    const known = this.processes.get(process.id);
    if (known) Object.assign(known, process);
    else this.processes.set(process.id, process);
    this.watcher?.processChanged(known ?? process);
  }

  putDescriptor(descriptor: Descriptor): void {
    this.revision += 1;
    const known = this.descriptors.get(descriptor.id);
    if (known && known.socket === descriptor.socket && known.opened === descriptor.opened) {
      Object.assign(known, descriptor);
      this.watcher?.descriptorChanged(known);
      return;
    }
    if (known) this.evictDescriptor(known.id);
    this.descriptors.set(descriptor.id, descriptor);
    insert(this.#slot(descriptor.table, descriptor.fd).held, descriptor, openedAt);
    this.#share(descriptor);
    if (descriptor.socket) {
      insert(list(this.#holders, descriptor.socket), descriptor, openedAt);
      for (const t of this.#faulty.get(descriptor.socket) ?? []) this.#fault(descriptor, t);
    }
    this.watcher?.descriptorChanged(descriptor);
  }

  putSocket(socket: Socket): void {
    this.revision += 1;
    const known = this.sockets.get(socket.id);
    if (known && known.listener === socket.listener && joined(known) === joined(socket)) {
      Object.assign(known, socket);
    } else {
      if (known) this.evictSocket(known.id);
      this.sockets.set(socket.id, socket);
      if (socket.listener) insert(list(this.#children, socket.listener), socket, joined);
    }
    this.#faults(socket);
    this.watcher?.socketChanged(known ?? socket);
  }

  evictProcess(id: string): void {
    this.revision += 1;
    const known = this.processes.get(id);
    this.processes.delete(id);
    if (known) this.watcher?.processChanged(known);
  }

  evictDescriptor(id: string): void {
    this.revision += 1;
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
    this.#unshare(known);
    if (known.socket) {
      removeFrom(this.#holders, known.socket, known, openedAt);
      for (const t of this.#faulty.get(known.socket) ?? []) this.#unfault(known, t);
    }
    this.watcher?.descriptorChanged(known);
  }

  evictSocket(id: string): void {
    this.revision += 1;
    const known = this.sockets.get(id);
    if (!known) return;
    this.sockets.delete(id);
    for (const t of this.#faulty.get(id) ?? [])
      for (const holder of this.holders(id)) this.#unfault(holder, t);
    this.#faulty.delete(id);
    this.#childFault(known, []);
    if (known.listener) removeFrom(this.#children, known.listener, known, joined);
    this.watcher?.socketChanged(known);
  }

  /** The slots of a table that hold or held something, by number. */
  slots(table: string): readonly Slot[] {
    let sorted = this.#sorted.get(table);
    if (!sorted) {
      const slots = this.#tables.get(table);
      if (!slots) return [];
      sorted = [...slots.values()].sort((a, b) => a.fd - b.fd);
      this.#sorted.set(table, sorted);
    }
    return sorted;
  }

  /** A slot of a table that holds or held something. */
  slot(table: string, fd: number): Slot | undefined {
    return this.#tables.get(table)?.get(fd);
  }

  /** The slots of all tables, in no order. */
  *allSlots(): Iterable<Slot> {
    for (const slots of this.#tables.values()) yield* slots.values();
  }

  /** A listener's children, in the order in which they joined. */
  children(listener: string): readonly Socket[] {
    return this.#children.get(listener) ?? [];
  }

  /** The descriptors that point or pointed to a socket, in the order in which they were filled. */
  holders(socket: string): readonly Descriptor[] {
    return this.#holders.get(socket) ?? [];
  }

  /** Descriptors of one open file description (inherited, duplicated or passed), the first one included. */
  sharing(file: string): readonly Descriptor[] {
    const found = this.#files.get(file);
    return found === undefined ? [] : Array.isArray(found) ? found : [found];
  }

  /** When sockets that a slot held met an error, in order. */
  errors(table: string, fd: number): readonly number[] {
    return this.#errors.get(table)?.get(fd) ?? NO_TIMES;
  }

  /** Sockets that met errors, with when they did. */
  faulty(): Iterable<readonly [string, readonly number[]]> {
    return this.#faulty.entries();
  }

  /** When a socket met errors, in order. */
  faults(socket: string): readonly number[] {
    return this.#faulty.get(socket) ?? [];
  }

  /** When children of a listener met errors, in order. */
  childFaults(listener: string): readonly number[] {
    return this.#childFaults.get(listener) ?? NO_TIMES;
  }

  /** The same of those that were never accepted: nothing ever held them. */
  lostFaults(listener: string): readonly number[] {
    return this.#childFaults.get(lostKey(listener)) ?? NO_TIMES;
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

  #share(descriptor: Descriptor): void {
    const { file } = descriptor;
    const found = this.#files.get(file);
    if (found === undefined) this.#files.set(file, descriptor);
    else if (Array.isArray(found)) insert(found, descriptor, openedAt);
    else this.#files.set(file, found.opened <= descriptor.opened ? [found, descriptor] : [descriptor, found]);
  }

  #unshare({ file, id }: Descriptor): void {
    const rest = this.sharing(file).filter((one) => one.id !== id);
    const [only] = rest;
    if (!only) this.#files.delete(file);
    else this.#files.set(file, rest.length === 1 ? only : rest);
  }

  /** Takes note of the errors of a socket that are new. */
  #faults(socket: Socket): void {
    const known = this.#faulty.get(socket.id);
    const times = socket.steps.filter(({ error }) => error !== null).map(({ t }) => t);
    this.#childFault(socket, times);
    if (times.length === (known?.length ?? 0)) return;
    if (times.length > 0) this.#faulty.set(socket.id, times);
    else this.#faulty.delete(socket.id);
    for (const holder of this.holders(socket.id)) {
      for (const t of known ?? []) this.#unfault(holder, t);
      for (const t of times) this.#fault(holder, t);
    }
  }

  #childFault({ id, listener, accepted }: Socket, times: readonly number[]): void {
    const known = this.#ofChild.get(id);
    if (listener === null || (known === undefined && times.length === 0)) return;
    for (const key of known?.keys ?? [])
      for (const t of known?.times ?? []) removeFrom(this.#childFaults, key, t, (at) => at);
    this.#ofChild.delete(id);
    if (times.length === 0) return;
    const keys = accepted === null ? [listener, lostKey(listener)] : [listener];
    for (const key of keys) for (const t of times) insert(list(this.#childFaults, key), t, (at) => at);
    this.#ofChild.set(id, { keys, times });
  }

  /** An error after the descriptor's end still belongs to its slot: a reset often comes then. */
  #fault({ table, fd, opened }: Descriptor, t: number): void {
    if (t < opened) return;
    let slots = this.#errors.get(table);
    if (!slots) {
      slots = new Map();
      this.#errors.set(table, slots);
    }
    insert(list(slots, fd), t, (at) => at);
  }

  #unfault({ table, fd, opened }: Descriptor, t: number): void {
    const slots = t < opened ? undefined : this.#errors.get(table);
    if (!slots) return;
    removeFrom(slots, fd, t, (at) => at);
    if (slots.size === 0) this.#errors.delete(table);
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

/** When the last descriptor of a child was emptied, or the child ended without one; `undefined` while it lives. */
export function childEnd(entities: Entities, child: Socket): number | undefined {
  const holders = entities.holders(child.id);
  if (holders.length === 0) return child.ended ?? undefined;
  let last = 0;
  for (const holder of holders) {
    if (holder.closed === null) return undefined;
    last = Math.max(last, holder.closed);
  }
  return last;
}

function openedAt(descriptor: Descriptor): number {
  return descriptor.opened;
}

function lostKey(listener: string): string {
  return `${listener}/lost`;
}

const NO_TIMES: readonly number[] = [];

function list<K, T>(lists: Map<K, T[]>, key: K): T[] {
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
      // The oldest goes first, and `shift` moves no others where `splice` does.
      if (at === 0) items.shift();
      else items.splice(at, 1);
      return;
    }
  }
}

function removeFrom<K, T>(lists: Map<K, T[]>, key: K, item: T, order: (item: T) => number): void {
  const items = lists.get(key);
  if (!items) return;
  remove(items, item, order);
  if (items.length === 0) lists.delete(key);
}

import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import { type Entities, lastHeld, type Watcher } from "../store/entities.ts";
import type { Failure, Failures } from "../store/failures.ts";
import { looseOf } from "./failed.ts";
import type { RowFilter, Subject } from "./filter.ts";

/** Descriptors that are looked at between two pauses. */
const PORTION = 500;

/**
 * What fits a row filter. All descriptors are looked at once, a portion at a time; from then on only what changes: the rows of
 * a busy session are laid many times a second.
 */
export class Matching implements Watcher {
  /** Of each process, by number, what fits; what fits no more is taken out. */
  readonly #fitting = new Map<string, Map<number, Set<Descriptor>>>();
  readonly #owners = new Map<string, Set<Process>>();
  /** What filters ask of a process, as it was last seen. */
  readonly #seen = new Map<string, string>();
  /** Whether a process fits by its failed calls on nothing that it held, where that is known. */
  readonly #alone = new Map<string, boolean>();

  constructor(
    readonly entities: Entities,
    readonly failures: Failures,
    readonly filter: RowFilter,
  ) {
    for (const process of entities.processes.values()) this.#own(process);
    entities.watcher = this;
    failures.watcher = (changed) => this.#failuresChanged(changed);
  }

  /** Hears of no more changes. */
  end(): void {
    this.entities.watcher = undefined;
    this.failures.watcher = undefined;
  }

  /** Looks at everything that there is. */
  *all(): Generator<void, void, void> {
    let looked = 0;
    for (const process of [...this.entities.processes.values()]) {
      for (const { held } of this.entities.slots(process.table)) {
        // From the newest on: what is forgotten in a pause, mostly the oldest, moves none past this place.
        for (let i = held.length - 1; i >= 0; i -= 1) {
          if (++looked % PORTION === 0) yield;
          const descriptor = held[i];
          if (descriptor) this.#look(process, descriptor);
        }
      }
    }
  }

  /** Whether something fits that a slot of a process held up to a moment. */
  anyOf(process: Process, fd: number, edge: number): boolean {
    for (const { opened } of this.of(process, fd)) if (opened <= edge) return true;
    return false;
  }

  /** What fits of all that a slot of a process ever held. */
  of(process: Process, fd: number): ReadonlySet<Descriptor> {
    return this.#fitting.get(process.id)?.get(fd) ?? NOTHING;
  }

  /** Whether a process fits by what it failed at, of which no descriptor tells: a socket that it could not make, for one. */
  alone(process: Process): boolean {
    let fits = this.#alone.get(process.id);
    if (fits === undefined) {
      const subject = { process, descriptor: undefined, socket: undefined };
      const loose = () => looseOf(this.entities, this.failures, process);
      fits = this.filter({ ...subject, loose }) && !this.filter(subject);
      this.#alone.set(process.id, fits);
    }
    return fits;
  }

  /** Whether anything else fits than a descriptor of a table. */
  fits(subject: Subject): boolean {
    return this.filter(subject);
  }

  descriptorChanged(descriptor: Descriptor): void {
    const here = this.entities.descriptors.has(descriptor.id);
    for (const process of this.#owners.get(descriptor.table) ?? []) {
      this.#alone.delete(process.id);
      if (here) this.#look(process, descriptor);
      else this.#put(process, descriptor, false);
    }
  }

  socketChanged(socket: Socket): void {
    for (const holder of this.entities.holders(socket.id)) this.descriptorChanged(holder);
  }

  processChanged(process: Process): void {
    const here = this.entities.processes.has(process.id);
    if (here && this.#seen.get(process.id) === asked(process)) return;
    this.#fitting.delete(process.id);
    this.#alone.delete(process.id);
    this.#seen.delete(process.id);
    for (const [table, owners] of this.#owners) {
      if (owners.delete(process) && owners.size === 0) this.#owners.delete(table);
    }
    if (!here) return;
    this.#own(process);
    for (const { held } of this.entities.slots(process.table)) {
      for (const descriptor of held) this.descriptorChanged(descriptor);
    }
  }

  /** What came together mostly failed at the same: each thing is looked at once. */
  #failuresChanged(changed: readonly Failure[]): void {
    const found = new Set<Descriptor>();
    for (const { process: id, fd, t, socket } of changed) {
      const process = this.entities.processes.get(id);
      this.#alone.delete(id);
      const slot = process && fd !== undefined ? this.entities.slot(process.table, fd) : undefined;
      const held = slot && lastHeld(slot, t);
      if (held) found.add(held);
      for (const holder of socket === undefined ? [] : this.entities.holders(socket)) found.add(holder);
    }
    for (const descriptor of found) this.descriptorChanged(descriptor);
  }

  #look(process: Process, descriptor: Descriptor): void {
    const socket = descriptor.socket ? this.entities.sockets.get(descriptor.socket) : undefined;
    this.#put(process, descriptor, this.filter({ process, descriptor, socket }));
  }

  #own(process: Process): void {
    this.#seen.set(process.id, asked(process));
    const owners = this.#owners.get(process.table);
    if (owners) owners.add(process);
    else this.#owners.set(process.table, new Set([process]));
  }

  #put(process: Process, descriptor: Descriptor, fits: boolean): void {
    const slots = this.#fitting.get(process.id);
    const known = slots?.get(descriptor.fd);
    if (!fits) known?.delete(descriptor);
    else if (known) known.add(descriptor);
    else if (slots) slots.set(descriptor.fd, new Set([descriptor]));
    else this.#fitting.set(process.id, new Map([[descriptor.fd, new Set([descriptor])]]));
  }
}

function asked({ comm, table }: Process): string {
  return `${table} ${comm}`;
}

const NOTHING: ReadonlySet<Descriptor> = new Set();

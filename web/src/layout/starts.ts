import type { Process, Socket } from "../protocol/types.gen.ts";
import type { Entities } from "../store/entities.ts";
import type { Failures } from "../store/failures.ts";
import { levels, limitAt, roomOf, toldOf } from "./queue.ts";

/** How full a listener's queue is or, where every program has ended, was at most. */
export interface Fullest {
  readonly listener: Socket;
  readonly waiting: number;
  readonly limit: number | undefined;
  readonly past: boolean;
}

/** Where to look first in a session that one does not know. */
export interface Starts {
  /** The listener whose queue is fullest, where somebody waits; after the end of all programs, where somebody did. */
  readonly queue: Fullest | undefined;
  /** The process that is nearest to its limit on descriptors. */
  readonly limit: { readonly process: Process; readonly open: number; readonly most: number } | undefined;
  /** The process with the most errors: failed calls, and verdicts on its sockets. */
  readonly errors: { readonly process: Process; readonly count: number } | undefined;
}

export function startsAt(entities: Entities, failures: Failures, at: number): Starts {
  let alive = false;
  let limit: Starts["limit"];
  let most: Starts["errors"];
  const opens = openByTable(entities, at);
  const faults = faultsByTable(entities, failures);
  for (const process of entities.processes.values()) {
    if (process.seen > at) continue;
    // Who failed and ended is to be found, too.
    const count = (failures.counts.get(process.id) ?? 0) + (faults.get(process.table) ?? 0);
    if (count > 0 && (!most || count > most.count)) most = { process, count };
    if (process.ended !== null && process.ended <= at) continue;
    alive = true;
    const open = opens.get(process.table) ?? 0;
    const { fd_limit } = process;
    if (fd_limit && open > 0 && (!limit || open / fd_limit > limit.open / limit.most)) {
      limit = { process, open, most: fd_limit };
    }
  }
  return { queue: fullest(entities, at, alive ? queueNow : queueThen), limit, errors: most };
}

type Look = (entities: Entities, listener: Socket, at: number) => Fullest | undefined;

function fullest(entities: Entities, at: number, look: Look): Fullest | undefined {
  let found: Fullest | undefined;
  for (const listener of entities.sockets.values()) {
    const one = look(entities, listener, at);
    if (one && one.waiting > 0 && (!found || fill(one) > fill(found))) found = one;
  }
  return found;
}

/** What the listener's row tells, too. */
function queueNow(entities: Entities, listener: Socket, at: number): Fullest | undefined {
  if (listener.ended !== null && listener.ended <= at) return undefined;
  const { waiting, limit } = toldOf(entities, listener, at);
  return { listener, waiting, limit, past: false };
}

/** The longest that the queue was, as far as its children are kept. */
function queueThen(entities: Entities, listener: Socket, at: number): Fullest | undefined {
  const children = entities.children(listener.id);
  if (children.length === 0) return undefined;
  const { times, lengths } = levels(children, Number.NEGATIVE_INFINITY, at);
  const waiting = lengths.reduce((most, length) => Math.max(most, length), 0);
  const limit = limitAt(listener, times[lengths.indexOf(waiting)] ?? at);
  return { listener, waiting, limit, past: true };
}

function fill({ waiting, limit }: Fullest): number {
  return waiting / roomOf(limit ?? 0);
}

function openByTable(entities: Entities, at: number): Map<string, number> {
  const open = new Map<string, number>();
  for (const { table, opened, closed } of entities.descriptors.values()) {
    if (opened <= at && (closed === null || closed > at)) open.set(table, (open.get(table) ?? 0) + 1);
  }
  return open;
}

/** Errors of sockets that no call returned, at the table that held each first. */
function faultsByTable(entities: Entities, failures: Failures): Map<string, number> {
  const found = new Map<string, number>();
  for (const [socket, times] of entities.faulty()) {
    const table = entities.holders(socket)[0]?.table;
    const more = times.filter((t) => !failures.returned(socket, t)).length;
    if (table !== undefined) found.set(table, (found.get(table) ?? 0) + more);
  }
  return found;
}

import type { Process, Socket } from "../protocol/types.gen.ts";
import type { Entities } from "../store/entities.ts";
import { queueAt } from "./queue.ts";

/** Where to look first in a session that one does not know. */
export interface Starts {
  /** The listener whose queue is fullest, where somebody waits. */
  readonly queue: { readonly listener: Socket; readonly waiting: number } | undefined;
  /** The process that is nearest to its limit on descriptors. */
  readonly limit: { readonly process: Process; readonly open: number; readonly most: number } | undefined;
  /** The process with the most errors: failed calls, and verdicts on its sockets. */
  readonly errors: { readonly process: Process; readonly count: number } | undefined;
}

/** @param errors Failed calls of each process. */
export function startsAt(entities: Entities, errors: ReadonlyMap<string, number>, at: number): Starts {
  let queue: Starts["queue"];
  for (const listener of entities.sockets.values()) {
    const children = entities.children(listener.id);
    if (children.length === 0 || (listener.ended !== null && listener.ended <= at)) continue;
    const waiting = queueAt(children, at).waiting.length;
    const fuller = !queue || fill(waiting, listener) > fill(queue.waiting, queue.listener);
    if (waiting > 0 && fuller) queue = { listener, waiting };
  }
  let limit: Starts["limit"];
  let most: Starts["errors"];
  const opens = openByTable(entities, at);
  const faults = faultsByTable(entities);
  for (const process of entities.processes.values()) {
    if (process.seen > at || (process.ended !== null && process.ended <= at)) continue;
    const open = opens.get(process.table) ?? 0;
    const { fd_limit } = process;
    if (fd_limit && open > 0 && (!limit || open / fd_limit > limit.open / limit.most)) {
      limit = { process, open, most: fd_limit };
    }
    const count = (errors.get(process.id) ?? 0) + (faults.get(process.table) ?? 0);
    if (count > 0 && (!most || count > most.count)) most = { process, count };
  }
  return { queue, limit, errors: most };
}

/** How full a queue is: it holds one more than its limit (`sk_acceptq_is_full`, include/net/sock.h). */
function fill(waiting: number, { queue_limit }: Socket): number {
  return waiting / ((queue_limit ?? 0) + 1);
}

function openByTable(entities: Entities, at: number): Map<string, number> {
  const open = new Map<string, number>();
  for (const { table, opened, closed } of entities.descriptors.values()) {
    if (opened <= at && (closed === null || closed > at)) open.set(table, (open.get(table) ?? 0) + 1);
  }
  return open;
}

/** Errors of sockets, at the table that held each first. */
function faultsByTable(entities: Entities): Map<string, number> {
  const found = new Map<string, number>();
  for (const [socket, times] of entities.faulty()) {
    const table = entities.holders(socket)[0]?.table;
    if (table !== undefined) found.set(table, (found.get(table) ?? 0) + times.length);
  }
  return found;
}

import { stepAt } from "../a11y/sentences.ts";
import type { Descriptor, Process, Socket, Tcp } from "../protocol/types.gen.ts";
import { type Entities, joined } from "../store/entities.ts";
import { begun, isNamed, together } from "./ends.ts";
import type { RowFilter } from "./filter.ts";

/** One end of a connection. */
export interface End {
  readonly socket: Socket;
  /** The descriptor that holds it, or held it last. */
  readonly holder: Descriptor | undefined;
  readonly process: Process | undefined;
  /** How many more have the listener of one that waits: whoever asks first has it. */
  readonly others: number;
}

/** A connection: the ends of it that are known, at least one. */
export interface Connection {
  /** The end that connected; of a pair of sockets the one that was made first. */
  readonly client: End | undefined;
  /** The end that a listener made. */
  readonly server: End | undefined;
  /** Since when it is there. */
  readonly since: number;
  /** When its last end ended, if that was before the instant. */
  readonly ended: number | undefined;
}

interface Question {
  readonly entities: Entities;
  readonly at: number;
  readonly filter: RowFilter | undefined;
  /** Also those that had ended. */
  readonly ended: boolean;
}

/** Every connection at an instant, in the order in which they were first seen; what `connections` of tracer-answers tells. */
export function connectionsAt({ entities, at, filter, ended }: Question): Connection[] {
  const owners = new Map<string, Process>();
  for (const process of entities.processes.values()) {
    if (!owners.has(process.table)) owners.set(process.table, process);
  }
  const there = [...entities.sockets.values()].filter((socket) => isThere(socket, at, ended));
  const facing = new Map<string, Socket[]>();
  for (const socket of there) {
    if (!isNamed(socket)) continue;
    const key = `${socket.netns} ${socket.local} ${socket.peer}`;
    const same = facing.get(key);
    if (same) same.push(socket);
    else facing.set(key, [socket]);
  }
  const other = (socket: Socket): Socket | undefined => {
    if (socket.other_end !== undefined) return entities.sockets.get(socket.other_end);
    if (!isNamed(socket)) return undefined;
    const all = facing.get(`${socket.netns} ${socket.peer} ${socket.local}`) ?? [];
    return all.findLast((one) => one !== socket && together(one, socket));
  };
  const end = (socket: Socket): End => {
    const holders = entities.holders(socket.id);
    const there = holders.filter(({ opened }) => opened <= at);
    // A child's copy that it closed at once is the newest, and holds nothing.
    const holder = there.find(({ closed }) => closed === null || closed > at) ?? there.at(-1) ?? holders[0];
    const waits = holder || !socket.listener ? [] : tablesAt(entities, socket.listener, at);
    const table = holder?.table ?? waits[0];
    return {
      socket,
      holder,
      process: table === undefined ? undefined : owners.get(table),
      others: Math.max(0, waits.length - 1),
    };
  };
  const fits = ({ socket, holder, process }: End) =>
    !filter || filter({ process, descriptor: holder, socket });
  const taken = new Set<Socket>();
  const found: Connection[] = [];
  for (const socket of there) {
    if (taken.has(socket)) continue;
    const far = other(socket);
    const pair = far && !taken.has(far) && isThere(far, at, ended) ? [socket, far] : [socket];
    for (const one of pair) taken.add(one);
    const ends = pair.map(end);
    if (!ends.some(fits)) continue;
    // Of a pair of sockets neither is a listener's: the one that was seen first stands for the client.
    const server = ends.find((one) => one.socket.listener !== null) ?? ends[1];
    const gone = pair.map((one) => one.ended ?? Number.POSITIVE_INFINITY);
    const last = Math.max(...gone);
    found.push({
      client: ends.find((one) => one !== server),
      server,
      since: Math.min(...pair.map(joined)),
      ended: last <= at ? last : undefined,
    });
  }
  return found;
}

/** The tables in which a socket was open at an instant. */
function tablesAt(entities: Entities, socket: string, at: number): readonly string[] {
  const open = entities.holders(socket).filter((one) => one.opened <= at && (one.closed ?? at + 1) > at);
  return [...new Set(open.map(({ table }) => table))];
}

/** The kernel's counters of an end, as they had been read at an instant. */
export function countersAt(end: End | undefined, at: number): Tcp | undefined {
  const tcp = end?.socket.tcp;
  return tcp && tcp.t <= at ? tcp : undefined;
}

/**
 * Bytes each way. What one end received in order the other has sent; where that end is not known, what was acknowledged of
 * it. A SYN and a FIN are one each.
 */
export function bytesAt({ client, server }: Connection, at: number): { up?: number; down?: number } {
  const [near, far] = [countersAt(client, at), countersAt(server, at)];
  const up = far?.bytes_received ?? near?.bytes_acked;
  const down = near?.bytes_received ?? far?.bytes_acked;
  return { ...(up === undefined ? {} : { up }), ...(down === undefined ? {} : { down }) };
}

/** Who closed first, and when, as far as that was known at an instant. */
export function closedFirst(
  { client, server }: Connection,
  at: number,
): { readonly who: "client" | "server"; readonly t: number } | undefined {
  const ends = [
    ["client", client?.socket],
    ["server", server?.socket],
  ] as const;
  for (const [who, socket] of ends) {
    const t = socket && closing(socket);
    if (!socket || socket.closed_first === null || t === undefined || t > at) continue;
    const far = who === "client" ? "server" : "client";
    return { who: socket.closed_first === "local" ? who : far, t };
  }
  // Unix sockets have no states that tell: whose end was closed or shut down first.
  let first: { who: "client" | "server"; t: number } | undefined;
  for (const [who, socket] of ends) {
    if (socket && socket.family !== "unix") return undefined;
    const t = socket && closing(socket);
    if (t !== undefined && t <= at && t < (first?.t ?? Number.POSITIVE_INFINITY)) first = { who, t };
  }
  return first;
}

function closing(socket: Socket): number | undefined {
  return socket.steps.find(
    ({ phase }) => phase === "half_closed" || phase === "closing" || phase === "closed",
  )?.t;
}

function isThere(socket: Socket, at: number, ended: boolean): boolean {
  if ((socket.peer === null && socket.other_end === undefined) || begun(socket) > at) return false;
  // What was connected once is a connection, even when it has ended; a refused attempt connects nothing.
  if (ended && socket.steps.some(({ phase, t }) => phase === "connected" && t <= at)) return true;
  if (socket.ended !== null && socket.ended <= at) return false;
  return stepAt(socket, at)?.phase !== "closed";
}

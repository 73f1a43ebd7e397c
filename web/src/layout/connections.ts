import { stepAt } from "../a11y/sentences.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import { type Entities, joined } from "../store/entities.ts";
import type { RowFilter } from "./filter.ts";

/** A socket with a peer at an instant. */
export interface Connection {
  readonly socket: Socket;
  readonly phase: string;
  /** Since when it is there. */
  readonly since: number;
  /** The descriptor that holds it, or held it last. */
  readonly holder: Descriptor | undefined;
  readonly process: Process | undefined;
  /** The socket at the other end, where that is on this host and known. */
  readonly other: Socket | undefined;
}

interface Question {
  readonly entities: Entities;
  readonly at: number;
  readonly filter: RowFilter | undefined;
}

/** Every connection at an instant, in the order in which they were first seen. */
export function connectionsAt({ entities, at, filter }: Question): Connection[] {
  const owners = new Map<string, Process>();
  for (const process of entities.processes.values()) {
    if (!owners.has(process.table)) owners.set(process.table, process);
  }
  const there = [...entities.sockets.values()].filter((socket) => isThere(socket, at));
  const ends = new Map<string, Socket>();
  for (const socket of there) ends.set(`${socket.netns} ${socket.local} ${socket.peer}`, socket);
  const found: Connection[] = [];
  for (const socket of there) {
    const holders = entities.holders(socket.id);
    const holder = holders.findLast(({ opened }) => opened <= at) ?? holders[0];
    const table =
      holder?.table ?? (socket.listener ? entities.holders(socket.listener)[0]?.table : undefined);
    const process = table === undefined ? undefined : owners.get(table);
    if (filter && !filter({ process, descriptor: holder, socket })) continue;
    const other = isNamed(socket) ? ends.get(`${socket.netns} ${socket.peer} ${socket.local}`) : undefined;
    found.push({
      socket,
      phase: stepAt(socket, at)?.phase ?? "created",
      since: joined(socket),
      holder,
      process,
      other: other === socket ? undefined : other,
    });
  }
  return found;
}

const others = new WeakMap<Socket, { readonly revision: number; readonly other: Socket | undefined }>();

/** The socket at the other end of a connection, where that is on this host and known. */
export function otherEnd(entities: Entities, socket: Socket): Socket | undefined {
  if (!isNamed(socket) || socket.peer === null) return undefined;
  const known = others.get(socket);
  if (known?.revision === entities.revision) return known.other;
  let other: Socket | undefined;
  for (const one of entities.sockets.values()) {
    if (one === socket || one.local !== socket.peer || one.peer !== socket.local) continue;
    // Ports are used again: the two ends were there at one time.
    const together =
      begun(one) <= (socket.ended ?? Number.POSITIVE_INFINITY) &&
      begun(socket) <= (one.ended ?? Number.POSITIVE_INFINITY);
    if (one.netns === socket.netns && together) other = one;
  }
  others.set(socket, { revision: entities.revision, other });
  return other;
}

function begun(socket: Socket): number {
  return socket.steps[0]?.t ?? 0;
}

function isThere(socket: Socket, at: number): boolean {
  if (socket.peer === null || begun(socket) > at || (socket.ended !== null && socket.ended <= at))
    return false;
  // A refused attempt keeps its descriptor, and connects nothing.
  return stepAt(socket, at)?.phase !== "closed";
}

/** Unix sockets have mostly no names of their own: only internet addresses tell a pair. */
function isNamed({ family, local }: Socket): boolean {
  return local !== null && (family === "inet" || family === "inet6");
}

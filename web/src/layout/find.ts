import { lowerBound } from "../base/search.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import { type Entities, joined } from "../store/entities.ts";
import {
  childKey,
  instanceKey,
  laneKey,
  listenerKey,
  processKey,
  type Row,
  type Rows,
  slotKey,
} from "./rows.ts";

/** The process that uses a table; the preferred one where several do. */
export function ownerOf(entities: Entities, table: string, prefer?: string): Process | undefined {
  const preferred = prefer === undefined ? undefined : entities.processes.get(prefer);
  if (preferred?.table === table) return preferred;
  for (const process of entities.processes.values()) if (process.table === table) return process;
  return undefined;
}

/** The row that shows a descriptor, or its process where that is collapsed. */
export function rowOfDescriptor(
  entities: Entities,
  rows: Rows,
  { table, fd, id }: Descriptor,
  prefer: string | undefined,
): Row | undefined {
  const owner = ownerOf(entities, table, prefer)?.id;
  return owner === undefined
    ? undefined
    : first(rows, slotKey(owner, fd), instanceKey(owner, id), processKey(owner));
}

/**
 * The row that shows a socket: its own or its place under its listener, else what holds it.
 * @param prefer The process whose rows are looked at first.
 */
export function rowOfSocket(
  entities: Entities,
  rows: Rows,
  socket: Socket,
  prefer: string | undefined,
): Row | undefined {
  const own = first(rows, listenerKey(socket.id)) ?? laneOf(rows, socket);
  if (own) return own;
  const owner = prefer === undefined ? undefined : entities.processes.get(prefer);
  for (const parent of socket.listener && owner ? entities.holders(socket.listener) : []) {
    const listed = owner && first(rows, childKey(owner.id, parent.fd, socket.id));
    if (listed) return listed;
  }
  const holders = [...entities.holders(socket.id)].sort(
    (a, b) => Number(b.table === owner?.table) - Number(a.table === owner?.table),
  );
  for (const holder of holders) {
    const row = rowOfDescriptor(entities, rows, holder, prefer);
    if (row) return row;
  }
  return undefined;
}

/** The lane that a child stands in. */
export function laneOf({ rows, index }: Rows, child: Socket): Row | undefined {
  if (!child.listener) return undefined;
  for (let at = index.get(laneKey(child.listener, 1)) ?? rows.length; at < rows.length; at += 1) {
    const row = rows[at];
    if (row?.kind !== "lane" || row.listener.id !== child.listener) return undefined;
    const i = lowerBound(row.children, joined(child), joined);
    if (row.children.slice(i, i + 2).includes(child)) return row;
  }
  return undefined;
}

function first({ rows, index }: Rows, ...keys: string[]): Row | undefined {
  for (const key of keys) {
    const row = rows[index.get(key) ?? -1];
    if (row) return row;
  }
  return undefined;
}

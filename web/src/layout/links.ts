import type { Socket } from "../protocol/types.gen.ts";
import type { Link } from "../render/scene.ts";
import { type Entities, joined } from "../store/entities.ts";
import { childKey, processKey, type Rows, slotKey } from "./rows.ts";
import type { TimeScale } from "./timescale.ts";

/** Curves at one time; what goes beyond is counted. */
const MOST = 200;

/** The curves between a selected listener and its children, or a selected child and its listener. */
export function layLinks(
  entities: Entities,
  rows: Rows,
  scale: TimeScale,
  edge: number,
  socket: Socket,
  process: string,
): { links: Link[]; more: number } {
  const listener = socket.listener ? entities.sockets.get(socket.listener) : socket;
  const children = socket.listener ? [socket] : entities.children(socket.id);
  const links: Link[] = [];
  let more = 0;
  for (const child of children) {
    const at = child.accepted ?? joined(child);
    if (!listener || at > edge || at < scale.start || at > scale.end) continue;
    const y1 = middle(entities, rows, child, process, listener);
    const y0 = middle(entities, rows, listener, process, undefined);
    if (y0 === undefined || y1 === undefined) continue;
    if (links.length === MOST) more += 1;
    else links.push({ x: scale.x(at), y0, y1 });
  }
  return { links, more };
}

/** The middle of the row that shows a socket: its place under its listener, its slot, or its process. */
function middle(
  entities: Entities,
  { rows, index }: Rows,
  socket: Socket,
  process: string,
  listener: Socket | undefined,
): number | undefined {
  const owner = entities.processes.get(process);
  for (const parent of listener ? entities.holders(listener.id) : []) {
    const at = owner && index.get(childKey(owner.id, parent.fd, socket.id));
    const row = at === undefined ? undefined : rows[at];
    if (row) return row.y + row.height / 2;
  }
  const holders = entities.holders(socket.id);
  const ordered = [...holders].sort(
    (a, b) => Number(b.table === owner?.table) - Number(a.table === owner?.table),
  );
  for (const holder of ordered) {
    for (const candidate of entities.processes.values()) {
      if (candidate.table !== holder.table) continue;
      const at = index.get(slotKey(candidate.id, holder.fd)) ?? index.get(processKey(candidate.id));
      const row = at === undefined ? undefined : rows[at];
      if (row) return row.y + row.height / 2;
    }
  }
  return undefined;
}

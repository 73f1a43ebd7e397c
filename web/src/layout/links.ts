import type { Descriptor, Socket } from "../protocol/types.gen.ts";
import type { Link, Tie } from "../render/scene.ts";
import { type Entities, joined } from "../store/entities.ts";
import { otherEnd } from "./ends.ts";
import { rowOfDescriptor, rowOfSocket } from "./find.ts";
import type { Row, Rows } from "./rows.ts";
import type { TimeScale } from "./timescale.ts";

/** Curves at one time; what goes beyond is counted. */
const MOST = 200;
/** How far one leaves its moment to the left, at most (pixels). */
const BEND_PX = 28;

/** What is selected: a socket, a descriptor or both, and whose. */
export interface Tied {
  readonly socket: Socket | undefined;
  readonly descriptor: Descriptor | undefined;
  readonly process: string;
  /** Key of the row that is selected. */
  readonly row: string;
}

interface Question {
  readonly entities: Entities;
  readonly rows: Rows;
  readonly scale: TimeScale;
  readonly edge: number;
  /** Of the time before it nothing is kept: no curve reaches into that. */
  readonly keptSince: number;
}

/** The curves to what the selection has to do with: listener or children, the other end, and who shares its open file. */
export function layLinks(question: Question, tied: Tied): { links: Link[]; more: number } {
  const { scale, edge, keptSince } = question;
  const links: Link[] = [];
  let more = 0;
  for (const { tie, at, y0, y1 } of ties(question, tied)) {
    if (at > edge || at < Math.max(scale.start, keptSince) || at > scale.end) continue;
    if (y0 === undefined || y1 === undefined || y0 === y1) continue;
    const x = scale.x(at);
    const bend = Math.min(BEND_PX, Math.abs(y1 - y0) / 2 + 6, x - scale.x(keptSince));
    if (links.length === MOST) more += 1;
    else links.push({ tie, x, y0, y1, bend });
  }
  return { links, more };
}

interface TieAt {
  readonly tie: Tie;
  readonly at: number;
  readonly y0: number | undefined;
  readonly y1: number | undefined;
}

function* ties(
  { entities, rows }: Question,
  { socket, descriptor, process, row: selected }: Tied,
): Generator<TieAt> {
  // Of several rows that show the selected socket, the one that was selected.
  const place = (one: Socket) => {
    const own = one === socket ? rows.rows[rows.index.get(selected) ?? -1] : undefined;
    return middle(own ?? rowOfSocket(entities, rows, one, process));
  };
  if (socket) {
    const listener = socket.listener ? entities.sockets.get(socket.listener) : socket;
    const parent = listener && place(listener);
    for (const child of socket.listener ? [socket] : entities.children(socket.id)) {
      yield { tie: "accept", at: child.accepted ?? joined(child), y0: parent, y1: place(child) };
    }
    const other = otherEnd(entities, socket);
    if (other) yield { tie: "pair", at: connectedAt(socket, other), y0: place(socket), y1: place(other) };
  }
  if (!descriptor) return;
  for (const one of entities.sharing(descriptor.file)) {
    if (one.id === descriptor.id) continue;
    const later = one.opened > descriptor.opened ? one : descriptor;
    const y0 = middle(rowOfDescriptor(entities, rows, descriptor, process));
    const y1 = middle(rowOfDescriptor(entities, rows, one, process));
    yield { tie: "shared", at: later.opened, y0, y1 };
  }
}

function middle(row: Row | undefined): number | undefined {
  return row && row.y + row.height / 2;
}

/** The later of the moments at which the two ends were connected. */
function connectedAt(a: Socket, b: Socket): number {
  return Math.max(joined(a), joined(b));
}

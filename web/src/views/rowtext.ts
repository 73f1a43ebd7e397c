import {
  acceptedBy,
  address,
  children,
  childSentence,
  fileName,
  holderAt,
  isDoubtful,
  listenerName,
  openWord,
  phaseWord,
  processName,
  processSentence,
  slotSentence,
  socketKind,
  standingSince,
  stepAt,
} from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { upperBound } from "../base/search.ts";
import { count, duration } from "../base/time.ts";
import { ownerOf } from "../layout/find.ts";
import { look } from "../layout/life.ts";
import { type Told, toldOf } from "../layout/queue.ts";
import {
  type ChildRow,
  type InstanceRow,
  isOpen,
  type LaneRow,
  type ListenerRow,
  type ProcessRow,
  type Row,
  type SlotRow,
} from "../layout/rows.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import { childEnd, type Entities, joined, lastHeld } from "../store/entities.ts";
import type { Session } from "../store/session.ts";

/** The texts of a row's header. */
export interface RowText {
  /** Changes whenever something of the others does. */
  readonly key: string;
  readonly sentence: string;
  readonly lead: string;
  readonly chip: string;
  /** Class of the chip: the role of the bar, in CSS terms. */
  readonly tone: string;
  readonly name: string;
  /** What tells a process from others of its name, so that it is never cut. */
  readonly number?: number;
  /** Parts of the row's end, what matters most first: those that there is no room for are left out. */
  readonly tail: readonly string[];
  /** Why all of this may be wrong, where it may be. */
  readonly doubt: string | undefined;
  readonly faint: boolean;
  readonly expanded: boolean | undefined;
  /** Attributes by which scripts find the row. */
  readonly data: Readonly<Record<`data-${string}`, string | undefined>>;
}

type Draft = Omit<RowText, "key" | "doubt">;

/** What a row's chip says of a time before there was anything. */
const NOT_YET = "not yet";

/** What a row is at the time cursor; without one, at the newest moment that is shown. */
export function describe({ entities, clock }: Session, row: Row, edge: number, cursor?: number): RowText {
  const at = cursor ?? edge;
  const draft = draw(entities, row, at, cursor !== undefined);
  const doubt = isDoubtful(row.process, at) ? standingSince(row.process, clock) : undefined;
  const isProcess = row.kind === "process";
  // What is certain needs no word; what is not is the last to be left out.
  const mark = doubt === undefined ? [] : [isProcess ? row.process.standing : "?"];
  const text = {
    ...draft,
    doubt,
    sentence: doubt === undefined || isProcess ? draft.sentence : `${draft.sentence}, ${doubt}`,
    tail: dotted([...mark, ...draft.tail]),
  };
  return { ...text, key: JSON.stringify(text) };
}

function draw(entities: Entities, row: Row, at: number, isPast: boolean): Draft {
  switch (row.kind) {
    case "process":
      return ofProcess(row, at, isPast ? entities.tableAt(row.process.table, at).length : row.open);
    case "slot":
    case "instance":
    case "listener":
      return ofDescriptor(entities, row, at);
    case "lane":
      return ofLane(entities, row, at);
    case "child": {
      const { socket } = row;
      const text = ofChild(entities, row, socket, at);
      const waited = acceptedBy(socket, at) ? socket.wait_ns : null;
      return {
        ...text,
        tail: [...text.tail, ...(waited === null ? [] : [`${duration(waited)} queued`])],
        data: {
          ...text.data,
          "data-fd": String(row.fd),
          "data-closed-first": socket.closed_first ?? undefined,
        },
      };
    }
    case "more":
      return {
        sentence: `${count(row.count)} more are not listed`,
        lead: "",
        chip: "",
        tone: "",
        name: `${count(row.count)} more`,
        tail: [],
        faint: true,
        expanded: undefined,
        data: {
          "data-process": row.process.id,
          "data-fd": row.fd === undefined ? undefined : String(row.fd),
        },
      };
  }
}

function ofChild(
  entities: Entities,
  { process, listener }: ChildRow | LaneRow,
  child: Socket,
  at: number,
): Draft {
  const came = joined(child) <= at;
  const ended = childEnd(entities, child);
  const gone = ended !== undefined && ended <= at;
  const phase = gone ? "closed" : (stepAt(child, at)?.phase ?? "created");
  return {
    sentence: childSentence(entities, child, at),
    lead: fdOf(entities, child, at),
    chip: came ? phaseWord(phase) : NOT_YET,
    tone: came && !gone ? tone(child, at) : "gone",
    name: address(child.peer),
    tail: elsewhere(entities, { process, socket: child }, at),
    faint: gone || !came,
    expanded: undefined,
    data: {
      "data-process": process.id,
      "data-listener": listener.id,
      "data-socket": child.id,
      "data-local": child.local ?? undefined,
      "data-peer": child.peer ?? undefined,
      "data-state": came ? phase : undefined,
    },
  };
}

/** What stands in a lane, or stood there last. */
function ofLane(entities: Entities, row: LaneRow, at: number): Draft {
  const came = upperBound(row.children, at, joined);
  const text = ofChild(entities, row, row.children[Math.max(0, came - 1)] as Socket, at);
  return {
    ...text,
    sentence: `lane ${row.nth} of ${address(row.listener.local)}, ${children(came)}, ${text.faint && came > 0 ? "last " : ""}${text.sentence}`,
    tail: [...text.tail, ...(came > 1 ? [`last of ${count(came)}`] : [])],
  };
}

function ofProcess({ process, expanded }: ProcessRow, at: number, held: number): Draft {
  const ended = process.ended !== null && process.ended <= at;
  const came = process.seen <= at;
  const open = count(held);
  // Beside its limit the number is understood without its unit.
  const fds = process.fd_limit === null ? [`${open} fds`] : [`${open}/${count(process.fd_limit)}`, " fds"];
  return {
    sentence: processSentence(process, held, at),
    lead: "",
    chip: "",
    tone: "",
    name: visible(process.comm),
    number: process.pid,
    tail: [
      ...(process.standing === "repaired" ? ["repaired"] : []),
      ...(ended ? ["ended"] : came ? fds : [NOT_YET]),
    ],
    faint: ended || !came,
    expanded,
    data: { "data-process": process.id, "data-pid": String(process.pid), "data-standing": process.standing },
  };
}

function ofDescriptor(entities: Entities, row: SlotRow | InstanceRow | ListenerRow, at: number): Draft {
  const descriptor = (row.kind === "slot" && lastHeld(row.slot, at)) || row.descriptor;
  const socket = entities.sockets.get(descriptor.socket ?? "");
  const open = isOpen(descriptor, at);
  const empty = descriptor.opened > at ? NOT_YET : "closed";
  const phase = socket ? (open ? (stepAt(socket, at)?.phase ?? "created") : "closed") : undefined;
  const told = socket && phase === "listening" ? toldOf(entities, socket, at) : undefined;
  const data = {
    "data-process": row.process.id,
    "data-fd": String(descriptor.fd),
    "data-kind": descriptor.kind,
    "data-open": String(open),
    "data-socket": socket?.id,
    "data-listener": socket?.listener ?? undefined,
    "data-local": socket?.local ?? undefined,
    "data-peer": socket?.peer ?? undefined,
    "data-state": phase,
    "data-children": told && String(told.children),
  };
  const others = row.kind === "listener" ? othersOf(entities, row, at) : 0;
  const whose =
    row.kind === "listener"
      ? `, of ${processName(row.process)}${others > 0 ? ` and ${count(others)} more` : ""}`
      : "";
  const common = {
    sentence: slotSentence(entities, descriptor, socket, at) + whose,
    lead: String(descriptor.fd),
    faint: !open,
    expanded: "expanded" in row ? row.expanded : undefined,
    data,
  };
  if (!socket) {
    const kind = descriptor.kind.replaceAll("_", " ");
    return {
      ...common,
      chip: open ? kind : empty,
      tone: open ? "other" : "gone",
      name: fileName(descriptor),
      tail: [],
    };
  }
  // Who began is known of one that was accepted, or that was seen before it was connected.
  const made = socket.steps.some(({ phase }) => phase === "created" || phase === "connecting");
  const arrow = socket.listener ? "←" : made ? "→" : "↔";
  const where = told
    ? address(socket.local)
    : socket.peer
      ? `${arrow} ${address(socket.peer)}`
      : socket.local
        ? address(socket.local)
        : socketKind(socket);
  const of =
    row.kind === "listener" ? [processName(row.process), ...(others > 0 ? [` +${count(others)}`] : [])] : [];
  // Whose it is matters most, then who waits; children that are listed below are counted there.
  const listed = row.kind === "listener" && row.expanded;
  const tail = told ? [...of, ...waits(told, listed)] : [...of, origin(entities, socket, descriptor, where)];
  return {
    ...common,
    chip: open ? openWord(phase ?? "") : empty,
    tone: open ? tone(socket, at) : "gone",
    name: where,
    tail,
  };
}

/** Each but the first has the dot before it, which is left out with it; a unit or a comma goes on what stands before. */
function dotted(parts: readonly string[]): string[] {
  return parts.map((part, i) => (i === 0 || /^[ ,]/.test(part) ? part : `  ·  ${part}`));
}

/** `q 0, limit 511`: who waits, against which limit; and how many children there were where they are not listed. */
function waits({ waiting, limit, children: all }: Told, listed: boolean | undefined): string[] {
  return [
    ...(limit === undefined ? [] : [`q ${waiting}`, `, limit ${limit}`]),
    ...(listed ? [] : [children(all)]),
  ];
}

/** Where a socket came from, as far as its name in the row does not say that yet. */
function origin(entities: Entities, socket: Socket, descriptor: Descriptor, shown: string): string {
  if (socket.listener) {
    return `from ${listenerName(entities, socket, descriptor.table)}${socket.inferred ? "?" : ""}`;
  }
  return shown === socketKind(socket) ? descriptor.opened_by : socketKind(socket);
}

function tone(socket: Socket, at: number): string {
  const step = stepAt(socket, at);
  return step ? look(step).role.replace("_", "-") : "idle";
}

/** How many tables more than the row's own hold a listener. */
function othersOf(entities: Entities, { process, socket }: ListenerRow, at: number): number {
  const tables = new Set(
    entities.holders(socket.id).flatMap((holder) => (isOpen(holder, at) ? [holder.table] : [])),
  );
  tables.delete(process.table);
  return tables.size;
}

/** Who has a child that stands among another process's rows. */
function elsewhere(
  entities: Entities,
  { process, socket }: { process: Process; socket: Socket },
  at: number,
): string[] {
  const holder = holderAt(entities, socket, at);
  const owner = holder && ownerOf(entities, holder.table, process.id);
  return owner && owner.id !== process.id ? [`in ${processName(owner)}`] : [];
}

function fdOf(entities: Entities, socket: Socket, at: number): string {
  const holder = holderAt(entities, socket, at);
  return holder ? String(holder.fd) : "·";
}

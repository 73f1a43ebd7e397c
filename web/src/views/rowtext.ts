import {
  acceptedBy,
  address,
  children,
  childSentence,
  fileName,
  holderAt,
  listenerName,
  openWord,
  phaseWord,
  processName,
  processSentence,
  slotSentence,
  socketKind,
  stepAt,
} from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import { ownerOf } from "../layout/find.ts";
import { look } from "../layout/life.ts";
import { type Told, toldOf } from "../layout/queue.ts";
import {
  type InstanceRow,
  isOpen,
  type LaneRow,
  type ListenerRow,
  type ProcessRow,
  type Row,
  type SlotRow,
} from "../layout/rows.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import { childEnd, type Entities } from "../store/entities.ts";

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
  /** Class of the tail. */
  readonly alarm: "doubt" | undefined;
  readonly faint: boolean;
  readonly expanded: boolean | undefined;
  /** Attributes by which scripts find the row. */
  readonly data: Readonly<Record<`data-${string}`, string | undefined>>;
}

type Draft = Omit<RowText, "key">;

export function describe(entities: Entities, row: Row, edge: number): RowText {
  const draft = draw(entities, row, edge);
  return { ...draft, key: JSON.stringify(draft) };
}

function draw(entities: Entities, row: Row, edge: number): Draft {
  switch (row.kind) {
    case "process":
      return ofProcess(row, edge);
    case "slot":
    case "instance":
      return ofDescriptor(entities, row, edge);
    case "listener": {
      const text = ofDescriptor(entities, row, edge);
      return { ...text, sentence: `${text.sentence}, of ${processName(row.process)}` };
    }
    case "lane":
      return ofLane(entities, row, edge);
    case "child": {
      const { socket } = row;
      const ended = childEnd(entities, socket);
      const gone = ended !== undefined && ended <= edge;
      const phase = gone ? "closed" : (stepAt(socket, edge)?.phase ?? "created");
      const waited = acceptedBy(socket, edge) ? socket.wait_ns : null;
      const wait = waited === null ? [] : [`${duration(waited)} queued`];
      return {
        sentence: childSentence(entities, socket, edge),
        lead: fdOf(entities, socket, edge),
        chip: phaseWord(phase),
        tone: gone ? "gone" : tone(socket, edge),
        name: address(socket.peer),
        tail: dotted([...elsewhere(entities, row, edge), ...wait]),
        alarm: undefined,
        faint: gone,
        expanded: undefined,
        data: {
          "data-process": row.process.id,
          "data-fd": String(row.fd),
          "data-socket": socket.id,
          "data-listener": row.listener.id,
          "data-local": socket.local ?? undefined,
          "data-peer": socket.peer ?? undefined,
          "data-state": phase,
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
        alarm: undefined,
        faint: true,
        expanded: undefined,
        data: {
          "data-process": row.process.id,
          "data-fd": row.fd === undefined ? undefined : String(row.fd),
        },
      };
  }
}

/** What stands in a lane now, or stood there last. */
function ofLane(entities: Entities, row: LaneRow, edge: number): Draft {
  const child = row.children.at(-1);
  const ended = child && childEnd(entities, child);
  const gone = ended !== undefined && ended <= edge;
  const phase = child ? (gone ? "closed" : (stepAt(child, edge)?.phase ?? "created")) : "";
  const one = child ? childSentence(entities, child, edge) : "";
  return {
    sentence: `lane ${row.nth} of ${visible(row.listener.local ?? row.listener.id)}, ${children(row.children.length)}, ${gone ? "last " : ""}${one}`,
    lead: child ? fdOf(entities, child, edge) : "",
    chip: phaseWord(phase),
    tone: child && !gone ? tone(child, edge) : "gone",
    name: child ? address(child.peer) : "",
    tail: dotted([
      ...(child ? elsewhere(entities, { process: row.process, socket: child }, edge) : []),
      ...(row.children.length > 1 ? [`last of ${count(row.children.length)}`] : []),
    ]),
    alarm: undefined,
    faint: gone,
    expanded: undefined,
    data: {
      "data-process": row.process.id,
      "data-listener": row.listener.id,
      "data-socket": child?.id,
      "data-local": child?.local ?? undefined,
      "data-peer": child?.peer ?? undefined,
      "data-state": phase,
    },
  };
}

function ofProcess(row: ProcessRow, edge: number): Draft {
  const { process } = row;
  const ended = process.ended !== null && process.ended <= edge;
  const open = count(row.open);
  // Beside its limit the number is understood without its unit.
  const [fds, ...unit] =
    process.fd_limit === null ? [`${open} fds`] : [`${open}/${count(process.fd_limit)}`, " fds"];
  // What is certain needs no word; what is not is the last to be left out.
  const doubt = process.standing === "exact" ? [] : [process.standing];
  return {
    sentence: processSentence(process, row.open, edge),
    lead: "",
    chip: "",
    tone: "",
    name: visible(process.comm),
    number: process.pid,
    tail: ended ? dotted([...doubt, "ended"]) : [...dotted([...doubt, fds]), ...unit],
    alarm: process.standing === "doubtful" ? "doubt" : undefined,
    faint: ended,
    expanded: row.expanded,
    data: { "data-process": process.id, "data-pid": String(process.pid), "data-standing": process.standing },
  };
}

function ofDescriptor(entities: Entities, row: SlotRow | InstanceRow | ListenerRow, edge: number): Draft {
  const { descriptor, socket } = row;
  const open = isOpen(descriptor, edge);
  const phase = socket ? (open ? (stepAt(socket, edge)?.phase ?? "created") : "closed") : undefined;
  const told = socket && phase === "listening" ? toldOf(entities, socket, edge) : undefined;
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
  const common = {
    sentence: slotSentence(entities, descriptor, socket, edge),
    lead: String(descriptor.fd),
    alarm: undefined,
    faint: !open,
    expanded: "expanded" in row ? row.expanded : undefined,
    data,
  };
  if (!socket) {
    const kind = descriptor.kind.replaceAll("_", " ");
    return {
      ...common,
      chip: open ? kind : "closed",
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
  const of = row.kind === "listener" ? [processName(row.process)] : [];
  // Whose it is matters most, then who waits; children that are listed below are counted there.
  const listed = row.kind === "listener" && row.expanded;
  const tail = told ? [...of, ...waits(told, listed)] : [...of, origin(entities, socket, descriptor, where)];
  return {
    ...common,
    chip: open ? openWord(phase ?? "") : "closed",
    tone: open ? tone(socket, edge) : "gone",
    name: where,
    tail: dotted(tail),
  };
}

/** Each but the first has the dot before it, which is left out with it; one with a comma goes on what stands before. */
function dotted(parts: readonly string[]): string[] {
  return parts.map((part, i) => (i === 0 || part.startsWith(",") ? part : `  ·  ${part}`));
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

function tone(socket: Socket, edge: number): string {
  const step = stepAt(socket, edge);
  return step ? look(step).role.replace("_", "-") : "idle";
}

/** Who has a child that stands among another process's rows. */
function elsewhere(
  entities: Entities,
  { process, socket }: { process: Process; socket: Socket },
  edge: number,
): string[] {
  const holder = holderAt(entities, socket, edge);
  const owner = holder && ownerOf(entities, holder.table, process.id);
  return owner && owner.id !== process.id ? [`in ${processName(owner)}`] : [];
}

function fdOf(entities: Entities, socket: Socket, edge: number): string {
  const holder = holderAt(entities, socket, edge);
  return holder ? String(holder.fd) : "·";
}

import type { Descriptor, Info, Line, Process, Socket, Status } from "../protocol/types.gen.ts";
import { type Entities, joined } from "../store/entities.ts";
import type { Carried } from "./answers.ts";

/** A span of time, on the session's clock. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** What an exported file carries: a session, or a range of one, as the daemon told it. */
export interface Capture {
  readonly version: 1;
  readonly info: Info;
  readonly processes: readonly Process[];
  readonly descriptors: readonly Descriptor[];
  readonly sockets: readonly Socket[];
  readonly events: readonly Line[];
  /** Answers about the end of the range, as far as the daemon gave them. */
  readonly answers?: readonly Carried[];
  /** Where its maker looked, bookmarks included, as a link says it. */
  readonly place?: string | undefined;
}

interface Whole {
  readonly info: Info;
  readonly status: Status;
  readonly entities: Entities;
  /** The lines of the range. */
  readonly lines: readonly Line[];
  readonly answers: readonly Carried[];
  readonly place: string | undefined;
}

/** What of a session belongs to a range: all that was there at some moment of it, and what that refers to. */
export function cut({ info, status, entities, lines, answers, place }: Whole, { from, to }: Span): Capture {
  const within = (begin: number, end: number | null) => begin <= to && (end === null || end >= from);
  const processes = [...entities.processes.values()].filter(({ seen, ended }) => within(seen, ended));
  const descriptors = [...entities.descriptors.values()].filter((one) => within(one.opened, one.closed));
  const wanted = new Set(descriptors.map(({ socket }) => socket));
  const sockets = [...entities.sockets.values()].filter(
    (socket) => wanted.has(socket.id) || within(joined(socket), socket.ended),
  );
  const listeners = new Set(sockets.map(({ listener }) => listener));
  const all = new Set(sockets.map(({ id }) => id));
  for (const socket of entities.sockets.values()) {
    if (listeners.has(socket.id) && !all.has(socket.id)) sockets.push(socket);
  }
  const losses = new Map<string, number>();
  for (const { event, cause = "", count = 0 } of lines) {
    if (event === "lost") losses.set(cause, (losses.get(cause) ?? 0) + count);
  }
  const told: Status = {
    ...status,
    now: to,
    events: lines.length,
    kept: lines.length,
    first_seq: lines[0]?.seq ?? 0,
    kept_since: Math.max(from, status.kept_since),
    lost: [...losses.values()].reduce((sum, count) => sum + count, 0),
    lost_by_cause: [...losses].map(([cause, count]) => ({ cause, count })),
  };
  return {
    version: 1,
    info: { ...info, source: "recording", now: to, status: told },
    processes,
    descriptors,
    sockets,
    events: lines,
    answers,
    place,
  };
}

import { visible } from "../base/escape.ts";
import { type Clock, count, duration } from "../base/time.ts";
import { toldOf } from "../layout/queue.ts";
import type { Descriptor, Process, Socket, Step } from "../protocol/types.gen.ts";
import { childEnd, type Entities, joined } from "../store/entities.ts";
import type { Failure } from "../store/failures.ts";

/** Facts in the words that people read and screen readers speak. Texts of hostile origin are escaped here. */

/** The step that a socket is in at an instant. */
export function stepAt(socket: Socket, at: number): Step | undefined {
  let found = socket.steps[0];
  for (const step of socket.steps) if (step.t <= at) found = step;
  return found;
}

/** `tcp`, `unix stream`, `netlink raw`: what kind of socket it is. */
export function socketKind(socket: Socket): string {
  return socket.protocol ?? `${socket.family} ${socket.type}`;
}

/** An address; a unix socket may have one that is no name (unix(7)). */
export function address(text: string | null | undefined): string {
  return text === "unix:" ? "unnamed" : text ? visible(text) : "no address";
}

/** What a descriptor without a socket is called: by its name, or by its kind where that has none. */
export function fileName({ kind, name }: Descriptor): string {
  return visible(name) || (kind === "file" ? "(name not known)" : kind.replaceAll("_", " "));
}

/** `file /var/log/x`, `tcp socket`, `epoll`: what a descriptor holds, without its state. */
export function holds(descriptor: Descriptor, socket: Socket | undefined): string {
  if (socket) return `${socketKind(socket)} socket`;
  const kind = descriptor.kind.replaceAll("_", " ");
  return descriptor.name ? `${kind} ${visible(descriptor.name)}` : kind;
}

/** `listening on 127.0.0.1:80`, `127.0.0.1:80 from 127.0.0.1:51234`: where a socket is. */
export function place(socket: Socket, at: number): string {
  const phase = stepAt(socket, at)?.phase;
  if (phase === "listening") return `listening on ${address(socket.local)}`;
  // The addresses that are known are the newest: what got its own later has none yet.
  const gains = ({ t, phase }: Step) => t > at && phase !== "closing" && phase !== "closed";
  if (phase === "created" && socket.steps.some(gains)) return "without an address";
  const accepted = socket.listener !== null;
  if (socket.local && socket.peer) {
    return `${address(socket.local)} ${accepted ? "from" : "to"} ${address(socket.peer)}`;
  }
  if (socket.peer) return `${accepted ? "from" : "to"} ${address(socket.peer)}`;
  return socket.local ? address(socket.local) : "without an address";
}

export function phaseWord(phase: string): string {
  return phase.replaceAll("_", "-");
}

/** The phase of a socket whose descriptor is open: one without a connection is not closed. */
export function openWord(phase: string): string {
  return phase === "closed" ? "unconnected" : phaseWord(phase);
}

/** `fd 6` in the same table, `fd 6 of nginx 811` elsewhere. */
export function listenerName(entities: Entities, socket: Socket, table: string): string {
  if (!socket.listener) return "";
  const holders = entities.holders(socket.listener);
  const own = holders.findLast((holder) => holder.table === table);
  if (own) return `fd ${own.fd}`;
  const other = holders[0];
  if (!other) return "a listener that is not kept";
  const process = [...entities.processes.values()].find((one) => one.table === other.table);
  return process ? `fd ${other.fd} of ${processName(process)}` : `fd ${other.fd} of another process`;
}

export function processName(process: Process): string {
  return `${visible(process.comm)} ${process.pid}`;
}

export function children(n: number): string {
  return n === 1 ? "1 child" : `${count(n)} children`;
}

/** `closed first by the peer` */
export function closedFirst(socket: Socket): string | undefined {
  return socket.closed_first
    ? `closed first by ${socket.closed_first === "peer" ? "the peer" : "this side"}`
    : undefined;
}

function firstError(socket: Socket, at: number): string | undefined {
  const error = socket.steps.find((step) => step.error && step.t <= at)?.error;
  return error ? visible(error) : undefined;
}

/** The name of a slot's row: what it holds now, or held last, in one sentence. */
export function slotSentence(
  entities: Entities,
  descriptor: Descriptor,
  socket: Socket | undefined,
  edge: number,
): string {
  if (descriptor.opened > edge) return `fd ${descriptor.fd}, nothing yet`;
  const open = descriptor.closed === null || descriptor.closed > edge;
  const end = open ? edge : (descriptor.closed ?? edge);
  const lasted = open ? wholeSeconds(end - descriptor.opened) : duration(end - descriptor.opened);
  const parts = [`fd ${descriptor.fd}`];
  if (!open) parts.push("empty");
  const prefix = open ? "" : "last held ";
  if (!socket) {
    parts.push(prefix + holds(descriptor, socket));
    parts.push(open ? `open ${lasted}` : `closed after ${lasted}`);
    return parts.join(", ");
  }
  parts.push(`${prefix}${holds(descriptor, socket)} ${place(socket, end)}`);
  const step = stepAt(socket, end);
  const phase = step?.phase ?? "created";
  if (phase === "listening") {
    const told = toldOf(entities, socket, end);
    parts.push(children(told.children));
    if (told.limit !== undefined) parts.push(`queue ${told.waiting}, limit ${told.limit}`);
    if (!open) parts.push(`closed after ${lasted}`);
    return parts.join(", ");
  }
  if (socket.listener) {
    parts.push(
      `accepted from ${listenerName(entities, socket, descriptor.table)}${socket.inferred ? " (inferred)" : ""}`,
    );
  } else if (descriptor.opened_by === "fork") {
    parts.push("inherited");
  }
  const since = Math.max(step?.t ?? 0, descriptor.opened);
  parts.push(open ? `${openWord(phase)} ${wholeSeconds(end - since)}` : `closed after ${lasted}`);
  const first = closedFirst(socket);
  if (first && !open) parts.push(first);
  const error = firstError(socket, edge);
  if (error) parts.push(`error ${error}`);
  return parts.join(", ");
}

/** The descriptor that was the first to hold a socket, if one did by then. */
export function holderAt(entities: Entities, socket: Socket, at: number): Descriptor | undefined {
  const [first] = entities.holders(socket.id);
  return first && first.opened <= at ? first : undefined;
}

/** Whether a child had been accepted by then. */
export function acceptedBy({ accepted }: Socket, at: number): boolean {
  return accepted !== null && accepted <= at;
}

/** The name of a child's row under its listener. */
export function childSentence(entities: Entities, child: Socket, edge: number): string {
  if (joined(child) > edge) return `from ${address(child.peer)}, not there yet`;
  const holder = holderAt(entities, child, edge);
  const accepted = acceptedBy(child, edge);
  const parts = [`from ${address(child.peer)}`];
  if (holder) parts.push(`fd ${holder.fd}`);
  if (accepted) {
    parts.push(child.wait_ns !== null ? `accepted after waiting ${duration(child.wait_ns)}` : "accepted");
  } else if (child.queued !== null && (child.ended === null || child.ended > edge)) {
    parts.push("waiting in the accept queue");
  } else if (child.queued !== null) {
    parts.push("never accepted");
  }
  if (child.inferred) parts.push("listener inferred");
  const end = childEnd(entities, child);
  const phase = stepAt(child, edge)?.phase ?? "created";
  if (end !== undefined && end <= edge) {
    const start = child.accepted ?? child.queued ?? child.steps[0]?.t ?? end;
    parts.push(`closed after ${duration(end - start)}`);
    const first = closedFirst(child);
    if (first) parts.push(first);
  } else if (accepted || child.queued === null) {
    parts.push(phaseWord(phase));
  }
  const error = firstError(child, edge);
  if (error) parts.push(`error ${error}`);
  return parts.join(", ");
}

/** Any other cause is one of a loss. */
const DOUBTS: Readonly<Record<string, string>> = {
  unread: "its table was not read",
  unknown_file: "nothing told of one of its files",
};

/** Why a table is doubtful, in words. */
export function doubtWord(why: string | null | undefined): string {
  return DOUBTS[why ?? ""] ?? "records were lost";
}

/** Whether a process's table may be wrong at an instant. */
export function isDoubtful({ standing, since }: Process, at: number): boolean {
  return standing === "doubtful" && (since ?? at) <= at;
}

/** `exact`, `repaired (3 differences)`, `doubtful: records were lost`. */
export function standing({ standing: word, repaired, why }: Process): string {
  if (word === "repaired") {
    const n = repaired ?? 0;
    return `repaired (${count(n)} ${n === 1 ? "difference" : "differences"})`;
  }
  return word === "doubtful" ? `doubtful: ${doubtWord(why)}` : word;
}

/** The same, with since when. */
export function standingSince(process: Process, clock: Clock): string {
  const { since } = process;
  return standing(process) + (since === null ? "" : `, since ${clock.timeOfDay(since, 1e9)}`);
}

/** The name of a process's row. */
export function processSentence(process: Process, open: number, edge: number): string {
  if (process.seen > edge) return `process ${processName(process)}, not seen yet`;
  const limit = process.fd_limit !== null ? ` of at most ${count(process.fd_limit)}` : "";
  const parts = [
    `process ${processName(process)}`,
    `${count(open)} open descriptors${limit}`,
    standing(process),
  ];
  if (process.ended !== null && process.ended <= edge) parts.push(`ended${exitWord(process.status)}`);
  return parts.join(", ");
}

/** What a wait status says (wait(2)). */
export function exitWord(status: number | null): string {
  if (status === null) return "";
  const signal = status & 0x7f;
  return signal ? `, killed by signal ${signal}` : `, exit code ${(status >> 8) & 0xff}`;
}

/** Durations of what still goes on change once a second, so that names do not flicker. */
function wholeSeconds(ns: number): string {
  return ns < 1e9 ? "less than 1 s" : duration(Math.floor(ns / 1e9) * 1e9).replace(/\.\d+ s$/, " s");
}

/** `bind on fd 5 to 0.0.0.0:443 failed: EADDRINUSE` */
export function failureSentence({ call, fd, asked, path, error, local, peer }: Failure): string {
  if (call === undefined) {
    const ends = [local, peer].filter((end) => end !== undefined).map((end) => visible(end ?? ""));
    return `${ends.join(" ↔ ")}: ${visible(error)}`;
  }
  const on = fd === undefined ? "" : ` on fd ${fd}`;
  const to = asked ?? path;
  return `${call}${on}${to === undefined ? "" : ` to ${visible(to)}`} failed: ${visible(error)}`;
}

/** What a listener dropped, where that is marked. */
export function dropSentence(drops: number): string {
  return `dropped ${count(drops)} ${drops === 1 ? "packet" : "packets"} of clients`;
}

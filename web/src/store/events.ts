import { upperBound } from "../base/search.ts";
import type { Line } from "../protocol/types.gen.ts";

/** Events of a full chunk, and of the smallest: behind a hole there is often only a handful. */
const CHUNK = 4096;
const SMALLEST = 64;

/** Text columns of an event, each an index into its chunk's own strings. */
const TEXTS = [
  "event",
  "call",
  "error",
  "comm",
  "process",
  "socket",
  "listener",
  "local",
  "peer",
  "detail",
] as const;
type Text = (typeof TEXTS)[number];

/** What `fd`, `ret` and `new_fd` hold where the event has none. */
export const NONE = -2147483648;

interface Columns {
  readonly seq: Float64Array;
  readonly t: Float64Array;
  readonly dur: Float64Array;
  readonly wait: Float64Array;
  readonly count: Float64Array;
  readonly pid: Uint32Array;
  readonly fd: Int32Array;
  readonly ret: Int32Array;
  readonly newFd: Int32Array;
  readonly pending: Uint8Array;
  readonly texts: Record<Text, Uint32Array>;
}

/** Columns for a number of events, which begin with those of `from`. */
function columns(capacity: number, from?: Columns): Columns {
  const float = (old?: Float64Array) => grown(new Float64Array(capacity), old);
  const int = (old?: Int32Array) => grown(new Int32Array(capacity), old);
  const index = (old?: Uint32Array) => grown(new Uint32Array(capacity), old);
  return {
    seq: float(from?.seq),
    t: float(from?.t),
    dur: float(from?.dur),
    wait: float(from?.wait),
    count: float(from?.count),
    pid: index(from?.pid),
    fd: int(from?.fd),
    ret: int(from?.ret),
    newFd: int(from?.newFd),
    pending: grown(new Uint8Array(capacity), from?.pending),
    texts: Object.fromEntries(TEXTS.map((name) => [name, index(from?.texts[name])])) as Record<
      Text,
      Uint32Array
    >,
  };
}

function grown<A extends Float64Array | Int32Array | Uint32Array | Uint8Array>(column: A, old?: A): A {
  if (old) column.set(old);
  return column;
}

/**
 * A run of events in columns, sorted by `seq`. It owns the strings that its events use, so that dropping the chunk
 * drops them.
 */
class Chunk {
  length = 0;
  #columns = columns(SMALLEST);
  readonly #strings: string[] = [""];
  readonly #indexes = new Map<string, number>([["", 0]]);

  get full(): boolean {
    return this.length >= CHUNK;
  }

  get first(): number {
    return this.#columns.seq[0] ?? 0;
  }

  get last(): number {
    return this.#columns.seq[this.length - 1] ?? 0;
  }

  push(line: Line): void {
    const at = this.length;
    if (at === this.#columns.seq.length) this.#columns = columns(Math.min(CHUNK, at * 2), this.#columns);
    const to = this.#columns;
    to.seq[at] = line.seq;
    to.t[at] = line.t ?? 0;
    to.dur[at] = line.dur_ns ?? Number.NaN;
    to.wait[at] = line.wait_ns ?? Number.NaN;
    to.count[at] = line.count ?? 0;
    to.pid[at] = line.pid ?? 0;
    to.fd[at] = line.fd ?? NONE;
    to.ret[at] = line.ret ?? NONE;
    to.newFd[at] = line.new_fd ?? NONE;
    to.pending[at] = line.pending ? 1 : 0;
    this.#text("event", at, line.event);
    this.#text("call", at, line.call);
    this.#text("error", at, line.error);
    this.#text("comm", at, line.comm);
    this.#text("process", at, line.process);
    this.#text("socket", at, line.socket);
    this.#text("listener", at, line.listener);
    this.#text("local", at, line.local);
    this.#text("peer", at, line.peer);
    this.#text("detail", at, detail(line));
    this.length = at + 1;
  }

  row(at: number): EventRow {
    const from = this.#columns;
    return {
      seq: from.seq[at] ?? 0,
      t: from.t[at] ?? 0,
      pid: from.pid[at] ?? 0,
      fd: from.fd[at] ?? NONE,
      ret: from.ret[at] ?? NONE,
      newFd: from.newFd[at] ?? NONE,
      dur: from.dur[at] ?? Number.NaN,
      wait: from.wait[at] ?? Number.NaN,
      count: from.count[at] ?? 0,
      pending: from.pending[at] === 1,
      text: (name) => this.#strings[this.#columns.texts[name][at] ?? 0] ?? "",
    };
  }

  find(seq: number): EventRow | undefined {
    const at = this.place(seq);
    return at < this.length && this.#columns.seq[at] === seq ? this.row(at) : undefined;
  }

  /** Index of the first event from a number on. */
  place(seq: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#columns.seq[middle] ?? 0) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #text(name: Text, at: number, value: string | undefined): void {
    if (!value) return;
    let index = this.#indexes.get(value);
    if (index === undefined) {
      index = this.#strings.length;
      this.#strings.push(value);
      this.#indexes.set(value, index);
    }
    this.#columns.texts[name][at] = index;
  }
}

/** What the other columns do not say, in the words of the contract's fields. */
function detail(line: Line): string {
  const parts: string[] = [];
  if (line.asked) parts.push(`asked ${line.asked}`);
  if (line.path) parts.push(line.path);
  else if (line.kind && line.kind !== "socket") parts.push(line.kind.replaceAll("_", " "));
  if (line.backlog !== undefined) parts.push(`backlog ${line.backlog}`);
  if (line.queue_limit !== undefined) parts.push(`queue ${line.queue_len ?? 0}/${line.queue_limit}`);
  if (line.from || line.to) parts.push(line.from ? `${line.from} → ${line.to ?? "?"}` : `${line.to}`);
  if (line.how) parts.push(line.how);
  if (line.dir) parts.push(`passed ${line.dir}`);
  if (line.closed_first) parts.push(`${line.closed_first} closed first`);
  if (line.app_protocol) parts.push(line.sni ? `${line.app_protocol} ${line.sni}` : line.app_protocol);
  if (line.child) parts.push(`child ${line.child}`);
  if (line.fds) parts.push(`fds ${line.fds.join(" ")}`);
  if (line.status !== undefined) parts.push(`status ${line.status}`);
  if (line.standing)
    parts.push(line.repaired === undefined ? line.standing : `${line.standing} ${line.repaired}`);
  if (line.why) parts.push(line.why.replaceAll("_", " "));
  if (line.cause) parts.push(line.cause.replaceAll("_", " "));
  if (line.via && line.via !== "syscall" && line.via !== line.event) parts.push(`via ${line.via}`);
  if (line.inferred) parts.push("inferred");
  if (line.late) parts.push("late");
  return parts.join(", ");
}

/** One event, read out of its columns at the moment of showing it. */
export interface EventRow {
  readonly seq: number;
  readonly t: number;
  readonly pid: number;
  readonly fd: number;
  readonly ret: number;
  readonly newFd: number;
  readonly dur: number;
  readonly wait: number;
  readonly count: number;
  readonly pending: boolean;
  readonly text: (name: Text) => string;
}

/** A hole between two kept events: numbers `from` to `to` were not fetched. */
export interface Gap {
  readonly from: number;
  readonly to: number;
}

/**
 * Events by `seq`, in chunks of columns; no object is kept for an event. Lines may come in any order and twice. Beyond
 * `limit` chunks are dropped at one end.
 */
export class EventLog {
  #chunks: Chunk[] = [];
  #length = 0;

  /** @param limit Events to keep. @param dense Whether missing numbers are holes (not so behind a filter). */
  constructor(
    readonly limit = 200_000,
    readonly dense = true,
  ) {}

  get length(): number {
    return this.#length;
  }

  get firstSeq(): number | undefined {
    return this.#chunks[0]?.first;
  }

  get lastSeq(): number | undefined {
    return this.#chunks.at(-1)?.last;
  }

  clear(): void {
    this.#chunks = [];
    this.#length = 0;
  }

  /** Adds lines that are sorted by `seq`. Returns whether others, at the end that is not kept, had to go for them. */
  add(lines: readonly Line[], keeps: "oldest" | "newest" = "newest"): boolean {
    for (const line of lines) this.#add(line);
    let dropped = false;
    for (; this.#length > this.limit && this.#chunks.length > 1; dropped = true) {
      const gone = keeps === "newest" ? this.#chunks.shift() : this.#chunks.pop();
      this.#length -= gone?.length ?? 0;
    }
    return dropped;
  }

  /** Number of rows: events, and one for every hole. */
  get rows(): number {
    return this.#length + this.#holes();
  }

  /** The row at an index, oldest first. */
  row(index: number): EventRow | Gap | undefined {
    let rest = index;
    for (let i = 0; i < this.#chunks.length; i += 1) {
      const chunk = this.#chunks[i] as Chunk;
      if (rest < chunk.length) return chunk.row(rest);
      rest -= chunk.length;
      const hole = this.#holeAfter(i);
      if (hole) {
        if (rest === 0) return hole;
        rest -= 1;
      }
    }
    return undefined;
  }

  /** The row of the first event from a number on; the number of rows where there is none. */
  rowOf(seq: number): number {
    let before = 0;
    for (let i = 0; i < this.#chunks.length; i += 1) {
      const chunk = this.#chunks[i] as Chunk;
      if (seq <= chunk.last) return before + chunk.place(seq);
      before += chunk.length + (this.#holeAfter(i) ? 1 : 0);
    }
    return before;
  }

  /** The event with a number. */
  find(seq: number): EventRow | undefined {
    const chunk = this.#chunks[upperBound(this.#chunks, seq, ({ first }) => first) - 1];
    return chunk?.find(seq);
  }

  /** Numbers of all events, ordered by a value of each; equal ones stay in the order of their numbers. */
  ordered(key: (row: EventRow) => number | string, down: boolean): Float64Array {
    const keys: { readonly seq: number; readonly key: number | string }[] = [];
    for (const chunk of this.#chunks) {
      for (let at = 0; at < chunk.length; at += 1) {
        const row = chunk.row(at);
        keys.push({ seq: row.seq, key: key(row) });
      }
    }
    const turn = down ? -1 : 1;
    keys.sort((a, b) => (a.key < b.key ? -turn : a.key > b.key ? turn : a.seq - b.seq));
    return Float64Array.from(keys, ({ seq }) => seq);
  }

  #add(line: Line): void {
    const last = this.#chunks.at(-1);
    if (!last || line.seq > last.last) {
      const follows = last && !last.full && (!this.dense || line.seq === last.last + 1);
      if (follows) last.push(line);
      else this.#chunks.push(started(line));
      this.#length += 1;
      return;
    }
    this.#addOlder(line);
  }

  /** Older lines come page by page, so they mostly continue the chunk that the line before them went to. */
  #addOlder(line: Line): void {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#chunks[middle] as Chunk).first > line.seq) high = middle;
      else low = middle + 1;
    }
    const before = this.#chunks[low - 1];
    if (before && line.seq <= before.last) return;
    if (before && !before.full && (!this.dense || line.seq === before.last + 1)) {
      before.push(line);
    } else {
      this.#chunks.splice(low, 0, started(line));
    }
    this.#length += 1;
  }

  #holeAfter(index: number): Gap | undefined {
    const chunk = this.#chunks[index];
    const next = this.#chunks[index + 1];
    if (!this.dense || !chunk || !next || next.first === chunk.last + 1) return undefined;
    return { from: chunk.last + 1, to: next.first - 1 };
  }

  #holes(): number {
    let holes = 0;
    for (let i = 0; i + 1 < this.#chunks.length; i += 1) if (this.#holeAfter(i)) holes += 1;
    return holes;
  }
}

function started(line: Line): Chunk {
  const chunk = new Chunk();
  chunk.push(line);
  return chunk;
}

import { lowerBound, upperBound } from "../base/search.ts";
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

/** Columns of numbers: a line's field, what holds it, and what stands there where the event has none. */
const NUMBERS = {
  seq: ["seq", Float64Array, 0],
  t: ["t", Float64Array, 0],
  dur: ["dur_ns", Float64Array, Number.NaN],
  wait: ["wait_ns", Float64Array, Number.NaN],
  count: ["count", Float64Array, 0],
  pid: ["pid", Uint32Array, 0],
  fd: ["fd", Int32Array, NONE],
  ret: ["ret", Int32Array, NONE],
  newFd: ["new_fd", Int32Array, NONE],
  pending: ["pending", Uint8Array, 0],
} as const;
type Numbered = keyof typeof NUMBERS;
const NUMBERED = Object.keys(NUMBERS) as Numbered[];

type Columns = Record<Numbered | Text, Float64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array>;

/** Columns for a number of events, which begin with those of `from`. */
function columns(capacity: number, from?: Columns): Columns {
  const made = {} as Columns;
  for (const name of NUMBERED) made[name] = new NUMBERS[name][1](capacity);
  // A full chunk has room for 40,960 texts.
  for (const name of TEXTS) made[name] = new Uint16Array(capacity);
  for (const name in from) made[name as Numbered].set(from[name as Numbered]);
  return made;
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
    for (const name of NUMBERED) {
      const [field, , none] = NUMBERS[name];
      this.#columns[name][at] = Number(line[field] ?? none);
    }
    for (const name of TEXTS) this.#text(name, at, name === "detail" ? detail(line) : line[name]);
    this.length = at + 1;
  }

  row(at: number): EventRow {
    const numbers = {} as Record<Numbered, number>;
    for (const name of NUMBERED) numbers[name] = this.#columns[name][at] ?? 0;
    return { ...numbers, text: (name) => this.#strings[this.#columns[name][at] ?? 0] ?? "" };
  }

  find(seq: number): EventRow | undefined {
    const at = this.place(seq);
    return at < this.length && this.#columns.seq[at] === seq ? this.row(at) : undefined;
  }

  /** Index of the first event from a number on. */
  place(seq: number): number {
    return lowerBound(this.#columns.seq.subarray(0, this.length), seq, (one) => one);
  }

  #text(name: Text, at: number, value: string | undefined): void {
    if (!value) return;
    let index = this.#indexes.get(value);
    if (index === undefined) {
      index = this.#strings.length;
      this.#strings.push(value);
      this.#indexes.set(value, index);
    }
    this.#columns[name][at] = index;
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
export interface EventRow extends Readonly<Record<Numbered, number>> {
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

  /** @param limit Events to keep, of some 150 bytes each. @param dense Whether missing numbers are holes (not so behind a filter). */
  constructor(
    readonly limit = 160_000,
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

  /** All events, oldest first, without the holes. */
  *all(): Iterable<EventRow> {
    for (const chunk of this.#chunks) for (let at = 0; at < chunk.length; at += 1) yield chunk.row(at);
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
    const low = upperBound(this.#chunks, line.seq, ({ first }) => first);
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

import { lowerBound } from "../base/search.ts";
import type { Line } from "../protocol/types.gen.ts";

/** Failed calls that are kept; beyond, the oldest go. */
const MOST = 20_000;

/** Errors that are part of how non-blocking and interrupted calls work. */
const ORDINARY = /^(EAGAIN|EINPROGRESS|EINTR|ERESTART.*)$/;

/** What asks the server for the same lines: calls, and what the kernel tells of a connection by itself. */
export const WRONG = "error:* -error:EAGAIN,EINPROGRESS,EINTR,ERESTART*";
export const FAILED = `call:* ${WRONG}`;
export const BROKEN = "event:state error:* explain:*";

/** Programs look for files along lists of directories: that one of them has it not is no failure of theirs. */
function isSearch({ event, error }: Line): boolean {
  return event === "open" && error === "ENOENT";
}

/** A call that failed for a reason worth a look, or a connection that the kernel tells to have failed, and why. */
export type Failure = Line & {
  readonly t: number;
  readonly process: string;
  readonly error: string;
};

export function isFailure(line: Line): line is Failure {
  const { t, process, call, error, event, explain } = line;
  if (t === undefined || process === undefined || error === undefined) return false;
  if (call === undefined) return event === "state" && explain !== undefined;
  return !ORDINARY.test(error) && !isSearch(line);
}

/** The failed calls of a session, by process and by slot. Lines may come in any order and twice. */
export class Failures {
  readonly #all: Failure[] = [];
  readonly #processes = new Map<string, Failure[]>();
  readonly #slots = new Map<string, Failure[]>();
  readonly #sockets = new Map<string, Failure[]>();
  /** Failed calls by the socket that they were about. */
  readonly #about = new Map<string, Failure[]>();
  /** Processes' failed calls so far, also those that are not kept any more. */
  readonly counts = new Map<string, number>();
  /** Whether there were more than are kept, or some that could not be read. */
  partial = false;
  /** Is told which ones came or went. */
  watcher: ((changed: readonly Failure[]) => void) | undefined;

  constructor(readonly limit = MOST) {}

  get length(): number {
    return this.#all.length;
  }

  /** In order of `seq`. */
  get all(): readonly Failure[] {
    return this.#all;
  }

  /** From when on all of them are here; `undefined` while all are. */
  get since(): number | undefined {
    return this.partial ? (this.#all[0]?.t ?? 0) : undefined;
  }

  clear(): void {
    this.#all.length = 0;
    this.partial = false;
    for (const index of [this.#processes, this.#slots, this.#sockets, this.#about, this.counts])
      index.clear();
  }

  add(lines: readonly Line[]): void {
    const changed: Failure[] = [];
    for (const line of lines) {
      if (!isFailure(line) || !place(this.#all, line)) continue;
      this.#index(line);
      changed.push(line);
    }
    for (; this.#all.length > this.limit; this.partial = true) {
      const oldest = this.#all[0] as Failure;
      this.#drop(oldest);
      changed.push(oldest);
    }
    if (changed.length > 0) this.watcher?.(changed);
  }

  evictProcess(id: string): void {
    for (const failure of [...this.ofProcess(id)]) this.#drop(failure);
    this.counts.delete(id);
  }

  evictSocket(id: string): void {
    for (const failure of [...this.ofSocket(id)]) this.#drop(failure);
    this.#about.delete(id);
  }

  find(seq: number): Failure | undefined {
    const found = this.#all[lowerBound(this.#all, seq, bySeq)];
    return found?.seq === seq ? found : undefined;
  }

  /** Its failed calls, in order of `seq`. */
  ofProcess(process: string): readonly Failure[] {
    return this.#processes.get(process) ?? [];
  }

  /** Of calls that named that number. */
  ofSlot(process: string, fd: number): readonly Failure[] {
    return this.#slots.get(`${process}/${fd}`) ?? [];
  }

  /** Whether the kernel told of any socket by itself. */
  get tellsOfSockets(): boolean {
    return this.#sockets.size > 0;
  }

  /** That the kernel told of a socket by itself, in order of `seq`. */
  ofSocket(socket: string | null | undefined): readonly Failure[] {
    return this.#sockets.get(socket ?? "") ?? [];
  }

  /** Whether a call returned what a socket met at a moment: both are one failure. */
  returned(socket: string, t: number): boolean {
    return this.#about.get(socket)?.some((call) => isWithin(t, call)) ?? false;
  }

  /** Where one stands: a call with its process, its slot and its socket, what the kernel told by itself with its socket. */
  *#places({ process, call, fd, socket }: Failure): Iterable<readonly [Map<string, Failure[]>, string]> {
    if (call === undefined) {
      yield [this.#sockets, socket ?? ""];
      return;
    }
    yield [this.#processes, process];
    if (fd !== undefined) yield [this.#slots, `${process}/${fd}`];
    if (socket !== undefined) yield [this.#about, socket];
  }

  #index(failure: Failure): void {
    const { process, call } = failure;
    for (const [lists, key] of this.#places(failure)) {
      const list = lists.get(key);
      if (list) place(list, failure);
      else lists.set(key, [failure]);
    }
    if (call !== undefined) this.counts.set(process, (this.counts.get(process) ?? 0) + 1);
  }

  #drop(failure: Failure): void {
    take(this.#all, failure);
    for (const [lists, key] of this.#places(failure)) {
      const list = lists.get(key) ?? [];
      take(list, failure);
      if (list.length === 0) lists.delete(key);
    }
  }
}

/** Whether a moment is one of a call that failed. */
export function isWithin(t: number, { t: end, dur_ns = 0 }: Failure): boolean {
  return t >= end - dur_ns && t <= end;
}

const bySeq = ({ seq }: Failure) => seq;

/** Puts a failure in its place; false where it is there already. */
function place(list: Failure[], failure: Failure): boolean {
  const at = lowerBound(list, failure.seq, bySeq);
  if (list[at]?.seq === failure.seq) return false;
  list.splice(at, 0, failure);
  return true;
}

function take(list: Failure[], failure: Failure): void {
  const at = lowerBound(list, failure.seq, bySeq);
  if (list[at]?.seq === failure.seq) list.splice(at, 1);
}

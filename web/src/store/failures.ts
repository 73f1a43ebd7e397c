import { lowerBound } from "../base/search.ts";
import type { Line } from "../protocol/types.gen.ts";

/** Failed calls that are kept; beyond, the oldest go. */
const MOST = 20_000;

/** Errors that are part of how non-blocking and interrupted calls work. */
const ORDINARY = /^(EAGAIN|EINPROGRESS|EINTR|ERESTART.*)$/;

/** What asks the server for the same lines. */
export const FAILED = "call:* error:* -error:EAGAIN,EINPROGRESS,EINTR,ERESTART*";

/** Programs look for files along lists of directories: that one of them has it not is no failure of theirs. */
function isSearch({ event, error }: Line): boolean {
  return event === "open" && error === "ENOENT";
}

/** A call that failed for a reason worth a look. */
export type Failure = Line & {
  readonly t: number;
  readonly process: string;
  readonly call: string;
  readonly error: string;
};

export function isFailure(line: Line): line is Failure {
  const { t, process, call, error } = line;
  return (
    t !== undefined &&
    process !== undefined &&
    call !== undefined &&
    error !== undefined &&
    !ORDINARY.test(error) &&
    !isSearch(line)
  );
}

/** The failed calls of a session, by process and by slot. Lines may come in any order and twice. */
export class Failures {
  readonly #all: Failure[] = [];
  readonly #processes = new Map<string, Failure[]>();
  readonly #slots = new Map<string, Failure[]>();
  /** Processes' failed calls so far, also those that are not kept any more. */
  readonly counts = new Map<string, number>();
  /** Whether there were more than are kept, or some that could not be read. */
  partial = false;

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
    for (const index of [this.#processes, this.#slots, this.counts]) index.clear();
  }

  add(lines: readonly Line[]): void {
    for (const line of lines) if (isFailure(line) && place(this.#all, line)) this.#index(line);
    for (; this.#all.length > this.limit; this.partial = true) this.#drop(this.#all[0] as Failure);
  }

  evictProcess(id: string): void {
    for (const failure of [...this.ofProcess(id)]) this.#drop(failure);
    this.counts.delete(id);
  }

  find(seq: number): Failure | undefined {
    const found = this.#all[lowerBound(this.#all, seq, bySeq)];
    return found?.seq === seq ? found : undefined;
  }

  /** In order of `seq`. */
  ofProcess(process: string): readonly Failure[] {
    return this.#processes.get(process) ?? [];
  }

  /** Of calls that named that number. */
  ofSlot(process: string, fd: number): readonly Failure[] {
    return this.#slots.get(`${process}/${fd}`) ?? [];
  }

  #index(failure: Failure): void {
    const { process, fd } = failure;
    place(listed(this.#processes, process), failure);
    if (fd !== undefined) place(listed(this.#slots, `${process}/${fd}`), failure);
    this.counts.set(process, (this.counts.get(process) ?? 0) + 1);
  }

  #drop(failure: Failure): void {
    const { process, fd } = failure;
    take(this.#all, failure);
    take(listed(this.#processes, process), failure);
    if (fd !== undefined) take(listed(this.#slots, `${process}/${fd}`), failure);
  }
}

const bySeq = ({ seq }: Failure) => seq;

function listed(lists: Map<string, Failure[]>, key: string): Failure[] {
  const found = lists.get(key) ?? [];
  lists.set(key, found);
  return found;
}

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

import { upperBound } from "../base/search.ts";
import type { ServerMessage } from "../protocol/types.gen.ts";

type Told = Extract<ServerMessage, { kind: "kept" }>;

/** First and last of consecutive numbers. */
type Run = readonly number[];

/** What a server keeps, as it tells it whole, part by part. */
export class Kept {
  readonly #processes = new Set<string>();
  readonly #descriptors: Run[] = [];
  readonly #sockets: Run[] = [];

  add({ processes, descriptors, sockets }: Told): void {
    for (const id of processes) this.#processes.add(id);
    for (const run of descriptors) this.#descriptors.push(run);
    for (const run of sockets) this.#sockets.push(run);
  }

  hasProcess(id: string): boolean {
    return this.#processes.has(id);
  }

  hasDescriptor(id: string): boolean {
    return holds(this.#descriptors, id);
  }

  hasSocket(id: string): boolean {
    return holds(this.#sockets, id);
  }
}

/** Whether one of the runs, lowest first, holds the number of an id: 7 of `d7`. */
function holds(runs: readonly Run[], id: string): boolean {
  const number = Number(id.slice(1));
  const [, last] = runs[upperBound(runs, number, ([first]) => first ?? 0) - 1] ?? [];
  return last !== undefined && number <= last;
}

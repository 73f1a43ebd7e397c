import type { Source } from "../net/source.ts";
import { EventLog } from "../store/events.ts";

/** Events of one answer. */
export const PAGE = 500;
/** Numbers that one question about a filter looks through, at most. */
const WINDOW = 50_000;

/** Events that fit a filter, read from one number on in both directions. Without a filter it has no holes. */
export class Reading {
  readonly log: EventLog;
  /** All from this number on, and before the other, were looked through. */
  #from: number;
  #to: number;
  #window = PAGE;
  /** Whether the newest event was reached: what comes belongs to the list. */
  reached = false;

  constructor(
    readonly source: Source,
    readonly filter: string,
    at: number,
    limit?: number,
  ) {
    this.log = new EventLog(limit, filter === "");
    this.#from = at;
    this.#to = at;
  }

  get from(): number {
    return this.#from;
  }

  /** Whether a number was looked through. */
  holds(seq: number): boolean {
    return seq >= this.#from && seq < this.#to;
  }

  /** Reads backwards, not beyond number `first`, until there is a page more. `told` hears of each answer, and ends it. */
  async older(first: number, told: () => boolean): Promise<void> {
    for (let found = 0; found < PAGE && this.#from > first; ) {
      const from = Math.max(first, this.#from - this.#window);
      const before = this.#from;
      for (let next: number | null = from; next !== null; ) {
        const page = await this.source.events(next, 2 * PAGE, this.filter, before);
        if (this.log.add(page.events, "oldest")) {
          this.#to = (this.log.lastSeq ?? from) + 1;
          this.reached = false;
        }
        found += page.events.length;
        next = page.next_seq ?? null;
      }
      this.#from = from;
      if (this.filter !== "" && found < PAGE / 2) this.#window = Math.min(WINDOW, this.#window * 4);
      if (!told()) return;
    }
  }

  /** Reads a page forwards. @param newest The newest number that is known. */
  async newer(newest: number): Promise<void> {
    const { events, next_seq } = await this.source.events(this.#to, PAGE, this.filter);
    if (this.log.add(events)) this.#from = this.log.firstSeq ?? this.#from;
    this.reached = next_seq === null || next_seq === undefined;
    this.#to = next_seq ?? Math.max(this.#to, newest + 1, (events.at(-1)?.seq ?? 0) + 1);
  }
}

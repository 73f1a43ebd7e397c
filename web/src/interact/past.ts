import { BROKEN, FAILED } from "../store/failures.ts";
import { OVERFLOWED } from "../store/overflows.ts";
import type { App } from "./app.ts";

/** Lines of one answer. */
const PAGE = 1000;
/** Events that one question looks through. */
const WINDOW = 50_000;
/** Rest between two questions to a daemon that traces meanwhile. */
const REST_MS = 100;

/**
 * What the stream does not bring and the lanes must not miss: losses, failed calls and overflows before the page was
 * opened, and those among events that the stream left out.
 */
export class Past {
  /** Numbers that are still to be looked through: from, and before which. */
  #wanted: { from: number; before: number }[] = [];
  #reading = false;
  #session = 0;
  /** The number before which the first look goes. */
  #looked = 0;

  constructor(readonly app: App) {}

  /** A session begins. */
  restart(): void {
    this.#session += 1;
    this.#wanted = [];
    this.#looked = 0;
    const { status } = this.app.session;
    if (!status || status.kept === 0) return;
    if (status.lost > 0) void this.#losses();
    this.#looked = status.first_seq + status.kept;
    this.#wanted = [{ from: status.first_seq, before: this.#looked }];
    void this.#read();
  }

  /** Events before number `before` were left out. */
  skipped(count: number, before: number): void {
    const from = Math.max(this.#looked, before - count);
    if (from >= before) return;
    this.#wanted.push({ from, before });
    void this.#read();
  }

  async #losses(): Promise<void> {
    try {
      const page = await this.app.source.events(0, PAGE, "event:lost");
      this.app.session.addLosses(page.events);
      this.app.changed();
    } catch {
      // The count stays in sight; only the places are unknown.
    }
  }

  /** Reads from the newest back, one question at a time. */
  async #read(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    const session = this.#session;
    const { failures } = this.app.session;
    while (this.#wanted.length > 0 && session === this.#session) {
      const last = this.#newest();
      if (failures.length >= failures.limit) {
        failures.partial = true;
        this.#wanted = [];
        break;
      }
      const from = Math.max(last.from, last.before - WINDOW);
      if (from > last.from) this.#wanted.push({ from: last.from, before: from });
      try {
        await this.#through(from, last.before);
      } catch {
        // Without an answer the marks of that time are missing; the list of events still has its lines.
        failures.partial = true;
      }
      await new Promise((rest) => setTimeout(rest, this.app.live ? REST_MS : 0));
    }
    this.#reading = false;
    if (session !== this.#session) void this.#read();
  }

  #newest(): { from: number; before: number } {
    this.#wanted.sort((a, b) => a.before - b.before);
    let last = this.#wanted.pop() ?? { from: 0, before: 0 };
    for (let next = this.#wanted.at(-1); next && next.before >= last.from; next = this.#wanted.at(-1)) {
      last = { from: Math.min(next.from, last.from), before: last.before };
      this.#wanted.pop();
    }
    return last;
  }

  async #through(from: number, before: number): Promise<void> {
    for (const filter of [FAILED, BROKEN, OVERFLOWED]) {
      for (let next: number | null | undefined = from; next !== null && next !== undefined; ) {
        const page = await this.app.source.events(next, PAGE, filter, before);
        this.app.session.addMarked(page.events);
        if (page.events.length > 0) this.app.changed();
        next = page.next_seq;
      }
    }
  }
}

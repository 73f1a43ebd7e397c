import { signal } from "@preact/signals";
import { Refusal } from "../net/rest.ts";
import { EventLog } from "../store/events.ts";
import type { App } from "./app.ts";

const PAGE = 500;
/** Pages of a filtered list that are read before the user asks for more. */
const EAGER_PAGES = 10;
const TAIL_MS = 1000;

/**
 * The list of events. Without a filter it is the session's own log, whose tail comes with the stream; older pages and
 * holes are read from the server. With a filter the server answers all of it.
 */
export class Feed {
  readonly filter = signal("");
  readonly problem = signal<string | undefined>(undefined);
  readonly loading = signal(false);
  /** Grows whenever rows were added. */
  readonly version = signal(0);
  /** With a filter: there are more pages than were read. */
  readonly more = signal(false);
  #filtered: EventLog | undefined;
  /** The filter cannot be read: what comes fits it as little. */
  #wrong = false;
  #next = 0;
  #query = 0;
  #tail: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly app: App) {}

  get log(): EventLog {
    return this.#filtered ?? this.app.session.events;
  }

  /** Whether events older than the list's first are kept by the server. */
  get hasOlder(): boolean {
    if (this.#filtered) return false;
    const first = this.app.session.events.firstSeq;
    const kept = this.app.session.status;
    return kept !== undefined && kept.kept > 0 && (first === undefined || first > kept.first_seq);
  }

  restart(): void {
    this.setFilter(this.filter.peek());
  }

  /** The stream brought something: a filtered list asks for its part of it, at most once a second. */
  changed(): void {
    this.version.value += 1;
    if (!this.#filtered || this.#wrong || this.more.peek() || this.#tail !== undefined) return;
    this.#tail = setTimeout(() => {
      this.#tail = undefined;
      if (this.#filtered && !this.loading.peek()) void this.#read(1);
    }, TAIL_MS);
  }

  setFilter(text: string): void {
    this.filter.value = text;
    this.problem.value = undefined;
    this.more.value = false;
    this.#wrong = false;
    this.#query += 1;
    this.loading.value = false;
    this.#filtered = text.trim() ? new EventLog(undefined, false) : undefined;
    this.#next = this.app.session.status?.first_seq ?? 0;
    this.version.value += 1;
    if (this.#filtered) void this.#read(EAGER_PAGES);
  }

  /** Reads the page before the first event. */
  async older(): Promise<void> {
    const kept = this.app.session.status?.first_seq ?? 0;
    const first = this.app.session.events.firstSeq ?? kept + this.app.events;
    const from = Math.max(kept, first - PAGE);
    await this.#load(from, Math.max(1, Math.min(PAGE, first - from)));
  }

  /** Reads into a hole of the list. */
  async fill(from: number, to: number): Promise<void> {
    await this.#load(from, Math.min(PAGE, to - from + 1));
  }

  /** Reads the next pages of a filtered list. */
  async next(): Promise<void> {
    await this.#read(EAGER_PAGES);
  }

  async #load(from: number, limit: number): Promise<void> {
    if (this.loading.peek()) return;
    const query = this.#query;
    this.loading.value = true;
    try {
      const page = await this.app.source.events(from, limit, "");
      if (query === this.#query) this.app.session.events.add(page.events);
    } catch (error) {
      this.#refused(error);
    }
    if (query !== this.#query) return;
    this.loading.value = false;
    this.version.value += 1;
  }

  async #read(pages: number): Promise<void> {
    const query = this.#query;
    this.loading.value = true;
    try {
      for (let page = 0; page < pages; page += 1) {
        const newest = this.app.session.events.lastSeq;
        const { events, next_seq } = await this.app.source.events(
          this.#next,
          PAGE,
          this.filter.peek().trim(),
        );
        if (query !== this.#query) return;
        this.#filtered?.add(events);
        this.version.value += 1;
        this.more.value = next_seq !== null && next_seq !== undefined;
        if (next_seq === null || next_seq === undefined) {
          this.#next = Math.max(this.#next, (newest ?? 0) + 1, (events.at(-1)?.seq ?? 0) + 1);
          break;
        }
        this.#next = next_seq;
      }
    } catch (error) {
      if (query !== this.#query) return;
      this.#refused(error);
    }
    this.loading.value = false;
  }

  #refused(error: unknown): void {
    this.#wrong = error instanceof Refusal && error.wrong;
    this.problem.value = error instanceof Refusal ? error.message : "The answer cannot be read.";
  }
}

import { signal } from "@preact/signals";
import { Refusal } from "../net/rest.ts";
import type { EventLog } from "../store/events.ts";
import type { App } from "./app.ts";
import { PAGE, Reading } from "./reading.ts";

const TAIL_MS = 1000;

/**
 * The list of events. Without a filter and at the newest moment it is the session's own log, whose tail comes with the
 * stream. Behind a filter, and around another moment, it is read from the server: what is nearest to the moment first.
 */
export class Feed {
  readonly problem = signal<string | undefined>(undefined);
  readonly loading = signal(false);
  /** Grows whenever rows were added. */
  readonly version = signal(0);
  /** The number of the event that the list was led to. */
  readonly at = signal<number | undefined>(undefined);
  #reading: Reading | undefined;
  /** The filter cannot be read: what comes fits it as little. */
  #wrong = false;
  #query = 0;
  #tail: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly app: App) {
    app.listing = this;
    this.app.state.eventFilter.subscribe(() => this.restart());
  }

  /** Grows whenever the list becomes another one. */
  get list(): number {
    return this.#query;
  }

  get log(): EventLog {
    return this.#reading?.log ?? this.app.session.events;
  }

  /** Whether the server keeps events that are older than those that were looked through. */
  get hasOlder(): boolean {
    const { status, events } = this.app.session;
    if (!status || status.kept === 0) return false;
    return (this.#reading?.from ?? events.firstSeq ?? Number.POSITIVE_INFINITY) > status.first_seq;
  }

  /** Whether there are newer ones than those that were looked through. */
  get hasNewer(): boolean {
    return this.#reading !== undefined && !this.#reading.reached;
  }

  /** Whether what comes belongs to a list that is read, as far as is known. */
  get #goesOn(): boolean {
    const unanswered = this.problem.peek() !== undefined && !this.#wrong;
    return this.#reading !== undefined && (this.#reading.reached || unanswered);
  }

  /** Another session, or another filter. */
  restart(): void {
    const at = this.app.state.cursor.peek();
    if (at === undefined) void this.newest();
    else void this.around(at, true);
  }

  /** The stream brought something: a list that is read asks for its part of it, at most once a second. */
  changed(): void {
    this.version.value += 1;
    if (!this.#goesOn || this.#tail !== undefined) return;
    this.#tail = setTimeout(() => {
      this.#tail = undefined;
      if (this.#goesOn && !this.loading.peek()) void this.newer();
    }, TAIL_MS);
  }

  /** Leads the list to the newest events. */
  async newest(): Promise<void> {
    const filter = this.app.state.eventFilter.peek().trim();
    this.#begin(undefined);
    if (filter) await this.#readAround(filter, this.#end(), false);
  }

  /** Leads the list to a moment. @param anew Whether what it holds is not what is looked for. */
  async around(t: number, anew = false): Promise<void> {
    const filter = this.app.state.eventFilter.peek().trim();
    this.#begin(anew ? undefined : this.#reading);
    let seq: number | undefined;
    await this.#ask(async (goesOn) => {
      const found = await this.app.source.numberAt(this.app.session.clock.epoch(t));
      if (goesOn()) seq = found ?? this.#end();
    });
    if (seq === undefined) return;
    const held = this.#reading ? this.#reading.holds(seq) : !filter && this.log.find(seq) !== undefined;
    if (held) this.at.value = seq;
    else await this.#readAround(filter, seq, true);
  }

  /** Reads the page before the first event; where the tail has no room for it, the list leaves the tail. */
  async older(): Promise<void> {
    const { status, events } = this.app.session;
    const kept = status?.first_seq ?? 0;
    const first = events.firstSeq ?? this.#end();
    const full = events.length + PAGE > events.limit;
    if (!this.#reading && full) await this.#readAround("", first, true);
    else if (this.#reading) await this.#ask((goesOn) => this.#reading?.older(kept, goesOn));
    else await this.fill(Math.max(kept, first - PAGE), first - 1);
  }

  async newer(): Promise<void> {
    await this.#ask(() => this.#reading?.newer(this.app.session.events.lastSeq ?? 0));
  }

  /** Reads into a hole of the list. */
  async fill(from: number, to: number): Promise<void> {
    await this.#ask(async (goesOn) => {
      const { events } = await this.app.source.events(from, Math.min(PAGE, Math.max(1, to - from + 1)), "");
      if (goesOn()) this.log.add(events);
    });
  }

  /** The number of the event after the newest. */
  #end(): number {
    const { events, status } = this.app.session;
    return Math.max((status?.first_seq ?? 0) + (status?.kept ?? 0), (events.lastSeq ?? 0) + 1);
  }

  #begin(reading: Reading | undefined): void {
    this.#reading = reading;
    this.#query += 1;
    this.#wrong = false;
    this.problem.value = undefined;
    this.loading.value = false;
    this.at.value = undefined;
    this.version.value += 1;
  }

  async #readAround(filter: string, seq: number, leads: boolean): Promise<void> {
    const reading = new Reading(this.app.source, filter, seq);
    this.#begin(reading);
    await this.#ask(async (goesOn) => {
      const { status, events } = this.app.session;
      await reading.newer(events.lastSeq ?? 0);
      if (goesOn()) await reading.older(status?.first_seq ?? 0, goesOn);
      if (leads && goesOn()) this.at.value = seq;
    });
  }

  /** One question is under way at a time; another list ends it. */
  async #ask(question: (goesOn: () => boolean) => Promise<void> | undefined): Promise<void> {
    const query = this.#query;
    const goesOn = () => {
      if (query === this.#query) this.version.value += 1;
      return query === this.#query;
    };
    this.loading.value = true;
    try {
      await question(goesOn);
      if (query === this.#query) this.problem.value = undefined;
    } catch (error) {
      if (query !== this.#query) return;
      this.#wrong = error instanceof Refusal && error.wrong;
      this.problem.value = error instanceof Refusal ? error.message : "The answer cannot be read.";
    }
    if (goesOn()) this.loading.value = false;
  }
}

const feeds = new WeakMap<App, Feed>();

/** The list of a page's events; it goes on while it is not shown. */
export function feedOf(app: App): Feed {
  const feed = feeds.get(app) ?? new Feed(app);
  feeds.set(app, feed);
  return feed;
}

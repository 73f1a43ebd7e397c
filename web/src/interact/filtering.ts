import { Slices } from "../base/slices.ts";
import { count } from "../base/time.ts";
import { type RowFilter, readRowFilter } from "../layout/filter.ts";
import { Matching } from "../layout/matching.ts";
import type { App } from "./app.ts";

/** How long a search may keep everything else waiting. */
const SEARCH_MS = 8;

/** How often what a search has found so far is shown. */
const FOUND_MS = 100;

/** The row filter, and the search for what fits it. */
export class Filtering {
  /** `problem` says why there is none while the box has text. */
  #filter: RowFilter | undefined;
  #matching: Matching | undefined;
  readonly #search = new Slices<void>(SEARCH_MS);
  #shownAt = 0;

  constructor(readonly app: App) {}

  set(text: string): void {
    this.app.state.filter.value = text;
    const parsed = this.#read();
    this.#filter = typeof parsed === "function" ? parsed : undefined;
    this.restart();
    this.app.changed();
  }

  /** None where its text is empty or cannot be read. */
  get filter(): RowFilter | undefined {
    return this.#filter;
  }

  /** Why the filter cannot be read. */
  get problem(): string | undefined {
    const parsed = this.#read();
    return typeof parsed === "string" ? parsed : undefined;
  }

  #read(): RowFilter | string | undefined {
    const text = this.app.state.filter.value;
    return text.trim() ? readRowFilter(text, this.app.session.failures) : undefined;
  }

  /** What fits, as far as it is found; none without a filter. */
  get matching(): Matching | undefined {
    return this.#matching;
  }

  /** Whether there is more to look at for the filter than was so far. */
  get searching(): boolean {
    return this.#search.busy;
  }

  /** Looks at all that is there, for whoever cannot wait. */
  finish(): void {
    this.#search.finish();
  }

  /** Looks for what fits; what has been found so far is shown meanwhile. */
  restart(): void {
    const { entities, failures } = this.app.session;
    this.#search.stop();
    this.#matching?.end();
    this.#matching = this.#filter && new Matching(entities, failures, this.#filter);
    if (!this.#matching) return;
    this.#shownAt = this.app.now();
    this.#search.start(
      this.#matching.all(),
      () => this.#matched(),
      () => this.#found(),
    );
  }

  #matched(): void {
    this.app.layNow();
    const { slots, hidden } = this.app.state.rows.peek();
    this.app.say(`${count(slots - hidden)} of ${count(slots)} rows fit.`, "filter");
    this.app.changed();
  }

  #found(): void {
    if (this.app.now() - this.#shownAt < FOUND_MS) return;
    this.#shownAt = this.app.now();
    this.app.changed();
  }
}

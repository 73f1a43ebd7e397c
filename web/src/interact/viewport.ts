import { TimeScale } from "../layout/timescale.ts";

/** Shortest span (nanoseconds). */
const SHORTEST = 1_000;
/**
 * Spans of following until the user chooses another: the first that holds everything, at last the last minute. In steps, so
 * that what is in sight moves evenly between them; small ones, so that little of it is time before the first moment.
 */
const FIRST_SPANS = [5e9, 6e9, 8e9, 10e9, 12e9, 15e9, 20e9, 25e9, 30e9, 35e9, 40e9, 50e9, 60e9] as const;
const FIRST_SPAN = 60e9;
/** Room between the newest moment and the right edge while following, as a part of the span. */
const LEAD = 0.02;

/** The span of time in sight. Following keeps its right end at the newest moment; any step into the past ends that. */
export class Viewport {
  start = -FIRST_SPAN;
  end = 0;
  following = true;
  /** The user has not chosen a span yet. */
  #untouched = true;
  /** The widest that there was until then: forgetting what is old makes it no shorter. */
  #widest = 0;
  /** The page's time range so far: nothing to see outside. */
  #first = 0;
  #edge = 0;

  get span(): number {
    return this.end - this.start;
  }

  scale(width: number): TimeScale {
    return new TimeScale(this.start, this.end, width);
  }

  /** Tells the oldest and the newest moment that there is. */
  reach(first: number, edge: number): void {
    this.#first = first;
    this.#edge = edge;
    if (!this.following) return;
    const kept = edge - first;
    this.#widest = Math.max(this.#widest, FIRST_SPANS.find((one) => one >= kept) ?? FIRST_SPAN);
    const span = this.#untouched ? this.#widest : this.span;
    this.#place(edge + span * LEAD - span, span);
  }

  /** As at the start of a session. */
  restart(): void {
    this.#untouched = true;
    this.#widest = 0;
    this.following = true;
  }

  /** Follows the newest moment; a span that is given is the user's choice. */
  follow(span?: number): void {
    if (span !== undefined) this.#untouched = false;
    this.following = true;
    const chosen = span ?? this.span;
    this.#place(this.#edge + chosen * LEAD - chosen, chosen);
  }

  /** Zooms so that the moment `at` stays where it is; while following, the right end stays. */
  zoom(factor: number, at: number): void {
    this.#untouched = false;
    const most = Math.max(FIRST_SPAN, (this.#edge - this.#first) * 1.5);
    const span = Math.min(most, Math.max(SHORTEST, this.span * factor));
    if (this.following) {
      this.follow(span);
      return;
    }
    const part = (at - this.start) / this.span;
    this.#place(at - part * span, span);
  }

  /** Pans by a time. Into the past leaves following; to the right edge comes back to it (`live` sessions only). */
  pan(by: number, live: boolean): void {
    this.#untouched = false;
    this.following = false;
    this.#place(this.start + by, this.span);
    if (live && by > 0 && this.end >= this.#edge + this.span * LEAD) this.follow();
  }

  /** Brings a range into sight with some room around it. */
  show(from: number, to: number): void {
    const span = Math.max(SHORTEST, (to - from) * 1.1);
    this.#untouched = false;
    this.following = false;
    this.#place((from + to) / 2 - span / 2, span);
  }

  /** Shows exactly that time. */
  place(from: number, to: number): void {
    this.#untouched = false;
    this.following = false;
    this.#place(from, Math.max(SHORTEST, to - from));
  }

  /** Everything that there is. */
  fit(): void {
    this.show(this.#first, Math.max(this.#edge, this.#first + SHORTEST));
  }

  /** Brings a moment into sight without changing the span, if it is not. */
  reveal(at: number): void {
    if (at >= this.start && at <= this.end) return;
    this.following = false;
    this.#place(at - this.span / 2, this.span);
  }

  #place(start: number, span: number): void {
    this.start = start;
    this.end = start + span;
  }
}

import type { App } from "./app.ts";

/** A span of time that the user marked out to measure it. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Marking out ranges, measuring them, and going into them and back. */
export class Ranging {
  /** What was in sight before each step into a range. */
  readonly #before: Range[] = [];

  constructor(readonly app: App) {}

  set(from: number, to: number): void {
    const [first, last] = from < to ? [from, to] : [to, from];
    // Whole nanoseconds, as everything that is counted in it has them.
    this.app.state.range.value = {
      from: Math.max(Math.round(first), 0),
      to: Math.min(Math.round(last), this.app.edge),
    };
    this.app.frames.request();
  }

  clear(): void {
    this.app.state.range.value = undefined;
    this.app.frames.request();
  }

  /** The time that the selection lived. */
  fromSelection(): void {
    const lived = this.app.selecting.range();
    if (lived) this.set(lived[0], lived[1]);
    else this.app.say("Select something to measure its life.");
  }

  zoomIn(): void {
    const range = this.app.state.range.peek();
    if (!range) {
      this.app.say("Drag over the lanes to mark out a range first.");
      return;
    }
    const { start, end } = this.app.viewport;
    this.#before.push({ from: start, to: end });
    this.app.viewport.show(range.from, range.to);
    this.app.frames.request();
  }

  zoomBack(): void {
    const before = this.#before.pop();
    if (before) this.app.viewport.place(before.from, before.to);
    else this.app.say("There is no step to go back.");
    this.app.frames.request();
  }

  /** Shows what the range changed in the descriptor table. */
  descriptors(): void {
    const range = this.app.state.range.peek();
    if (!range) return;
    this.app.state.base.value = range.from;
    this.app.setCursor(range.to);
    this.app.state.tab.value = "descriptors";
  }

  /** Shows the events of the range in the list. */
  events(): void {
    const range = this.app.state.range.peek();
    if (!range) return;
    const { clock } = this.app.session;
    this.app.listEvents(`ts_ns:>=${clock.epoch(range.from)} ts_ns:<=${clock.epoch(range.to)}`);
  }
}

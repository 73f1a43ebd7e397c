import { lowerBound } from "../base/search.ts";
import type { Row } from "../layout/rows.ts";
import type { TimeScale } from "../layout/timescale.ts";
import type { Socket } from "../protocol/types.gen.ts";
import type { Entities } from "../store/entities.ts";
import type { App } from "./app.ts";

/** An edge of a range takes the moment of a change that is this near (pixels). */
const SNAP_PX = 15;
/** Descriptors of a slot that are looked at on each side of a moment. */
const NEIGHBOURS = 4;

/** A span of time that the user marked out to measure it. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** What happened in a range. */
export interface Measure {
  readonly opened: number;
  readonly closed: number;
  readonly accepted: number;
  readonly failed: number;
}

/** Marking out ranges, measuring them, and going into them and back. */
export class Ranging {
  /** What was in sight before each step into a range. */
  readonly #before: Range[] = [];

  constructor(readonly app: App) {}

  set(from: number, to: number): void {
    const [first, last] = from < to ? [from, to] : [to, from];
    this.app.state.range.value = { from: Math.max(first, 0), to: Math.min(last, this.app.edge) };
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

  /** Shows the events of the range in the list. */
  events(): void {
    const range = this.app.state.range.peek();
    if (!range) return;
    const { clock } = this.app.session;
    this.app.feed.setFilter(`ts_ns:>=${clock.epoch(range.from)} ts_ns:<=${clock.epoch(range.to)}`);
    this.app.state.tab.value = "events";
  }
}

/** Counts what happened in a range, its ends included. */
export function measure(entities: Entities, { from, to }: Range): Measure {
  const within = (t: number | null) => t !== null && t >= from && t <= to;
  let [opened, closed, accepted, failed] = [0, 0, 0, 0];
  for (const descriptor of entities.descriptors.values()) {
    if (within(descriptor.opened)) opened += 1;
    if (within(descriptor.closed)) closed += 1;
  }
  for (const socket of entities.sockets.values()) {
    if (within(socket.accepted)) accepted += 1;
    for (const step of socket.steps) if (step.error && within(step.t)) failed += 1;
  }
  return { opened, closed, accepted, failed };
}

/** The moment of the change of a row's content that is nearest to `t`, if one is near enough; else `t`. */
export function snap(entities: Entities, row: Row | undefined, scale: TimeScale, t: number): number {
  const near = SNAP_PX * scale.nsPerPx;
  let best = t;
  let least = near;
  for (const at of row ? changes(entities, row, t) : []) {
    if (Math.abs(at - t) < least) {
      least = Math.abs(at - t);
      best = at;
    }
  }
  return best;
}

function* changes(entities: Entities, row: Row, t: number): Generator<number> {
  if (row.kind === "process") {
    yield row.process.seen;
    if (row.process.ended !== null) yield row.process.ended;
  } else if (row.kind === "child") {
    yield* lived(row.socket);
  } else if (row.kind === "slot") {
    const { held } = row.slot;
    const at = lowerBound(held, t, ({ opened }) => opened);
    for (const descriptor of held.slice(Math.max(0, at - NEIGHBOURS), at + NEIGHBOURS)) {
      yield descriptor.opened;
      if (descriptor.closed !== null) yield descriptor.closed;
      const socket = descriptor.socket ? entities.sockets.get(descriptor.socket) : undefined;
      if (socket) yield* lived(socket);
    }
  }
}

function* lived(socket: Socket): Generator<number> {
  for (const step of socket.steps) yield step.t;
  if (socket.ended !== null) yield socket.ended;
}

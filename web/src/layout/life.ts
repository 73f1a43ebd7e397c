import { address, fileName } from "../a11y/sentences.ts";
import { lowerBound, upperBound } from "../base/search.ts";
import { count } from "../base/time.ts";
import type { Descriptor, Socket, Step } from "../protocol/types.gen.ts";
import type { Role } from "../render/palette.ts";
import type { Form, Scene } from "../render/scene.ts";
import { childEnd, type Entities, joined, type Slot } from "../store/entities.ts";
import type { TimeScale } from "./timescale.ts";

/** Turns the lives of slots, listeners and children into bars and marks of a scene. */

export interface Strip {
  readonly scene: Scene;
  readonly entities: Entities;
  readonly scale: TimeScale;
  /** Nothing after this moment is drawn. */
  readonly edge: number;
  readonly y: number;
  readonly height: number;
  /** Whether there is room for marks and labels. */
  readonly bare: boolean;
}

/** Lives that begin within so many pixels of each other are folded into one bar. */
const FOLD_PX = 4;
const FOLD_LEAST = 3;
/** A life narrower than this is one bar, without its phases and marks. */
const TINY_PX = 6;
/** No life is narrower than this, so that short ones are seen. */
const LEAST_PX = 2;
/** Space of a label before it is worth drawing, and of one character. */
const LABEL_PX = 40;

/** How a descriptor came, where the start of its bar says so. */
const ARRIVALS: Readonly<Record<string, "notch" | "inherited" | "passed">> = {
  accept: "notch",
  fork: "inherited",
  dup: "inherited",
  pass: "passed",
};

interface Fold {
  readonly x0: number;
  x1: number;
  count: number;
  /** Of sockets, if there is one among them. */
  role: Role;
}

/** Things of one row, one after another. */
interface Run<T> {
  readonly items: readonly T[];
  readonly from: (item: T) => number;
  /** When it ended; `undefined` while it goes on. */
  readonly until: (item: T) => number | undefined;
  readonly isSocket: (item: T) => boolean;
  readonly draw: (item: T, before: T | undefined, after: T | undefined) => void;
}

/** Everything that a slot held in the visible time. */
export function drawSlot(strip: Strip, slot: Slot): void {
  drawRun<Descriptor>(strip, {
    items: slot.held,
    from: ({ opened }) => opened,
    until: ({ closed }) => closed ?? undefined,
    isSocket: ({ socket }) => socket !== null,
    draw: (descriptor, before, after) => drawDescriptor(strip, descriptor, before, after),
  });
}

/** Children of a listener that were there one after another. */
export function drawLane(strip: Strip, children: readonly Socket[]): void {
  drawRun<Socket>(strip, {
    items: children,
    from: joined,
    until: (child) => childEnd(strip.entities, child),
    isSocket: () => true,
    draw: (child) => drawChild(strip, child),
  });
}

/** What is too short to be told apart is folded: the cost depends on pixels, not on how much there is. */
function drawRun<T>(strip: Strip, { items, from, until, isSocket, draw }: Run<T>): void {
  const { scale, edge } = strip;
  const end = upperBound(items, Math.min(scale.end, edge), from);
  let fold: Fold | undefined;
  const flush = () => {
    if (fold) drawFold(strip, fold);
    fold = undefined;
  };
  for (let i = Math.max(0, upperBound(items, scale.start, from) - 1); i < end; ) {
    const item = items[i] as T;
    const x0 = scale.x(from(item));
    const next = Math.min(end, lowerBound(items, scale.t(x0 + FOLD_PX), from));
    if (next - i < FOLD_LEAST) {
      flush();
      draw(item, items[i - 1], items[i + 1]);
      i += 1;
      continue;
    }
    const last = items[next - 1] as T;
    const limit = scale.t(x0 + FOLD_PX);
    const x1 = scale.x(Math.min(until(last) ?? edge, edge, limit));
    const role = isSocket(last) ? "connected" : "idle";
    if (fold && x0 - fold.x1 <= FOLD_PX) {
      fold.x1 = x1;
      fold.count += next - i;
      if (role === "connected") fold.role = role;
    } else {
      flush();
      fold = { x0, x1, count: next - i, role };
    }
    // The last one may live on beyond the fold.
    i = next;
    if ((until(last) ?? Number.POSITIVE_INFINITY) > limit) {
      flush();
      draw(last, items[next - 2], items[next]);
    }
  }
  flush();
}

function drawFold({ scene, y, height, bare }: Strip, fold: Fold): void {
  scene.bars.push(fold.x0, fold.x1, y, height, fold.role, "fold");
  if (!bare && fold.x1 - fold.x0 >= 12) {
    scene.labels.push({
      x: fold.x0 + 4,
      y: labelTop(y, height),
      width: fold.x1 - fold.x0 - 8,
      text: `×${count(fold.count)}`,
      least: "",
      // A fold has no colour that a text could be read on.
      on: undefined,
    });
  }
}

/**
 * One descriptor, from filled to emptied, with what its socket did before and after.
 * @param before What the same row shows before it, and `after` what it shows after it.
 */
export function drawDescriptor(
  strip: Strip,
  descriptor: Descriptor,
  before?: Descriptor,
  after?: Descriptor,
): void {
  const { scene, entities, scale, edge, y, height, bare } = strip;
  const from = descriptor.opened;
  const until = Math.min(descriptor.closed ?? edge, edge);
  const socket = descriptor.socket ? entities.sockets.get(descriptor.socket) : undefined;
  const isTiny = (until - from) / scale.nsPerPx < TINY_PX && descriptor.closed !== null;
  if (descriptor.opened_by === "accept" && socket && socket.queued !== null) {
    const start = Math.max(socket.queued, before?.closed ?? socket.queued);
    // Of a life of a few pixels a wait that is no longer would be all that is seen.
    if (start < from && !(isTiny && (from - start) / scale.nsPerPx < TINY_PX))
      bar(strip, start, from, "connecting", "queue");
  }
  if (isTiny) {
    const step = socket && gist(socket);
    const { role, form } = step ? look(step) : ({ role: "idle", form: "line" } as const);
    bar(strip, from, until, role, form);
    return;
  }
  if (!socket) {
    bar(strip, from, until, "idle", "line");
    label(strip, from, until, fileName(descriptor), undefined);
  } else {
    steps(socket, from, until, (step, a, b) => {
      const { role, form } = look(step);
      bar(strip, a, b, role, form);
      // A listener's bar carries its queue and its accepts; its address stands in the row's head.
      if (form === "solid") label(strip, a, b, address(socket.peer ?? socket.local), role);
    });
    if (descriptor.closed !== null && descriptor.closed < edge)
      drawAfterlife(strip, socket, descriptor.closed, after);
  }
  const came = ARRIVALS[descriptor.opened_by];
  if (!bare && came) mark(strip, from, came, "connected");
  if (!bare && descriptor.closed !== null && descriptor.closed <= edge) {
    const x = scale.x(descriptor.closed);
    if (x >= 0 && x <= scale.width) {
      scene.marks.push({
        x,
        y,
        height,
        shape: descriptor.closed_by === "exit" ? "arrow" : "cap",
        role: "idle",
      });
    }
  }
}

/** The step that says most about a life as a whole. */
function gist({ steps }: Socket): Step | undefined {
  return steps.find(({ phase }) => phase === "connected" || phase === "listening") ?? steps[0];
}

/** What the kernel still does with a socket after its descriptor is gone. */
function drawAfterlife(strip: Strip, socket: Socket, closed: number, after: Descriptor | undefined): void {
  if (socket.holders > 0) return;
  const end = Math.min(socket.ended ?? strip.edge, after?.opened ?? strip.edge, strip.edge);
  if (end <= closed) return;
  steps(socket, closed, end, (step, a, b) => {
    if (step.phase === "closing" || step.phase === "half_closed") bar(strip, a, b, "half_closed", "tail");
  });
}

/** The life of a child on a row of its own, from the queue to the end. */
export function drawChild(strip: Strip, child: Socket): void {
  const { entities, edge } = strip;
  const holders = entities.holders(child.id);
  const from = child.accepted ?? holders[0]?.opened ?? joined(child);
  const end = Math.min(child.ended ?? edge, edge);
  if (child.queued !== null)
    bar(strip, child.queued, Math.min(child.accepted ?? end, edge), "connecting", "queue");
  if (child.accepted === null && child.queued !== null) return;
  let labelled = false;
  steps(child, from, end, (step, a, b) => {
    const { role, form } = look(step);
    bar(strip, a, b, role, form);
    if (form === "solid" && !labelled) {
      labelled = true;
      label(strip, a, b, address(child.peer), role);
    }
  });
  // Of a life of a few pixels the notch would leave nothing.
  if (!strip.bare && (end - from) / strip.scale.nsPerPx >= TINY_PX) mark(strip, from, "notch", "connected");
}

/** Colour and form of a step. */
export function look(step: Step): { role: Role; form: Form } {
  switch (step.phase) {
    case "created":
      return { role: "idle", form: "outline" };
    case "bound":
      return { role: "idle", form: "tick" };
    case "listening":
      return { role: "listening", form: "double" };
    case "connecting":
      return { role: "connecting", form: "hatch" };
    case "queued":
      return { role: "connecting", form: "queue" };
    case "connected":
      return { role: "connected", form: "solid" };
    case "half_closed":
      // CLOSE_WAIT: the peer closed its side, this side may still write. Otherwise this side closed and may still read.
      return { role: "half_closed", form: step.state === "CLOSE_WAIT" ? "lower" : "upper" };
    case "closing":
      return { role: "half_closed", form: "tail" };
    default:
      return { role: "idle", form: "line" };
  }
}

/** The steps of a socket between two moments; the one that it is in at `from` begins there. */
function steps(
  socket: Socket,
  from: number,
  until: number,
  each: (step: Step, a: number, b: number) => void,
): void {
  const all = socket.steps;
  for (let k = 0; k < all.length; k += 1) {
    const step = all[k] as Step;
    const a = k === 0 ? from : Math.max(step.t, from);
    const b = Math.min(all[k + 1]?.t ?? until, until);
    if (b > a || (b === a && until === from && k === all.length - 1)) each(step, a, b);
  }
}

function bar({ scene, scale, y, height }: Strip, from: number, until: number, role: Role, form: Form): void {
  const x0 = scale.x(from);
  const x1 = scale.x(until);
  if (x1 < 0 || x0 > scale.width) return;
  // A pixel beyond the edges keeps frames and caps that lie outside out of sight.
  scene.bars.push(
    Math.max(-2, x0),
    Math.min(scale.width + 2, Math.max(x1, x0 + LEAST_PX)),
    y,
    height,
    role,
    form,
  );
}

function mark(
  { scene, scale, y, height }: Strip,
  t: number,
  shape: "notch" | "inherited" | "passed",
  role: Role,
): void {
  const x = scale.x(t);
  if (x >= -6 && x <= scale.width + 6) scene.marks.push({ x, y, height, shape, role });
}

function label(
  { scene, scale, y, height, bare }: Strip,
  from: number,
  until: number,
  text: string,
  on: Role | undefined,
): void {
  const x0 = Math.max(0, scale.x(from));
  const width = Math.min(scale.width, scale.x(until)) - x0 - 12;
  if (bare || !text || width < LABEL_PX) return;
  // Addresses of clients are told apart by their ports.
  const least = /:\d+$/.exec(text)?.[0];
  scene.labels.push({ x: x0 + 8, y: labelTop(y, height), width, text, least, on });
}

/** A label takes 24 pixels; in a lower row its ends hang out, and its text stays in the middle. */
function labelTop(y: number, height: number): number {
  return y + Math.min(0, height / 2 - 12);
}

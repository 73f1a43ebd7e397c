import { address } from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { lowerBound, upperBound } from "../base/search.ts";
import { count } from "../base/time.ts";
import type { Descriptor, Socket, Step } from "../protocol/types.gen.ts";
import type { Role } from "../render/palette.ts";
import type { Form, Scene } from "../render/scene.ts";
import { acceptedAt, type Entities, joined, type Slot } from "../store/entities.ts";
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
/** A life narrower than this is one bar, without its phases and marks; errors are still marked. */
const TINY_PX = 6;
/** No life is narrower than this, so that short ones are seen. */
const LEAST_PX = 2;
/** Space of a label before it is worth drawing, and of one character. */
const LABEL_PX = 40;

interface Fold {
  readonly x0: number;
  x1: number;
  count: number;
  /** Of sockets, if there is one among them. */
  role: Role;
}

const opened = (descriptor: Descriptor) => descriptor.opened;

/** Everything that a slot held in the visible time. */
export function drawSlot(strip: Strip, slot: Slot): void {
  const { scale, edge } = strip;
  const held = slot.held;
  const end = upperBound(held, Math.min(scale.end, edge), opened);
  let fold: Fold | undefined;
  const flush = () => {
    if (fold) drawFold(strip, fold);
    fold = undefined;
  };
  for (let i = Math.max(0, upperBound(held, scale.start, opened) - 1); i < end; ) {
    const descriptor = held[i] as Descriptor;
    const x0 = scale.x(descriptor.opened);
    const next = Math.min(end, lowerBound(held, scale.t(x0 + FOLD_PX), opened));
    if (next - i >= FOLD_LEAST) {
      const last = held[next - 1] as Descriptor;
      const x1 = scale.x(Math.min(last.closed ?? edge, edge, scale.t(x0 + FOLD_PX)));
      if (fold && x0 - fold.x1 <= FOLD_PX) {
        fold.x1 = x1;
        fold.count += next - i;
        fold.role = last.socket ? "connected" : fold.role;
      } else {
        flush();
        fold = { x0, x1, count: next - i, role: last.socket ? "connected" : "idle" };
      }
      // The last one may live on beyond the fold.
      i = next;
      if ((last.closed ?? Number.POSITIVE_INFINITY) > scale.t(x0 + FOLD_PX)) {
        flush();
        drawDescriptor(strip, last, held[next - 2], held[next]);
      }
      continue;
    }
    flush();
    drawDescriptor(strip, descriptor, held[i - 1], held[i + 1]);
    i += 1;
  }
  flush();
}

function drawFold({ scene, y, height, bare }: Strip, fold: Fold): void {
  scene.bars.push(fold.x0, fold.x1, y, height, fold.role, "fold");
  if (!bare && fold.x1 - fold.x0 >= 12) {
    scene.labels.push({
      x: fold.x0 + 4,
      y,
      width: fold.x1 - fold.x0 - 8,
      text: `×${count(fold.count)}`,
      on: fold.role,
    });
  }
}

/** One descriptor, from filled to emptied, with what its socket did before and after. */
function drawDescriptor(
  strip: Strip,
  descriptor: Descriptor,
  before: Descriptor | undefined,
  after: Descriptor | undefined,
): void {
  const { scene, entities, scale, edge, y, height, bare } = strip;
  const from = descriptor.opened;
  const until = Math.min(descriptor.closed ?? edge, edge);
  const socket = descriptor.socket ? entities.sockets.get(descriptor.socket) : undefined;
  if ((until - from) / scale.nsPerPx < TINY_PX && descriptor.closed !== null) {
    const step = socket && gist(socket);
    const { role, form } = step ? look(step) : ({ role: "idle", form: "line" } as const);
    bar(strip, from, until, role, form);
    if (socket) drawErrors(strip, socket, from, after);
    return;
  }
  if (!socket) {
    bar(strip, from, until, "idle", "line");
    if (!bare)
      label(strip, from, until, visible(descriptor.name) || descriptor.kind.replaceAll("_", " "), undefined);
  } else {
    if (descriptor.opened_by === "accept" && socket.queued !== null) {
      const start = Math.max(socket.queued, before?.closed ?? socket.queued);
      if (start < from) bar(strip, start, from, "connecting", "queue");
    }
    steps(socket, from, until, (step, a, b) => {
      const { role, form } = look(step);
      bar(strip, a, b, role, form);
      if (!bare && (form === "solid" || form === "double")) {
        const text = form === "double" ? address(socket.local) : visible(socket.peer ?? socket.local ?? "");
        label(strip, a, b, text, role);
      }
    });
    if (descriptor.closed !== null && descriptor.closed < edge)
      drawAfterlife(strip, socket, descriptor.closed, after);
    if (!bare && descriptor.opened_by === "accept") mark(strip, from, "notch", "connected");
    drawErrors(strip, socket, from, after);
  }
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

function drawErrors(strip: Strip, socket: Socket, from: number, after: Descriptor | undefined): void {
  for (const step of socket.steps) {
    if (step.error && step.t >= from && step.t <= strip.edge && (!after || step.t < after.opened)) {
      mark(strip, step.t, "cross", "error");
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

/** The marks of a listener's row: a child taken out of the queue each, and what waits in it. */
export function drawListener(strip: Strip, listener: Socket, own: (child: Socket) => boolean): void {
  const { scene, entities, scale, edge, y, height } = strip;
  const children = entities.children(listener.id);
  const end = upperBound(children, Math.min(scale.end, edge), joined);
  // A child that was queued before the visible time may be accepted within it: look back over a few.
  let i = Math.max(0, lowerBound(children, scale.start, joined) - 256);
  let queue: { x0: number; x1: number } | undefined;
  const flush = () => {
    if (queue) scene.bars.push(queue.x0, queue.x1, y, height, "connecting", "queue");
    queue = undefined;
  };
  while (i < end) {
    const child = children[i] as Socket;
    const at = acceptedAt(child);
    if (child.queued !== null) {
      const until = Math.min(at ?? child.ended ?? edge, edge);
      const x0 = scale.x(child.queued);
      const x1 = scale.x(until);
      if (x1 - x0 >= 1.5) {
        if (queue && x0 <= queue.x1 + 1) queue.x1 = Math.max(queue.x1, x1);
        else {
          flush();
          queue = { x0, x1 };
        }
      }
    }
    if (at !== undefined && at <= edge) {
      const x = scale.x(at);
      const next = lowerBound(children, scale.t(Math.max(x, 0) + FOLD_PX), joined);
      const many = next - i > 2;
      if (x >= -4 && x <= scale.width + 4) {
        scene.marks.push({
          x,
          y,
          height,
          shape: many ? "accepts" : "accept",
          role: own(child) ? "connected" : "idle",
        });
      }
      if (many) {
        i = Math.max(i + 1, Math.min(next, end));
        continue;
      }
    }
    i += 1;
  }
  flush();
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
      label(strip, a, b, visible(child.peer ?? ""), role);
    }
  });
  mark(strip, from, "notch", "connected");
  for (const step of child.steps) if (step.error && step.t <= edge) mark(strip, step.t, "cross", "error");
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

function mark({ scene, scale, y, height }: Strip, t: number, shape: "notch" | "cross", role: Role): void {
  const x = scale.x(t);
  if (x >= -6 && x <= scale.width + 6) scene.marks.push({ x, y, height, shape, role });
}

function label(
  { scene, scale, y }: Strip,
  from: number,
  until: number,
  text: string,
  on: Role | undefined,
): void {
  const x0 = Math.max(0, scale.x(from));
  const width = Math.min(scale.width, scale.x(until)) - x0 - 12;
  if (text && width >= LABEL_PX) scene.labels.push({ x: x0 + 8, y, width, text, on });
}

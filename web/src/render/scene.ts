import { ROLES, type Role } from "./palette.ts";

/** How a bar is drawn: the second cue beside its colour. */
export const FORMS = [
  /** Filled. */
  "solid",
  /** A thin frame: created. */
  "outline",
  /** A thin frame with a thick left edge: bound. */
  "tick",
  /** Filled, with a double line on top: listening. */
  "double",
  /** Diagonal hatch: connecting. */
  "hatch",
  /** Upper half: reading is still open. */
  "upper",
  /** Lower half: writing is still open. */
  "lower",
  /** A low strip of upright strokes: waits in an accept queue. */
  "queue",
  /** A low strip: the kernel still closes. */
  "tail",
  /** A thin line in the middle: files, pipes and all other things. */
  "line",
  /** Several lives that are too short to be told apart. */
  "fold",
  /** Length of a queue, as the area below it. */
  "level",
  /** How long a queue may get: a dashed line. */
  "limit",
  /** A queue that is full: a line at its top. */
  "full",
] as const;
export type Form = (typeof FORMS)[number];

export const SHAPES = [
  /** An accepted child, on its listener's row. */
  "accept",
  /** Several accepts that are too close to be told apart. */
  "accepts",
  /** The start of an accepted socket. */
  "notch",
  /** The start of a descriptor that shares another one's open file: by a fork or a duplication. */
  "inherited",
  /** The start of a descriptor that another process sent. */
  "passed",
  /** Packets that a listener dropped. */
  "overflow",
  /** The end of a descriptor that was closed. */
  "cap",
  /** The end of a descriptor that lived until its process ended. */
  "arrow",
  /** An error. */
  "cross",
] as const;
export type Shape = (typeof SHAPES)[number];

/** Rectangles in columns: positions in CSS pixels, colour and form by index. */
export class Bars {
  length = 0;
  x0 = new Float32Array(256);
  x1 = new Float32Array(256);
  y = new Float32Array(256);
  height = new Float32Array(256);
  role = new Uint8Array(256);
  form = new Uint8Array(256);

  push(x0: number, x1: number, y: number, height: number, role: Role, form: Form): void {
    const at = this.length;
    if (at === this.x0.length) this.#grow();
    this.x0[at] = x0;
    this.x1[at] = x1;
    this.y[at] = y;
    this.height[at] = height;
    this.role[at] = ROLES.indexOf(role);
    this.form[at] = FORMS.indexOf(form);
    this.length = at + 1;
  }

  #grow(): void {
    const twice = <A extends Float32Array | Uint8Array>(from: A, to: A): A => {
      to.set(from);
      return to;
    };
    const capacity = this.x0.length * 2;
    this.x0 = twice(this.x0, new Float32Array(capacity));
    this.x1 = twice(this.x1, new Float32Array(capacity));
    this.y = twice(this.y, new Float32Array(capacity));
    this.height = twice(this.height, new Float32Array(capacity));
    this.role = twice(this.role, new Uint8Array(capacity));
    this.form = twice(this.form, new Uint8Array(capacity));
  }
}

export interface Mark {
  readonly x: number;
  readonly y: number;
  readonly height: number;
  readonly shape: Shape;
  readonly role: Role;
  /** How many it stands for, where that is told beside it. */
  readonly many?: number;
}

export interface Label {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly text: string;
  /** What stands for a text that does not fit; without it the text is cut. */
  readonly least: string | undefined;
  /** The role of the bar that it stands on; none on the ground. */
  readonly on: Role | undefined;
}

/** A span over all rows. */
export interface Band {
  readonly x0: number;
  readonly x1: number;
  readonly kind: "lost" | "unkept" | "ahead";
  /** What it means; told where there is room for it. */
  readonly label: string;
}

export interface Line {
  readonly y: number;
  readonly height: number;
  readonly kind: "process" | "slot" | "child";
  readonly state: "plain" | "selected";
}

export interface Tick {
  readonly x: number;
  readonly label: string;
}

/** What two rows have to do with each other. */
export const TIES = [
  /** A listener and its child. */
  "accept",
  /** Both ends of one connection. */
  "pair",
  /** Descriptors of one open file: inherited, duplicated or passed. */
  "shared",
] as const;
export type Tie = (typeof TIES)[number];

/** A curve from one row to another. */
export interface Link {
  readonly tie: Tie;
  readonly x: number;
  readonly y0: number;
  readonly y1: number;
  /** How far it leaves `x` to the left. */
  readonly bend: number;
}

/** What the lanes show, as data: rows below `top`, the ruler above it. Positions are CSS pixels of the canvas. */
export class Scene {
  readonly bars = new Bars();
  readonly marks: Mark[] = [];
  readonly labels: Label[] = [];
  readonly bands: Band[] = [];
  readonly lines: Line[] = [];
  readonly ticks: Tick[] = [];

  constructor(
    readonly width: number,
    readonly height: number,
    readonly top: number,
  ) {}
}

/** What lies over the lanes and changes with the pointer. */
export interface Overlay {
  readonly width: number;
  readonly height: number;
  readonly top: number;
  readonly links: readonly Link[];
  /** A note where more links than those are meant. */
  readonly note: string | undefined;
  readonly cursor: { readonly x: number; readonly label: string } | undefined;
  /** Edges of the measured range, and how long it is. */
  readonly range: { readonly x0: number; readonly x1: number; readonly label: string } | undefined;
  readonly bookmarks: readonly number[];
  readonly pointer: number | undefined;
  /** Where the failure that is selected stands, among others that look like it. */
  readonly failure: { readonly x: number; readonly y: number } | undefined;
  readonly outline:
    | { readonly x0: number; readonly x1: number; readonly y: number; readonly height: number }
    | undefined;
}

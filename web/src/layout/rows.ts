import { upperBound } from "../base/search.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import type { Entities, Slot } from "../store/entities.ts";
import type { Failure, Failures } from "../store/failures.ts";
import type { Matching } from "./matching.ts";

export const DENSITIES = ["normal", "compact", "dense"] as const;
export type Density = (typeof DENSITIES)[number];

/** Heights of rows of the first level, and of the others (pixels). */
const HEIGHTS: Readonly<Record<Density, { readonly head: number; readonly row: number }>> = {
  normal: { head: 32, row: 24 },
  compact: { head: 24, row: 18 },
  dense: { head: 18, row: 6 },
};
/** Below it a row has no text. */
export const LEGIBLE = 12;
/** From it on a row has room for two lines. */
export const TWO_LINES = 32;

/**
 * What a row is. `slots`: a number of a table, whatever it held. `instances`: a descriptor each, so that what is never
 * closed stands out. `listeners`: listeners with their children, each in the first row that is free.
 */
export const MODES = ["slots", "instances", "listeners"] as const;
export type Mode = (typeof MODES)[number];

interface Common {
  /** Stable identity, also across layouts. */
  readonly key: string;
  readonly y: number;
  readonly height: number;
  readonly level: 1 | 2 | 3;
  /** Number of siblings, and the place among them from 1. */
  readonly setSize: number;
  readonly place: number;
  readonly process: Process;
}

export interface ProcessRow extends Common {
  readonly kind: "process";
  readonly expanded: boolean;
  readonly slots: readonly Slot[];
  /** Descriptors that are open. */
  readonly open: number;
  /** Whether its other rows are descriptors: what failed while a number held nothing stands in none of them. */
  readonly single?: true;
}

export interface SlotRow extends Common {
  readonly kind: "slot";
  readonly slot: Slot;
  /** What the slot holds, or held last. */
  readonly descriptor: Descriptor;
  readonly socket: Socket | undefined;
  /** For a listener with children: whether they are listed. */
  readonly expanded: boolean | undefined;
}

export interface ChildRow extends Common {
  readonly kind: "child";
  readonly fd: number;
  readonly listener: Socket;
  readonly socket: Socket;
}

/** Stands for what is not listed. */
export interface MoreRow extends Common {
  readonly kind: "more";
  readonly fd: number | undefined;
  readonly count: number;
  /** When sockets met errors that have no row. */
  readonly times?: readonly (readonly number[])[];
  /** Failed calls on what has no row. */
  readonly failed?: readonly Failure[];
}

/** One descriptor, from filled to emptied. */
export interface InstanceRow extends Common {
  readonly kind: "instance";
  readonly descriptor: Descriptor;
  readonly socket: Socket | undefined;
}

export interface ListenerRow extends Common {
  readonly kind: "listener";
  readonly socket: Socket;
  /** The descriptor that holds it, or held it first. */
  readonly descriptor: Descriptor;
  readonly expanded: boolean | undefined;
}

/** Children of one listener that were there one after another. */
export interface LaneRow extends Common {
  readonly kind: "lane";
  readonly listener: Socket;
  /** From 1. */
  readonly nth: number;
  /** In the order in which they joined. */
  readonly children: readonly Socket[];
}

export type Row = ProcessRow | SlotRow | ChildRow | MoreRow | InstanceRow | ListenerRow | LaneRow;

export interface Rows {
  readonly rows: readonly Row[];
  readonly index: ReadonlyMap<string, number>;
  readonly height: number;
  /** Things that could have rows, and how many of them the filter hides. */
  readonly slots: number;
  readonly hidden: number;
}

export interface Question {
  readonly entities: Entities;
  readonly failures: Failures;
  /** Nothing after this moment is shown. */
  readonly edge: number;
  /** What the row filter lets through, as far as it is known; without one, everything. */
  readonly matching: Matching | undefined;
  /** Whether a row is expanded, where the user said so. */
  readonly expanded: ReadonlyMap<string, boolean>;
  readonly density?: Density;
  /** Processes whose rows stand first, by their identities. */
  readonly pinned?: ReadonlySet<string>;
}

/** Things of processes, those of pinned ones first; apart from that as they came. */
export function pinnedFirst<T>(
  all: readonly T[],
  of: (one: T) => Process,
  pinned: ReadonlySet<string> | undefined,
): readonly T[] {
  if (!pinned || pinned.size === 0) return all;
  const isPinned = (one: T) => pinned.has(of(one).id);
  return [...all.filter(isPinned), ...all.filter((one) => !isPinned(one))];
}

export function processKey(process: string): string {
  return process;
}

export function slotKey(process: string, fd: number): string {
  return `${process}/${fd}`;
}

export function instanceKey(process: string, descriptor: string): string {
  return `${process}/${descriptor}`;
}

export function listenerKey(socket: string): string {
  return socket;
}

export function laneKey(listener: string, nth: number): string {
  return `${listener}/${nth}`;
}

export function childKey(process: string, fd: number, socket: string): string {
  return `${process}/${fd}/${socket}`;
}

/** Index of the row at a height, or -1. */
export function rowAt(rows: readonly Row[], y: number): number {
  const at = upperBound(rows, y, (row) => row.y) - 1;
  const row = rows[at];
  return row && y < row.y + row.height ? at : -1;
}

export function isOpen(descriptor: Descriptor, edge: number): boolean {
  return descriptor.opened <= edge && (descriptor.closed === null || descriptor.closed > edge);
}

/** A row that has no place yet. */
type Unplaced<R> = R extends Row ? Omit<R, "y" | "height"> : never;

/** Collects rows from top to bottom. */
export class Stack {
  readonly rows: Row[] = [];
  readonly index = new Map<string, number>();
  height = 0;
  readonly #heights: { readonly head: number; readonly row: number };

  constructor(density: Density = "normal") {
    this.#heights = HEIGHTS[density];
  }

  push(unplaced: Unplaced<Row>): void {
    const height = unplaced.level === 1 ? this.#heights.head : this.#heights.row;
    const row = Object.assign(unplaced, { y: this.height, height }) as Row;
    this.index.set(row.key, this.rows.length);
    this.rows.push(row);
    this.height += height;
  }

  done(slots: number, hidden: number): Rows {
    return { rows: this.rows, index: this.index, height: this.height, slots, hidden };
  }
}

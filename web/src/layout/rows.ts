import { upperBound } from "../base/search.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import type { Entities, Slot } from "../store/entities.ts";
import type { Failures } from "../store/failures.ts";
import type { RowFilter } from "./filter.ts";

export const PROCESS_HEIGHT = 32;
export const ROW_HEIGHT = 24;

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
  readonly filter: RowFilter | undefined;
  /** Whether a row is expanded, where the user said so. */
  readonly expanded: ReadonlyMap<string, boolean>;
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

/** Collects rows from top to bottom. */
export class Stack {
  readonly rows: Row[] = [];
  readonly index = new Map<string, number>();
  height = 0;

  push(row: Row): void {
    this.index.set(row.key, this.rows.length);
    this.rows.push(row);
    this.height += row.height;
  }

  done(slots: number, hidden: number): Rows {
    return { rows: this.rows, index: this.index, height: this.height, slots, hidden };
  }
}

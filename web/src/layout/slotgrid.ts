import { stepAt } from "../a11y/sentences.ts";
import { count } from "../base/time.ts";
import type { Descriptor, Socket } from "../protocol/types.gen.ts";
import type { Role } from "../render/palette.ts";
import type { Form } from "../render/scene.ts";
import { look } from "./life.ts";

/** What a cell shows beside its colour: no kind is told by colour alone. */
export const SHAPES = ["socket", "listener", "file", "pipe", "other"] as const;
export type CellShape = (typeof SHAPES)[number];

/** How a descriptor came, if its process did not open it. */
export type Origin = "inherited" | "passed" | "duplicate";

/** One number of a table at an instant. */
export interface Cell {
  readonly fd: number;
  readonly shape: CellShape;
  readonly role: Role;
  /** Of a socket: its state, as its bar has it. */
  readonly form: Form;
  readonly cloexec: boolean;
  readonly origin: Origin | undefined;
  readonly descriptor: Descriptor;
}

const ORIGINS: Readonly<Record<string, Origin>> = { fork: "inherited", pass: "passed", dup: "duplicate" };

/** How a descriptor came, where its process did not open it itself. */
export function originOf({ opened_by }: Descriptor): Origin | undefined {
  return ORIGINS[opened_by];
}

export function cellOf(descriptor: Descriptor, socket: Socket | undefined, at: number): Cell {
  const step = socket && stepAt(socket, at);
  const { fd, kind, cloexec } = descriptor;
  const { role, form } = step ? look(step) : ({ role: "idle", form: "line" } as const);
  return {
    fd,
    shape: shapeOf(kind, step?.phase),
    role,
    form,
    cloexec,
    origin: originOf(descriptor),
    descriptor,
  };
}

function shapeOf(kind: string, phase: string | undefined): CellShape {
  if (phase !== undefined) return phase === "listening" ? "listener" : "socket";
  if (kind === "pipe" || kind === "fifo") return "pipe";
  if (kind === "file" || kind === "directory" || kind.endsWith("_device")) return "file";
  return "other";
}

/** Cells beyond the last number in use that are shown empty, so that the table's end is seen. */
const ROOM = 8;

/** How many numbers a grid shows: all in use and a few more, and the limit where it is near. */
export function gridSize(cells: readonly Cell[], limit: number | null): number {
  const used = (cells.at(-1)?.fd ?? -1) + 1;
  const wanted = used + ROOM;
  if (limit === null) return wanted;
  return limit <= 2 * wanted ? Math.max(limit + ROOM, used) : wanted;
}

/** How many numbers a process may use still. */
export function limitWords(limit: number, open: number): string {
  const free = limit - open;
  return `limit ${count(limit)}: ${free > 0 ? `${count(free)} are free` : "none is free"}`;
}

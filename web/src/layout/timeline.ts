import { type Clock, count } from "../base/time.ts";
import type { Socket } from "../protocol/types.gen.ts";
import { Scene } from "../render/scene.ts";
import type { Entities } from "../store/entities.ts";
import type { Failures } from "../store/failures.ts";
import type { Overflow, Overflows } from "../store/overflows.ts";
import type { Loss } from "../store/session.ts";
import { drawErrors, errorsOf } from "./errors.ts";
import { drawChild, drawDescriptor, drawLane, drawSlot, type Strip } from "./life.ts";
import { drawListener, drawOverflows, type Held, overflowsWhile } from "./listener.ts";
import { LEGIBLE, type Row } from "./rows.ts";
import { drawSummary } from "./summary.ts";
import { type TimeScale, ticks } from "./timescale.ts";
import { Worked } from "./worked.ts";

export const RULER_HEIGHT = 32;
/** Room between two ticks, enough for a time of day with nine decimals. */
const TICK_GAP = 96;
const FINE_TICK_GAP = 150;
/** The same for whole seconds where there is little room: one time alone says nothing of how long anything took. */
const NARROW_TICK_GAP = 64;
const NARROW = 320;
/** Losses closer than this are one band. */
const LOSS_PX = 80;

export interface View {
  readonly entities: Entities;
  readonly failures: Failures;
  readonly overflows: Overflows;
  readonly rows: readonly Row[];
  readonly scale: TimeScale;
  readonly scroll: number;
  readonly height: number;
  readonly edge: number;
  readonly clock: Clock;
  readonly keptSince: number;
  readonly losses: readonly Loss[];
  readonly selected: string | undefined;
}

/** The scene of everything that the lanes show at one moment. */
export function layScene(view: View): Scene {
  const { scale, entities, edge } = view;
  Worked.letGo(entities.revision);
  const scene = new Scene(scale.width, view.height, RULER_HEIGHT);
  const isNarrow = scale.width < NARROW && scale.nsPerPx * NARROW_TICK_GAP > 1e9;
  const gap = isNarrow ? NARROW_TICK_GAP : scale.nsPerPx * TICK_GAP < 1e6 ? FINE_TICK_GAP : TICK_GAP;
  const { step, times } = ticks(scale, view.clock.phase(), gap);
  for (const t of times) scene.ticks.push({ x: scale.x(t), label: view.clock.timeOfDay(t, step) });

  for (const row of view.rows) {
    const y = row.y - view.scroll + RULER_HEIGHT;
    if (y + row.height < RULER_HEIGHT) continue;
    if (y > view.height) break;
    scene.lines.push({
      y,
      height: row.height,
      kind: row.level === 1 ? "process" : row.level === 2 ? "slot" : "child",
      state: row.key === view.selected ? "selected" : "plain",
    });
    const strip: Strip = { scene, entities, scale, edge, y, height: row.height, bare: row.height < LEGIBLE };
    drawRow(strip, row);
    drawOverflows(strip, overflowsOf(view.overflows, row));
    drawErrors(strip, errorsOf(entities, view.failures, row, scale));
  }
  drawBands(scene, view);
  return scene;
}

function drawRow(strip: Strip, row: Row): void {
  switch (row.kind) {
    case "process":
      drawSummary(strip, row);
      return;
    case "slot":
      drawSlot(strip, row.slot);
      if (row.socket) drawChildren(strip, row.socket, heldBy(row), row.process.table);
      return;
    case "instance":
      drawDescriptor(strip, row.descriptor);
      if (row.socket) drawChildren(strip, row.socket, heldBy(row), row.process.table);
      return;
    case "listener":
      drawDescriptor(strip, row.descriptor);
      drawChildren(strip, row.socket, heldBy(row), undefined);
      return;
    case "child":
      drawChild(strip, row.socket);
      return;
    case "lane":
      drawLane(strip, row.children);
      return;
    case "more":
  }
}

/** What the listener of a row dropped. */
export function overflowsOf(overflows: Overflows, row: Row): readonly Overflow[] {
  return row.kind === "slot" || row.kind === "instance" || row.kind === "listener"
    ? overflowsWhile(overflows.of(row.socket?.id ?? ""), heldBy(row))
    : [];
}

/** A slot has its listener while its descriptor is open; a listener's own row stands for all who have it. */
function heldBy(row: Row): Held {
  return row.kind === "slot" || row.kind === "instance"
    ? { from: row.descriptor.opened, to: row.descriptor.closed ?? Number.POSITIVE_INFINITY }
    : { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };
}

/** @param table Children that others accepted are marked as those of others; without one, all are alike. */
function drawChildren(strip: Strip, listener: Socket, held: Held, table: string | undefined): void {
  const { entities } = strip;
  if (entities.children(listener.id).length === 0) return;
  drawListener(strip, listener, held, (child) => {
    if (table === undefined) return true;
    const holders = entities.holders(child.id);
    // What came by fork or in a message was accepted elsewhere.
    return (
      holders.length === 0 ||
      holders.some(({ table: of, opened_by }) => of === table && opened_by !== "fork" && opened_by !== "pass")
    );
  });
}

function drawBands(scene: Scene, { scale, edge, keptSince, losses, clock }: View): void {
  const x = scale.x(edge);
  if (x < scale.width) {
    const label = `Nothing is shown after ${clock.timeOfDay(edge, 1e9)}`;
    scene.bands.push({ x0: Math.max(0, x), x1: scale.width, kind: "ahead", label });
  }
  const kept = scale.x(keptSince);
  if (kept > 0) {
    const label = `Nothing is kept before ${clock.timeOfDay(keptSince, 1e9)}`;
    scene.bands.push({ x0: 0, x1: Math.min(kept, scale.width), kind: "unkept", label });
  }
  for (const { x0, x1, lost } of gaps(losses, scale, edge)) {
    scene.bands.push({ x0, x1, kind: "lost", label: `${count(lost)} lost` });
  }
}

/** Where events were lost, and how many; losses that are close are one. */
export function gaps(losses: readonly Loss[], scale: TimeScale, edge: number) {
  const found: { x0: number; x1: number; lost: number }[] = [];
  for (const loss of losses) {
    const at = scale.x(loss.t);
    if (loss.t > edge || at < -3 || at > scale.width + 3) continue;
    const last = found.at(-1);
    if (last && at - last.x1 < LOSS_PX) {
      last.x1 = at + 3;
      last.lost += loss.count;
    } else found.push({ x0: at - 3, x1: at + 3, lost: loss.count });
  }
  return found;
}

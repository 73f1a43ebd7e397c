import { type Clock, count } from "../base/time.ts";
import type { Socket } from "../protocol/types.gen.ts";
import { Scene } from "../render/scene.ts";
import type { Entities } from "../store/entities.ts";
import type { Failures } from "../store/failures.ts";
import type { Overflow, Overflows } from "../store/overflows.ts";
import type { Loss } from "../store/session.ts";
import { drawErrors, errorsOf } from "./errors.ts";
import { drawChild, drawDescriptor, drawLane, drawSlot, type Strip } from "./life.ts";
import { drawListener, drawOverflows } from "./listener.ts";
import { LEGIBLE, type ProcessRow, type Row } from "./rows.ts";
import { type TimeScale, ticks } from "./timescale.ts";

export const RULER_HEIGHT = 32;
/** Room between two ticks, enough for a time of day with nine decimals. */
const TICK_GAP = 96;
const FINE_TICK_GAP = 150;
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
  const scene = new Scene(scale.width, view.height, RULER_HEIGHT);
  const gap = scale.nsPerPx * TICK_GAP < 1e6 ? FINE_TICK_GAP : TICK_GAP;
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
    if (!strip.bare) drawOverflows(strip, overflowsOf(view.overflows, row));
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
      if (row.socket) drawChildren(strip, row.socket, row.process.table);
      return;
    case "instance":
      drawDescriptor(strip, row.descriptor);
      if (row.socket) drawChildren(strip, row.socket, row.process.table);
      return;
    case "listener":
      drawDescriptor(strip, row.descriptor);
      drawChildren(strip, row.socket, undefined);
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
    ? overflows.of(row.socket?.id ?? "")
    : [];
}

/** @param table Children that other tables hold are marked as those of others; without one, all are alike. */
function drawChildren(strip: Strip, listener: Socket, table: string | undefined): void {
  const { entities } = strip;
  if (entities.children(listener.id).length === 0) return;
  drawListener(strip, listener, (child) => {
    if (table === undefined) return true;
    const holders = entities.holders(child.id);
    return holders.length === 0 || holders.some((holder) => holder.table === table);
  });
}

/** A process's own row: how long it lived, and, while it is collapsed, the lives of its slots in small. */
function drawSummary(strip: Strip, row: ProcessRow): void {
  const { scene, scale, edge, y, height } = strip;
  const end = Math.min(row.process.ended ?? edge, edge);
  const x0 = Math.max(-2, scale.x(row.process.seen));
  const x1 = Math.min(scale.width + 2, scale.x(end));
  if (x1 > x0) scene.bars.push(x0, x1, y + height - 4, 2, "idle", "solid");
  if (row.expanded || row.slots.length === 0) return;
  const room = height - 10;
  const thick = Math.max(1, Math.min(4, Math.floor(room / row.slots.length)));
  row.slots.slice(0, Math.floor(room / thick)).forEach((slot, i) => {
    drawSlot({ ...strip, y: y + 4 + i * thick, height: Math.max(1, thick - 0.5), bare: true }, slot);
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
  let open: { x0: number; x1: number; count: number } | undefined;
  const flush = () => {
    if (open)
      scene.bands.push({ x0: open.x0, x1: open.x1, kind: "lost", label: `${count(open.count)} lost` });
  };
  for (const loss of losses) {
    const at = scale.x(loss.t);
    if (loss.t > edge || at < -3 || at > scale.width + 3) continue;
    if (open && at - open.x1 < LOSS_PX) {
      open.x1 = at + 3;
      open.count += loss.count;
    } else {
      flush();
      open = { x0: at - 3, x1: at + 3, count: loss.count };
    }
  }
  flush();
}

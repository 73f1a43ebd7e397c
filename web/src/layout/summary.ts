import { lowerBound } from "../base/search.ts";
import { count } from "../base/time.ts";
import type { Descriptor, Process } from "../protocol/types.gen.ts";
import type { Slot } from "../store/entities.ts";
import { drawSlot, type Strip } from "./life.ts";
import { counted, type Levels, peaks } from "./queue.ts";
import type { ProcessRow } from "./rows.ts";
import { Worked } from "./worked.ts";

/** What a process's own row does not give to the lives of its slots (pixels): its edges, and its own life below them. */
const FRAME_PX = 10;
/** From this height on there is room for a label. */
const LABEL_PX = 24;

/**
 * A process's own row: how long it lived, and, while it is collapsed, the lives of its slots in small. Where they are more
 * than there is room for, how many of them were open: a part of them would pass for all.
 */
export function drawSummary(strip: Strip, row: ProcessRow): void {
  const { scene, scale, edge, y, height } = strip;
  const end = Math.min(row.process.ended ?? edge, edge);
  const x0 = Math.max(-2, scale.x(row.process.seen));
  const x1 = Math.min(scale.width + 2, scale.x(end));
  if (x1 > x0) scene.bars.push(x0, x1, y + height - 4, 2, "idle", "solid");
  if (row.expanded || row.slots.length === 0) return;
  const room = height - FRAME_PX;
  if (row.slots.length > room) {
    drawOpen(strip, row, room);
    return;
  }
  const thick = Math.max(1, Math.min(4, Math.floor(room / row.slots.length)));
  row.slots.forEach((slot, i) => {
    drawSlot({ ...strip, y: y + 4 + i * thick, height: Math.max(1, thick - 0.5), bare: true }, slot);
  });
}

/** How many descriptors were open, as an area as high as the most of them in sight. */
function drawOpen(strip: Strip, row: ProcessRow, room: number): void {
  const { scene, scale, edge, y, height } = strip;
  const levels = peaks(remembered(strip, row), scale, edge);
  const most = Math.max(...levels);
  if (most <= 0) return;
  const bottom = y + height - FRAME_PX / 2;
  for (let px = 0; px < levels.length; ) {
    const open = levels[px] as number;
    let end = px + 1;
    while (end < levels.length && levels[end] === open) end += 1;
    const tall = Math.max(1, (open / most) * room);
    if (open > 0) scene.bars.push(px, end, bottom - tall, tall, "connected", "level");
    px = end;
  }
  if (height < LABEL_PX) return;
  const x =
    Math.max(
      0,
      levels.findIndex((open) => open > 0),
    ) + 8;
  const text = `at most ${count(most)} open`;
  scene.labels.push({ x, y: y + height / 2 - 12, width: scale.width - x, text, least: "", on: undefined });
}

interface Remembered {
  readonly slots: number;
  readonly from: number;
  readonly to: number;
  readonly levels: Levels;
}

const known = new Worked<Process, Remembered>();

/** Counts around the time in sight: anew only when something came, other slots are asked for, or the view left them. */
function remembered({ entities, scale }: Strip, { process, slots }: ProcessRow): Levels {
  const { revision } = entities;
  const before = known.at(revision, process);
  const same = before?.slots === slots.length;
  if (before && same && before.from <= scale.start && before.to >= scale.end) return before.levels;
  const span = scale.end - scale.start;
  const [from, to] = [scale.start - span, scale.end + span];
  const levels = counted(heldWithin(slots, from, to), opened, closed, from, to);
  return known.keep(revision, process, { slots: slots.length, from, to, levels }).levels;
}

const opened = (one: Descriptor) => one.opened;
const closed = (one: Descriptor) => one.closed ?? Number.POSITIVE_INFINITY;

/** What slots held at a time between two moments; at most one more of each. */
function* heldWithin(slots: readonly Slot[], from: number, to: number): Iterable<Descriptor> {
  for (const { held } of slots) {
    for (let i = Math.max(0, lowerBound(held, from, opened) - 1); i < held.length; i += 1) {
      const one = held[i] as Descriptor;
      if (one.opened > to) break;
      yield one;
    }
  }
}

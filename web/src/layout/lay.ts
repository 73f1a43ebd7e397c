import { layInstances } from "./instances.ts";
import type { Mode, Question, Rows } from "./rows.ts";
import { laySlots } from "./slots.ts";
import { forgetLanes, layListeners } from "./tree.ts";

const LAYOUTS: Readonly<Record<Mode, (question: Question) => Rows>> = {
  slots: laySlots,
  instances: layInstances,
  listeners: layListeners,
};

/** The rows of the timeline in a mode, from top to bottom. */
export function layRows(mode: Mode, question: Question): Rows {
  if (mode !== "listeners") forgetLanes(question.entities);
  return LAYOUTS[mode](question);
}

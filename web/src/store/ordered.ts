import type { EventLog, EventRow } from "./events.ts";

/** Numbers of all events, ordered by a value of each; equal ones stay in the order of their numbers. */
export function inOrder(log: EventLog, key: (row: EventRow) => number | string, down: boolean): Float64Array {
  const keys: { readonly seq: number; readonly key: number | string }[] = [];
  for (const row of log.all()) keys.push({ seq: row.seq, key: key(row) });
  const turn = down ? -1 : 1;
  keys.sort((a, b) => (a.key < b.key ? -turn : a.key > b.key ? turn : a.seq - b.seq));
  return Float64Array.from(keys, ({ seq }) => seq);
}

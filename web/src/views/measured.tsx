import "../styles/views.css";
import { useEffect, useMemo, useState } from "preact/hooks";
import { count, duration } from "../base/time.ts";
import type { Range } from "../interact/range.ts";
import { measure } from "../layout/measure.ts";
import { useApp } from "./context.ts";

/** What happened in the range that the user marked out, and what to do with it. */
export function Measured() {
  const app = useApp();
  const range = app.state.range.value;
  const version = app.state.version.value;
  // The data are not reactive; the version tells of them.
  const told = useMemo(() => range && measure(app.session.entities, range), [app, range, version]);
  const events = useEvents(range);
  if (!range || !told) return null;
  const { clock } = app.session;
  const step = (range.to - range.from) / 100;
  return (
    <section class="measured" aria-label="Measured range">
      <span>
        <b>{duration(range.to - range.from)}</b> from {clock.timeOfDay(range.from, step)} to{" "}
        {clock.timeOfDay(range.to, step)}
      </span>
      <span>
        {count(told.opened)} opened, {count(told.closed)} closed, {count(told.accepted)} accepted,{" "}
        <span class={told.failed > 0 ? "alarm" : undefined}>{count(told.failed)} failed</span>
        {events !== undefined && <span data-range-events>, {count(events)} events</span>}
        {told.ended > 0 && (
          <span title="What TCP connections that ended in the range came to, each followed end by itself">
            ; {count(told.ended)} ended with {count(told.received)} B received, {count(told.sent)} B sent
          </span>
        )}
      </span>
      <span class="group">
        <button type="button" title="Zoom to the range (Z); ⌫ goes back" onClick={() => app.ranging.zoomIn()}>
          Zoom
        </button>
        <button
          type="button"
          title="What the range changed in the descriptor table"
          onClick={() => app.ranging.descriptors()}
        >
          Descriptors
        </button>
        <button type="button" onClick={() => app.ranging.events()}>
          Events
        </button>
        <button
          type="button"
          title="Save the range as one HTML file (X)"
          onClick={() => void app.exporting.page()}
        >
          Export
        </button>
        <button
          type="button"
          aria-label="Clear the range"
          title="Clear (Esc)"
          onClick={() => app.ranging.clear()}
        >
          ×
        </button>
      </span>
    </section>
  );
}

/** A range that is being drawn is not asked about (milliseconds). */
const STILL_MS = 300;

/** How many events are kept of a range, told by the numbers of those at its ends. */
function useEvents(range: Range | undefined): number | undefined {
  const app = useApp();
  const [told, setTold] = useState<{ readonly range: Range; readonly events: number } | undefined>(undefined);
  useEffect(() => {
    if (!range) return undefined;
    let wanted = true;
    const ask = async () => {
      const { source, session } = app;
      const number = (t: number) => source.numberAt(session.clock.epoch(t));
      const [first, beyond] = await Promise.all([number(range.from), number(range.to + 1)]);
      const end = (session.status?.first_seq ?? 0) + (session.status?.kept ?? 0);
      if (wanted) setTold({ range, events: Math.max(0, (beyond ?? end) - (first ?? end)) });
    };
    // Without an answer the number is left out.
    const timer = setTimeout(() => void ask().catch(() => undefined), STILL_MS);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [app, range]);
  return told?.range === range ? told?.events : undefined;
}

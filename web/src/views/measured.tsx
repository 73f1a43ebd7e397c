import { useMemo } from "preact/hooks";
import { count, duration } from "../base/time.ts";
import { measure } from "../layout/measure.ts";
import { useApp } from "./context.ts";

/** What happened in the range that the user marked out, and what to do with it. */
export function Measured() {
  const app = useApp();
  const range = app.state.range.value;
  const version = app.state.version.value;
  // The data are not reactive; the version tells of them.
  const told = useMemo(() => range && measure(app.session.entities, range), [app, range, version]);
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

import type { ComponentChildren } from "preact";
import { useApp } from "../context.ts";

/** A name and what it is, in a list of facts. */
export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

/** A moment; pressed, it becomes the time cursor. */
export function Moment({ t }: { readonly t: number }) {
  const app = useApp();
  return (
    <button type="button" class="link num" title="Set the time cursor here" onClick={() => app.setCursor(t)}>
      {app.session.clock.timeOfDay(t, 1e3)}
    </button>
  );
}

/** The number of an event; pressed, the list shows the events around it. */
export function EventLink({ seq }: { readonly seq: number }) {
  const app = useApp();
  return (
    <button
      type="button"
      class="link num"
      title="Show this event in the list"
      onClick={() => app.showEvent(seq)}
    >
      {seq}
    </button>
  );
}

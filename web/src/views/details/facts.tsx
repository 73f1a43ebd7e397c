import "../../styles/views.css";
import type { ComponentChildren } from "preact";
import { visible } from "../../base/escape.ts";
import type { Party, When } from "../../protocol/types.gen.ts";
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

/** The event that an answer rests on, where it is kept. */
export function Evidence({ when }: { readonly when: When | undefined }) {
  if (when?.seq === undefined) return null;
  return (
    <span class="muted">
      {" · "}event <EventLink seq={when.seq} />
    </span>
  );
}

/** A moment with its evidence. */
export function At({ when }: { readonly when: When }) {
  return (
    <>
      <Moment t={when.t} />
      <Evidence when={when} />
    </>
  );
}

/** A process of an answer; pressed, it is selected. */
export function PartyLink({ party }: { readonly party: Party }) {
  const app = useApp();
  const name = <bdi>{`${visible(party.comm)} ${party.pid}`}</bdi>;
  const process = app.process(party.process);
  if (!process) return name;
  return (
    <button type="button" class="link" onClick={() => app.selecting.wholeProcess(process)}>
      {name}
    </button>
  );
}

/** Several of them. */
export function Parties({ parties }: { readonly parties: readonly Party[] }) {
  if (parties.length === 0) return <span class="muted">nobody</span>;
  return (
    <>
      {parties.map((party, i) => (
        <span key={party.process}>
          {i > 0 && ", "}
          <PartyLink party={party} />
        </span>
      ))}
    </>
  );
}

/** A socket by what people call it; pressed, it is selected. */
export function SocketLink({ id, text }: { readonly id: string; readonly text?: string | null | undefined }) {
  const app = useApp();
  return (
    <button type="button" class="link" onClick={() => app.selecting.jump(id)}>
      <bdi>{visible(text ?? id)}</bdi>
    </button>
  );
}

import "../../styles/views.css";
import type { ComponentChildren } from "preact";
import { address, isDoubtful, standing, standingSince } from "../../a11y/sentences.ts";
import { visible } from "../../base/escape.ts";
import type { Party, Process, Socket, When } from "../../protocol/types.gen.ts";
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

/** How far a process's table can be trusted, and since when; where that is exact after a loss, it was checked since. */
export function Standing({ process }: { readonly process: Process }) {
  const app = useApp();
  const { losses } = app.session;
  const { standing: word, since, seen, ended } = process;
  const lost = losses.findLast(({ t }) => t >= seen && (ended === null || t <= ended));
  const checked = word === "exact" ? lost?.t : undefined;
  const t = since ?? checked;
  return (
    <span class={isDoubtful(process, app.instant) ? "doubt" : ""}>
      {standing(process)}
      {t !== undefined && (
        <>
          {checked === undefined ? ", since " : ", checked after the loss at "}
          <Moment t={t} />
        </>
      )}
    </span>
  );
}

/** Marks what may be wrong at the instant that is shown, with why. */
export function Doubt({ process }: { readonly process: Process | undefined }) {
  const app = useApp();
  if (!process || !isDoubtful(process, app.instant)) return null;
  return <MayBeWrong why={standingSince(process, app.session.clock)} />;
}

/** Marks what may be wrong, with why. */
export function MayBeWrong({ why }: { readonly why: string }) {
  return (
    <b class="doubt" role="img" aria-label={why} title={why}>
      ?
    </b>
  );
}

/** Stands in a cell of which nothing is known: nothing in it could be taken for none. */
export function NotKnown() {
  return (
    <span class="muted" title="not known">
      –
    </span>
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

/** What tells a socket from others of its address: its inode, as in /proc/PID/fd (proc(5)), which it has once it was accepted. */
export function inodeName(socket: Socket | undefined): string {
  if (!socket) return "a socket that is not kept";
  return socket.ino === "0" ? address(socket.peer) : `socket:[${socket.ino}]`;
}

/** A socket by what people call it, else by its inode; pressed, it is selected. */
export function SocketLink({ id, text }: { readonly id: string; readonly text?: string | null | undefined }) {
  const app = useApp();
  return (
    <button type="button" class="link" onClick={() => app.selecting.jump(id)}>
      <bdi>{text ? address(text) : inodeName(app.session.entities.sockets.get(id))}</bdi>
    </button>
  );
}

import { processName } from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import type { App } from "../interact/app.ts";
import type { RowFilter } from "../layout/filter.ts";
import { limitAt, toldOf } from "../layout/queue.ts";
import { percentile, type QueueState, queueAt } from "../layout/waits.ts";
import type {
  Descriptor,
  Queue as Known,
  Queues as KnownQueues,
  Process,
  Socket,
} from "../protocol/types.gen.ts";
import { ALL, Away, isAboutNow, useAnswer } from "./answers/answer.tsx";
import { between, QueueOf } from "./answers/queue.tsx";
import { useApp } from "./context.ts";
import { Doubt, NotKnown } from "./details/facts.tsx";
import { QueueChart } from "./queuechart.tsx";
import { SortedTable } from "./sorted.tsx";

/** A listener with what its accept queue held at the instant that is shown. */
interface Queue {
  readonly listener: Socket;
  /** Who held it first of those who hold it at the instant. */
  readonly process: Process | undefined;
  /** What holds the listener at the instant: one descriptor of each table that does, the first one's first. */
  readonly holders: readonly Descriptor[];
  readonly state: QueueState;
  /** What the server knows of it at that instant, or at one shortly before. */
  readonly known: Known | undefined;
  /** How many wait, whether they were told of one by one or not. */
  readonly waiting: number;
  /** For how long the oldest of them waits. */
  readonly oldest: { readonly ns: number; readonly atLeast: boolean } | undefined;
}

/** An answer that is older is no reason any more to show its instant and not the newest (nanoseconds). */
const OLD_NS = 5e9;

/** Accept queues: who waits, for how long, against which limit. */
export function Queues() {
  const app = useApp();
  const { state, session } = app;
  state.version.value;
  state.cursor.value;
  const { answer, problem } = useAnswer("queues", ALL);
  const known = answer && isAboutNow(app, answer.basis) ? answer : undefined;
  // One instant for the table and the answer beside it: a wait has one age.
  const told = known?.basis.at.t ?? Number.NEGATIVE_INFINITY;
  const same = problem === undefined && app.instant - told < OLD_NS;
  const at = same ? told : app.instant;
  const all = listeners(app, at, known, same);
  const queues = all.filter((queue) => fits(app, app.filtering.filter, queue));
  const chosen = state.selection.value?.socket;
  const parent =
    chosen === undefined ? undefined : (session.entities.sockets.get(chosen)?.listener ?? chosen);
  const shown = queues.find(({ listener }) => listener.id === parent) ?? queues[0];
  const hidden = all.length - queues.length;
  const note = `${count(hidden)} of ${count(all.length)} do not fit the filter of rows.`;
  if (!shown)
    return hidden > 0 ? (
      <p class="hint">{note}</p>
    ) : (
      <p class="hint">Nothing listens at this instant. A listener appears here with its first listen call.</p>
    );
  return (
    <div class="queues">
      <div class="all">
        <Away />
        <div class="bar muted">
          <span>As of {session.clock.timeOfDay(at, 1e6)}.</span>
          {hidden > 0 && <span>{note}</span>}
        </div>
        <QueueChart listener={shown.listener} />
        <SortedTable
          label="Accept queues"
          className="queuerows"
          rows={queues}
          pairs={1000}
          columns={[
            { title: "Listener", key: ({ listener }) => listener.local ?? "" },
            { title: "Process", key: ({ process }) => process?.pid ?? 0 },
            { title: "Waiting", key: ({ waiting }) => waiting },
            { title: "Oldest waits", key: ({ oldest }) => oldest?.ns ?? -1 },
            { title: "Full queue", key: ({ known }) => known?.drops?.queue_full_max ?? -1 },
            { title: "Other drops", key: ({ known }) => known?.drops?.other_max ?? -1 },
            { title: "Limit", key: ({ listener }) => limitAt(listener, at) ?? -1 },
            { title: "Accepted", key: (queue) => acceptedOf(queue) },
            ...PARTS.map(([part, words]) => ({
              title: `${words} wait`,
              says: `${words} wait of those accepted`,
              key: (queue: Queue) => wait(queue, part) ?? -1,
            })),
            { title: "Backlog", key: ({ listener }) => listener.backlog ?? Number.NEGATIVE_INFINITY },
          ]}
          row={(queue) => <Line queue={queue} at={at} />}
        />
      </div>
      <QueueOf socket={shown.listener.id} />
    </div>
  );
}

/** @param same Whether what the server knows is of that very instant. */
function listeners(app: App, at: number, known: KnownQueues | undefined, same: boolean): Queue[] {
  const told = new Map(known?.queues.map((queue) => [queue.socket.id, queue]));
  const { entities } = app.session;
  const found: Queue[] = [];
  for (const listener of entities.sockets.values()) {
    const from = listener.steps.find(({ phase }) => phase === "listening")?.t;
    if (from === undefined || from > at || (listener.ended !== null && listener.ended <= at)) continue;
    const holders = entities
      .holders(listener.id)
      .filter(({ opened, closed }) => opened <= at && (closed === null || closed > at))
      .filter(({ table }, i, all) => all.findIndex((one) => one.table === table) === i);
    const state = queueAt(entities.children(listener.id), at);
    const queue = told.get(listener.id);
    const [first] = queue?.waiting ?? [];
    const since = state.waiting[0]?.queued ?? undefined;
    found.push({
      listener,
      holders,
      process: holders[0] && app.selecting.owner(holders[0].table),
      state,
      known: queue,
      ...(same && queue
        ? {
            waiting: queue.waiting.length + queue.others,
            oldest: first && { ns: first.age_ns, atLeast: first.at_least },
          }
        : {
            waiting: toldOf(entities, listener, at).waiting,
            oldest: since === undefined ? undefined : { ns: at - since, atLeast: false },
          }),
    });
  }
  return found;
}

/** A listener stays in sight if it fits with one of those who hold it, or a connection that waits in its queue. */
function fits(
  app: App,
  filter: RowFilter | undefined,
  { listener, process, holders, state }: Queue,
): boolean {
  if (!filter) return true;
  const own = (descriptor: Descriptor | undefined) =>
    filter({ process: descriptor && app.selecting.owner(descriptor.table), descriptor, socket: listener });
  if (holders.length === 0 ? own(undefined) : holders.some(own)) return true;
  return state.waiting.some((socket) => filter({ process, descriptor: undefined, socket }));
}

function acceptedOf({ known, state }: Queue): number {
  return known?.accepted ?? state.accepted;
}

/** Parts of the connections that were accepted, beside whose number they stand: who waits still may wait for longer. */
const PARTS = [
  [0.5, "Median"],
  [0.99, "p99"],
  [1, "Max"],
] as const;

/** The wait that a part of those accepted did not exceed; where the server does not say, of those that are kept here. */
function wait({ known, state }: Queue, part: (typeof PARTS)[number][0]): number | undefined {
  const { p50_ns, p99_ns, max_ns } = known?.waits ?? {};
  return (part === 0.5 ? p50_ns : part === 0.99 ? p99_ns : max_ns) ?? percentile(state.waits, part);
}

function Line({ queue, at }: { readonly queue: Queue; readonly at: number }) {
  const app = useApp();
  const { listener, process, holders, known, waiting, oldest } = queue;
  const others = Math.max(0, holders.length - 1);
  const { drops } = known ?? {};
  const limit = limitAt(listener, at);
  const full = limit !== undefined && waiting > limit;
  const long = (ns: number | undefined) => (ns === undefined ? "" : duration(ns));
  return (
    <>
      <span role="cell" data-listener={listener.id}>
        <button type="button" class="link" onClick={() => app.selecting.jump(listener.id)}>
          <bdi>{visible(listener.local ?? listener.id)}</bdi>
        </button>
      </span>
      <span role="cell" title={others > 0 ? `${count(others)} more have it open, too` : undefined}>
        <bdi>{process ? processName(process) : ""}</bdi>
        {others > 0 && <span class="muted"> +{others}</span>}
      </span>
      <span role="cell" class={full ? "num bad" : "num"} data-waiting={waiting}>
        {count(waiting)}
        <Doubt process={process} />
      </span>
      <span role="cell" class="num">
        {oldest?.atLeast && "≥ "}
        {long(oldest?.ns)}
        {oldest && <Doubt process={process} />}
      </span>
      <span role="cell" class={drops?.queue_full_max ? "num bad" : "num"}>
        {/* Of a unix socket nothing is counted, and of others not before the first sample, or the server was not heard. */}
        {drops ? between(drops.queue_full_min, drops.queue_full_max) : <NotKnown />}
      </span>
      <span role="cell" class={drops?.other_max ? "num bad" : "num"}>
        {drops ? between(drops.other_min, drops.other_max) : <NotKnown />}
      </span>
      <span role="cell" class="num">
        {limit}
      </span>
      <span role="cell" class="num">
        {count(acceptedOf(queue))}
        <Doubt process={process} />
      </span>
      {PARTS.map(([part]) => (
        <span role="cell" class="num" key={part}>
          {long(wait(queue, part))}
        </span>
      ))}
      <span role="cell" class="num">
        {listener.backlog ?? ""}
      </span>
    </>
  );
}

import { processName } from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import type { App } from "../interact/app.ts";
import type { RowFilter } from "../layout/filter.ts";
import { levels, peaks, percentile, type QueueState, queueAt } from "../layout/queue.ts";
import { TimeScale } from "../layout/timescale.ts";
import type {
  Descriptor,
  Queue as Known,
  Queues as KnownQueues,
  Process,
  Socket,
} from "../protocol/types.gen.ts";
import { ALL, isAboutNow, useAnswer } from "./answers/answer.tsx";
import { between, QueueOf } from "./answers/queue.tsx";
import { useApp } from "./context.ts";
import { SortedTable } from "./sorted.tsx";

/** A listener with what its accept queue held at the instant that is shown. */
interface Queue {
  readonly listener: Socket;
  /** Who held it first of those who hold it at the instant. */
  readonly process: Process | undefined;
  /** What holds the listener at the instant: one descriptor of each table that does, the first one's first. */
  readonly holders: readonly Descriptor[];
  readonly state: QueueState;
  /** What the server knows of it at that instant. */
  readonly known: Known | undefined;
}

/** Accept queues: who waits, for how long, against which limit. */
export function Queues() {
  const app = useApp();
  const { state, session } = app;
  state.version.value;
  state.cursor.value;
  const at = app.instant;
  const { answer } = useAnswer("queues", ALL);
  const all = listeners(app, at, answer && isAboutNow(app, answer.basis) ? answer : undefined);
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
        {hidden > 0 && <p class="hint">{note}</p>}
        <Chart queue={shown} at={at} />
        <SortedTable
          label="Accept queues"
          className="queuerows"
          rows={queues}
          columns={[
            { title: "Listener", key: ({ listener }) => listener.local ?? "" },
            { title: "Process", key: ({ process }) => process?.pid ?? 0 },
            { title: "Waiting", key: ({ state }) => state.waiting.length },
            { title: "Oldest waits", key: (queue) => oldest(queue, at) ?? -1 },
            { title: "Limit", key: ({ listener }) => listener.queue_limit ?? -1 },
            { title: "Median wait", key: (queue) => wait(queue, 0.5) ?? -1 },
            { title: "99 % within", key: (queue) => wait(queue, 0.99) ?? -1 },
            { title: "Longest wait", key: (queue) => wait(queue, 1) ?? -1 },
            { title: "Full queue", key: ({ known }) => known?.drops?.queue_full_max ?? -1 },
            { title: "Other drops", key: ({ known }) => known?.drops?.other_max ?? -1 },
            { title: "Accepted", key: ({ state }) => state.accepted },
            { title: "Backlog", key: ({ listener }) => listener.backlog ?? -1 },
          ]}
          row={(queue) => <Line queue={queue} at={at} />}
        />
      </div>
      <QueueOf socket={shown.listener.id} />
    </div>
  );
}

function listeners(app: App, at: number, known: KnownQueues | undefined): Queue[] {
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
    found.push({
      listener,
      holders,
      process: holders[0] && app.selecting.owner(holders[0].table),
      state: queueAt(entities.children(listener.id), at),
      known: told.get(listener.id),
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

function oldest({ state }: Queue, at: number): number | undefined {
  const first = state.waiting[0]?.queued;
  return first === undefined || first === null ? undefined : at - first;
}

/** The wait that a part of all connections did not exceed; where the server does not say, of those that are kept here. */
function wait({ known, state }: Queue, part: 0.5 | 0.99 | 1): number | undefined {
  const { p50_ns, p99_ns, max_ns } = known?.waits ?? {};
  return (part === 0.5 ? p50_ns : part === 0.99 ? p99_ns : max_ns) ?? percentile(state.waits, part);
}

function Line({ queue, at }: { readonly queue: Queue; readonly at: number }) {
  const app = useApp();
  const { listener, process, holders, state, known } = queue;
  const others = Math.max(0, holders.length - 1);
  const { drops } = known ?? {};
  const full = listener.queue_limit !== null && state.waiting.length > listener.queue_limit;
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
      <span role="cell" class={full ? "num bad" : "num"} data-waiting={state.waiting.length}>
        {count(state.waiting.length)}
      </span>
      <span role="cell" class="num">
        {long(oldest(queue, at))}
      </span>
      <span role="cell" class="num">
        {listener.queue_limit ?? ""}
      </span>
      {([0.5, 0.99, 1] as const).map((part) => (
        <span role="cell" class="num" key={part}>
          {long(wait(queue, part))}
        </span>
      ))}
      <span role="cell" class={drops?.queue_full_max ? "num bad" : "num"}>
        {drops && between(drops.queue_full_min, drops.queue_full_max)}
      </span>
      <span role="cell" class={drops?.other_max ? "num bad" : "num"}>
        {drops && between(drops.other_min, drops.other_max)}
      </span>
      <span role="cell" class="num">
        {count(state.accepted)}
      </span>
      <span role="cell" class="num">
        {listener.backlog ?? ""}
      </span>
    </>
  );
}

const WIDTH = 1000;
const HEIGHT = 64;

/** Length of one queue over the time in sight, with its limit. */
function Chart({ queue, at }: { readonly queue: Queue; readonly at: number }) {
  const app = useApp();
  const { listener } = queue;
  const { start, end } = app.viewport;
  const { clock } = app.session;
  const until = Math.min(end, at);
  const scale = new TimeScale(start, end, WIDTH);
  const counted = levels(app.session.entities.children(listener.id), start, Math.max(start, until));
  const lengths = peaks(counted, scale, until);
  const limit = listener.queue_limit ?? 0;
  const longest = counted.lengths.reduce((most, length) => Math.max(most, length), 0);
  // The limit is drawn where it is near: a limit of 4,096 would flatten a queue of three.
  const top = Math.max(1, longest, limit <= 4 * Math.max(1, longest) ? limit : 0);
  const y = (length: number) => (HEIGHT - (length / top) * (HEIGHT - 4)).toFixed(1);
  let path = `M0,${HEIGHT}`;
  let before = 0;
  lengths.forEach((length, px) => {
    const now = Math.max(0, length);
    if (now !== before) path += `H${px}V${y(now)}`;
    before = now;
  });
  path += `H${scale.x(until).toFixed(1)}V${HEIGHT}Z`;
  const name = visible(listener.local ?? listener.id);
  return (
    <figure class="queuechart">
      <figcaption>
        <bdi>{name}</bdi>: at most {count(longest)} waited from {clock.timeOfDay(start, 1e9)} to{" "}
        {clock.timeOfDay(end, 1e9)}, the time in sight; limit {limit}, and the queue holds one more than that
      </figcaption>
      <svg
        role="img"
        aria-label={`Length of the accept queue of ${name}`}
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
      >
        <path d={path} />
        {limit <= top && limit > 0 && <line x1="0" x2={WIDTH} y1={y(limit)} y2={y(limit)} />}
      </svg>
    </figure>
  );
}

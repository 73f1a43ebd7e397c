import { processName } from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import type { App } from "../interact/app.ts";
import { levels, peaks, percentile, type QueueState, queueAt } from "../layout/queue.ts";
import { TimeScale } from "../layout/timescale.ts";
import type { Process, Socket } from "../protocol/types.gen.ts";
import { useApp } from "./context.ts";
import { SortedTable } from "./sorted.tsx";

/** A listener with what its accept queue held at the instant that is shown. */
interface Queue {
  readonly listener: Socket;
  readonly process: Process | undefined;
  readonly state: QueueState;
}

/** Accept queues: who waits, for how long, against which limit. */
export function Queues() {
  const app = useApp();
  const { state, session } = app;
  state.version.value;
  state.cursor.value;
  const at = app.instant;
  const queues = listeners(app, at);
  const chosen = state.selection.value?.socket;
  const parent =
    chosen === undefined ? undefined : (session.entities.sockets.get(chosen)?.listener ?? chosen);
  const shown = queues.find(({ listener }) => listener.id === parent) ?? queues[0];
  if (!shown)
    return (
      <p class="hint">Nothing listens at this instant. A listener appears here with its first listen call.</p>
    );
  return (
    <div class="queues">
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
          { title: "Backlog asked", key: ({ listener }) => listener.backlog ?? -1 },
          { title: "Accepted", key: ({ state }) => state.accepted },
          { title: "Median wait", key: ({ state }) => percentile(state.waits, 0.5) ?? -1 },
          { title: "99 % within", key: ({ state }) => percentile(state.waits, 0.99) ?? -1 },
          { title: "Longest wait", key: ({ state }) => state.waits.at(-1) ?? -1 },
        ]}
        row={(queue) => <Line queue={queue} at={at} />}
      />
    </div>
  );
}

function listeners(app: App, at: number): Queue[] {
  const { entities } = app.session;
  const found: Queue[] = [];
  for (const listener of entities.sockets.values()) {
    const from = listener.steps.find(({ phase }) => phase === "listening")?.t;
    if (from === undefined || from > at || (listener.ended !== null && listener.ended <= at)) continue;
    const holder = entities.holders(listener.id).findLast(({ closed }) => closed === null || closed > at);
    found.push({
      listener,
      process: holder && app.selecting.owner(holder.table),
      state: queueAt(entities.children(listener.id), at),
    });
  }
  return found;
}

function oldest({ state }: Queue, at: number): number | undefined {
  const first = state.waiting[0]?.queued;
  return first === undefined || first === null ? undefined : at - first;
}

function Line({ queue, at }: { readonly queue: Queue; readonly at: number }) {
  const app = useApp();
  const { listener, process, state } = queue;
  const full = listener.queue_limit !== null && state.waiting.length > listener.queue_limit;
  const wait = (ns: number | undefined) => (ns === undefined ? "" : duration(ns));
  return (
    <>
      <span role="cell" data-listener={listener.id}>
        <button type="button" class="link" onClick={() => app.selecting.jump(listener.id)}>
          <bdi>{visible(listener.local ?? listener.id)}</bdi>
        </button>
      </span>
      <span role="cell">
        <bdi>{process ? processName(process) : ""}</bdi>
      </span>
      <span role="cell" class={full ? "num bad" : "num"} data-waiting={state.waiting.length}>
        {count(state.waiting.length)}
      </span>
      <span role="cell" class="num">
        {wait(oldest(queue, at))}
      </span>
      <span role="cell" class="num">
        {listener.queue_limit ?? ""}
      </span>
      <span role="cell" class="num">
        {listener.backlog ?? ""}
      </span>
      <span role="cell" class="num">
        {count(state.accepted)}
      </span>
      {[0.5, 0.99, 1].map((part) => (
        <span role="cell" class="num" key={part}>
          {wait(percentile(state.waits, part))}
        </span>
      ))}
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
        <bdi>{name}</bdi>: at most {count(longest)} waited in the time in sight; limit {limit}, and the queue
        holds one more than that
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

import { useRef, useState } from "preact/hooks";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import { type EventLog, type EventRow, type Gap, NONE } from "../store/events.ts";
import { useApp } from "./context.ts";
import { VirtualTable } from "./virtual.tsx";

const TYPING_MS = 300;

const known = (n: number) => (n === NONE || Number.isNaN(n) ? Number.NEGATIVE_INFINITY : n);

const COLUMNS: readonly { readonly title: string; readonly key: (row: EventRow) => number | string }[] = [
  { title: "Number", key: ({ seq }) => seq },
  { title: "Time", key: ({ t }) => t },
  { title: "Process", key: ({ pid }) => pid },
  { title: "Call", key: (row) => row.text("call") || row.text("event") },
  { title: "fd", key: ({ fd }) => known(fd) },
  { title: "Result", key: (row) => row.text("error") || `~${known(row.ret)}` },
  { title: "Took", key: ({ dur }) => known(dur) },
  { title: "What", key: what },
];

/** Events in the order of a column. */
interface Ordered {
  readonly log: EventLog;
  readonly column: number;
  readonly down: boolean;
  readonly numbers: Float64Array;
}

/** The list of events: the tail as it comes, older ones on demand, the server's filter. */
export function EventList() {
  const app = useApp();
  const { feed, state } = app;
  const typing = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  feed.version.value;
  const { log } = feed;
  const paused = state.paused.value;
  const rows = paused ? rowsUntil(log, paused.t) : log.rows;
  const filtered = feed.filter.value.trim() !== "";
  const [order, setOrder] = useState<Ordered | undefined>(undefined);
  // An ordered list stands still: it is of the log that was there when it was asked for.
  const ordered = order?.log === log ? order : undefined;
  const sort = (column: number) => {
    const { key } = COLUMNS[column] ?? {};
    if (!key) return;
    if (ordered?.column === column && ordered.down) setOrder(undefined);
    else {
      const down = ordered?.column === column;
      setOrder({ log, column, down, numbers: log.ordered(key, down) });
    }
  };
  return (
    <div class="events">
      <div class="bar">
        <input
          type="search"
          placeholder="event:accept pid:812"
          aria-label="Filter events"
          aria-invalid={feed.problem.value !== undefined}
          value={feed.filter.value}
          onInput={(event) => {
            const text = event.currentTarget.value;
            clearTimeout(typing.current);
            typing.current = setTimeout(() => feed.setFilter(text), TYPING_MS);
          }}
        />
        <span class="muted">
          {filtered
            ? `${count(log.length)} that fit`
            : `${count(log.length)} of ${count(app.session.status?.kept ?? 0)} kept`}
        </span>
        {feed.hasOlder && (
          <button type="button" disabled={feed.loading.value} onClick={() => void feed.older()}>
            Load older
          </button>
        )}
        {feed.more.value && (
          <button type="button" disabled={feed.loading.value} onClick={() => void feed.next()}>
            Load more
          </button>
        )}
        {paused && <span class="muted">paused</span>}
        {ordered && (
          <button type="button" onClick={() => setOrder(undefined)}>
            Back to their own order
          </button>
        )}
        {feed.problem.value !== undefined && (
          <span class="problem" role="alert">
            {feed.problem.value}
          </span>
        )}
      </div>
      {rows === 0 ? (
        <p class="hint">
          {feed.loading.value
            ? "Reading events…"
            : filtered
              ? "No kept event fits this filter. Keys are the field names: event, call, pid, comm, fd, local, peer, error, socket."
              : "No events yet. They appear here as they happen."}
        </p>
      ) : (
        <VirtualTable
          label="Events"
          className="eventrows"
          count={ordered ? ordered.numbers.length : rows}
          rowHeight={24}
          columns={COLUMNS.map(({ title }) => title)}
          order={ordered}
          onSort={sort}
          sticky={!paused && !ordered}
          onTop={() => {
            if (!ordered && feed.hasOlder && !feed.loading.peek()) void feed.older();
          }}
          row={(index) => <Line row={ordered ? log.find(ordered.numbers[index] ?? -1) : log.row(index)} />}
        />
      )}
    </div>
  );
}

function Line({ row }: { readonly row: EventRow | Gap | undefined }) {
  const app = useApp();
  if (!row) return null;
  if (!("seq" in row)) {
    return (
      <span role="cell" class="gap">
        <button type="button" class="link" onClick={() => void app.feed.fill(row.from, row.to)}>
          {count(row.to - row.from + 1)} events not read yet: load
        </button>
      </span>
    );
  }
  const socket = row.text("socket");
  const error = row.text("error");
  const event = row.text("event");
  const { clock } = app.session;
  return (
    <>
      <span role="cell" class="num">
        {socket ? (
          <button type="button" class="link" onClick={() => app.selecting.jump(socket, row.text("process"))}>
            {row.seq}
          </button>
        ) : (
          row.seq
        )}
      </span>
      <span role="cell" class="num">
        {clock.timeOfDay(row.t, 1e3)}
      </span>
      <span role="cell">
        <bdi>{visible(row.text("comm"))}</bdi> <span class="muted">{row.pid || ""}</span>
      </span>
      <span role="cell" class={event === "lost" ? "alarm" : ""} data-event={event}>
        {row.text("call") || event}
      </span>
      <span role="cell" class="num">
        {row.fd === NONE ? "" : row.fd}
      </span>
      <span role="cell" class={error ? "num bad" : "num"}>
        {error ? (
          <Failed row={row} />
        ) : row.pending ? (
          "pending"
        ) : row.newFd !== NONE ? (
          `fd ${row.newFd}`
        ) : row.ret === NONE ? (
          ""
        ) : (
          row.ret
        )}
      </span>
      <span role="cell" class="num">
        {Number.isNaN(row.dur) ? "" : duration(row.dur)}
      </span>
      <span role="cell">
        <bdi>{what(row)}</bdi>
      </span>
    </>
  );
}

/** An error's name, which leads to what explains it. */
function Failed({ row }: { readonly row: EventRow }) {
  const app = useApp();
  const failure = app.session.failures.find(row.seq);
  const name = visible(row.text("error"));
  if (!failure) return <>{name}</>;
  return (
    <button type="button" class="link" onClick={() => app.selecting.failure(failure)}>
      {name}
    </button>
  );
}

function what(row: EventRow): string {
  const parts: string[] = [];
  const local = row.text("local");
  const peer = row.text("peer");
  if (row.text("event") === "lost") parts.push(`${count(row.count)} records lost`);
  if (row.text("socket")) parts.push(row.text("socket"));
  if (local && peer) parts.push(`${visible(local)} ↔ ${visible(peer)}`);
  else if (local || peer) parts.push(visible(local || peer));
  if (row.text("listener")) parts.push(`from ${row.text("listener")}`);
  if (!Number.isNaN(row.wait)) parts.push(`waited ${duration(row.wait)}`);
  const detail = row.text("detail");
  if (detail) parts.push(visible(detail));
  return parts.join(", ");
}

/** Rows up to a moment: events come in order of time but for the few that are late. */
function rowsUntil(
  log: { readonly rows: number; row(index: number): EventRow | Gap | undefined },
  t: number,
): number {
  let low = 0;
  let high = log.rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const row = log.row(middle);
    if (row && "seq" in row && row.t > t) high = middle;
    else low = middle + 1;
  }
  return low;
}

import { useEffect, useRef, useState } from "preact/hooks";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import type { App } from "../interact/app.ts";
import { feedOf } from "../interact/feed.ts";
import { type EventLog, type EventRow, type Gap, NONE } from "../store/events.ts";
import { inOrder } from "../store/ordered.ts";
import { useApp } from "./context.ts";
import { VirtualTable } from "./virtual.tsx";

const TYPING_MS = 300;
/** A time cursor that moves is not followed before it stands still. */
const STILL_MS = 200;

const known = (n: number) => (n === NONE || Number.isNaN(n) ? Number.NEGATIVE_INFINITY : n);

const COLUMNS: readonly {
  readonly title: string;
  readonly key: (row: EventRow, app: App) => number | string;
}[] = [
  { title: "Number", key: ({ seq }) => seq },
  { title: "Time", key: ({ t }) => t },
  { title: "Process", key: ({ pid }) => pid },
  { title: "Call", key: (row) => row.text("call") || row.text("event") },
  { title: "fd", key: ({ fd }) => known(fd) },
  { title: "Result", key: (row) => row.text("error") || `~${known(row.ret)}` },
  { title: "Took", key: ({ dur }) => known(dur) },
  { title: "What", key: (row, app) => what(app, row) },
];

/** Events in the order of a column. */
interface Ordered {
  readonly log: EventLog;
  readonly column: number;
  readonly down: boolean;
  readonly numbers: Float64Array;
}

/** The list of events: the tail as it comes, or what is around the time cursor; more on demand; the server's filter. */
export function EventList() {
  const app = useApp();
  const { state } = app;
  const feed = feedOf(app);
  const typing = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  feed.version.value;
  const { log } = feed;
  const paused = state.paused.value;
  const rows = paused ? rowsUntil(log, paused.t) : log.rows;
  const filtered = state.eventFilter.value.trim() !== "";
  // Nothing could be read: neither that nothing fits nor that there is more is known.
  const unread = rows === 0 && feed.problem.value !== undefined;
  const asked = state.shownEvent.value;
  const shown = asked !== undefined && log.find(asked) ? asked : undefined;
  const at = shown ?? feed.at.value;
  const cursor = state.cursor.value;
  useEffect(() => {
    if (cursor === undefined) {
      if (feed.at.peek() !== undefined || feed.hasNewer) void feed.newest();
      return undefined;
    }
    const waiting = setTimeout(() => void feed.around(cursor), STILL_MS);
    return () => clearTimeout(waiting);
  }, [cursor, feed]);
  const [order, setOrder] = useState<Ordered | undefined>(undefined);
  // An ordered list stands still: it is of the log that was there when it was asked for.
  const ordered = order?.log === log ? order : undefined;
  const sort = (column: number) => {
    const { key } = COLUMNS[column] ?? {};
    if (!key) return;
    if (ordered?.column === column && ordered.down) setOrder(undefined);
    else {
      const down = ordered?.column === column;
      setOrder({ log, column, down, numbers: inOrder(log, (row) => key(row, app), down) });
    }
  };
  return (
    <div class="events">
      <div class="bar">
        <input
          type="search"
          placeholder="Filter events:  event:accept  pid:812"
          aria-label="Filter events"
          aria-invalid={feed.problem.value !== undefined}
          value={state.eventFilter.value}
          onInput={(event) => {
            const text = event.currentTarget.value;
            clearTimeout(typing.current);
            typing.current = setTimeout(() => app.listEvents(text), TYPING_MS);
          }}
        />
        {!unread && <span class="muted">{told(app, filtered)}</span>}
        {!unread && feed.hasOlder && (
          <button type="button" disabled={feed.loading.value} onClick={() => void feed.older()}>
            Load older
          </button>
        )}
        {!unread && feed.hasNewer && (
          <button type="button" disabled={feed.loading.value} onClick={() => void feed.newer()}>
            Load newer
          </button>
        )}
        {cursor !== undefined && (
          <button type="button" title="Leave the time cursor" onClick={() => app.setCursor(undefined)}>
            Newest
          </button>
        )}
        {paused && <span class="muted">paused</span>}
        {ordered && (
          <>
            <span class="muted" data-sorted={ordered.numbers.length}>
              sorted: the {count(ordered.numbers.length)} that were read
            </span>
            <button type="button" onClick={() => setOrder(undefined)}>
              Back to their own order
            </button>
          </>
        )}
        {feed.problem.value !== undefined && (
          <span class="problem" role="alert">
            {feed.problem.value}
          </span>
        )}
      </div>
      {unread ? null : rows === 0 ? (
        <p class="hint">
          {feed.loading.value
            ? "Reading events…"
            : filtered
              ? "No kept event fits this filter. Keys are the field names: event, call, pid, comm, fd, local, peer, error, socket."
              : "No events yet. They appear here as they happen."}
        </p>
      ) : (
        <VirtualTable
          // Another list begins at its end, another order at its beginning, whatever was in sight before.
          key={ordered ? `${ordered.column} ${ordered.down}` : at === undefined ? feed.list : "led"}
          label="Events"
          className="eventrows"
          count={ordered ? ordered.numbers.length : rows}
          rowHeight={24}
          columns={COLUMNS}
          pairs={700}
          order={ordered}
          onSort={sort}
          sticky={!paused && !ordered && at === undefined && !feed.hasNewer}
          {...(ordered ? {} : { names: namesOf(log) })}
          {...(ordered || at === undefined ? {} : { shows: log.rowOf(at), showsId: at })}
          onTop={() => {
            if (!ordered && feed.hasOlder && !feed.loading.peek()) void feed.older();
          }}
          onEnd={() => {
            if (!ordered && feed.hasNewer && !feed.loading.peek()) void feed.newer();
          }}
          row={(index) => (
            <Line row={ordered ? log.find(ordered.numbers[index] ?? -1) : log.row(index)} at={at} />
          )}
        />
      )}
    </div>
  );
}

/** How much of what is kept the list holds. */
function told(app: App, filtered: boolean): string {
  const { session } = app;
  const feed = feedOf(app);
  const { log } = feed;
  if (!filtered) return `${count(log.length)} of ${count(session.status?.kept ?? 0)} kept`;
  const first = log.length === 0 ? undefined : log.row(0);
  const since = first && "t" in first ? ` since ${session.clock.timeOfDay(first.t, 1e9)}` : "";
  return `${count(log.length)} that fit${feed.hasOlder ? since : ""}${feed.loading.value ? ", reading…" : ""}`;
}

/** Rows by their numbers; a hole by that of the first event in it. */
function namesOf(log: EventLog) {
  return {
    of: (index: number) => {
      const row = log.row(index);
      return row && ("seq" in row ? row.seq : row.from);
    },
    find: (name: number) => log.rowOf(name),
  };
}

/** @param at The number of the event that the list was led to. */
function Line({ row, at }: { readonly row: EventRow | Gap | undefined; readonly at: number | undefined }) {
  const app = useApp();
  if (!row) return null;
  if (!("seq" in row)) {
    return (
      <span role="cell" class="gap">
        <button type="button" class="link" onClick={() => void feedOf(app).fill(row.from, row.to)}>
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
      <span role="cell" class="num" data-now={row.seq === at ? "" : undefined}>
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
      <span role="cell" class="party">
        <bdi>{visible(row.text("comm"))}</bdi> <span class="muted">{row.pid || ""}</span>
      </span>
      <span role="cell" class={event === "lost" ? "alarm" : ""} data-event={event}>
        {row.text("call") || (event === "lost" ? `${count(row.count)} lost` : event)}
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
        <bdi title={socket || undefined}>{what(app, row)}</bdi>
      </span>
    </>
  );
}

/** An error's name, which leads to what explains it. */
function Failed({ row }: { readonly row: EventRow }) {
  const app = useApp();
  const failure = app.session.failures.find(row.seq);
  const name = (
    <>
      <b aria-hidden="true">!</b> {visible(row.text("error"))}
    </>
  );
  if (!failure) return name;
  return (
    <button type="button" class="link" onClick={() => app.selecting.failure(failure)}>
      {name}
    </button>
  );
}

/** In the words of other tools where there are any; the tracer's own name of a socket only where nothing else is known. */
function what(app: App, row: EventRow): string {
  const parts: string[] = [];
  const local = row.text("local");
  const peer = row.text("peer");
  if (row.text("event") === "lost") parts.push(`${count(row.count)} records lost`);
  if (local && peer) parts.push(`${visible(local)} ↔ ${visible(peer)}`);
  else if (local || peer) parts.push(visible(local || peer));
  const from = row.text("listener");
  const listener = app.session.entities.sockets.get(from)?.local ?? from;
  if (listener && listener !== local) parts.push(`from ${visible(listener)}`);
  if (!Number.isNaN(row.wait)) parts.push(`waited ${duration(row.wait)}`);
  const detail = row.text("detail");
  if (detail) parts.push(visible(detail));
  if (parts.length === 0 && row.text("socket")) parts.push(row.text("socket"));
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

import { visible } from "../base/escape.ts";
import { count } from "../base/time.ts";
import { merged } from "../layout/merge.ts";
import { levels, limitsOf, peaks, roomOf } from "../layout/queue.ts";
import { gaps } from "../layout/timeline.ts";
import { TimeScale, tickStep } from "../layout/timescale.ts";
import type { Socket } from "../protocol/types.gen.ts";
import { useApp } from "./context.ts";

const WIDTH = 1000;
const HEIGHT = 64;

/** As wide as the chart is where there is little room: that is how near to each other marks of drops may be. */
const NARROW = 400;
/** Into how many parts the table divides the time. */
const PARTS = 12;

/** What lies over a chart of a queue. */
const OVER = {
  unknown: "repeating-linear-gradient(-45deg, transparent 0 6px, var(--edge) 6px 7px)",
  lost: "repeating-linear-gradient(-45deg, transparent 0 2px, var(--lost) 2px 4px)",
  cursor: "var(--accent)",
} as const;

/** Length of one queue over the time in sight, with its limit, drops, where events were lost, and what is not known. */
export function QueueChart({ listener }: { readonly listener: Socket }) {
  const app = useApp();
  // The viewport is not reactive; these tell of it.
  app.state.span.value;
  app.state.begins.value;
  const { start, end } = app.viewport;
  const { clock, losses, overflows, status, entities } = app.session;
  const cursor = app.state.cursor.value;
  const from = Math.max(start, status?.kept_since ?? start);
  const until = Math.max(from, Math.min(end, app.edge));
  const scale = new TimeScale(start, end, WIDTH);
  const counted = levels(entities.children(listener.id), from, until);
  const lengths = peaks(counted, scale, until);
  const limits = limitsOf(listener).filter((one) => one.until > from && one.since < until);
  const limit = limits.at(-1)?.limit;
  const longest = counted.lengths.reduce((most, length) => Math.max(most, length), 0);
  // The limit is drawn where it is near: a limit of 4,096 would flatten a queue of three, which must not fill the chart either.
  const near = limits.filter(({ limit }) => limit <= 4 * Math.max(1, longest));
  const most = near.reduce((top, { limit }) => Math.max(top, limit), Math.max(1, longest));
  const top = near.length > 0 ? most : tickStep(longest + 1, 1);
  const inside = near.at(-1)?.limit === limit;
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
  const missing = gaps(losses, scale, until);
  const lost = missing.reduce((sum, gap) => sum + gap.lost, 0);
  const dropped = overflows.of(listener.id).filter(({ t }) => t >= from && t <= until);
  const narrow = new TimeScale(start, end, NARROW);
  const marks = merged(
    dropped,
    ({ t }) => t,
    narrow,
    until,
    ({ drops }) => drops,
  );
  const drops = dropped.reduce((sum, one) => sum + one.drops, 0);
  const [x0, x1] = [scale.x(from), scale.x(until)];
  const over = (what: keyof typeof OVER, left: number, right: number, title?: string) =>
    right > left && (
      <span
        key={`${what} ${left}`}
        data-over={what}
        title={title}
        style={{
          position: "absolute",
          top: 0,
          bottom: 0,
          left: `${(100 * left) / WIDTH}%`,
          width: `max(2px, ${(100 * (right - left)) / WIDTH}%)`,
          background: OVER[what],
        }}
      />
    );
  const said = [
    until === from
      ? "nothing is known of the time in sight"
      : `at most ${count(longest)} ${lost > 0 ? "were seen to wait" : "waited"} from ${clock.timeOfDay(from, 1e9)} to ${clock.timeOfDay(until, 1e9)}`,
    lost > 0 && `${count(lost)} events were lost meanwhile (dense stripes)`,
    drops > 0 && `${count(drops)} packets were dropped (marked at the top)`,
    limit !== undefined && `limit ${count(limit)} (holds ${count(roomOf(limit))})`,
    limits.length > 1 &&
      `before: ${limits
        .slice(0, -1)
        .map((one) => count(one.limit))
        .join(", ")}`,
    (x0 > 0 || x1 < WIDTH) && "wide stripes: not known",
  ];
  /** Equal parts of the time that is known. */
  const parts = () => {
    const long = (until - from) / PARTS;
    const most = peaks(counted, new TimeScale(from, until, PARTS), until);
    const within = <T extends { readonly t: number }>(all: readonly T[], i: number, of: (one: T) => number) =>
      all
        .filter(({ t }) => t >= from && Math.min(PARTS - 1, Math.floor((t - from) / long)) === i)
        .filter(({ t }) => t <= until)
        .reduce((sum, one) => sum + of(one), 0);
    return Array.from(most, (length, i) => (
      <tr key={i}>
        <th scope="row">{clock.timeOfDay(from + i * long, 1e8)}</th>
        <td>{count(Math.max(0, length))}</td>
        <td>{count(within(dropped, i, (one) => one.drops))}</td>
        <td>{count(within(losses, i, (one) => one.count))}</td>
      </tr>
    ));
  };
  return (
    <figure class="queuechart">
      <figcaption>
        <bdi>{name}</bdi>: {said.filter((part) => part).join("; ")}
      </figcaption>
      <div class="plot">
        <span class="axis" aria-hidden="true">
          <span>{count(top)}</span>
          <span>0</span>
        </span>
        <div>
          <svg
            role="img"
            aria-label={`Length of the accept queue of ${name}`}
            viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
            preserveAspectRatio="none"
          >
            <path d={path} />
            {near.map(({ since, until, limit }) => (
              <line
                key={since}
                x1={Math.max(0, scale.x(since))}
                x2={Math.min(WIDTH, scale.x(until))}
                y1={y(limit)}
                y2={y(limit)}
              />
            ))}
          </svg>
          {over("unknown", 0, Math.min(WIDTH, x0))}
          {over("unknown", Math.max(0, x1), WIDTH)}
          {missing.map((gap) => over("lost", gap.x0, gap.x1, `${count(gap.lost)} lost`))}
          {Array.from(marks, ({ x, many }) => (
            <span
              key={x}
              data-over="drops"
              title={`${count(many)} dropped`}
              style={{ left: `${(100 * x) / NARROW}%` }}
            >
              {many > 1 && count(many)}
            </span>
          ))}
          {cursor !== undefined && over("cursor", scale.x(cursor), scale.x(cursor) + 1)}
        </div>
        {limit !== undefined && (
          <span aria-hidden="true" style={{ paddingTop: inside ? `calc(${y(limit)}px - 0.6em)` : 0 }}>
            {!inside && "↑ "}limit {count(limit)}
          </span>
        )}
        <span class="axis times" aria-hidden="true">
          <span>{clock.timeOfDay(start, (end - start) / 10)}</span>
          <span>{clock.timeOfDay(end, (end - start) / 10)}</span>
        </span>
      </div>
      <details>
        <summary>As a table</summary>
        <table>
          <thead>
            <tr>
              {["From", "Waited at most", "Dropped", "Events lost"].map((title) => (
                <th scope="col" key={title}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{parts()}</tbody>
        </table>
      </details>
    </figure>
  );
}

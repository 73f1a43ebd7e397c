import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { standing } from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { count } from "../base/time.ts";
import { startsAt } from "../layout/starts.ts";
import type { Process } from "../protocol/types.gen.ts";
import { WRONG } from "../store/failures.ts";
import { useApp } from "./context.ts";

/** Where to look first: the fullest queue, the fullest table, the most errors; of the newest moment that is shown. */
export function Starts() {
  const app = useApp();
  app.state.version.value;
  // Everything is looked at: once a second, and when there is a tenth more of it. In a record no second passes, and few
  // failed calls, which are read last, are no tenth of a lot: there each of them counts.
  const second = Math.floor(app.edge / 1e9);
  const much = Math.round(
    10 * Math.log(1 + app.session.entities.descriptors.size + app.session.failures.length),
  );
  const failed = app.live ? 0 : app.session.failures.length;
  const { queue, limit, errors } = useMemo(
    () => startsAt(app.session.entities, app.session.failures, app.edge),
    [app, second, much, failed, app.session.behind],
  );
  const doubtful = limit?.process.standing === "doubtful" && standing(limit.process);
  const lost = (app.session.status?.lost ?? 0) > 0;
  return (
    <nav class="starts" aria-label="Start here">
      {app.state.cursor.value !== undefined && <span class="muted">{app.live ? "Now:" : "End:"}</span>}
      {queue && (
        <button
          type="button"
          data-start="queue"
          title={`${queue.past ? "The fullest that an accept queue was" : "The fullest accept queue"}, and its limit: it holds one more${doubt(lost)}`}
          onClick={() => app.selecting.jump(queue.listener.id)}
        >
          <Parts>
            <span>
              {queue.past && "most: "}
              <b>{count(queue.waiting)}</b>
              {mark(lost)} queued
            </span>
            <span>{queue.limit !== undefined && `, limit ${count(queue.limit)}`} </span>
          </Parts>
          <span>
            on <bdi>{visible(queue.listener.local ?? queue.listener.id)}</bdi>
          </span>
        </button>
      )}
      {limit && (
        <button
          type="button"
          data-start="limit"
          title={`The table that is nearest to its limit${doubtful ? `, ${doubtful}` : ""}`}
          onClick={() => app.selecting.wholeProcess(limit.process)}
        >
          <Parts>
            <b>
              {count(limit.open)}
              {mark(doubtful)}/{count(limit.most)}
            </b>
            <span> fds of </span>
          </Parts>
          <Named process={limit.process} />
        </button>
      )}
      {errors && (
        <button
          type="button"
          data-start="errors"
          title={`The most errors: failed calls, and what ended connections${doubt(lost)}`}
          onClick={() => {
            app.selecting.wholeProcess(errors.process);
            app.listEvents(`pid:${errors.process.pid} ${WRONG}`);
          }}
        >
          <Parts>
            <span>
              <b>{count(errors.count)}</b>
              {mark(lost)} failed
            </span>
            <span> in </span>
          </Parts>
          <Named process={errors.process} />
        </button>
      )}
    </nav>
  );
}

/** What is not certain is said so, in sight and in words. */
const mark = (doubted: unknown) => doubted && <b class="doubt">?</b>;
const doubt = (doubted: boolean) => (doubted ? ". Records were lost: it may be wrong" : "");

/** What does not fit is left out part by part: half a number would be another one. */
function Parts({ children }: { readonly children: ComponentChildren }) {
  return <span class="parts">{children}</span>;
}

/** `nginx 812`: where there is little room the name is cut, since its number tells which one it is. */
function Named({ process: { comm, pid } }: { readonly process: Process }) {
  return (
    <span class="named">
      <bdi>{visible(comm)}</bdi> {pid}
    </span>
  );
}

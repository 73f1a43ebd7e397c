import { useMemo } from "preact/hooks";
import { processName } from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { count } from "../base/time.ts";
import { startsAt } from "../layout/starts.ts";
import { useApp } from "./context.ts";

/** Where to look first: the fullest queue, the fullest table, the most errors; of the instant that the rows' heads tell. */
export function Starts() {
  const app = useApp();
  app.state.version.value;
  // Everything is looked at: once a second, and when there is a tenth more of it.
  const second = Math.floor(app.edge / 1e9);
  const much = Math.round(
    10 * Math.log(1 + app.session.entities.descriptors.size + app.session.failures.length),
  );
  const { queue, limit, errors } = useMemo(
    () => startsAt(app.session.entities, app.session.failures.counts, app.edge),
    [app, second, much],
  );
  return (
    <nav class="starts" aria-label="Start here">
      {queue && (
        <button
          type="button"
          data-start="queue"
          title="The fullest accept queue"
          onClick={() => app.selecting.jump(queue.listener.id)}
        >
          <span>
            <b>
              {count(queue.waiting)}/{queue.listener.queue_limit ?? "?"}
            </b>{" "}
            queued on{" "}
          </span>
          <bdi>{visible(queue.listener.local ?? queue.listener.id)}</bdi>
        </button>
      )}
      {limit && (
        <button
          type="button"
          data-start="limit"
          title="The table that is nearest to its limit"
          onClick={() => app.selecting.wholeProcess(limit.process)}
        >
          <span>
            <b>
              {count(limit.open)}/{count(limit.most)}
            </b>{" "}
            fds of{" "}
          </span>
          <bdi>{processName(limit.process)}</bdi>
        </button>
      )}
      {errors && (
        <button
          type="button"
          data-start="errors"
          title="The most failed calls"
          onClick={() => {
            app.selecting.wholeProcess(errors.process);
            app.listEvents(`pid:${errors.process.pid} error:*`);
          }}
        >
          <span>
            <b>{count(errors.count)}</b> failed in{" "}
          </span>
          <bdi>{processName(errors.process)}</bdi>
        </button>
      )}
    </nav>
  );
}

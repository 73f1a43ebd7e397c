import { address, children as childrenWord } from "../../a11y/sentences.ts";
import { count, duration } from "../../base/time.ts";
import type { Process, Socket } from "../../protocol/types.gen.ts";
import { childEnd, joined } from "../../store/entities.ts";
import { useApp } from "../context.ts";
import { Doubt, Moment } from "./facts.tsx";

/** Children in the table; the tree of rows lists more. */
const MOST_CHILDREN = 200;

/** The connections that a listener took. */
export function Children({
  listener,
  process,
}: {
  readonly listener: Socket;
  readonly process: Process | undefined;
}) {
  const app = useApp();
  const { entities } = app.session;
  const all = entities.children(listener.id);
  if (all.length === 0 && listener.children === 0) return null;
  const shown = all.slice(-MOST_CHILDREN).reverse();
  const waiting = all.filter(
    (child) => child.accepted === null && child.ended === null && child.queued !== null,
  );
  return (
    <div class="card">
      <table>
        <caption>
          Children ({count(listener.children)})
          {waiting.length > 0 && (
            <>
              , {count(waiting.length)}
              <Doubt process={process} /> in the queue
            </>
          )}
          {all.length > shown.length && `, newest ${count(shown.length)}`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Peer</th>
            <th scope="col">Accepted</th>
            <th scope="col">Waited</th>
            <th scope="col">Lasted</th>
            <th scope="col">Closed first</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((child) => {
            const end = childEnd(entities, child);
            return (
              <tr key={child.id}>
                <td>
                  <button type="button" class="link" onClick={() => app.selecting.jump(child.id)}>
                    <bdi>{address(child.peer)}</bdi>
                  </button>
                </td>
                <td>
                  {child.accepted === null ? (
                    <span class="muted">{end === undefined ? "in queue" : "never"}</span>
                  ) : (
                    <Moment t={child.accepted} />
                  )}
                </td>
                <td class="num">
                  {child.wait_ns === null ? (
                    <span class="muted">{soFar(child, app.edge)}</span>
                  ) : (
                    duration(child.wait_ns)
                  )}
                </td>
                <td class="num">
                  {end === undefined ? (
                    <span class="muted">open</span>
                  ) : (
                    duration(end - (child.accepted ?? joined(child)))
                  )}
                </td>
                <td>
                  {child.closed_first === null ? (
                    <span class="muted">{end === undefined ? "nobody yet" : "not known"}</span>
                  ) : child.closed_first === "peer" ? (
                    "the peer"
                  ) : (
                    "this side"
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {all.length > shown.length && (
        <p class="hint">{childrenWord(all.length - shown.length)} earlier: see the list of rows.</p>
      )}
    </div>
  );
}

/** What is known of a wait that has no end, or of which the beginning or the end was not seen. */
function soFar({ accepted, ended, queued }: Socket, now: number): string {
  return accepted === null && ended === null && queued !== null
    ? `${duration(now - queued)} so far`
    : "not seen";
}

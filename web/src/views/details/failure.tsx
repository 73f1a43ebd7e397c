import { failureSentence } from "../../a11y/sentences.ts";
import { visible } from "../../base/escape.ts";
import { count, duration } from "../../base/time.ts";
import type { Explained, ExplainedHolder } from "../../protocol/types.gen.ts";
import type { Failure } from "../../store/failures.ts";
import { useApp } from "../context.ts";
import { EventLink, Fact, Moment, SocketLink } from "./facts.tsx";

const MOST_FAILED = 100;

/** One failed call or broken connection, with what explains it. */
export function OfFailure({ failure }: { readonly failure: Failure }) {
  return (
    <div class="card failure">
      <h2>
        <bdi>{failureSentence(failure)}</bdi>
      </h2>
      <dl class="facts">
        <Fact name="When">
          <Moment t={failure.t} />
        </Fact>
        <Fact name="Error">
          <bdi>{visible(failure.error)}</bdi>
          {failure.ret !== undefined && <span class="muted"> returned {failure.ret}</span>}
        </Fact>
        {failure.asked !== undefined && (
          <Fact name="Asked for">
            <bdi>{visible(failure.asked)}</bdi>
          </Fact>
        )}
        {failure.dur_ns !== undefined && <Fact name="Took">{duration(failure.dur_ns)}</Fact>}
        <Fact name="Event">
          <EventLink seq={failure.seq} />
        </Fact>
      </dl>
      {failure.explain && <Explanation explain={failure.explain} />}
    </div>
  );
}

/** Why it failed, with what that rests on: each piece leads to where it stands. */
function Explanation({ explain }: { readonly explain: Explained }) {
  const { text, sockets = [], kinds = [], events = [], limit, used } = explain;
  const held = ({ process, pid, comm, fd }: ExplainedHolder) => (
    <li key={`${process} ${fd}`}>
      <bdi>
        fd {fd} of {visible(comm)} {pid}
      </bdi>
    </li>
  );
  return (
    <>
      <p class="explanation" data-cause={explain.cause}>
        <bdi>{visible(text)}</bdi>
      </p>
      <ul class="evidence">
        {limit !== undefined && (
          <li>
            {count(used ?? 0)} of {count(limit)} in use
            {explain.limit_inferred ? " (the limit is inferred)" : ""}
          </li>
        )}
        {kinds.map(({ kind, by, count: n }) => (
          <li key={`${kind} ${by}`}>
            {count(n)} × {kind.replaceAll("_", " ")} by {by}
          </li>
        ))}
        {sockets.map((one) => (
          <li key={`${one.socket} ${one.local} ${one.peer}`}>
            {one.socket ? <SocketLink id={one.socket} /> : "a socket that is not followed"}{" "}
            <bdi>
              {[one.local, one.peer]
                .filter((end) => end)
                .map((end) => visible(end ?? ""))
                .join(" ↔ ")}
            </bdi>
            <ul>{(one.holders ?? []).map(held)}</ul>
          </li>
        ))}
        {events.map((seq) => (
          <li key={seq}>
            event <EventLink seq={seq} />
          </li>
        ))}
      </ul>
    </>
  );
}

/** A table of failed calls, or of what the kernel told of a socket, the newest first: each leads to what explains it. */
export function Failed({
  title = "Failed calls",
  failures,
}: {
  readonly title?: string;
  readonly failures: readonly Failure[];
}) {
  const app = useApp();
  if (failures.length === 0) return null;
  const shown = failures.slice(-MOST_FAILED).reverse();
  return (
    <div class="card">
      <table>
        <caption>
          {title} ({count(failures.length)})
          {failures.length > shown.length && `, newest ${count(shown.length)}`}
        </caption>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">What</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((failure) => (
            <tr key={failure.seq}>
              <td>
                <Moment t={failure.t} />
              </td>
              <td>
                <button type="button" class="link" onClick={() => app.selecting.failure(failure)}>
                  <bdi>{failureSentence(failure)}</bdi>
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

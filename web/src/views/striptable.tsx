import "../styles/help.css";
import { useMemo } from "preact/hooks";
import { isDoubtful } from "../a11y/sentences.ts";
import { count } from "../base/time.ts";
import { summarizing } from "../layout/overview.ts";
import { useApp } from "./context.ts";
import { MayBeWrong } from "./details/facts.tsx";
import { TitledDialog } from "./dialog.tsx";

/** Parts of the time that are told. */
const PARTS = 24;

/** The strip of all kept time in words and numbers, for whoever does not see it or has no pointer. */
export function StripTable() {
  const app = useApp();
  const { strip } = app.state;
  return (
    <TitledDialog shown={strip} title="All kept time" kind="striptable">
      {strip.value && <Parts />}
    </TitledDialog>
  );
}

/** Marks what is counted over tables some of which may be wrong at an instant. */
function Doubtful({ at }: { readonly at: number }) {
  const { processes } = useApp().session.entities;
  const many = [...processes.values()].filter(
    (process) => isDoubtful(process, at) && (process.ended === null || process.ended > at),
  ).length;
  if (many === 0) return null;
  return <MayBeWrong why={`${count(many)} ${many === 1 ? "table" : "tables"} may be wrong at that time`} />;
}

function Parts() {
  const app = useApp();
  const { session, viewport, state } = app;
  // As it was when the table was opened: rows that change while they are read help nobody.
  const summary = useMemo(() => {
    const from = session.status?.kept_since ?? 0;
    const counting = summarizing(
      session.entities,
      session.failures,
      from,
      Math.max(app.edge, from + 1),
      PARTS,
    );
    let step = counting.next();
    while (!step.done) step = counting.next();
    return step.value;
  }, [app]);
  const { changes, errors, open } = summary;
  const told = [changes, errors, open].some((all) => all.some((n) => n > 0)) || session.losses.length > 0;
  if (!told) return <p class="hint">Nothing was seen to happen in this time.</p>;
  const long = (summary.to - summary.from) / PARTS;
  // Parts of a few seconds do not begin at whole ones.
  const step = long < 10e9 ? Math.min(long, 1e6) : long;
  return (
    <table>
      <thead>
        <tr>
          {["From", "Changes", "Errors", "Open", "Lost"].map((title) => (
            <th scope="col" key={title}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {Array.from({ length: PARTS }, (_, i) => {
          const from = summary.from + i * long;
          const lost = session.losses
            .filter(({ t }) => t >= from && (t < from + long || i === PARTS - 1))
            .reduce((sum, loss) => sum + loss.count, 0);
          return (
            <tr key={from}>
              <th scope="row">
                <button
                  type="button"
                  class="link num"
                  title="Show this part"
                  onClick={() => {
                    state.strip.value = false;
                    viewport.place(from, from + long);
                    app.frames.request();
                  }}
                >
                  {session.clock.timeOfDay(from, step)}
                </button>
              </th>
              <td class="num">
                {count(summary.changes[i] ?? 0)}
                {lost > 0 && <MayBeWrong why="events were lost meanwhile" />}
              </td>
              <td class={summary.errors[i] ? "num bad" : "num"}>
                {count(summary.errors[i] ?? 0)}
                {lost > 0 && <MayBeWrong why="events were lost meanwhile" />}
              </td>
              <td class="num">
                {count(summary.open[i] ?? 0)}
                <Doubtful at={from + long} />
              </td>
              <td class={lost > 0 ? "num bad" : "num"}>{count(lost)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

import "../styles/lesson.css";
import { useEffect } from "preact/hooks";
import { address, phaseWord, processName, stepAt } from "../a11y/sentences.ts";
import { count } from "../base/time.ts";
import { look } from "../layout/life.ts";
import { limitAt } from "../layout/queue.ts";
import { queueAt } from "../layout/waits.ts";
import { lessonOf, listenersOf } from "../lesson/lesson.ts";
import { answers, lowestFree, type Subject } from "../lesson/questions.ts";
import { tell } from "../lesson/sentences.ts";
import type { Line, Process, Socket } from "../protocol/types.gen.ts";
import { useApp } from "./context.ts";
import { kindOf, nameOf } from "./descriptors.tsx";
import { Doubt } from "./details/facts.tsx";
import { VirtualTable } from "./virtual.tsx";

/** One server, event by event: each as a sentence, with the queue and the table as they were then. */
export function Lesson() {
  const app = useApp();
  const { session, state } = app;
  const lesson = lessonOf(app);
  state.version.value;
  const listeners = listenersOf(session.entities);
  const chosen = session.entities.sockets.get(state.selection.peek()?.socket ?? "");
  const wanted = listeners.find(({ id }) => id === (chosen?.listener ?? chosen?.id)) ?? listeners[0];
  const begun = lesson.listener.value !== undefined && session.entities.sockets.has(lesson.listener.value);
  useEffect(() => {
    if (!begun && wanted) lesson.begin(wanted);
  }, [begun, wanted, lesson]);
  useEffect(() => () => lesson.stop(), [lesson]);
  const lines = lesson.lines.value;
  const story = lesson.story.value;
  const step = lesson.step.value;
  const at = lesson.instant;
  const subject = lesson.subject();
  if (!subject) {
    return (
      <section class="lesson" aria-label="Lesson">
        <p class="hint">
          No listener is in this record. A lesson needs a server:{" "}
          <code>sockreel serve -- python3 -m http.server</code>
        </p>
      </section>
    );
  }
  const { listener, process } = subject;
  const line = story[step];
  return (
    <section class="lesson" aria-label="Lesson">
      <div class="bar">
        <label>
          Server{" "}
          <select
            value={listener.id}
            onChange={(event) => {
              const next = session.entities.sockets.get(event.currentTarget.value);
              if (next) lesson.begin(next);
            }}
          >
            {listeners.map((one) => (
              <option key={one.id} value={one.id}>
                {address(one.local)}
              </option>
            ))}
          </select>
        </label>
        <span class="group">
          <button
            type="button"
            aria-label="Previous event"
            title="Previous event (←)"
            disabled={story.length === 0}
            onClick={() => lesson.go(step - 1)}
          >
            ◂
          </button>
          <button
            type="button"
            aria-pressed={lesson.playing.value}
            title="One event after another (Space)"
            disabled={story.length === 0}
            onClick={() => (lesson.playing.value ? lesson.pause() : lesson.play())}
          >
            {lesson.playing.value ? "Stop" : "Play"}
          </button>
          <button
            type="button"
            aria-label="Next event"
            title="Next event (→)"
            disabled={story.length === 0}
            onClick={() => lesson.go(step + 1)}
          >
            ▸
          </button>
        </span>
        {line && (
          <span data-lesson-step={step}>
            Event {count(step + 1)} of {count(story.length)}
          </span>
        )}
        <label>
          <input
            type="checkbox"
            checked={lesson.narrow.value}
            onChange={(event) => lesson.setNarrow(event.currentTarget.checked)}
          />{" "}
          Only what concerns this server's socket
        </label>
        {lesson.full && (
          <span class="doubt" data-lesson-full>
            The server's first {count(lines.length)} events are told; the list of events has all.
          </span>
        )}
        {lesson.problem.value !== undefined && (
          <span class="problem" role="alert">
            {lesson.problem.value}
          </span>
        )}
      </div>
      {line ? (
        <Sentence line={line} />
      ) : (
        lesson.problem.value === undefined && <p class="sentence muted">Reading the server's events…</p>
      )}
      {story.length > 0 && (
        <div class="scene">
          <VirtualTable
            label="What happened, event by event"
            className="story"
            count={story.length}
            rowHeight={44}
            columns={[{ title: "Time" }, { title: "What happened" }]}
            shows={step}
            row={(index) => <StoryRow line={story[index]} index={index} current={index === step} />}
          />
          {line && (
            <>
              <div class="picture">
                <Chain listener={listener} at={at} />
                <Queue listener={listener} process={process} at={at} />
              </div>
              <Table process={process} at={at} line={line} />
            </>
          )}
        </div>
      )}
      <Questions subject={{ entities: session.entities, listener, process, lines, edge: app.edge }} />
    </section>
  );
}

function Sentence({ line }: { readonly line: Line }) {
  const { what, why } = tell(line);
  return (
    <p class="sentence" aria-live="polite">
      <strong>
        <bdi>{what}</bdi>
      </strong>{" "}
      <span class="muted">{why}</span>
    </p>
  );
}

function StoryRow({
  line,
  index,
  current,
}: {
  readonly line: Line | undefined;
  readonly index: number;
  readonly current: boolean;
}) {
  const app = useApp();
  if (!line) return null;
  return (
    <>
      <span role="cell" class="num">
        {app.session.clock.timeOfDay(line.t ?? 0, 1e3)}
      </span>
      <span role="cell">
        <button
          type="button"
          class={line.event === "lost" ? "link doubt" : line.error ? "link bad" : "link"}
          aria-current={current ? "step" : undefined}
          data-lesson-event={line.event}
          onClick={() => lessonOf(app).go(index)}
        >
          <bdi>{tell(line).what}</bdi>
        </button>
      </span>
    </>
  );
}

const CHAIN = [
  ["socket", "created"],
  ["bind", "bound"],
  ["listen", "listening"],
] as const;

/** What a server does before it has clients, and how far this one is; each leads to its event. */
function Chain({ listener, at }: { readonly listener: Socket; readonly at: number }) {
  const app = useApp();
  const accepted = app.session.entities.children(listener.id).filter((child) => child.accepted !== null);
  const done = accepted.filter((child) => (child.accepted ?? 0) <= at).length;
  return (
    <ol class="chain" aria-label="From socket to accept">
      {CHAIN.map(([name, phase]) => {
        const t = listener.steps.find((step) => step.phase === phase)?.t;
        const where = phase === "created" ? "done" : address(listener.local);
        return <Link key={name} name={name} t={t} at={at} done={where} />;
      })}
      <Link name="accept" t={accepted[0]?.accepted ?? undefined} at={at} done={`× ${count(done)}`} />
    </ol>
  );
}

function Link({
  name,
  t,
  at,
  done,
}: {
  readonly name: string;
  readonly t: number | undefined;
  readonly at: number;
  readonly done: string;
}) {
  const app = useApp();
  const reached = t !== undefined && t <= at;
  return (
    <li class={reached ? "done" : ""}>
      <button type="button" disabled={t === undefined} onClick={() => t !== undefined && lessonOf(app).at(t)}>
        <b>{name}</b> <span>{reached ? done : t === undefined ? "not seen" : "not yet"}</span>
      </button>
    </li>
  );
}

/** Clients that a drawing has room for. */
const SHOWN = 8;

/** Who waits before the listener, and who was taken out and is served. */
function Queue({
  listener,
  process,
  at,
}: {
  readonly listener: Socket;
  readonly process: Process;
  readonly at: number;
}) {
  const app = useApp();
  const { entities } = app.session;
  const children = entities.children(listener.id);
  const { waiting } = queueAt(children, at);
  const served = children.filter((child) => {
    if (child.accepted === null || child.accepted > at) return false;
    return entities
      .holders(child.id)
      .some(({ opened, closed }) => opened <= at && (closed === null || closed > at));
  });
  const begun = (listener.steps[0]?.t ?? 0) <= at;
  const phase = begun ? stepAt(listener, at)?.phase : undefined;
  const listens = phase === "listening";
  const limit = limitAt(listener, at);
  return (
    <div class="queuepicture">
      <figure>
        <figcaption>
          Waiting: {count(waiting.length)}
          <Doubt process={process} />
          {limit !== undefined && listens && `, limit ${count(limit)} (holds ${count(limit + 1)})`}
        </figcaption>
        <ul>
          {waiting.slice(0, SHOWN).map((child) => (
            <li key={child.id} class="client waiting">
              <bdi>{address(child.peer)}</bdi>
            </li>
          ))}
          {waiting.length > SHOWN && <li>and {count(waiting.length - SHOWN)} more</li>}
          {waiting.length === 0 && <li class="muted">nobody</li>}
        </ul>
      </figure>
      <div class={listens ? "door open" : "door"}>
        <b>{phase === undefined ? "no socket yet" : phaseWord(phase)}</b>
        <bdi>{phase === undefined || phase === "created" ? "" : address(listener.local)}</bdi>
        <span aria-hidden="true">→ accept →</span>
      </div>
      <figure>
        <figcaption>
          Served: {count(served.length)}
          <Doubt process={process} />
        </figcaption>
        <ul>
          {served.slice(-SHOWN).map((child) => (
            <li key={child.id} class="client served">
              <b>{entities.holders(child.id)[0]?.fd}</b> <bdi>{address(child.peer)}</bdi>
            </li>
          ))}
          {served.length > SHOWN && <li>and {count(served.length - SHOWN)} more</li>}
          {served.length === 0 && <li class="muted">nobody</li>}
        </ul>
      </figure>
    </div>
  );
}

/** Numbers of a table that a lesson has room for. */
const NUMBERS = 200;

/** The table after the event, with what it changed. */
function Table({
  process,
  at,
  line,
}: {
  readonly process: Process;
  readonly at: number;
  readonly line: Line | undefined;
}) {
  const app = useApp();
  const { entities } = app.session;
  const table = entities.tableAt(process.table, at);
  const touched = new Set([line?.fd, line?.new_fd, ...(line?.fds ?? [])]);
  const own = line?.process === process.id;
  const free = lowestFree(entities, process.table, at);
  return (
    <div class="numbers" tabIndex={0} role="region" aria-label="Descriptor table after the event">
      <table>
        <caption>
          Descriptors of {processName(process)}
          <Doubt process={process} />; lowest free: {free}
        </caption>
        <tbody>
          {table.slice(0, NUMBERS).map((one) => {
            const socket = entities.sockets.get(one.socket ?? "");
            const step = socket && stepAt(socket, at);
            return (
              <tr key={one.fd} class={own && touched.has(one.fd) ? "touched" : ""}>
                <th scope="row">{one.fd}</th>
                <td>
                  {step && (
                    <span class={`chip ${look(step).role.replace("_", "-")}`}>{phaseWord(step.phase)}</span>
                  )}{" "}
                  <bdi>{socket ? nameOf(app, one, at) : `${kindOf(app, one)} ${nameOf(app, one, at)}`}</bdi>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {table.length > NUMBERS && <p class="hint">and {count(table.length - NUMBERS)} more</p>}
    </div>
  );
}

function Questions({ subject }: { readonly subject: Subject }) {
  const app = useApp();
  const lost = app.session.lostUntil(subject.edge);
  return (
    <div class="questions">
      <h2>Questions that this record answers</h2>
      {lost > 0 && (
        <p class="doubt">
          {count(lost)} events were lost: what they would have told is in none of these answers.
        </p>
      )}
      {answers(subject).map(({ question, answer, evidence, known }) => (
        <details key={question} open={known}>
          <summary>{question}</summary>
          <p data-known={known}>
            <bdi>{answer}</bdi>
          </p>
          {evidence.length > 0 && (
            <ul>
              {evidence.map(({ text, t }) => (
                <li key={`${t} ${text}`}>
                  <button type="button" class="link num" onClick={() => lessonOf(app).at(t)}>
                    {app.session.clock.timeOfDay(t, 1e3)}
                  </button>{" "}
                  <bdi>{text}</bdi>
                </li>
              ))}
            </ul>
          )}
        </details>
      ))}
    </div>
  );
}

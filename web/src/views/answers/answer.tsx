import "../../styles/views.css";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { visible } from "../../base/escape.ts";
import { count } from "../../base/time.ts";
import type { App } from "../../interact/app.ts";
import type { Told } from "../../interact/asking.ts";
import type { About, Answers, Question } from "../../net/answers.ts";
import { keyOf } from "../../net/answers.ts";
import type { Basis, When } from "../../protocol/types.gen.ts";
import { useApp } from "../context.ts";
import { Evidence, MayBeWrong } from "../details/facts.tsx";

/** About everything that is followed. */
export const ALL: About = {};

/** The answer to a question, kept new while the view that asks is shown. */
export function useAnswer<Q extends Question>(question: Q, about: About): Told<Q> {
  const { asking } = useApp();
  useEffect(() => asking.use(question, about), [asking, keyOf(question, about)]);
  return asking.told(question, about).value;
}

/** Whether an answer is about the instant that is shown, not about one that was shown before or the only one that a file has. */
export function isAboutNow(app: App, basis: Basis): boolean {
  const shown = app.state.cursor.value ?? app.state.paused.value?.t;
  return shown === undefined || Math.abs(basis.at.t - shown) < 1e6;
}

interface AnswerProps<Q extends Question> {
  readonly title: string;
  readonly told: Told<Q>;
  /** What several answers cannot know is said once, beside them. */
  readonly brief?: boolean;
  readonly children: (answer: Answers[Q]) => ComponentChildren;
}

/** An answer with its title, what it rests on and what it cannot know. */
export function Answer<Q extends Question>({ title, told, brief = false, children }: AnswerProps<Q>) {
  const app = useApp();
  const { answer, problem } = told;
  const shown = answer && children(answer);
  return (
    <section class="card answer" aria-label={title} data-answer={title}>
      <h2>{title}</h2>
      {answer && <AsOf basis={answer.basis} brief={brief} />}
      {shown}
      {problem !== undefined && <p class="doubt">{visible(problem)}</p>}
      {answer && !brief && <Caveats caveats={answer.basis.caveats} />}
      {!answer && problem === undefined && (
        <p class="muted">{app.state.link.value === "open" ? "Asking …" : "Not asked yet."}</p>
      )}
    </section>
  );
}

/** Why nothing new is answered, once for all of a view's cards. */
export function Away() {
  return useApp().state.link.value === "open" ? null : (
    <p class="hint">sockreel cannot be reached; what is missing is asked as soon as it answers.</p>
  );
}

/** Which instant an answer is about, before what it says: what stands beside it may be of another. And what was looked at. */
function AsOf({ basis, brief }: { readonly basis: Basis; readonly brief: boolean }) {
  const app = useApp();
  const { at, scope } = basis;
  const time = app.session.clock.timeOfDay(at.t, 1e6);
  if (!isAboutNow(app, basis)) {
    return <p class="basis doubt">As of {time}, which is not the instant that is shown.</p>;
  }
  return (
    <p class="basis muted">
      As of {time}
      {!brief && `; looked at: ${visible(scope)}`}.
    </p>
  );
}

/** What is not known, in sentences. */
export function Caveats({ caveats }: { readonly caveats: readonly string[] }) {
  if (caveats.length === 0) return null;
  return (
    <ul class="caveats">
      {caveats.map((caveat) => (
        <li key={caveat}>{visible(caveat)}</li>
      ))}
    </ul>
  );
}

/** What is wrong: what it is about, where that is not told by its place, a sentence, and what it rests on. */
export function Finding({
  kind,
  text,
  evidence,
  children,
}: {
  readonly kind: string;
  readonly text: string;
  readonly evidence?: When | undefined;
  readonly children?: ComponentChildren;
}) {
  const app = useApp();
  const lost = app.session.lostUntil(app.instant);
  return (
    <p class="finding" data-finding={kind}>
      <b aria-hidden="true">!</b> {children}
      {children !== undefined && ": "}
      <bdi>{visible(text)}</bdi>
      {lost > 0 && (
        <MayBeWrong why={`${count(lost)} events were lost: what they would have told may undo this`} />
      )}
      <Evidence when={evidence} />
    </p>
  );
}

/** Rows of a card's table that are shown; the command line has all of them. */
const MOST = 20;

/** A table of a card; without rows there is none. */
export function Rows({
  title,
  columns,
  children,
}: {
  readonly title?: string;
  readonly columns: readonly string[];
  readonly children: readonly ComponentChildren[];
}) {
  if (children.length === 0) return null;
  return (
    <table>
      {title !== undefined && <caption>{title}</caption>}
      <thead>
        <tr>
          {columns.map((column) => (
            <th scope="col" key={column}>
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {children.slice(0, MOST)}
        {children.length > MOST && (
          <tr>
            <td colSpan={columns.length} class="muted">
              and {count(children.length - MOST)} more
            </td>
          </tr>
        )}
      </tbody>
    </table>
  );
}

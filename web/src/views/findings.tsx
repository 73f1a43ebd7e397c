import { visible } from "../base/escape.ts";
import type { Answers, Question } from "../net/answers.ts";
import { ALL, Answer, Away, Caveats, Finding, useAnswer } from "./answers/answer.tsx";
import { isNothing, Left, many } from "./answers/leaks.tsx";
import { useApp } from "./context.ts";
import { Parties, SocketLink } from "./details/facts.tsx";

const QUESTIONS: readonly Question[] = ["queues", "balance", "handovers", "leaks"];

/** What is wrong, or noteworthy, of all that is followed: each with what it rests on; what is not known comes first. */
export function Findings() {
  const app = useApp();
  const known = <Q extends Question>(question: Q) => app.asking.told(question, ALL).value;
  const told = QUESTIONS.map(known);
  const bases = told.flatMap(({ answer }) => answer?.basis ?? []);
  const caveats = new Set(bases.flatMap((basis) => basis.caveats));
  const missing = app.session.info?.missing ?? [];
  const listeners = known("queues").answer?.queues.length;
  const groups = known("balance").answer?.groups ?? [];
  const accepted = groups.flatMap(({ members }) => members).some((one) => one.accepted > 0);
  const at = bases[0]?.at.t ?? 0;
  const seen = [...app.session.entities.processes.values()].filter((one) => one.seen <= at).length;
  const idle = seen > 0 ? "Nothing listens at that instant" : "No process was seen";
  if (app.state.link.value !== "open" && told.every(({ answer, problem }) => !answer && !problem)) {
    return <Away />;
  }
  return (
    <div class="details findings" role="region" aria-label="Findings" tabIndex={0}>
      {bases[0] && (
        <section class="card answer" aria-label="What was looked at">
          <h2>What was looked at</h2>
          <p>
            {visible(bases[0].scope)}; {many(seen, "process was", "processes were")} seen
            {listeners !== undefined &&
              `, ${listeners > 0 ? many(listeners, "socket listens", "sockets listen") : seen > 0 ? "nothing listens" : "no listener"}`}
            .
          </p>
          <Caveats caveats={[...caveats, ...missing]} />
        </section>
      )}
      <Group
        title="Accept queues"
        question="queues"
        blank={listeners === 0 && `${idle}: there is no queue to look at.`}
        nothing="No queue is stuck, slow or overflowed."
        unseen="No queue was seen to be stuck, slow or overflowed."
        found={({ queues }) =>
          queues.flatMap(({ socket, findings }) =>
            findings.map(({ kind, text, evidence }) => (
              <Finding key={socket.id + kind} kind={kind} text={text} evidence={evidence}>
                <SocketLink id={socket.id} text={socket.local} />
              </Finding>
            )),
          )
        }
      />
      <Group
        title="Workers"
        question="balance"
        blank={
          groups.length === 0
            ? `${idle}: there are no workers to compare.`
            : !accepted && "Nothing was accepted: nothing tells who is left out or idle."
        }
        nothing="No listener is left out, no worker idle among busy ones, none woken for nothing."
        unseen="No listener was seen left out, no worker idle among busy ones, none woken for nothing."
        found={({ groups }) =>
          groups.flatMap(({ members, findings }) =>
            findings.map(({ kind, text, listener, processes, evidence }) => (
              <Finding key={kind + text} kind={kind} text={text} evidence={evidence}>
                <SocketLink
                  id={listener ?? members[0]?.socket.id ?? ""}
                  text={
                    members.find(({ socket }) => socket.id === listener)?.socket.local ??
                    members[0]?.socket.local
                  }
                />
                {processes.length > 0 && (
                  <>
                    {" · "}
                    <Parties parties={processes} />
                  </>
                )}
              </Finding>
            )),
          )
        }
      />
      <Group
        title="Listeners with several owners"
        question="handovers"
        blank={listeners === 0 && `${idle}: there are no owners to look at.`}
        nothing="None is kept alive by a child, left behind at a reload, or inherited by accident."
        unseen="None was seen to be kept alive by a child, left behind at a reload, or inherited by accident."
        found={({ sockets }) =>
          sockets.flatMap(({ socket, findings }) =>
            findings.map(({ what, text, processes, since }) => (
              <Finding key={socket.id + what + text} kind={what} text={text} evidence={since}>
                <SocketLink id={socket.id} text={socket.local} />
                {" · "}
                <Parties parties={processes} />
              </Finding>
            )),
          )
        }
      />
      <Group
        title="Left behind"
        question="leaks"
        blank={seen === 0 && "No process was seen: nothing tells what is left behind."}
        nothing="No kind of descriptor only grows, no connection is forgotten, no table is near its limit."
        unseen="No kind of descriptor was seen to only grow, no connection to be forgotten, no table near its limit."
        found={(leaks) => (isNothing(leaks) ? [] : [<Left key="left" leaks={leaks} />])}
      />
    </div>
  );
}

function Group<Q extends Question>({
  title,
  question,
  blank,
  nothing,
  unseen,
  found,
}: {
  readonly title: string;
  readonly question: Q;
  /** What is said where there was nothing in which something could be wrong. */
  readonly blank: string | false;
  readonly nothing: string;
  /** The same where something is not known. */
  readonly unseen: string;
  readonly found: (answer: Answers[Q]) => readonly preact.JSX.Element[];
}) {
  const missing = useApp().session.info?.missing ?? [];
  return (
    <Answer title={title} told={useAnswer(question, ALL)} brief>
      {(answer) => {
        const all = found(answer);
        if (all.length > 0) return all;
        if (blank) return <p class="muted">{blank}</p>;
        return <p>{answer.basis.caveats.length + missing.length > 0 ? unseen : nothing}</p>;
      }}
    </Answer>
  );
}

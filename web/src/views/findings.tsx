import { visible } from "../base/escape.ts";
import type { Answers, Question } from "../net/answers.ts";
import { ALL, Answer, Caveats, Finding, useAnswer } from "./answers/answer.tsx";
import { isNothing, Left } from "./answers/leaks.tsx";
import { useApp } from "./context.ts";
import { Parties, SocketLink } from "./details/facts.tsx";

const QUESTIONS: readonly Question[] = ["queues", "balance", "handovers", "leaks"];

/** What is wrong, or noteworthy, of all that is followed: each with what it rests on; what is not known comes first. */
export function Findings() {
  const { asking } = useApp();
  const told = QUESTIONS.map((question) => asking.told(question, ALL).value.answer?.basis);
  const caveats = [...new Set(told.flatMap((basis) => basis?.caveats ?? []))];
  const scope = told.find((basis) => basis)?.scope;
  const known = scope !== undefined && <Known key="known" scope={scope} caveats={caveats} />;
  return (
    <div class="details findings" role="region" aria-label="Findings" tabIndex={0}>
      {caveats.length > 0 && known}
      <Group
        title="Accept queues"
        question="queues"
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
        nothing="No kind of descriptor only grows, no connection is forgotten, no table is near its limit."
        unseen="No kind of descriptor was seen to only grow, no connection to be forgotten, no table near its limit."
        found={(leaks) => (isNothing(leaks) ? [] : [<Left key="left" leaks={leaks} />])}
      />
      {caveats.length === 0 && known}
    </div>
  );
}

/** What these answers are about, and what they cannot know. */
function Known({ scope, caveats }: { readonly scope: string; readonly caveats: readonly string[] }) {
  return (
    <section class="card answer" aria-label="What was looked at">
      <h2>What was looked at</h2>
      <p>{visible(scope)}</p>
      <Caveats caveats={caveats} />
    </section>
  );
}

function Group<Q extends Question>({
  title,
  question,
  nothing,
  unseen,
  found,
}: {
  readonly title: string;
  readonly question: Q;
  readonly nothing: string;
  /** The same where something is not known. */
  readonly unseen: string;
  readonly found: (answer: Answers[Q]) => readonly preact.JSX.Element[];
}) {
  return (
    <Answer title={title} told={useAnswer(question, ALL)} brief>
      {(answer) => {
        const all = found(answer);
        return all.length === 0 ? <p>{answer.basis.caveats.length > 0 ? unseen : nothing}</p> : all;
      }}
    </Answer>
  );
}

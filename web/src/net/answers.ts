import type {
  Balance,
  Connections,
  Fds,
  Handovers,
  Leaks,
  Queues,
  Slow,
  Who,
} from "../protocol/types.gen.ts";

/** What can be asked: the end of a path below `/api/v1/answers/`, and what comes back. */
export interface Answers {
  readonly queues: Queues;
  readonly slow: Slow;
  readonly balance: Balance;
  readonly who: Who;
  readonly handovers: Handovers;
  readonly leaks: Leaks;
  readonly fds: Fds;
  readonly connections: Connections;
}

export type Question = keyof Answers;

/** About what: each question's own parameters, apart from the instant. */
export type About = Readonly<Record<string, string>>;

/** An answer that an exported file carries. */
export interface Carried {
  readonly question: Question;
  readonly about: About;
  readonly answer: Answers[Question];
}

/** A question with what it is about, as a key; the order in which parameters were written does not matter. */
export function keyOf(question: Question, about: About): string {
  return `${question}?${new URLSearchParams(Object.entries(about).sort())}`;
}

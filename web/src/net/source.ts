import type { Events } from "../protocol/types.gen.ts";
import type { About, Answers, Question } from "./answers.ts";
import { browserWorld, Live, type Owner } from "./live.ts";
import { fetchAnswer, fetchEvents, fetchNumberAt } from "./rest.ts";

/** The element that holds a capture, packed. */
export const CAPTURE_ID = "sockreel-capture";

/** Where a session comes from: a daemon, or the very file that the page is. */
export interface Source {
  /** Where whoever made this file looked, as a link says it. */
  readonly place?: string | undefined;
  /** Tells everything that is known, and what comes. */
  start(owner: Owner): void;
  /** A page of events, as `fetchEvents`. */
  events(fromSeq: number, limit: number, filter: string, before?: number): Promise<Events>;
  /** The number of the first event at or after a moment (nanoseconds since the Unix epoch); `undefined` where none is. */
  numberAt(at: bigint): Promise<number | undefined>;
  /** An answer, as `fetchAnswer`; its `basis` says which instant it is about. */
  answer<Q extends Question>(question: Q, about: About, at: bigint | undefined): Promise<Answers[Q]>;
}

/** The daemon that this page came from. */
export function daemon(): Source {
  return {
    start: (owner) => new Live(browserWorld(), owner).start(),
    events: fetchEvents,
    numberAt: fetchNumberAt,
    answer: fetchAnswer,
  };
}

/** What was put into this file, if it is an exported one. */
export async function kept(): Promise<Source | undefined> {
  const packed = document.getElementById(CAPTURE_ID)?.textContent;
  if (!packed) return undefined;
  const { replay } = await import("./replay.ts");
  return replay(packed);
}

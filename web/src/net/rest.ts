import type { Events, Problem } from "../protocol/types.gen.ts";
import type { About, Answers, Question } from "./answers.ts";

/** What the server answered where it did not answer the question. */
export class Refusal extends Error {
  /** @param wrong The question itself is wrong: asked again, it gets the same answer. */
  constructor(
    message: string,
    readonly wrong = false,
  ) {
    super(message);
  }
}

/**
 * A page of events from a number on, oldest first.
 * @param before The number before which it ends.
 * @throws {Refusal} with the server's own words, or what kept it from answering.
 */
export async function fetchEvents(
  fromSeq: number,
  limit: number,
  filter: string,
  before?: number,
): Promise<Events> {
  const query = new URLSearchParams({ from_seq: String(Math.max(0, fromSeq)), limit: String(limit) });
  if (before !== undefined) query.set("to_seq", String(before));
  if (filter) query.set("filter", filter);
  return get(`/api/v1/events?${query}`);
}

/**
 * The number of the first event at or after a moment.
 * @param at Nanoseconds since the Unix epoch.
 * @throws {Refusal} as `fetchEvents`.
 */
export async function fetchNumberAt(at: bigint): Promise<number | undefined> {
  const { events } = await get<Events>(`/api/v1/events?from=${at}&limit=1`);
  return events[0]?.seq;
}

/**
 * An answer about now, or about an instant.
 * @param at Nanoseconds since the Unix epoch.
 * @throws {Refusal} as `fetchEvents`.
 */
export async function fetchAnswer<Q extends Question>(
  question: Q,
  about: About,
  at: bigint | undefined,
): Promise<Answers[Q]> {
  const query = new URLSearchParams(about);
  if (at !== undefined) query.set("at", String(at));
  return get(`/api/v1/answers/${question}?${query}`);
}

async function get<T>(path: string): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path);
  } catch {
    throw new Refusal("sockreel cannot be reached; the page keeps trying.");
  }
  if (answer.ok) return (await answer.json()) as T;
  const problem = (await answer.json().catch(() => undefined)) as Problem | undefined;
  throw new Refusal(problem?.error ?? `The server answered ${answer.status}.`, answer.status === 400);
}

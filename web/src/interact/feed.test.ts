import { signal } from "@preact/signals";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Refusal } from "../net/rest.ts";
import { EventLog } from "../store/events.ts";
import type { App } from "./app.ts";
import { Feed } from "./feed.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function refusing(refusal: Refusal) {
  const asked: string[] = [];
  const app = {
    state: { cursor: signal<number | undefined>(undefined), eventFilter: signal("") },
    session: { events: new EventLog(), status: { first_seq: 1, kept: 1 } },
    events: 1,
    source: {
      events: async (_from: number, _limit: number, filter: string) => {
        asked.push(filter);
        throw refusal;
      },
    },
  } as unknown as App;
  return { feed: new Feed(app), filter: app.state.eventFilter, asked };
}

test("a filter that cannot be read is asked for once, whatever comes", async () => {
  const { feed, filter, asked } = refusing(new Refusal('no field is called "evnt"', true));
  filter.value = "evnt:accept";
  await vi.advanceTimersByTimeAsync(0);
  expect(feed.problem.value).toBe('no field is called "evnt"');
  for (let i = 0; i < 5; i += 1) {
    feed.changed();
    await vi.advanceTimersByTimeAsync(2_000);
  }
  expect(asked).toEqual(["evnt:accept"]);
  filter.value = "event:accept";
  expect(asked).toEqual(["evnt:accept", "event:accept"]);
});

test("a server that had no time is asked again when something comes", async () => {
  const { feed, filter, asked } = refusing(new Refusal("The session is busy; ask again."));
  filter.value = "event:accept";
  await vi.advanceTimersByTimeAsync(0);
  feed.changed();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(asked.length).toBe(2);
});

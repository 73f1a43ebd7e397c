import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Speech } from "./speech.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("at most one message a second; of those about one thing the newest", () => {
  const said: string[] = [];
  const speech = new Speech((text) => said.push(`${Date.now() % 100_000} ${text}`), Date.now);
  vi.setSystemTime(100_000_000);
  let lost = 0;
  for (let i = 0; i < 30; i += 1) {
    lost += 10;
    speech.say(() => `${lost} lost`, "loss");
    speech.say(`step ${i}`);
    vi.advanceTimersByTime(100);
  }
  vi.advanceTimersByTime(5_000);
  expect(said).toEqual(["0 10 lost", "1000 step 9", "2000 200 lost", "3000 step 29", "4000 300 lost"]);
});

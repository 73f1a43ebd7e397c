import { expect, test } from "vitest";
import type { Answers, Question } from "../net/answers.ts";
import { Refusal } from "../net/rest.ts";
import { Asking, type World } from "./asking.ts";

/** A page whose clock stands until a test moves it. */
function setUp() {
  const timers: { at: number; then: () => void }[] = [];
  const page = { now: 0, at: undefined as bigint | undefined, revision: 1, ready: true, takes: 10 };
  const asked: string[] = [];
  const refuse = { with: undefined as string | undefined };
  const world: World = {
    ask: async <Q extends Question>(question: Q, about: object, at: bigint | undefined) => {
      asked.push(`${question} ${JSON.stringify(about)} ${at ?? "now"}`);
      page.now += page.takes;
      if (refuse.with) throw new Refusal(refuse.with);
      return { number: asked.length } as unknown as Answers[Q];
    },
    instant: () => page.at,
    revision: () => page.revision,
    ready: () => page.ready,
    now: () => page.now,
    later: (ms, then) => timers.push({ at: page.now + ms, then }),
  };
  const asking = new Asking(world);
  /** Lets time pass, and what was awaited go on. */
  const pass = async (ms: number) => {
    const until = page.now + ms;
    for (;;) {
      await new Promise<void>((done) => setImmediate(done));
      timers.sort((a, b) => a.at - b.at);
      const next = timers[0];
      if (!next || next.at > until) break;
      timers.shift();
      page.now = Math.max(page.now, next.at);
      next.then();
    }
    page.now = Math.max(page.now, until);
  };
  return { asking, asked, page, pass, refuse };
}

test("asks while a view shows the answer, and again only when there is something new", async () => {
  const { asking, asked, page, pass } = setUp();
  const told = asking.told("queues", {});
  await pass(5_000);
  expect(asked).toEqual([]);
  const end = asking.use("queues", {});
  await pass(10_000);
  expect(asked).toEqual(["queues {} now"]);
  expect(told.value).toEqual({ answer: { number: 1 } });
  page.revision = 2;
  asking.changed();
  await pass(10);
  expect(asked.length).toBe(2);
  page.revision = 3;
  asking.changed();
  await pass(1_000);
  expect(asked.length).toBe(2);
  await pass(1_500);
  expect(asked.length).toBe(3);
  end();
  page.revision = 4;
  asking.changed();
  await pass(60_000);
  expect(asked.length).toBe(3);
});

test("the longer an answer takes, the longer it rests; one question is under way at a time", async () => {
  const { asking, asked, page, pass } = setUp();
  page.takes = 200;
  asking.use("leaks", {});
  asking.use("who", { of: "127.0.0.1:80" });
  await pass(500);
  expect(asked).toEqual(["leaks {} now", 'who {"of":"127.0.0.1:80"} now']);
  page.revision = 2;
  asking.changed();
  await pass(3_000);
  expect(asked.length).toBe(2);
  await pass(1_500);
  expect(asked.length).toBe(4);
});

test("another instant is asked about once it stands still, and stays answered", async () => {
  const { asking, asked, page, pass } = setUp();
  asking.use("queues", {});
  // Not even the rest after an answer is waited for.
  await pass(100);
  for (const at of [5n, 6n, 7n]) {
    page.at = at;
    asking.moved();
    await pass(100);
  }
  await pass(500);
  page.revision = 2;
  asking.changed();
  await pass(10_000);
  expect(asked).toEqual(["queues {} now", "queues {} 7"]);
});

test("a refusal is told beside the answer before it, and asked again", async () => {
  const { asking, asked, page, pass, refuse } = setUp();
  const told = asking.told("leaks", {});
  asking.use("leaks", {});
  await pass(10);
  refuse.with = "busy";
  page.revision = 2;
  asking.changed();
  await pass(3_000);
  expect(told.value).toEqual({ answer: { number: 1 }, problem: "busy" });
  refuse.with = undefined;
  await pass(3_000);
  expect(told.value).toEqual({ answer: { number: asked.length } });
});

test("another session's answers are forgotten, those under way too", async () => {
  const { asking, asked, page, pass } = setUp();
  const told = asking.told("leaks", {});
  asking.use("leaks", {});
  await pass(10);
  asking.restart();
  expect(told.value).toEqual({});
  page.ready = false;
  await pass(10_000);
  expect(asked.length).toBe(1);
  page.ready = true;
  asking.changed();
  await pass(10);
  expect(told.value).toEqual({ answer: { number: 2 } });
});

test("a view that renders an answer, and uses it after another session began, is told", async () => {
  const { asking, pass } = setUp();
  const told = asking.told("queues", {});
  asking.restart();
  asking.use("queues", {});
  await pass(1_000);
  expect(told.value).toEqual({ answer: { number: 1 } });
});

test("of the answers that no view shows, only the newest are kept", async () => {
  const { asking, asked, pass } = setUp();
  for (let n = 0; n < 60; n += 1) {
    const end = asking.use("who", { what: String(n) });
    await pass(5_000);
    end();
  }
  expect(asked.length).toBe(60);
  expect(asking.told("who", { what: "59" }).value).toEqual({ answer: { number: 60 } });
  expect(asking.told("who", { what: "0" }).value).toEqual({});
});

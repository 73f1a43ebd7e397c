import { expect, test } from "vitest";
import { nginx } from "../../test/fake/nginx.ts";
import { Session } from "../store/session.ts";
import { startsAt } from "./starts.ts";

test("the fullest queue, the fullest table, the most errors", () => {
  const { session: fake, worker, master, listener } = nginx();
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  const starts = startsAt(session.entities, session.failures.counts, fake.now);
  expect([starts.queue?.listener.id, starts.queue?.waiting]).toEqual([listener.id, 3]);
  expect([starts.limit?.process.id, starts.limit?.open, starts.limit?.most]).toEqual([worker.id, 12, 1024]);
  expect([starts.errors?.process.id, starts.errors?.count]).toEqual([master.id, 1]);

  const early = startsAt(session.entities, new Map(), 1e9);
  expect([early.queue, early.limit?.process.id, early.errors]).toEqual([undefined, master.id, undefined]);
});

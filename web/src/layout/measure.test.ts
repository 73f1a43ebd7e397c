import { expect, test } from "vitest";
import { FakeSession } from "../../test/fake/session.ts";
import type { Socket } from "../protocol/types.gen.ts";
import { Session } from "../store/session.ts";
import { measure } from "./measure.ts";

/** A server that accepts, closes and meets errors; the page is told of it in several changes. */
function busy(): { readonly fake: FakeSession; readonly session: Session } {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  const listener = fake.listen(server, 3, "127.0.0.1:80");
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  const open: ReturnType<FakeSession["accept"]>[] = [];
  let rev = 0;
  let told = 0;
  for (let i = 0; i < 200; i += 1) {
    fake.pass(1 + (i % 3));
    const child = fake.queue(listener, `127.0.0.1:${1000 + i}`);
    fake.pass(0.5);
    // What the kernel counted is known of two in three.
    if (i % 3 > 0)
      child.tcp = { t: fake.now, bytes_received: 100 + i, bytes_acked: 7 * i } as NonNullable<Socket["tcp"]>;
    if (i % 9 === 0) fake.step(child, "closed", "CLOSE", "ECONNRESET");
    open.push(fake.accept(server, listener, child, 4 + (i % 7), 0.5));
    const oldest = open.length === 7 ? open.shift() : undefined;
    if (oldest) fake.close(server, oldest, i % 2 ? "peer" : "local");
    if (i % 50 > 0 && i < 199) continue;
    const change = fake.change(rev, told);
    expect(session.apply(change).kind).toBe("changed");
    rev = change.to;
    told = fake.lines.length;
  }
  return { fake, session };
}

test("a range counts what happened from its first moment to its last, both included", () => {
  const { fake, session } = busy();
  const descriptors = [...fake.descriptors.values()];
  const sockets = [...fake.sockets.values()];
  const some = descriptors.flatMap(({ opened, closed }) => [opened, closed ?? fake.now]);
  const faults = sockets.flatMap(({ steps }) => steps.filter(({ error }) => error).map(({ t }) => t));
  expect(faults.length).toBeGreaterThan(10);
  const told = sockets.filter(({ tcp }) => tcp !== undefined);
  expect(told.length).toBeGreaterThan(10);
  for (let i = 0; i < some.length; i += 17) {
    for (let k = i; k < some.length; k += 41) {
      const [from, to] = [some[i] as number, some[k] as number].sort((a, b) => a - b) as [number, number];
      const within = (t: number | null) => t !== null && t >= from && t <= to;
      expect(measure(session.entities, { from, to })).toEqual({
        opened: descriptors.filter(({ opened }) => within(opened)).length,
        closed: descriptors.filter(({ closed }) => within(closed)).length,
        accepted: sockets.filter(({ accepted }) => within(accepted)).length,
        failed: faults.filter(within).length,
        ended: told.filter(({ ended }) => within(ended)).length,
        received: told.reduce(
          (sum, { ended, tcp }) => sum + (within(ended) ? (tcp?.bytes_received ?? 0) : 0),
          0,
        ),
        sent: told.reduce((sum, { ended, tcp }) => sum + (within(ended) ? (tcp?.bytes_acked ?? 0) : 0), 0),
      });
    }
  }
});

test("what is forgotten is not counted any more", () => {
  const { fake, session } = busy();
  const gone = [...fake.sockets.values()].filter(({ accepted }) => accepted !== null).slice(0, 50);
  const all = { from: 0, to: fake.now };
  const before = measure(session.entities, all);
  session.apply({ kind: "evict", processes: [], descriptors: [], sockets: gone.map(({ id }) => id) });
  expect(measure(session.entities, all).accepted).toBe(before.accepted - 50);
});

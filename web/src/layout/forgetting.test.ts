import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { FakeSession } from "../../test/fake/session.ts";
import { Arrivals } from "../interact/anchor.ts";
import type { Line, Process } from "../protocol/types.gen.ts";
import { joined } from "../store/entities.ts";
import { Session } from "../store/session.ts";
import { type RowFilter, readRowFilter } from "./filter.ts";
import { layRows } from "./lay.ts";
import { Matching } from "./matching.ts";
import { MODES, type Mode } from "./rows.ts";
import { layScene } from "./timeline.ts";
import { TimeScale } from "./timescale.ts";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

/** Lays rows and draws those from one place on. */
function draw(session: Session, mode: Mode, scroll: number): void {
  const { entities, failures } = session;
  const edge = session.now;
  const question = { entities, failures, edge, matching: undefined, expanded: new Map() };
  const { rows } = layRows(mode, question);
  const scale = new TimeScale(0, edge, 1000);
  const view = { entities, failures, overflows: session.overflows, rows, scale, scroll, height: 4000, edge };
  const { clock, losses } = session;
  layScene({ ...view, clock, keptSince: 0, losses, selected: undefined });
}

describe("what is forgotten is let go, also while nobody looks at where it was", () => {
  /** Draws a server's children, lets go of them, and draws another server; what could not be collected. */
  function held(first: Mode, then: Mode): WeakRef<object>[] {
    const fake = new FakeSession();
    for (const pid of [1, 2]) {
      const server = fake.process(pid, "server");
      const listener = fake.listen(server, 3, `127.0.0.1:${pid}`);
      for (let i = 0; i < 20; i += 1) {
        fake.pass(10);
        fake.close(server, fake.accept(server, listener, fake.queue(listener, "127.0.0.1:9"), 4), "peer");
      }
    }
    const session = new Session();
    session.apply({ kind: "hello", info: fake.info, resumed: false });
    // As it comes from the wire: none of it is the fake's.
    session.apply(structuredClone(fake.change(0, 0)));
    draw(session, first, 0);
    const [listener] = [...session.entities.sockets.values()];
    const children = session.entities.children(listener?.id ?? "").filter((child) => joined(child) > 0);
    expect(children).toHaveLength(20);
    const descriptors = children.flatMap(({ id }) => session.entities.holders(id));
    const refs = [...children, ...descriptors].map((one) => new WeakRef(one));
    const ids = (all: readonly { readonly id: string }[]) => all.map(({ id }) => id);
    const gone = { processes: [], descriptors: ids(descriptors), sockets: ids(children) };
    session.apply({ kind: "evict", ...gone });
    draw(session, then, 70);
    kept.push(session);
    return refs;
  }
  const kept: Session[] = [];

  test.each(MODES.flatMap((first) => MODES.map((then) => [first, then] as const)))(
    "%s, then %s",
    async (first, then) => {
      const refs = held(first, then);
      // A reference that was made in this turn lasts as long as it.
      await new Promise((done) => setImmediate(done));
      collect();
      expect(refs.filter((ref) => ref.deref() !== undefined).length).toBe(0);
    },
  );
});

test("processes that come, fail and go leave next to nothing", async () => {
  const fake = new FakeSession();
  const like = fake.process(1, "server");
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  const { entities, failures } = session;
  const matching = new Matching(entities, failures, readRowFilter("comm:server", failures) as RowFilter);
  const arrivals = new Arrivals();
  const turn = (pid: number) => {
    const process: Process = { ...like, id: `${pid}@${pid}`, pid, table: `t${pid}` };
    const failed: Line = {
      ...{ seq: pid, ts_ns: 0, t: pid, via: "syscall", process: process.id, pid },
      ...{ event: "bind", call: "bind", fd: 3, error: "EADDRINUSE", socket: `s${pid}` },
    };
    entities.putProcess(process);
    failures.add([failed]);
    for (const mode of MODES) {
      const rows = layRows(mode, { entities, failures, edge: pid, matching, expanded: new Map() });
      if (mode === "slots") arrivals.look(rows, 0, false);
    }
    session.apply({ kind: "evict", processes: [process.id], descriptors: [], sockets: [`s${pid}`] });
  };
  const used = async () => {
    await new Promise((done) => setImmediate(done));
    collect();
    return process.memoryUsage().heapUsed;
  };
  const [some, many] = [2_000, 20_000];
  for (let pid = 1; pid <= some; pid += 1) turn(pid);
  const before = await used();
  for (let pid = some + 1; pid <= many; pid += 1) turn(pid);
  expect(((await used()) - before) / (many - some)).toBeLessThan(10);
});

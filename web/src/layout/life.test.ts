import { describe, expect, test } from "vitest";
import { FakeSession } from "../../test/fake/session.ts";
import type { Socket } from "../protocol/types.gen.ts";
import { RecordingRenderer } from "../render/recording.ts";
import { Session } from "../store/session.ts";
import { layRows } from "./lay.ts";
import { toldOf } from "./queue.ts";
import type { Density } from "./rows.ts";
import { layScene } from "./timeline.ts";
import { TimeScale } from "./timescale.ts";

/** Draws a session over its first ten seconds at 10 ms a pixel, with rows of children where these are wanted. */
function draw(
  fake: FakeSession,
  until = 10e9,
  keptSince = 0,
  density: Density = "normal",
  children = false,
): RecordingRenderer {
  const session = new Session();
  session.apply({ kind: "hello", info: fake.info, resumed: false });
  session.apply(fake.change(0, 0));
  const edge = Math.min(until, fake.now);
  const expanded = new Map<string, boolean>();
  const { entities, failures } = session;
  const { rows } = layRows("slots", { entities, failures, edge, matching: undefined, expanded, density });
  const renderer = new RecordingRenderer();
  renderer.lanes(
    layScene({
      entities,
      failures,
      overflows: session.overflows,
      rows: rows.filter((row) => children || row.kind !== "child"),
      scale: new TimeScale(0, 10e9, 1000),
      scroll: 0,
      height: 600,
      edge,
      clock: session.clock,
      keptSince,
      losses: session.losses,
      selected: undefined,
    }),
  );
  return renderer;
}

describe("the life of a slot", () => {
  test("each phase has a colour and a form of its own", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    fake.pass(1000);
    const socket = fake.socket(server, 3);
    fake.pass(1000);
    fake.step(socket, "connecting", "SYN_SENT");
    fake.pass(1000);
    fake.step(socket, "connected", "ESTABLISHED");
    fake.pass(1000);
    fake.step(socket, "half_closed", "FIN_WAIT2");
    fake.pass(1000);
    fake.step(socket, "half_closed", "CLOSE_WAIT");
    fake.pass(5000);
    const bars = draw(fake).bars();
    expect(bars.slice(1)).toEqual([
      "idle outline 100..200 @64+24",
      "connecting hatch 200..300 @64+24",
      "connected solid 300..400 @64+24",
      "half_closed upper 400..500 @64+24",
      "half_closed lower 500..1000 @64+24",
    ]);
  });

  test("files are thin lines, and what closed them is marked", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    fake.socket(server, 4);
    const file = fake.open(server, 3, "file", "/x");
    fake.pass(2000);
    fake.close(server, file, "local");
    fake.pass(8000);
    const drawn = draw(fake);
    expect(drawn.bars()[1]).toBe("idle line 0..200 @64+24");
    expect(drawn.scene?.marks.filter(({ shape }) => shape === "cap").map(({ x }) => x)).toEqual([200]);
  });

  test("nothing after the edge is drawn; the rest is marked as ahead", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    fake.socket(server, 3);
    fake.pass(10_000);
    const drawn = draw(fake, 4e9);
    expect(drawn.bars()[1]).toBe("idle outline 0..400 @64+24");
    expect(drawn.scene?.bands).toEqual([
      { x0: 400, x1: 1000, kind: "ahead", label: "Nothing is shown after 12:00:04" },
    ]);
  });

  test("a life of a few pixels is one bar, but its error is marked", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    fake.pass(1000);
    const socket = fake.socket(server, 3);
    fake.step(socket, "connecting", "SYN_SENT");
    fake.pass(20);
    fake.step(socket, "connected", "ESTABLISHED");
    fake.pass(20);
    fake.step(socket, "closed", "CLOSE", "ECONNRESET");
    const [held] = [...fake.descriptors.values()];
    if (held) fake.close(server, held, "peer");
    fake.pass(9000);
    const drawn = draw(fake);
    expect(drawn.bars().slice(1)).toEqual(["connected solid 100..104 @64+24"]);
    expect(drawn.scene?.marks.map(({ shape }) => shape)).toEqual(["cross"]);
  });

  test("before a life of a few pixels, a wait in the queue is drawn where it is longer than that", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    for (const waited of [500, 30]) {
      fake.pass(1000);
      const child = fake.queue(listener, "127.0.0.1:1000");
      fake.pass(waited);
      fake.accept(server, listener, child, 4, 3);
      fake.pass(30);
      const held = [...fake.descriptors.values()].find((one) => one.socket === child.id);
      if (held) fake.close(server, held, "local");
    }
    fake.pass(5000);
    const bars = draw(fake).bars();
    expect(bars.filter((bar) => bar.endsWith("@136+24"))).toEqual([
      "connecting queue 100..150 @136+24",
      "connected solid 150..153 @136+24",
      "connected solid 257..260 @136+24",
    ]);
  });

  test("lives that are too short to be told apart are one bar with a count", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    fake.socket(server, 3);
    for (let i = 0; i < 500; i += 1) {
      const one = fake.open(server, 4, "file", `/x${i}`);
      fake.pass(0.5);
      fake.close(server, one, "local");
      fake.pass(0.5);
    }
    fake.pass(9500);
    const drawn = draw(fake);
    const folds = drawn.bars().filter((bar) => bar.includes("fold"));
    expect(folds).toEqual(["idle fold 0..50 @88+24"]);
    // On stripes a text has a ground of its own, and half a number is none.
    expect(drawn.scene?.labels.find(({ text }) => text === "×500")).toMatchObject({
      least: "",
      on: undefined,
    });
  });
});

describe("a listener's row", () => {
  test("carries a mark for every accept, and what waits", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    fake.pass(996);
    const first = fake.queue(listener, "127.0.0.1:1000");
    fake.pass(500);
    fake.accept(server, listener, first, 4, 3);
    fake.pass(500);
    fake.queue(listener, "127.0.0.1:1001");
    fake.pass(8000);
    const drawn = draw(fake);
    const marks = drawn.scene?.marks.filter(({ shape }) => shape === "accept");
    expect(marks).toEqual([{ x: 150, y: 64, height: 24, shape: "accept", role: "connected" }]);
    expect(drawn.bars().filter((bar) => bar.includes("queue"))).toEqual([
      "connecting queue 100..150 @136+24",
    ]);
  });
});

describe("what stands on a row beside its bars", () => {
  const shapes = (drawn: RecordingRenderer, ...wanted: string[]) =>
    drawn.scene?.marks
      .filter(({ shape }) => wanted.includes(shape))
      .map(({ shape, x, y, many }) => `${shape} ${Math.round(x)} @${y}${many ? ` ×${many}` : ""}`);

  test("what a listener's row tells is of the moment that is shown", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    fake.pass(996);
    const first = fake.queue(listener, "127.0.0.1:1000");
    fake.pass(1000);
    const between = fake.now - 1;
    fake.accept(server, listener, first, 4, 3);
    fake.queue(listener, "127.0.0.1:1001");
    fake.queue(listener, "127.0.0.1:1002");
    fake.pass(1000);
    // The server knows of more children than are kept.
    listener.children = 102;
    const session = new Session();
    session.apply({ kind: "hello", info: fake.info, resumed: false });
    session.apply(fake.change(0, 0));
    const { entities } = session;
    expect(entities.now).toBe(fake.now);
    expect(toldOf(entities, listener, fake.now)).toEqual({ waiting: 2, limit: 511, children: 102 });
    expect(toldOf(entities, listener, between)).toEqual({ waiting: 1, limit: 511, children: 100 });
  });

  test("a queue is full by the limit that it had then", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    fake.pass(996);
    fake.queue(listener, "127.0.0.1:1000");
    fake.queue(listener, "127.0.0.1:1001");
    fake.pass(2000);
    // Two of four places, and after listen(2) with a backlog of one, of two.
    Object.assign(listener, { queue_limit: 1, former_limits: [{ until: 2000e6, limit: 3 }] });
    const drawn = draw(fake);
    expect(drawn.bars().filter((bar) => / (level|full) /.test(bar))).toEqual([
      "connecting level 100..200 @76+8",
      "connecting level 200..300 @68+16",
      "error full 200..300 @68+3",
    ]);
    // Where no limit is known, nothing passes for a full queue.
    Object.assign(listener, { queue_limit: null, former_limits: [] });
    expect(
      draw(fake)
        .bars()
        .filter((bar) => / (level|full) /.test(bar)),
    ).toEqual(["connecting level 100..300 @81+3"]);
  });

  test("a queue's length with its limit, and where it was full", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    Object.assign(listener, { queue_limit: 1 });
    fake.pass(996);
    const first = fake.queue(listener, "127.0.0.1:1000");
    fake.pass(1000);
    fake.queue(listener, "127.0.0.1:1001");
    fake.pass(1000);
    fake.accept(server, listener, first, 4, 3);
    fake.pass(1000);
    const drawn = draw(fake);
    // One of two, which is half of 16 pixels; both, which is all of them; one again.
    expect(drawn.bars().filter((bar) => / (level|limit|full) /.test(bar))).toEqual([
      "connecting level 100..200 @76+8",
      "connecting level 200..300 @68+16",
      "connecting level 300..400 @76+8",
      "error limit 100..400 @67+1",
      "error full 200..300 @68+3",
    ]);
  });

  test("in a row of a few pixels: its whole height is a full queue, what was dropped is told, a child has no notch", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80", 1);
    fake.pass(996);
    const first = fake.queue(listener, "127.0.0.1:1000");
    fake.pass(1000);
    fake.queue(listener, "127.0.0.1:1001");
    fake.overflow(server, listener, 3);
    fake.pass(1000);
    fake.accept(server, listener, first, 4, 3);
    fake.pass(1000);
    const dense = draw(fake, 10e9, 0, "dense", true);
    // Rows of 6 pixels, of which the last parts them from the next one: the process's own 18 below the ruler, then 3.
    expect(dense.bars().filter((bar) => / (level|limit|full) /.test(bar))).toEqual([
      "connecting level 100..200 @53+3",
      "connecting level 200..300 @50+5",
      "connecting level 300..400 @53+3",
      "error full 200..300 @50+2",
    ]);
    expect(shapes(dense, "overflow", "notch")).toEqual(["overflow 200 @50"]);
    expect(shapes(draw(fake, 10e9, 0, "normal", true), "notch")).not.toEqual([]);
  });

  test("connections that were dropped, once where the marks are close, never while nothing is known of them", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    fake.pass(996);
    fake.overflow(server, listener, 3);
    fake.pass(10);
    fake.overflow(server, listener, 4);
    fake.pass(990);
    fake.overflow(server, listener, 1);
    fake.pass(3000);
    expect(shapes(draw(fake), "overflow")).toEqual(["overflow 100 @64 ×7", "overflow 200 @64"]);
    expect(shapes(draw(fake, 1.001e9), "overflow")).toEqual(["overflow 100 @64 ×3"]);
  });

  test("in another process's row from when that had the listener, and an accept that is not its own as another's", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    Object.assign(listener, { queue_limit: 1 });
    fake.pass(996);
    const [first, second] = [1000, 1001].map((port) => fake.queue(listener, `127.0.0.1:${port}`));
    fake.accept(server, listener, first as Socket, 4, 3);
    fake.overflow(server, listener, 1);
    fake.pass(1000);
    fake.fork(server, 2);
    fake.pass(1000);
    fake.accept(server, listener, second as Socket, 5, 3);
    fake.pass(1000);
    const drawn = draw(fake);
    // The first process's row is at 64, the second's, from the fork at 200 on, at 216.
    expect(drawn.bars().filter((bar) => bar.includes(" level "))).toEqual([
      "connecting level 100..300 @76+8",
      "connecting level 200..300 @228+8",
    ]);
    expect(shapes(drawn, "overflow")).toEqual(["overflow 100 @64"]);
    const accepts = drawn.scene?.marks.filter(({ shape }) => shape === "accept");
    expect(accepts?.map(({ x, y, role }) => `${x} @${y} ${role}`)).toEqual([
      "100 @64 connected",
      "300 @64 connected",
      "300 @216 idle",
    ]);
  });

  test("those who came together and were accepted one by one are marked where they were accepted", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    fake.pass(996);
    const children = [0, 1, 2, 3].map((i) => fake.queue(listener, `127.0.0.1:${1000 + i}`));
    for (const [i, child] of children.entries()) {
      fake.pass(1000);
      fake.accept(server, listener, child, 4 + i, 3);
    }
    fake.pass(1000);
    expect(shapes(draw(fake), "accept", "accepts")).toEqual([
      "accept 200 @64",
      "accept 300 @64",
      "accept 400 @64",
      "accept 500 @64",
    ]);
  });

  test("accepts that are close are one mark", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    fake.pass(996);
    for (let i = 0; i < 5; i += 1) {
      const child = fake.queue(listener, `127.0.0.1:${1000 + i}`);
      fake.pass(1);
      fake.accept(server, listener, child, 4 + i, 3);
    }
    fake.pass(3000);
    expect(shapes(draw(fake), "accept", "accepts")).toEqual(["accepts 100 @64 ×5"]);
  });

  test("how a descriptor came: accepted, inherited, duplicated or passed", () => {
    const fake = new FakeSession();
    const server = fake.process(1, "server");
    const listener = fake.listen(server, 3, "127.0.0.1:80");
    fake.pass(996);
    const child = fake.queue(listener, "127.0.0.1:1000");
    fake.accept(server, listener, child, 4, 3);
    fake.pass(1000);
    fake.open(server, 5, "file", "/a", "dup");
    fake.pass(1000);
    fake.open(server, 6, "file", "/b", "pass");
    fake.pass(1000);
    fake.fork(server, 2);
    fake.pass(1000);
    const drawn = draw(fake);
    expect(shapes(drawn, "notch", "inherited", "passed")?.slice(0, 3)).toEqual([
      "notch 100 @112",
      "inherited 200 @136",
      "passed 300 @160",
    ]);
    expect(
      shapes(drawn, "inherited")
        ?.slice(1)
        .map((one) => one.split(" @")[0]),
    ).toEqual(Array.from({ length: 4 }, () => "inherited 400"));
  });
});

test("losses close to each other are one band with their sum", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  fake.socket(server, 3);
  fake.pass(5000);
  fake.lose(3);
  fake.pass(10);
  fake.lose(4);
  fake.pass(3000);
  fake.lose(1);
  const bands = draw(fake).scene?.bands.filter(({ kind }) => kind === "lost");
  expect(bands?.map(({ label }) => label)).toEqual(["7 lost", "1 lost"]);
});

test("what is not kept any more is told from where nothing happened", () => {
  const fake = new FakeSession();
  const server = fake.process(1, "server");
  fake.socket(server, 3);
  fake.pass(10_000);
  expect(draw(fake, 10e9, 2.5e9).scene?.bands).toEqual([
    { x0: 0, x1: 250, kind: "unkept", label: "Nothing is kept before 12:00:02" },
  ]);
  expect(draw(fake).scene?.bands).toEqual([]);
});

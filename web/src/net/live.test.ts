import { describe, expect, test } from "vitest";
import type { ClientMessage, Resume, ServerMessage } from "../protocol/types.gen.ts";
import { backOff, type Link, Live, type Wire, type World } from "./live.ts";

class FakeWire implements Wire {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  readonly sent: ClientMessage[] = [];
  closed = false;

  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientMessage);
  }

  close(): void {
    this.closed = true;
    this.onclose?.();
  }

  receive(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

function setUp(answer: (message: ServerMessage) => number | "broken" | undefined = () => undefined) {
  const wires: FakeWire[] = [];
  const waits: { ms: number; then: () => void }[] = [];
  const links: Link[] = [];
  const state = { refused: false, resume: null as Resume | null };
  const world: World = {
    connect: () => {
      const wire = new FakeWire();
      wires.push(wire);
      return wire;
    },
    later: (ms, then) => waits.push({ ms, then }),
    random: () => 1,
    refused: async () => state.refused,
  };
  const live = new Live(world, {
    resume: () => state.resume,
    receive: answer,
    linked: (link) => links.push(link),
  });
  return { live, wires, waits, links, state };
}

/** Lets what was awaited go on. */
const turn = () => new Promise<void>((done) => setImmediate(done));

describe("live", () => {
  test("says hello, and acknowledges what was applied", () => {
    const { live, wires, links } = setUp((message) => (message.kind === "change" ? message.to : undefined));
    live.start();
    wires[0]?.onopen?.();
    wires[0]?.receive({ kind: "hello" });
    wires[0]?.receive({ kind: "change", to: 17 });
    wires[0]?.receive({ kind: "evict" });
    expect(wires[0]?.sent).toEqual([
      { kind: "hello", resume: null },
      { kind: "ack", rev: 17 },
    ]);
    expect(links).toEqual(["connecting", "open"]);
  });

  test("resumes after a break, waiting longer from failure to failure", async () => {
    const { live, wires, waits, links, state } = setUp();
    live.start();
    wires[0]?.onopen?.();
    wires[0]?.receive({ kind: "hello" });
    state.resume = { session: "a", rev: 9 };
    wires[0]?.close();
    await turn();
    for (let i = 1; i < 8; i += 1) {
      waits[i - 1]?.then();
      wires[i]?.close();
      await turn();
    }
    expect(waits.map(({ ms }) => ms)).toEqual([250, 500, 800, 800, 800, 800, 800, 800]);
    waits[7]?.then();
    wires[8]?.onopen?.();
    wires[8]?.receive({ kind: "hello" });
    expect(wires[8]?.sent).toEqual([{ kind: "hello", resume: { session: "a", rev: 9 } }]);
    expect(links.at(-1)).toBe("open");
    wires[8]?.close();
    await turn();
    expect(waits.at(-1)?.ms).toBe(250);
  });

  test("starts over after a change that does not fit, and after what is no JSON", async () => {
    const { live, wires, waits, state } = setUp((message) =>
      message.kind === "change" ? "broken" : undefined,
    );
    state.resume = { session: "a", rev: 9 };
    live.start();
    wires[0]?.onopen?.();
    wires[0]?.receive({ kind: "change" });
    expect(wires[0]?.closed).toBe(true);
    await turn();
    waits[0]?.then();
    wires[1]?.onopen?.();
    expect(wires[1]?.sent).toEqual([{ kind: "hello", resume: null }]);
    wires[1]?.onmessage?.({ data: "{" });
    expect(wires[1]?.closed).toBe(true);
  });

  test("gives up where the server refuses the page", async () => {
    const { live, wires, waits, links, state } = setUp();
    state.refused = true;
    live.start();
    wires[0]?.close();
    await turn();
    expect(links).toEqual(["connecting", "away", "refused"]);
    expect(waits).toEqual([]);
  });

  test("leaves half of the wait to chance", () => {
    expect([backOff(0, 0), backOff(0, 1), backOff(10, 0), backOff(10, 1)]).toEqual([125, 250, 400, 800]);
  });
});

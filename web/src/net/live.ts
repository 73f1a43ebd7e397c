import type { ClientMessage, Resume, ServerMessage } from "../protocol/types.gen.ts";

/** The part of a WebSocket that the connection needs. */
export interface Wire {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
  send(text: string): void;
  close(): void;
}

/** What the connection needs of the world, so that tests can stand in for it. */
export interface World {
  connect(): Wire;
  /** Calls back after a time in milliseconds. */
  later(ms: number, then: () => void): void;
  /** A number in [0, 1). */
  random(): number;
  /** Whether the server answers and refuses this page (its token is missing or spent). */
  refused(): Promise<boolean>;
}

/** `refused` is final until the page is opened anew; `away` tries again by itself. */
export type Link = "connecting" | "open" | "away" | "refused";

/** What the connection tells its owner. */
export interface Owner {
  /** Where to go on, asked at every new connection. */
  resume(): Resume | null;
  /** A message to apply. Returns the revision to acknowledge, or `"broken"` to start over. */
  receive(message: ServerMessage): number | "broken" | undefined;
  linked(link: Link): void;
}

const FIRST_MS = 250;
/** A daemon that is there again is on the page within a second; few pages watch one daemon, and a try is one small request. */
const LONGEST_MS = 800;

/** Time until the next try after `failures` failures in a row: doubling, with up to half of it left to chance. */
export function backOff(failures: number, random: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** failures);
  return full * (0.5 + random / 2);
}

/** The live stream: connects, resumes after a break, and acknowledges what was applied. */
export class Live {
  #failures = 0;
  #wire: Wire | undefined;
  #afresh = false;

  constructor(
    readonly world: World,
    readonly owner: Owner,
  ) {}

  start(): void {
    this.owner.linked(this.#failures === 0 ? "connecting" : "away");
    const wire = this.world.connect();
    this.#wire = wire;
    wire.onopen = () => {
      this.#send({ kind: "hello", resume: this.#afresh ? null : this.owner.resume() });
      this.#afresh = false;
    };
    wire.onmessage = (event) => this.#receive(event.data);
    wire.onclose = () => {
      if (this.#wire === wire) void this.#lost();
    };
  }

  #receive(data: unknown): void {
    let message: ServerMessage;
    try {
      message = JSON.parse(String(data)) as ServerMessage;
    } catch {
      this.#startOver();
      return;
    }
    const answer = this.owner.receive(message);
    if (answer === "broken") this.#startOver();
    else if (answer !== undefined) this.#send({ kind: "ack", rev: answer });
    if (message.kind === "hello") {
      this.#failures = 0;
      this.owner.linked("open");
    }
  }

  #startOver(): void {
    this.#afresh = true;
    this.#wire?.close();
  }

  async #lost(): Promise<void> {
    this.#wire = undefined;
    this.owner.linked("away");
    if (await this.world.refused()) {
      this.owner.linked("refused");
      return;
    }
    const wait = backOff(this.#failures, this.world.random());
    this.#failures += 1;
    this.world.later(wait, () => this.start());
  }

  #send(message: ClientMessage): void {
    this.#wire?.send(JSON.stringify(message));
  }
}

/** The browser's own world. */
export function browserWorld(): World {
  const url = new URL("/api/v1/live", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return {
    connect: () => new WebSocket(url) as unknown as Wire,
    later: (ms, then) => void setTimeout(then, ms),
    random: Math.random,
    refused: async () => {
      try {
        const answer = await fetch("/api/v1/info");
        return answer.status === 401 || answer.status === 403;
      } catch {
        return false;
      }
    },
  };
}

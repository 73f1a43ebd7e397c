import { type Signal, signal } from "@preact/signals";
import { type About, type Answers, keyOf, type Question } from "../net/answers.ts";
import { Refusal } from "../net/rest.ts";

/** Rest after an answer, at least (milliseconds). */
const REST_MS = 2_000;
/** Rest after an answer, as a multiple of the time that it took: asking takes the daemon little, however much there is. */
const REST_PARTS = 20;
/** A time cursor that moves is not asked about before it stands still. */
const STILL_MS = 200;
/** How many answers are kept that no view shows. */
const UNUSED = 50;

/** What is known of the answer to a question. */
export interface Told<Q extends Question> {
  /** The newest answer. */
  readonly answer?: Answers[Q];
  /** Why there is none, or no newer one. */
  readonly problem?: string;
}

/** What asking needs of the page, so that tests can stand in for it. */
export interface World {
  ask<Q extends Question>(question: Q, about: About, at: bigint | undefined): Promise<Answers[Q]>;
  /** The instant that is shown, nanoseconds since the Unix epoch; `undefined` while that is the newest. */
  instant(): bigint | undefined;
  /** Grows with what the server tells. */
  revision(): number;
  /** Whether someone looks, and the server can be reached. */
  ready(): boolean;
  /** Milliseconds. */
  now(): number;
  later(ms: number, then: () => void): void;
}

interface Watch {
  readonly question: Question;
  readonly about: About;
  readonly told: Signal<Told<Question>>;
  /** How many views show it. */
  users: number;
  /** Not asked before (milliseconds). */
  due: number;
  /** How long the newest answer took (milliseconds). */
  took: number;
  /** What the newest answer was asked for. */
  asked: { readonly at: bigint | undefined; readonly revision: number } | undefined;
}

/**
 * Questions to the server that views show the answers to. While a view shows one, it is asked again when there is something
 * new or another instant is looked at; one question is under way at a time.
 */
export class Asking {
  readonly #watches = new Map<string, Watch>();
  #busy = false;
  #session = 0;
  /** When the timer that is under way fires (milliseconds). */
  #wakes = Number.POSITIVE_INFINITY;

  constructor(readonly world: World) {}

  /** What is known of an answer; it is asked for while somebody uses it. */
  told<Q extends Question>(question: Q, about: About): Signal<Told<Q>> {
    return this.#watch(question, about).told as Signal<Told<Q>>;
  }

  /** Returns what ends the use. */
  use(question: Question, about: About): () => void {
    const watch = this.#watch(question, about);
    watch.users += 1;
    this.#wake(0);
    return () => {
      watch.users -= 1;
    };
  }

  /** Another instant is looked at: who moved there waits for it, and does not move on at once. */
  moved(): void {
    const still = this.world.now() + STILL_MS;
    for (const watch of this.#watches.values()) watch.due = still + watch.took;
    this.#wake(STILL_MS);
  }

  /** The server told something, or can be reached again. */
  changed(): void {
    this.#wake(0);
  }

  /** Another session begins: what was told was of the one before. */
  restart(): void {
    this.#session += 1;
    for (const watch of this.#watches.values()) {
      watch.told.value = {};
      watch.asked = undefined;
      watch.due = 0;
    }
    this.#wake(0);
  }

  #watch(question: Question, about: About): Watch {
    const key = keyOf(question, about);
    let watch = this.#watches.get(key);
    if (!watch) {
      watch = { question, about, told: signal({}), users: 0, due: 0, took: 0, asked: undefined };
      this.#forget();
      this.#watches.set(key, watch);
    }
    return watch;
  }

  /** Forgets the oldest that no view shows. The newest may be a view's that renders it and uses it a moment later. */
  #forget(): void {
    const unused = [...this.#watches].filter(([, { users }]) => users === 0);
    for (const [key] of unused.slice(0, Math.max(0, unused.length - UNUSED))) this.#watches.delete(key);
  }

  #wake(ms: number): void {
    const at = this.world.now() + ms;
    if (at >= this.#wakes) return;
    this.#wakes = at;
    this.world.later(ms, () => {
      if (this.#wakes !== at) return;
      this.#wakes = Number.POSITIVE_INFINITY;
      void this.#turn();
    });
  }

  /** Asks what is due for longest, then looks again. */
  async #turn(): Promise<void> {
    if (this.#busy || !this.world.ready()) return;
    const wanted = [...this.#watches.values()].filter((watch) => watch.users > 0 && this.#isOld(watch));
    const next = wanted.sort((a, b) => a.due - b.due)[0];
    if (!next) return;
    const now = this.world.now();
    if (next.due > now) {
      this.#wake(next.due - now);
      return;
    }
    this.#busy = true;
    await this.#ask(next);
    this.#busy = false;
    this.#wake(0);
  }

  #isOld({ asked }: Watch): boolean {
    return (
      asked?.at !== this.world.instant() ||
      (asked?.at === undefined && asked?.revision !== this.world.revision())
    );
  }

  async #ask(watch: Watch): Promise<void> {
    const { question, about, told } = watch;
    const session = this.#session;
    const began = this.world.now();
    const asked = { at: this.world.instant(), revision: this.world.revision() };
    let now: Told<Question>;
    try {
      now = { answer: await this.world.ask(question, about, asked.at) };
    } catch (error) {
      const problem = error instanceof Refusal ? error.message : "The answer cannot be read.";
      now = { ...told.peek(), problem };
    }
    if (session !== this.#session) return;
    told.value = now;
    // What could not be answered is asked again, at the same pace.
    watch.asked = now.problem === undefined ? asked : undefined;
    const ended = this.world.now();
    watch.took = ended - began;
    const stays = asked.at === this.world.instant();
    watch.due = ended + (stays ? Math.max(REST_MS, REST_PARTS * watch.took) : STILL_MS + watch.took);
  }
}

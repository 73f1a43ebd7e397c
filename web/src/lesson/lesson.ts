import { computed, signal } from "@preact/signals";
import type { App } from "../interact/app.ts";
import type { Line, Process, Socket } from "../protocol/types.gen.ts";
import type { Entities } from "../store/entities.ts";

/** Events of a lesson: the first so many of the server's. */
const MOST = 5_000;
const PAGE = 1_000;
/** A live server's new events are asked for so often. */
const AGAIN_MS = 1_000;
const PLAY_MS = 1_200;

/** The lesson of a page; it keeps its place while it is not shown. */
export function lessonOf(app: App): Lesson {
  app.lesson ??= new Lesson(app);
  return app.lesson;
}

/** One server's story, to be walked through event by event. */
export class Lesson {
  /** Id of the listener that it is about. */
  readonly listener = signal<string | undefined>(undefined);
  /** Every event of the server. */
  readonly lines = signal<readonly Line[]>([]);
  /** Whether only what the listener, its clients and its processes go through is told. */
  readonly narrow = signal(true);
  /** The events that are told. */
  readonly story = computed(() =>
    this.narrow.value ? this.lines.value.filter((line) => this.#concerns(line)) : this.lines.value,
  );
  /** Index of the event that is told; -1 before the first. */
  readonly step = signal(-1);
  readonly playing = signal(false);
  readonly problem = signal<string | undefined>(undefined);
  #next = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #player: ReturnType<typeof setInterval> | undefined;
  #query = 0;

  constructor(readonly app: App) {}

  /** Begins with a listener, from its first event on. */
  begin(listener: Socket): void {
    this.stop();
    this.listener.value = listener.id;
    this.lines.value = [];
    this.step.value = -1;
    this.problem.value = undefined;
    this.#next = this.app.session.status?.first_seq ?? 0;
    this.#query += 1;
    void this.#read(this.#query);
  }

  /** Goes on where it was left, at the event that was told then. */
  resume(): void {
    if (this.listener.peek() === undefined) return;
    this.stop();
    this.go(this.step.peek());
    void this.#read(this.#query);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.pause();
    this.#query += 1;
  }

  /** The listener and the process whose table stands beside it. */
  subject(): { listener: Socket; process: Process } | undefined {
    const { entities } = this.app.session;
    const listener = entities.sockets.get(this.listener.value ?? "");
    const line = this.story.value[this.step.value];
    const [first] = listener ? serversOf(entities, listener) : [];
    const process = this.app.process(line?.process) ?? first;
    return listener && process && { listener, process };
  }

  /** Whether there may be more events than are told. */
  get full(): boolean {
    return this.lines.value.length >= MOST;
  }

  #concerns({ event, socket, listener }: Line): boolean {
    const id = this.listener.value;
    if (socket === id || listener === id || event === "lost") return true;
    if (event === "fork" || event === "exec" || event === "exit") return true;
    return socket !== undefined && this.app.session.entities.sockets.get(socket)?.listener === id;
  }

  /** Tells everything, or what concerns the listener, from the same moment on. */
  setNarrow(narrow: boolean): void {
    const { instant } = this;
    this.narrow.value = narrow;
    this.at(instant);
  }

  /** The moment that is shown: that of the event that is told. */
  get instant(): number {
    return this.story.value[this.step.value]?.t ?? 0;
  }

  go(step: number): void {
    const last = this.story.peek().length - 1;
    this.step.value = Math.max(last < 0 ? -1 : 0, Math.min(last, step));
    const t = this.story.peek()[this.step.peek()]?.t;
    if (t !== undefined) this.app.setCursor(t);
  }

  /** Goes to the last event until a moment. */
  at(t: number): void {
    let step = 0;
    this.story.peek().forEach((line, i) => {
      if ((line.t ?? 0) <= t) step = i;
    });
    this.go(step);
  }

  play(): void {
    this.pause();
    this.playing.value = true;
    this.#player = setInterval(() => {
      if (this.step.peek() >= this.story.peek().length - 1) {
        if (!this.app.live) this.pause();
        return;
      }
      this.go(this.step.peek() + 1);
    }, PLAY_MS);
  }

  toggle(): void {
    if (this.playing.peek()) this.pause();
    else this.play();
  }

  pause(): void {
    clearInterval(this.#player);
    this.playing.value = false;
  }

  async #read(query: number): Promise<void> {
    const { app } = this;
    const listener = app.session.entities.sockets.get(this.listener.peek() ?? "");
    const servers = listener ? serversOf(app.session.entities, listener) : [];
    const filter = `process:${servers.map(({ id }) => id).join(",")}`;
    try {
      // What is told meanwhile is read the next time: losses and events are looked for among the same numbers.
      const { first_seq = 0, kept = 0, lost = 0 } = app.session.status ?? {};
      const end = first_seq + kept;
      while (servers.length > 0 && this.#next < end && this.lines.peek().length < MOST) {
        const page = await app.source.events(this.#next, PAGE, filter, end);
        const next = page.next_seq ?? end;
        // A loss is nobody's event: whose events are missing is not known.
        const gaps = lost === 0 ? undefined : await app.source.events(this.#next, PAGE, "event:lost", next);
        if (query !== this.#query) return;
        const read = [...page.events, ...(gaps?.events ?? [])].sort((a, b) => a.seq - b.seq);
        if (read.length > 0) this.lines.value = [...this.lines.peek(), ...read];
        this.#next = next;
      }
      this.problem.value = undefined;
    } catch (error) {
      if (query !== this.#query) return;
      this.problem.value = error instanceof Error ? error.message : String(error);
    }
    if (this.step.peek() < 0 && this.story.peek().length > 0) this.go(0);
    if (app.live) this.#timer = setTimeout(() => void this.#read(query), AGAIN_MS);
  }
}

/** Processes that hold or held a listener: the server. */
export function serversOf(entities: Entities, listener: Socket): Process[] {
  const tables = new Set(entities.holders(listener.id).map(({ table }) => table));
  return [...entities.processes.values()].filter(({ table }) => tables.has(table));
}

/** Sockets that ever listened, in the order in which they were first seen. */
export function listenersOf(entities: Entities): Socket[] {
  return [...entities.sockets.values()].filter(
    (socket) =>
      socket.steps.some(({ phase }) => phase === "listening") && entities.holders(socket.id).length > 0,
  );
}

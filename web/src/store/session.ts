import { Clock } from "../base/time.ts";
import type { Info, Line, Resume, ServerMessage, Status } from "../protocol/types.gen.ts";
import { Entities } from "./entities.ts";
import { EventLog } from "./events.ts";
import { Failures } from "./failures.ts";
import { Kept } from "./kept.ts";
import { Overflows } from "./overflows.ts";

/** A place in time where records were lost. */
export interface Loss {
  readonly seq: number;
  readonly t: number;
  readonly count: number;
  readonly cause: string;
}

const LOSSES = 1000;

/** What a message did to the session. */
export type Applied =
  | { readonly kind: "began" }
  | { readonly kind: "resumed" }
  | {
      readonly kind: "changed";
      readonly ack: number;
      /** How many events were left out, and the number before which. */
      readonly skipped: { readonly count: number; readonly before: number };
    }
  | { readonly kind: "evicted" }
  | { readonly kind: "kept"; readonly ack: number }
  /** The change does not build on what is here: only a new connection mends that. */
  | { readonly kind: "broken" };

/** Whether a change brings more than newer counters. */
function tells(change: ServerMessage & { kind: "change" }, known: Status | undefined): boolean {
  const brought =
    change.processes.length + change.descriptors.length + change.sockets.length + change.events.length;
  return brought + change.skipped > 0 || change.status.kept_since !== known?.kept_since;
}

/** Everything that the page knows of one session of the daemon (or of one recording). */
export class Session {
  info: Info | undefined;
  status: Status | undefined;
  clock = new Clock("0");
  entities = new Entities();
  readonly events = new EventLog();
  /** Places of loss, oldest first; the newest thousand. */
  losses: Loss[] = [];
  readonly failures = new Failures();
  readonly overflows = new Overflows();
  /** The last change's revision, and what the next one has to build on; `undefined` right after a fresh start. */
  #rev: number | undefined;
  /** `seq` of the newest event that was told. */
  #seq: number | undefined;
  /** What is kept, while it is being told. */
  #kept: Kept | undefined;
  /** Grows with every message that changed something. */
  version = 0;
  /** Whether the server has more to tell of what there is already. */
  behind = false;

  /** Where a new connection can go on. */
  get resume(): Resume | null {
    if (!this.info || this.#rev === undefined) return null;
    const seq = this.#seq === undefined ? {} : { seq: this.#seq };
    return { session: this.info.session, rev: this.#rev, ...seq };
  }

  /** The newest moment that the server told of. */
  get now(): number {
    return this.status?.now ?? 0;
  }

  /** Numbers that came with the page, until the stream tells newer ones. */
  foretell(info: Info): void {
    this.info = info;
    this.#know(info.status);
    this.clock = new Clock(info.t0_ns);
  }

  apply(message: ServerMessage): Applied {
    if (message.kind !== "change" || tells(message, this.status)) this.version += 1;
    switch (message.kind) {
      case "hello": {
        this.#kept = undefined;
        const goesOn = message.resumed && this.info?.session === message.info.session;
        if (!goesOn) this.#restart();
        this.foretell(message.info);
        return { kind: goesOn ? "resumed" : "began" };
      }
      case "change": {
        if (this.#rev !== undefined && message.from !== this.#rev) return { kind: "broken" };
        for (const process of message.processes) this.entities.putProcess(process);
        for (const socket of message.sockets) this.entities.putSocket(socket);
        for (const descriptor of message.descriptors) this.entities.putDescriptor(descriptor);
        this.events.add(message.events);
        this.addLosses(message.events);
        this.failures.add(message.events);
        this.overflows.add(message.events);
        this.#know(message.status);
        this.behind = message.more;
        this.#rev = message.to;
        this.#seq = message.events.at(-1)?.seq ?? this.#seq;
        const before = message.events[0]?.seq ?? (this.#seq ?? 0) + 1;
        return { kind: "changed", ack: message.to, skipped: { count: message.skipped, before } };
      }
      case "evict": {
        for (const id of message.processes) this.#evictProcess(id);
        for (const id of message.descriptors) this.entities.evictDescriptor(id);
        for (const id of message.sockets) this.#evictSocket(id);
        return { kind: "evicted" };
      }
      case "kept": {
        this.#kept ??= new Kept();
        this.#kept.add(message);
        if (!message.more) {
          this.#keep(this.#kept);
          this.#kept = undefined;
        }
        return { kind: "kept", ack: message.rev };
      }
    }
  }

  /** From when on all failed calls and overflows are marked; `undefined` while all are. */
  get markedSince(): number | undefined {
    const [failures, overflows] = [this.failures.since, this.overflows.since];
    return failures === undefined ? overflows : Math.max(failures, overflows ?? 0);
  }

  /** How many events were lost until a moment, as far as the places are kept. */
  lostUntil(t: number): number {
    return this.losses.reduce((sum, loss) => (loss.t <= t ? sum + loss.count : sum), 0);
  }

  /** Takes note of failed calls and overflows of the past, which may come twice. */
  addMarked(lines: readonly Line[]): void {
    this.failures.add(lines);
    this.overflows.add(lines);
    if (lines.length > 0) this.version += 1;
  }

  /** Takes note of the `lost` events among lines, which may come twice. */
  addLosses(lines: readonly Line[]): void {
    for (const line of lines) {
      if (line.event !== "lost" || this.losses.some((loss) => loss.seq === line.seq)) continue;
      this.losses.push({ seq: line.seq, t: line.t ?? 0, count: line.count ?? 0, cause: line.cause ?? "" });
      this.losses.sort((a, b) => a.seq - b.seq);
      if (this.losses.length > LOSSES) this.losses.shift();
      this.version += 1;
    }
  }

  #know(status: Status): void {
    this.status = status;
    this.entities.now = status.now;
  }

  #evictProcess(id: string): void {
    this.entities.evictProcess(id);
    this.failures.evictProcess(id);
  }

  #evictSocket(id: string): void {
    this.entities.evictSocket(id);
    this.overflows.evict(id);
    this.failures.evictSocket(id);
  }

  /** Lets go of all else. */
  #keep(kept: Kept): void {
    const { processes, descriptors, sockets } = this.entities;
    for (const id of [...processes.keys()]) if (!kept.hasProcess(id)) this.#evictProcess(id);
    for (const id of [...descriptors.keys()]) if (!kept.hasDescriptor(id)) this.entities.evictDescriptor(id);
    for (const id of [...sockets.keys()]) if (!kept.hasSocket(id)) this.#evictSocket(id);
  }

  #restart(): void {
    this.failures.clear();
    this.overflows.clear();
    this.entities = new Entities();
    this.events.clear();
    this.losses = [];
    this.#rev = undefined;
    this.#seq = undefined;
  }
}

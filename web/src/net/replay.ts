import { unpack } from "../base/bytes.ts";
import { parseFilter } from "../base/filter.ts";
import { lowerBound } from "../base/search.ts";
import { Clock } from "../base/time.ts";
import type { Events } from "../protocol/types.gen.ts";
import { type About, type Answers, keyOf, type Question } from "./answers.ts";
import type { Capture } from "./capture.ts";
import { lineFields } from "./linefields.ts";
import type { Owner } from "./live.ts";
import { Refusal } from "./rest.ts";
import type { Source } from "./source.ts";

/** Events that come with the session, as a daemon sends its newest; the list asks for older ones. */
const TAIL = 200;

/** A session out of a capture: answers as a daemon does, from memory. */
export class Replay implements Source {
  constructor(readonly capture: Capture) {}

  get place(): string | undefined {
    return this.capture.place;
  }

  start(owner: Owner): void {
    const { info, processes, descriptors, sockets, events } = this.capture;
    owner.receive({ kind: "hello", info, resumed: false });
    owner.linked("open");
    owner.receive({
      kind: "change",
      from: 0,
      to: info.status.rev,
      processes: [...processes],
      descriptors: [...descriptors],
      sockets: [...sockets],
      events: events.slice(-TAIL),
      skipped: Math.max(0, events.length - TAIL),
      more: false,
      status: info.status,
    });
  }

  async events(fromSeq: number, limit: number, filter: string, before?: number): Promise<Events> {
    const fits = parseFilter(filter, lineFields(new Clock(this.capture.info.t0_ns)));
    if (typeof fits !== "function") throw new Refusal(`filter: ${fits.token}: ${fits.reason}`, true);
    const all = this.capture.events;
    const found: Events = { events: [], next_seq: null };
    for (let at = lowerBound(all, fromSeq, ({ seq }) => seq); at < all.length; at += 1) {
      const line = all[at];
      if (!line || (before !== undefined && line.seq >= before)) break;
      if (!fits(line)) continue;
      if (found.events.length === limit) return { ...found, next_seq: line.seq };
      found.events.push(line);
    }
    return found;
  }

  async numberAt(at: bigint): Promise<number | undefined> {
    const moment = new Clock(this.capture.info.t0_ns).offset(at);
    return this.capture.events.find(({ t }) => (t ?? 0) >= moment)?.seq;
  }

  /** What was asked when the file was made: whatever instant is wanted, these are about the end of its range. */
  async answer<Q extends Question>(question: Q, about: About): Promise<Answers[Q]> {
    const key = keyOf(question, about);
    const carried = this.capture.answers?.find((one) => keyOf(one.question, one.about) === key);
    if (!carried) throw new Refusal("This needs the daemon: the file does not hold it.");
    return carried.answer as Answers[Q];
  }
}

/** @param packed A capture as an exported file carries it. */
export async function replay(packed: string): Promise<Source> {
  return new Replay(JSON.parse(await unpack(packed)) as Capture);
}

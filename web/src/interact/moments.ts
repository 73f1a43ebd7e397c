import { childSentence, processName, processSentence, slotSentence } from "../a11y/sentences.ts";
import { neighbour } from "../layout/changes.ts";
import type { Row } from "../layout/rows.ts";
import { lastHeld } from "../store/entities.ts";
import type { App } from "./app.ts";

/** Moving the time cursor, and marking where it was. */
export class Moments {
  constructor(readonly app: App) {}

  /** The instant that the tables show, in words. It is now only while somebody tells what is. */
  words(): string {
    const { state, session, live, instant } = this.app;
    const { cursor, paused, link } = state;
    const chosen = cursor.value;
    if (chosen !== undefined) return `at ${session.clock.timeOfDay(chosen, 1e3)}`;
    const told = link.value === "open" && paused.value === undefined;
    return live && told ? "now" : `at ${session.clock.timeOfDay(instant, 1e9)}`;
  }

  /** Puts the time cursor on the next or previous change of the selected row; without one, of any row. */
  stepChange(step: 1 | -1): void {
    const { app } = this;
    const { rows, index } = app.state.rows.peek();
    const selected = rows[index.get(app.state.selection.peek()?.row ?? "") ?? -1];
    const next = neighbour(app.session.entities, selected ? [selected] : rows, app.instant, step, app.edge);
    if (next === undefined) {
      app.say(step === 1 ? "No later change." : "No earlier change.");
      return;
    }
    app.setCursor(next.t);
    app.viewport.reveal(next.t);
    app.say(`${app.session.clock.timeOfDay(next.t, 1e3)}: ${this.#shownBy(next.row, next.t)}.`);
  }

  /** What a row shows at a moment, in words. */
  #shownBy(row: Row, t: number): string {
    const { entities } = this.app.session;
    const name = `${processName(row.process)}, `;
    switch (row.kind) {
      case "slot": {
        const held = lastHeld(row.slot, t) ?? row.descriptor;
        return name + slotSentence(entities, held, entities.sockets.get(held.socket ?? ""), t);
      }
      case "instance":
      case "listener":
        return name + slotSentence(entities, row.descriptor, row.socket, t);
      case "child":
        return name + childSentence(entities, row.socket, t);
      case "process":
        return processSentence(row.process, row.open, t);
      default:
        return name;
    }
  }

  /** Puts the time cursor on a moment as people write it. Says what would be one where it is none. */
  goTo(text: string): boolean {
    const at = this.app.session.clock.read(text, this.app.edge);
    if (at === undefined) {
      this.app.say("Not a time: write 12:04:05.25, -30s, RFC 3339 or nanoseconds since the epoch.");
      return false;
    }
    this.app.setCursor(at);
    this.app.viewport.reveal(at);
    return true;
  }

  /** Marks the time cursor's moment, or the newest; a moment that is marked already is not any more. */
  toggleBookmark(): void {
    const t = this.app.instant;
    const { bookmarks } = this.app.state;
    const others = bookmarks.peek().filter((one) => one !== t);
    const removed = others.length < bookmarks.peek().length;
    bookmarks.value = removed ? others : [...others, t].sort((a, b) => a - b);
    const time = this.app.session.clock.timeOfDay(t, 1e6);
    this.app.say(removed ? `Bookmark at ${time} removed.` : `Bookmark at ${time}.`);
    this.app.frames.request();
  }

  /** Puts the time cursor on the next or previous bookmark. */
  stepBookmark(step: 1 | -1): void {
    const at = this.app.instant;
    const marks = this.app.state.bookmarks.peek();
    const next = step === 1 ? marks.find((t) => t > at) : marks.findLast((t) => t < at);
    if (next === undefined) {
      this.app.say(step === 1 ? "No later bookmark." : "No earlier bookmark.");
      return;
    }
    this.app.setCursor(next);
    this.app.viewport.reveal(next);
  }
}

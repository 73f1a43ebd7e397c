import { lessonOf } from "../lesson/lesson.ts";
import type { Descriptor } from "../protocol/types.gen.ts";
import type { App } from "./app.ts";
import { type Place, readPlace, type Span, type Target, writePlace } from "./place.ts";
import type { Range } from "./range.ts";

/** What a link says of where one looks, and going where it leads. */
export class Places {
  constructor(readonly app: App) {}

  /** The fragment of a link to what is in sight. @param fixed Whether it means the same time in sight later, also while following. */
  fragment(fixed = false): string {
    const { app } = this;
    const { state, viewport, session } = app;
    const { clock } = session;
    const span = ({ from, to }: Range): Span => ({ from: clock.epoch(from), to: clock.epoch(to) });
    const follows = !fixed && app.live && state.following.peek();
    const cursor = state.cursor.peek();
    const range = state.range.peek();
    const base = state.base.peek();
    return writePlace({
      view: follows
        ? { live: BigInt(Math.round(viewport.span)) }
        : span({ from: Math.max(0, viewport.start), to: viewport.end }),
      cursor: cursor === undefined ? undefined : clock.epoch(cursor),
      base: base === undefined ? undefined : clock.epoch(base),
      mode: state.mode.peek(),
      density: state.density.peek(),
      pinned: [...state.pinned.peek()],
      lesson: state.lesson.peek(),
      lessonOf: this.#lessonOf(),
      range: range && span(range),
      bookmarks: state.bookmarks.peek().map((t) => clock.epoch(t)),
      tab: state.tab.peek(),
      filter: state.filter.peek().trim(),
      target: this.#target(),
    });
  }

  /** Goes where a fragment leads, if it is one of ours. */
  follow(fragment: string): void {
    const place = readPlace(fragment);
    if (place) this.#go(place);
  }

  #go(place: Place): void {
    const { app } = this;
    const { clock, status } = app.session;
    // Moments are held against the newest one, which has to be known.
    app.layNow();
    const range = ({ from, to }: Span): Range => ({ from: clock.offset(from), to: clock.offset(to) });
    app.filtering.set(place.filter);
    app.setMode(place.mode);
    app.setDensity(place.density);
    app.state.pinned.value = new Set(place.pinned);
    app.state.base.value = place.base === undefined ? undefined : clock.offset(place.base);
    app.state.range.value = place.range && range(place.range);
    app.state.bookmarks.value = place.bookmarks.map((epoch) => clock.offset(epoch));
    if (place.target) this.#select(place.target);
    // After selecting, which shows the details and may move the view.
    if (place.tab) app.state.tab.value = place.tab;
    app.setCursor(place.cursor === undefined ? undefined : clock.offset(place.cursor));
    if ("live" in place.view) {
      app.viewport.follow(Number(place.view.live));
    } else {
      const { from, to } = range(place.view);
      app.viewport.place(from, to);
      if (to < (status?.kept_since ?? 0)) {
        const about = `The link shows ${clock.timeOfDay(from, 1e9)} to ${clock.timeOfDay(to, 1e9)}; events are kept since ${clock.timeOfDay(status?.kept_since ?? 0, 1e9)}.`;
        app.state.notice.value = about;
        app.state.offer.value = { about, title: "Show the oldest", run: () => this.#oldest() };
      } else if (from > app.edge) {
        app.state.notice.value = "The link shows a time that this session has not reached.";
      }
    }
    app.state.lesson.value = place.lesson;
    const subject = place.lessonOf;
    const taught = subject?.slot && this.#find(subject.process, subject.slot);
    const listener = app.session.entities.sockets.get(taught?.socket ?? "");
    if (listener) lessonOf(app).begin(listener);
    else if (subject)
      app.state.notice.value = "The server that the link's lesson is about is not kept any more.";
    app.changed();
  }

  /** The oldest time that is kept, as long as what is in sight. */
  #oldest(): void {
    const { viewport, session, frames } = this.app;
    const from = session.status?.kept_since ?? 0;
    viewport.place(from, from + viewport.span);
    frames.request();
  }

  /** The descriptor that holds the lesson's listener, or held it first. */
  #lessonOf(): Target | undefined {
    const { entities, clock } = this.app.session;
    const holder = entities.holders(this.app.lesson?.listener.peek() ?? "")[0];
    const process = holder && this.app.selecting.owner(holder.table);
    if (!holder || !process) return undefined;
    return { process: process.id, slot: { fd: holder.fd, opened: clock.epoch(holder.opened) } };
  }

  #target(): Target | undefined {
    const selection = this.app.state.selection.peek();
    if (!selection) return undefined;
    const held = this.app.selecting.descriptor();
    return {
      process: selection.process,
      slot: held && { fd: held.fd, opened: this.app.session.clock.epoch(held.opened) },
    };
  }

  #select({ process: id, slot }: Target): void {
    const { app } = this;
    const process = app.process(id);
    const held = slot && this.#find(id, slot);
    if (!process || (slot && !held)) {
      app.state.notice.value = slot
        ? `What the link selects (descriptor ${slot.fd} of ${id}) is not kept any more.`
        : `Process ${id} is not kept any more.`;
      return;
    }
    if (!held) {
      app.selecting.wholeProcess(process);
      return;
    }
    app.expand(process.id, true);
    app.selecting.jumpTo(held);
  }

  #find(id: string, { fd, opened }: NonNullable<Target["slot"]>): Descriptor | undefined {
    const { entities, clock } = this.app.session;
    const slot = entities.slots(this.app.process(id)?.table ?? "").find((one) => one.fd === fd);
    return slot?.held.find((one) => clock.epoch(one.opened) === opened);
  }
}

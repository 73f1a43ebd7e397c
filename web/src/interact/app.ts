import { Speech } from "../a11y/speech.ts";
import { visible } from "../base/escape.ts";
import { Frames } from "../base/frames.ts";
import { count } from "../base/time.ts";
import { layRows } from "../layout/lay.ts";
import type { Density, Mode, Row } from "../layout/rows.ts";
import type { Lesson } from "../lesson/lesson.ts";
import type { Link } from "../net/live.ts";
import type { Source } from "../net/source.ts";
import type { Process, ServerMessage } from "../protocol/types.gen.ts";
import { Rate } from "../store/rate.ts";
import { Session } from "../store/session.ts";
import { Arrivals, heldAt, holdingOn } from "./anchor.ts";
import { Asking } from "./asking.ts";
import { Exporting } from "./exporting.ts";
import { Filtering } from "./filtering.ts";
import { Moments } from "./moments.ts";
import { Past } from "./past.ts";
import { Ranging } from "./range.ts";
import { Selecting } from "./select.ts";
import { Sharing } from "./share.ts";
import { REFUSED, State } from "./state.ts";
import { Viewport } from "./viewport.ts";

/**
 * Beyond this the newest moment is not guessed any further: the server, which tells it every second, has fallen silent.
 */
const GUESS_MS = 3_000;

/** How often the page is drawn while it is told what there is already. */
const CATCH_UP_MS = 400;

/** Whoever has to know that the stream brought something, and that another session begins. */
interface Listing {
  changed(): void;
  restart(): void;
}

/** The page without its looks: data, view and what one can do with them. */
export class App {
  readonly frames = new Frames();
  readonly session = new Session();
  readonly state = new State();
  readonly viewport = new Viewport();
  readonly past = new Past(this);
  readonly selecting = new Selecting(this);
  readonly ranging = new Ranging(this);
  readonly sharing = new Sharing(this);
  readonly moments = new Moments(this);
  /** Once it was asked for: it comes with the code that shows it (`lessonOf`). */
  lesson: Lesson | undefined;
  readonly exporting = new Exporting(this);
  readonly filtering = new Filtering(this);
  readonly asking: Asking;
  /** The list of events, once somebody looked at it. */
  listing: Listing | undefined;
  readonly #expanded = new Map<string, boolean>();
  #rowsDirty = true;
  #catchingUp: ReturnType<typeof setTimeout> | undefined;
  #laidSecond = -1;
  /** Whether what is there was brought into sight at first. */
  #begun = false;
  readonly #rate = new Rate();
  readonly #speech: Speech;
  #toldAt = 0;
  #edge = 0;
  #heard = false;
  #lost = 0;
  /** Height of the lanes without the ruler, told by the view. */
  #room = 400;
  #pointed: number | undefined;
  /** The time cursor as it was before the lesson. */
  #cursorBefore: number | undefined;
  readonly #arrivals = new Arrivals();

  constructor(
    readonly source: Source,
    readonly now: () => number = () => performance.now(),
  ) {
    this.#speech = new Speech((text) => (this.state.said.value = text), now);
    this.asking = new Asking({
      ask: (question, about, at) => source.answer(question, about, at),
      instant: () => this.#shown(),
      // Time alone changes answers: who waits, waits for longer.
      revision: () => this.session.version + this.session.now,
      ready: () => this.state.link.peek() === "open" && !document.hidden,
      now,
      later: (ms, then) => void setTimeout(then, ms),
    });
    this.state.cursor.subscribe(() => this.asking.moved());
    this.state.paused.subscribe(() => this.asking.moved());
    this.frames.add(() => this.#refresh());
  }

  start(): void {
    this.source.start({
      resume: () => this.session.resume,
      receive: (message) => this.receive(message),
      linked: (link) => this.#linked(link),
    });
  }

  /** Applies a message of the server. */
  receive(message: ServerMessage): number | "broken" | undefined {
    const before = this.session.version;
    const applied = this.session.apply(message);
    switch (applied.kind) {
      case "began":
        this.#began();
        break;
      case "resumed":
        this.say("Reconnected.");
        break;
      case "broken":
        return "broken";
      case "changed":
        this.#toldAt = this.now();
        this.#rate.add(this.session.now, this.events);
        this.#tellLoss();
        this.past.skipped(applied.skipped.count, applied.skipped.before);
        this.listing?.changed();
        this.asking.changed();
        break;
      case "evicted":
      case "kept":
        break;
    }
    if (this.session.behind && this.state.rows.peek().rows.length > 0) this.#later();
    else if (this.session.version !== before) this.changed();
    // The server's heartbeat: it moves the newest moment of a session that goes on, and nothing of a recording.
    else if (this.live) this.frames.request();
    if (applied.kind === "changed") this.sharing.arrived();
    return "ack" in applied ? applied.ack : undefined;
  }

  get live(): boolean {
    return this.session.info?.source === "live";
  }

  /** The newest moment that is shown. */
  get edge(): number {
    return this.state.paused.peek()?.t ?? this.#edge;
  }

  /** The moment that the tables show: the time cursor, or the newest one. */
  get instant(): number {
    return this.state.cursor.peek() ?? this.edge;
  }

  /** The same as nanoseconds since the Unix epoch; `undefined` where it is the newest that is known. */
  #shown(): bigint | undefined {
    const t = this.state.cursor.peek() ?? this.state.paused.peek()?.t;
    return t === undefined ? undefined : this.session.clock.epoch(t);
  }

  get events(): number {
    return this.session.status?.events ?? 0;
  }

  /** Events a second, over the last few changes. */
  get rate(): number {
    return this.#rate.perSecond;
  }

  process(id: string | undefined): Process | undefined {
    return id === undefined ? undefined : this.session.entities.processes.get(id);
  }

  /** Tells that data or anything that rows depend on changed. */
  changed(): void {
    this.#rowsDirty = true;
    this.frames.request();
  }

  /** While the page is told what there is, message upon message, looking at it comes second. */
  #later(): void {
    this.#rowsDirty = true;
    this.#catchingUp ??= setTimeout(() => {
      this.#catchingUp = undefined;
      this.frames.request();
    }, CATCH_UP_MS);
  }

  /** Tells the oldest and newest moments to the viewport; part of every frame. */
  #refresh(): void {
    this.#advance();
    this.viewport.reach(this.session.status?.kept_since ?? 0, this.edge);
    this.state.span.value = Math.round(this.viewport.span);
    this.state.begins.value = Math.round((100 * this.viewport.start) / this.viewport.span);
    this.state.following.value = this.viewport.following && this.state.paused.peek() === undefined;
    const second = Math.floor(this.edge / 1e9);
    if (!this.#rowsDirty && second === this.#laidSecond) return;
    this.#rowsDirty = false;
    this.#laidSecond = second;
    const scroll = this.state.scroll.peek();
    const held = holdingOn(this.state.rows.peek(), scroll, this.#pointed);
    const rows = layRows(this.state.mode.peek(), {
      entities: this.session.entities,
      failures: this.session.failures,
      edge: this.edge,
      matching: this.filtering.matching,
      expanded: this.#expanded,
      density: this.state.density.peek(),
      pinned: this.state.pinned.peek(),
    });
    this.state.rows.value = rows;
    // At the very top what comes above is wanted in sight, unless the pointer is at something.
    this.scrollTo(scroll > 0 || this.#pointed !== undefined ? heldAt(rows, held, scroll) : 0);
    this.#arrivals.look(rows, this.#bottom, !this.#begun || this.session.behind || !this.live);
    this.#begin();
    this.#tellArrivals();
    this.state.version.value += 1;
  }

  /** The end of what is in sight, from the first row's top on. */
  get #bottom(): number {
    return this.state.scroll.peek() + this.#room;
  }

  #tellArrivals(): void {
    const unseen = this.#arrivals.unseen(this.state.rows.peek(), this.#bottom);
    this.state.arrived.value = { count: unseen.length, first: unseen[0] };
  }

  /** Where the pointer rests over the rows, below their first in sight: what is there does not move away under it. */
  pointAt(y: number | undefined): void {
    this.#pointed = y;
  }

  /** The first look is at what tells something, not at a start-up's helpers that are gone. */
  #begin(): void {
    const { rows } = this.state.rows.peek();
    if (this.#begun || this.session.behind || rows.length === 0) return;
    this.#begun = true;
    const first = rows.find((row) => row.kind === "process" && row.expanded);
    if (first && first.y + first.height > this.#room) this.scrollTo(first.y);
  }

  /** While connected, time goes on between two messages; without a connection, nothing is known beyond the last. */
  #advance(): void {
    const told = this.session.now;
    if (!this.live || this.state.link.peek() !== "open" || !this.#heard) {
      this.#edge = told;
      return;
    }
    const guessed = told + Math.round(Math.min(GUESS_MS, this.now() - this.#toldAt) * 1e6);
    this.#edge = Math.max(this.#edge, guessed);
  }

  #began(): void {
    this.state.selection.value = undefined;
    this.state.cursor.value = undefined;
    this.state.paused.value = undefined;
    this.state.base.value = undefined;
    if (this.lesson) this.lesson.listener.value = undefined;
    this.state.range.value = undefined;
    this.state.bookmarks.value = [];
    this.state.pinned.value = new Set();
    this.#expanded.clear();
    this.#begun = false;
    this.#arrivals.clear();
    this.#rate.clear();
    this.#edge = 0;
    this.#toldAt = this.now();
    this.#heard = true;
    this.#lost = this.session.status?.lost ?? 0;
    this.listing?.restart();
    this.asking.restart();
    this.filtering.restart();
    if (this.live) this.viewport.restart();
    else {
      this.viewport.reach(this.session.status?.kept_since ?? 0, this.session.now);
      this.viewport.fit();
    }
    this.past.restart();
  }

  #tellLoss(): void {
    const lost = () => this.session.status?.lost ?? 0;
    if (lost() <= this.#lost) return;
    this.#speech.say(() => {
      const more = lost() - this.#lost;
      this.#lost = lost();
      return `${count(more)} events lost.`;
    }, "loss");
  }

  #linked(link: Link): void {
    const before = this.state.link.peek();
    this.state.link.value = link;
    if (link === "open") this.asking.changed();
    if (before === "open" && link === "away") this.say("Connection lost, reconnecting.");
    if (link === "refused" && this.session.info) {
      this.state.notice.value = `${REFUSED.what} any more. ${REFUSED.help}`;
    }
    this.changed();
  }

  /** The page is in sight again. */
  shown(): void {
    this.frames.shown();
    this.asking.changed();
  }

  /** Says something in the page's live region; what has to stay in sight is a notice. */
  say(text: string, about?: string): void {
    this.#speech.say(text, about);
  }

  // View

  follow(): void {
    if (this.state.paused.peek()) this.state.paused.value = undefined;
    if (this.live) this.viewport.follow();
    else this.viewport.fit();
    this.say(this.live ? "Following." : "Showing everything.");
    this.changed();
  }

  togglePause(): void {
    if (!this.live) return;
    if (this.state.paused.peek()) {
      this.state.paused.value = undefined;
      this.say("Resumed.");
    } else {
      this.state.paused.value = { t: this.edge, events: this.events };
      this.say("Paused. Tracing goes on.");
    }
    this.changed();
  }

  zoom(factor: number, at = (this.viewport.start + this.viewport.end) / 2): void {
    this.viewport.zoom(factor, at);
    this.frames.request();
  }

  /** Pans by a part of the visible span. */
  pan(part: number): void {
    this.viewport.pan(part * this.viewport.span, this.live && !this.state.paused.peek());
    this.frames.request();
  }

  /** Everything, or what is selected if that is asked for and there is something. */
  fit(selection: boolean): void {
    const range = selection ? this.selecting.range() : undefined;
    if (range) this.viewport.show(range[0], range[1]);
    else this.viewport.fit();
    this.frames.request();
  }

  setCursor(t: number | undefined): void {
    // The kernel tells whole nanoseconds: between two of them there is no moment.
    this.state.cursor.value = t === undefined ? undefined : Math.min(Math.round(t), this.edge);
    this.changed();
  }

  /** Shows the events that fit a filter, and one of them where that was asked for. */
  listEvents(filter: string, shown?: number): void {
    this.state.shownEvent.value = shown;
    this.state.eventFilter.value = filter;
    this.state.tab.value = "events";
  }

  /** Shows one of the events among those around it. */
  showEvent(seq: number): void {
    this.listEvents(`seq:>=${Math.max(0, seq - 20)} seq:<=${seq + 20}`, seq);
  }

  /** The lesson moves the time cursor from event to event; who leaves it is back where they were. */
  toggleLesson(): void {
    const { lesson, cursor } = this.state;
    lesson.value = !lesson.peek();
    if (lesson.peek()) {
      this.#cursorBefore = cursor.peek();
      this.lesson?.resume();
    } else this.setCursor(this.#cursorBefore);
    this.say(lesson.peek() ? "Lesson." : "Timeline.");
  }

  escape(): void {
    const { help, notice, range, selection, cursor } = this.state;
    if (help.peek()) help.value = false;
    else if (notice.peek()) notice.value = "";
    else if (range.peek()) range.value = undefined;
    else if (selection.peek()) selection.value = undefined;
    else if (cursor.peek() !== undefined) cursor.value = undefined;
    this.changed();
  }

  // Rows

  setMode(mode: Mode): void {
    if (this.state.mode.peek() === mode) return;
    this.state.mode.value = mode;
    this.#arrivals.clear();
    this.state.scroll.value = 0;
    this.changed();
    this.say(`Rows are ${mode} now.`);
  }

  setDensity(density: Density): void {
    if (this.state.density.peek() === density) return;
    this.state.density.value = density;
    this.changed();
    this.say(`Rows are ${density} now.`);
  }

  /** Puts a process's rows above the others, or back to where they were. */
  togglePin(process: Process | undefined): void {
    if (!process) {
      this.say("Select a row first.");
      return;
    }
    const pinned = new Set(this.state.pinned.peek());
    const was = pinned.delete(process.id);
    if (!was) pinned.add(process.id);
    this.state.pinned.value = pinned;
    this.say(
      `${visible(process.comm)} ${process.pid} is ${was ? "not pinned any more" : "pinned to the top"}.`,
    );
    this.changed();
  }

  /** Opens or closes all of the first level. */
  expandAll(): void {
    const heads = this.state.rows.peek().rows.filter(({ level }) => level === 1);
    const open = !heads.some((row) => "expanded" in row && row.expanded);
    for (const { key } of heads) this.#expanded.set(key, open);
    this.changed();
    this.say(open ? "All are open." : "All are closed.");
  }

  expand(key: string, expanded: boolean): void {
    this.#expanded.set(key, expanded);
    this.changed();
  }

  setRoom(height: number): void {
    this.#room = Math.max(0, height);
    this.frames.request();
  }

  scrollTo(y: number): void {
    const most = Math.max(0, this.state.rows.peek().height - this.#room);
    const next = Math.round(Math.min(most, Math.max(0, y)));
    if (next === this.state.scroll.peek()) return;
    this.state.scroll.value = next;
    this.#tellArrivals();
    this.frames.request();
  }

  get room(): number {
    return this.#room;
  }

  /** Scrolls so that a row is in sight. */
  revealRow(row: Row): void {
    const top = this.state.scroll.peek();
    if (row.y < top) this.scrollTo(row.y);
    else if (row.y + row.height > top + this.#room) this.scrollTo(row.y + row.height - this.#room);
  }

  /** Lays the rows at once, for whoever needs them before the next frame. */
  layNow(): void {
    this.filtering.finish();
    this.#rowsDirty = true;
    this.#refresh();
  }
}

import { DENSITIES, type Density, MODES, type Mode } from "../layout/rows.ts";
import { TABS, type Tab } from "./state.ts";

/** A span of wall-clock time: nanoseconds since the Unix epoch. */
export interface Span {
  readonly from: bigint;
  readonly to: bigint;
}

/** What is selected, by identities that outlive a daemon: process, number, and when the number was filled. */
export interface Target {
  readonly process: string;
  readonly slot: { readonly fd: number; readonly opened: bigint } | undefined;
}

/**
 * Where someone looks, as a link tells it. Times are absolute and things are named by what the kernel calls them, so that
 * a link means the same an hour later, in another tab, and on a recording of the same time.
 */
export interface Place {
  /** A fixed span, or the newest so many nanoseconds. */
  readonly view: Span | { readonly live: bigint };
  /** The time cursor. */
  readonly cursor: bigint | undefined;
  /** The instant that the descriptors at the cursor are compared with. */
  readonly base: bigint | undefined;
  readonly mode: Mode;
  readonly density: Density;
  /** Processes whose rows stand first. */
  readonly pinned: readonly string[];
  /** Whether the lesson stands in place of the timeline, and the listener that it is about. */
  readonly lesson: boolean;
  readonly lessonOf: Target | undefined;
  readonly range: Span | undefined;
  readonly bookmarks: readonly bigint[];
  readonly tab: Tab | undefined;
  readonly filter: string;
  readonly target: Target | undefined;
}

const VERSION = "1";
/** Bookmarks that a link takes; more would make it too long for many programs. */
const BOOKMARKS = 50;
const PINNED = 20;

/** A place as the fragment of an address, without the `#`. */
export function writePlace(place: Place): string {
  const out = new URLSearchParams({ v: VERSION });
  const span = ({ from, to }: Span) => `${from},${to}`;
  if ("live" in place.view) out.set("live", String(place.view.live));
  else out.set("t", span(place.view));
  if (place.cursor !== undefined) out.set("at", String(place.cursor));
  if (place.base !== undefined) out.set("since", String(place.base));
  if (place.mode !== MODES[0]) out.set("rows", place.mode);
  if (place.density !== DENSITIES[0]) out.set("high", place.density);
  if (place.pinned.length > 0) out.set("pin", place.pinned.slice(0, PINNED).join(","));
  if (place.lesson) out.set("lesson", place.lessonOf ? writeTarget(place.lessonOf) : "");
  if (place.range) out.set("range", span(place.range));
  if (place.bookmarks.length > 0) out.set("marks", place.bookmarks.slice(0, BOOKMARKS).join(","));
  if (place.tab) out.set("tab", place.tab);
  if (place.filter) out.set("q", place.filter);
  if (place.target) out.set("sel", writeTarget(place.target));
  return out.toString();
}

/** Reads a fragment; `undefined` where it is no place of ours. What it says wrongly is left out. */
export function readPlace(fragment: string): Place | undefined {
  const from = new URLSearchParams(fragment.replace(/^#/, ""));
  if (from.get("v") !== VERSION) return undefined;
  const live = number(from.get("live"));
  const view = span(from.get("t")) ?? (live === undefined ? undefined : { live });
  if (!view) return undefined;
  return {
    view,
    cursor: number(from.get("at")),
    base: number(from.get("since")),
    mode: MODES.find((mode) => mode === from.get("rows")) ?? MODES[0],
    density: DENSITIES.find((density) => density === from.get("high")) ?? DENSITIES[0],
    pinned: (from.get("pin") ?? "")
      .split(",")
      .slice(0, PINNED)
      .filter((id) => /^\d{1,10}@\d{1,19}$/.test(id)),
    lesson: from.has("lesson"),
    lessonOf: target(from.get("lesson")),
    range: span(from.get("range")),
    bookmarks: (from.get("marks") ?? "")
      .split(",")
      .slice(0, BOOKMARKS)
      .map(number)
      .filter((mark) => mark !== undefined),
    tab: TABS.find((tab) => tab === from.get("tab")),
    filter: from.get("q") ?? "",
    target: target(from.get("sel")),
  };
}

function number(text: string | null): bigint | undefined {
  return text && /^\d{1,19}$/.test(text) ? BigInt(text) : undefined;
}

function span(text: string | null): Span | undefined {
  const [from, to, ...more] = (text ?? "").split(",").map(number);
  return from !== undefined && to !== undefined && from < to && more.length === 0 ? { from, to } : undefined;
}

function writeTarget({ process, slot }: Target): string {
  return slot ? `${process}/${slot.fd}@${slot.opened}` : process;
}

function target(text: string | null): Target | undefined {
  const [, process, , fd, opened] = text?.match(/^(\d{1,10}@\d{1,19})(\/(\d{1,10})@(\d{1,19}))?$/) ?? [];
  if (process === undefined) return undefined;
  return {
    process,
    slot: fd === undefined || opened === undefined ? undefined : { fd: Number(fd), opened: BigInt(opened) },
  };
}

import { signal } from "@preact/signals";
import type { Density, Mode, Row, Rows } from "../layout/rows.ts";
import type { Link } from "../net/live.ts";
import type { Range } from "./range.ts";

/** What is selected: a row, and what of it. */
export interface Selection {
  /** Key of the row. */
  readonly row: string;
  readonly process: string;
  readonly descriptor: string | undefined;
  readonly socket: string | undefined;
  /** `seq` of a failed call on that row. */
  readonly failure?: number | undefined;
}

export const TABS = ["details", "descriptors", "queues", "connections", "events", "findings"] as const;
export type Tab = (typeof TABS)[number];
export type Theme = "system" | "light" | "dark";

/** The moment at which the view was frozen, and the events that had come until then. */
export interface Pause {
  readonly t: number;
  readonly events: number;
}

const NO_ROWS: Rows = { rows: [], index: new Map(), height: 0, slots: 0, hidden: 0 };

/** Why nothing comes any more, and what to do about it. */
export const REFUSED = {
  what: "This page may not read the session",
  help: "Its token is missing or spent. Open the URL that sockreel printed, or start it again for a new one.",
};

/** State of the page that views show. The data themselves are not reactive: `version` tells that they changed. */
export class State {
  readonly link = signal<Link>("connecting");
  readonly version = signal(0);
  readonly rows = signal<Rows>(NO_ROWS);
  readonly mode = signal<Mode>("slots");
  readonly density = signal<Density>("normal");
  /** Processes whose rows stand first. */
  readonly pinned = signal<ReadonlySet<string>>(new Set());
  readonly scroll = signal(0);
  /** Processes, or listeners, that came below what is in sight, and the first of them. */
  readonly arrived = signal<{ readonly count: number; readonly first: Row | undefined }>({
    count: 0,
    first: undefined,
  });
  readonly selection = signal<Selection | undefined>(undefined);
  /** The time cursor; without one, the tables show the newest moment. */
  readonly cursor = signal<number | undefined>(undefined);
  /** The instant that the descriptors at the shown one are compared with. */
  readonly base = signal<number | undefined>(undefined);
  /** The span that is measured. */
  readonly range = signal<Range | undefined>(undefined);
  /** Moments that the user marked, in order. */
  readonly bookmarks = signal<readonly number[]>([]);
  readonly following = signal(true);
  /** Length of the time in sight (nanoseconds). */
  readonly span = signal(0);
  /** Where it begins, in hundredths of its length: what is drawn anew with it need not be at every frame. */
  readonly begins = signal(0);
  readonly paused = signal<Pause | undefined>(undefined);
  readonly filter = signal("");
  /** The filter of the list of events. */
  readonly eventFilter = signal("");
  /** The number of the event that the list was asked to show. */
  readonly shownEvent = signal<number | undefined>(undefined);
  readonly tab = signal<Tab>("descriptors");
  /** Height of the lower part (pixels), once somebody chose it. */
  readonly drawer = signal<number | undefined>(undefined);
  /** Whether descriptors stand as cells by number, or as a table. */
  readonly cells = signal(false);
  readonly theme = signal<Theme>("system");
  /** Whether high contrast was asked for here; the system may ask for it, too. */
  readonly strong = signal(false);
  /** Whether single keys are commands (WCAG 2.2, 2.1.4). */
  readonly shortcuts = signal(true);
  /** One server event by event, in place of the timeline. */
  readonly lesson = signal(false);
  readonly help = signal(false);
  /** What colours, forms and marks mean. */
  readonly key = signal(false);
  /** The strip of all kept time as a table. */
  readonly strip = signal(false);
  /** The list of everything that one can do or go to. */
  readonly palette = signal(false);
  /** Something to know and put away. */
  readonly notice = signal("");
  /** What can be done about a notice. */
  readonly offer = signal<
    { readonly about: string; readonly title: string; readonly run: () => void } | undefined
  >(undefined);
  /** The last thing worth saying aloud. */
  readonly said = signal("");
}

import { DENSITIES, MODES } from "../layout/rows.ts";
import type { App } from "./app.ts";
import { TABS } from "./state.ts";

export interface Key {
  /** Physical key (`KeyboardEvent.code`), so that WASD lie together on every layout; or what it types. */
  readonly code?: string;
  readonly types?: string;
  /** With Shift. Of what is typed Shift is a part already. */
  readonly shift?: true;
  /** As the help shows it. */
  readonly shown: string;
  readonly does: string;
  readonly run: (app: App) => void;
}

const ZOOM = 1.5;
const PAN = 0.15;

/** Every single-key command; the help is made of this table. */
export const KEYS: readonly Key[] = [
  { code: "KeyW", shown: "W", does: "Zoom in", run: (app) => app.zoom(1 / ZOOM) },
  { code: "KeyS", shown: "S", does: "Zoom out", run: (app) => app.zoom(ZOOM) },
  { types: "+", shown: "+", does: "Zoom in", run: (app) => app.zoom(1 / ZOOM) },
  { types: "-", shown: "−", does: "Zoom out", run: (app) => app.zoom(ZOOM) },
  { code: "KeyA", shown: "A", does: "Pan to the past", run: (app) => app.pan(-PAN) },
  { code: "KeyD", shown: "D", does: "Pan to the present", run: (app) => app.pan(PAN) },
  {
    code: "ArrowLeft",
    shown: "←",
    does: "Pan to the past; on a row: collapse",
    run: (app) => along(app, -1),
  },
  {
    code: "ArrowRight",
    shown: "→",
    does: "Pan to the present; on a row: expand",
    run: (app) => along(app, 1),
  },
  {
    code: "KeyI",
    shown: "I",
    does: "Rows: slots, instances, listeners",
    run: (app) => app.setMode(MODES[(MODES.indexOf(app.state.mode.peek()) + 1) % MODES.length] ?? "slots"),
  },
  { code: "KeyE", shown: "E", does: "Lesson: one server event by event", run: (app) => app.toggleLesson() },
  {
    types: ",",
    shown: ",",
    does: "Time cursor to the change before",
    run: (app) => app.moments.stepChange(-1),
  },
  {
    types: ".",
    shown: ".",
    does: "Time cursor to the change after",
    run: (app) => app.moments.stepChange(1),
  },
  { code: "KeyT", shown: "T", does: "Go to a time", run: () => document.getElementById("go-to")?.focus() },
  { code: "Digit0", shown: "0", does: "Show everything", run: (app) => app.fit(false) },
  { code: "KeyF", shown: "F", does: "Show the selection, or everything", run: (app) => app.fit(true) },
  { code: "KeyL", shown: "L", does: "Follow the newest moment", run: (app) => app.follow() },
  {
    code: "Space",
    shown: "Space",
    does: "Pause or resume the view; tracing goes on",
    run: (app) => (app.state.lesson.peek() ? app.lesson?.toggle() : app.togglePause()),
  },
  { types: "[", shown: "[", does: "Previous child of the listener", run: (app) => app.selecting.child(-1) },
  { types: "]", shown: "]", does: "Next child of the listener", run: (app) => app.selecting.child(1) },
  {
    code: "KeyP",
    shown: "P",
    does: "The listener that a child came from",
    run: (app) => app.selecting.parent(),
  },
  {
    code: "KeyP",
    shift: true,
    shown: "Shift P",
    does: "Pin the selected process to the top, or unpin it",
    run: (app) => app.togglePin(app.process(app.state.selection.peek()?.process)),
  },
  { types: "*", shown: "*", does: "Open or close all processes", run: (app) => app.expandAll() },
  {
    code: "KeyR",
    shown: "R",
    does: "Measure the selection's life",
    run: (app) => app.ranging.fromSelection(),
  },
  { code: "KeyZ", shown: "Z", does: "Zoom to the measured range", run: (app) => app.ranging.zoomIn() },
  {
    code: "Backspace",
    shown: "⌫",
    does: "Back to before the last such zoom",
    run: (app) => app.ranging.zoomBack(),
  },
  {
    code: "KeyM",
    shown: "M",
    does: "Bookmark the time cursor's moment, or remove that bookmark",
    run: (app) => app.moments.toggleBookmark(),
  },
  {
    types: "<",
    shown: "<",
    does: "Time cursor to the bookmark before",
    run: (app) => app.moments.stepBookmark(-1),
  },
  {
    types: ">",
    shown: ">",
    does: "Time cursor to the bookmark after",
    run: (app) => app.moments.stepBookmark(1),
  },
  {
    code: "KeyY",
    shown: "Y",
    does: "Copy a link to what is in sight",
    run: (app) => void app.sharing.copy(),
  },
  {
    code: "KeyX",
    shown: "X",
    does: "Save the measured range, or everything, as one HTML file",
    run: (app) => void app.exporting.page(),
  },
  ...TABS.map((tab, i) => ({
    types: String(i + 1),
    shown: String(i + 1),
    does: `Show ${tab}`,
    run: (app: App) => {
      app.state.tab.value = tab;
    },
  })),
  ...DENSITIES.map((density, i) => ({
    code: `Digit${i + 1}`,
    shift: true as const,
    shown: `Shift ${i + 1}`,
    does: `Rows: ${density}`,
    run: (app: App) => app.setDensity(density),
  })),
  { types: "/", shown: "/", does: "Filter rows", run: () => document.getElementById("row-filter")?.focus() },
  { types: "?", shown: "?", does: "This help", run: (app) => toggleHelp(app) },
  {
    code: "KeyK",
    shown: "K",
    does: "What colours, forms and marks mean",
    run: (app) => {
      app.state.key.value = true;
    },
  },
  {
    code: "Escape",
    shown: "Esc",
    does: "Close, deselect, remove the time cursor",
    run: (app) => app.escape(),
  },
];

/** An event further in a lesson, a part of the span in the timeline. */
function along(app: App, step: 1 | -1): void {
  if (app.state.lesson.peek()) app.lesson?.go(app.lesson.step.peek() + step);
  else app.pan(step * PAN);
}

function toggleHelp(app: App): void {
  app.state.help.value = !app.state.help.peek();
}

/** Whether an element takes typed keys for itself. */
function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable]") !== null
  );
}

/** Runs the command of a key press, if it is one. */
export function press(app: App, event: KeyboardEvent): void {
  if (app.state.palette.peek() || app.state.strip.peek()) return;
  // Ctrl+Shift+P is taken by some browsers, F1 by none that lets a page have it.
  if (event.code === "F1" || ((event.ctrlKey || event.metaKey) && !event.altKey && event.code === "KeyP")) {
    event.preventDefault();
    app.state.help.value = false;
    app.state.key.value = false;
    app.state.palette.value = true;
    return;
  }
  if (app.state.key.peek()) return;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(event.target)) {
    if (event.code === "Escape") (event.target as HTMLElement).blur();
    return;
  }
  // Who speaks to the computer says letters that are no commands.
  if (!app.state.shortcuts.peek() && event.key.length === 1) return;
  // Space presses a focused button; the arrows and digits belong to tabs, separators and the like.
  const owner =
    event.target instanceof HTMLElement
      ? event.target.closest("button, a, [role=tab], [role=separator]")
      : null;
  if (owner && (event.code === "Space" || event.code.startsWith("Arrow"))) return;
  if (app.state.help.peek() && event.code !== "Escape" && event.key !== "?") return;
  const key = KEYS.find((one) =>
    one.types !== undefined
      ? one.types === event.key
      : one.code === event.code && event.shiftKey === (one.shift ?? false),
  );
  if (!key) return;
  event.preventDefault();
  key.run(app);
}

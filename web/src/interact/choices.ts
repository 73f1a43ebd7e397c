import { processName, socketKind, stepAt } from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { MODES } from "../layout/rows.ts";
import type { App } from "./app.ts";
import { KEYS } from "./keys.ts";
import { chooseContrast, chooseShortcuts, chooseTheme } from "./theme.ts";

/** Something that one can do, or go to. */
export interface Choice {
  readonly title: string;
  /** What kind of thing it is, or the key that does the same. */
  readonly hint: string;
  readonly run: () => void;
}

/** Keys that mean something only while they are held or pressed at a place. */
const NOT_LISTED = ["+", "−", "←", "→", "Esc"];
const THEMES = ["system", "light", "dark"] as const;

/** Everything, in the order in which it is offered without a search: what concerns the selection first. */
export function choices(app: App): Choice[] {
  return [...ofSelection(app), ...commands(app), ...listeners(app), ...processes(app)];
}

/** Those in which every word occurs; whose title begins with the first word come first. */
export function found(all: readonly Choice[], text: string, most: number): Choice[] {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word);
  const rank = ({ title }: Choice) => {
    const at = title.toLowerCase().indexOf(words[0] ?? "");
    return at === 0 ? 0 : at > 0 ? 1 : 2;
  };
  const fits = ({ title, hint }: Choice) => {
    const in_ = `${title} ${hint}`.toLowerCase();
    return words.every((word) => in_.includes(word));
  };
  const fitting = all.filter(fits);
  return words.length === 0
    ? fitting.slice(0, most)
    : fitting.sort((a, b) => rank(a) - rank(b)).slice(0, most);
}

function commands(app: App): Choice[] {
  const keys = KEYS.filter(({ shown }) => !NOT_LISTED.includes(shown));
  return [
    ...keys.map(({ does, shown, run }) => ({ title: does, hint: shown, run: () => run(app) })),
    ...MODES.map((mode) => ({ title: `Rows: ${mode}`, hint: "rows", run: () => app.setMode(mode) })),
    ...THEMES.map((theme) => ({
      title: `Colours: ${theme}`,
      hint: "view",
      run: () => chooseTheme(app, theme),
    })),
    {
      title: `High contrast: ${app.state.strong.peek() ? "switch off" : "switch on"}`,
      hint: "view",
      run: () => chooseContrast(app, !app.state.strong.peek()),
    },
    {
      title: "All kept time as a table",
      hint: "view",
      run: () => {
        app.state.strip.value = true;
      },
    },
    {
      title: `Single keys as commands: ${app.state.shortcuts.peek() ? "switch off" : "switch on"}`,
      hint: "keyboard",
      run: () => chooseShortcuts(app, !app.state.shortcuts.peek()),
    },
    {
      title: "Save the events of the measured range, or of everything, as JSON Lines",
      hint: "share",
      run: () => void app.exporting.lines(),
    },
  ];
}

/** Rows that have to do with what is selected, or have not. */
function ofSelection(app: App): Choice[] {
  const process = app.process(app.state.selection.peek()?.process);
  const local = app.selecting.socket()?.local;
  const port = local?.match(/:(\d+)$/)?.[1];
  const filter = (title: string, text: string) => ({ title, hint: text, run: () => app.filtering.set(text) });
  const before = app.state.filter.peek().trim();
  return [
    ...(process
      ? [
          filter(`Only rows of ${processName(process)}`, `pid:${process.pid}`),
          filter(`Hide rows of ${processName(process)}`, `${before} -pid:${process.pid}`.trim()),
        ]
      : []),
    ...(port ? [filter(`Only rows with port ${port}`, `port:${port}`)] : []),
    ...(before ? [filter("Show all rows again", "")] : []),
  ];
}

function listeners(app: App): Choice[] {
  const found: Choice[] = [];
  for (const socket of app.session.entities.sockets.values()) {
    if (socket.ended !== null || stepAt(socket, app.edge)?.phase !== "listening") continue;
    found.push({
      title: `${visible(socket.local ?? socket.id)} listening`,
      hint: socketKind(socket),
      run: () => app.selecting.jump(socket.id),
    });
  }
  return found;
}

function processes(app: App): Choice[] {
  return [...app.session.entities.processes.values()].map((process) => ({
    title: processName(process),
    hint: process.ended === null ? "process" : "process, ended",
    run: () => {
      app.selecting.wholeProcess(process);
      app.selecting.reveal(process.seen);
    },
  }));
}

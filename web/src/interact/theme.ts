import { effect, signal } from "@preact/signals";
import { DARK, DARK_STRONG, FORCED, LIGHT, LIGHT_STRONG, type Palette } from "../render/palette.ts";
import type { App } from "./app.ts";
import type { Theme } from "./state.ts";

const STORED = "sockreel.theme";
const STRONG = "sockreel.contrast";
const KEYS_OFF = "sockreel.keys.off";

/** The colours in use. */
export const palette = signal<Palette>(LIGHT);

/** Keeps colours in step with the user's choice and the system's, for CSS (as variables) and canvas alike. */
export function startTheme(app: App): void {
  const stored = read(STORED);
  if (stored === "light" || stored === "dark" || stored === "system") app.state.theme.value = stored;
  app.state.shortcuts.value = read(KEYS_OFF) === null;
  app.state.strong.value = read(STRONG) !== null;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const forced = matchMedia("(forced-colors: active)");
  const more = matchMedia("(prefers-contrast: more)");
  const system = signal(0);
  for (const query of [dark, forced, more]) query.addEventListener("change", () => (system.value += 1));
  effect(() => {
    system.value;
    const theme = app.state.theme.value;
    const isDark = theme === "dark" || (theme === "system" && dark.matches);
    const [light, night] =
      app.state.strong.value || more.matches ? [LIGHT_STRONG, DARK_STRONG] : [LIGHT, DARK];
    palette.value = forced.matches ? FORCED : isDark ? night : light;
    apply(palette.value, isDark);
    app.frames.request();
  });
}

export function chooseTheme(app: App, theme: Theme): void {
  app.state.theme.value = theme;
  write(STORED, theme);
}

export function chooseContrast(app: App, strong: boolean): void {
  app.state.strong.value = strong;
  write(STRONG, strong ? "more" : undefined);
}

/** Whether single keys are commands. */
export function chooseShortcuts(app: App, on: boolean): void {
  app.state.shortcuts.value = on;
  write(KEYS_OFF, on ? undefined : "1");
  app.say(on ? "Single keys are commands." : "Single keys do nothing.");
}

function write(name: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function apply(colours: Palette, dark: boolean): void {
  const root = document.documentElement;
  root.style.colorScheme = dark ? "dark" : "light";
  root.dataset["theme"] = dark ? "dark" : "light";
  const { roles, ...rest } = colours;
  for (const [name, colour] of [...Object.entries(rest), ...Object.entries(roles)]) {
    root.style.setProperty(
      `--${name.replaceAll(/[A-Z_]/g, (c) => `-${c === "_" ? "" : c.toLowerCase()}`)}`,
      colour,
    );
  }
}

/** The one place of the page's colours. `applyTheme` hands them to CSS as variables; the canvas reads them here. */

/** What a bar says, in colour; its form says it a second time. */
export const ROLES = ["idle", "listening", "connecting", "connected", "half_closed", "error"] as const;
export type Role = (typeof ROLES)[number];

export interface Palette {
  readonly roles: Readonly<Record<Role, string>>;
  /** Behind the bars. */
  readonly ground: string;
  /** Behind process rows, header and drawer. */
  readonly raised: string;
  readonly hover: string;
  readonly selected: string;
  readonly line: string;
  /** A line that bounds something to press or type into; 3:1 against the ground. */
  readonly edge: string;
  readonly text: string;
  readonly muted: string;
  readonly accent: string;
  readonly onAccent: string;
  readonly good: string;
  readonly warn: string;
  readonly bad: string;
  readonly onBad: string;
  readonly lost: string;
}

/**
 * The roles' colours differ for normal, protan, deutan and tritan vision alike, and stand at 3:1 or more against the
 * ground (WCAG 1.4.11); a test computes both again.
 */
export const LIGHT: Palette = {
  roles: {
    idle: "#849599",
    listening: "#190f94",
    connecting: "#d07d13",
    connected: "#006f6f",
    half_closed: "#a32ccd",
    error: "#be1b0f",
  },
  ground: "#ffffff",
  raised: "#f4f6f8",
  hover: "#eef2f6",
  selected: "#dfeafc",
  line: "#dde2e8",
  edge: "#7d8894",
  text: "#1a2027",
  muted: "#55606c",
  accent: "#1d56c4",
  onAccent: "#ffffff",
  good: "#0a6b3d",
  warn: "#8a5300",
  bad: "#b3170c",
  onBad: "#ffffff",
  lost: "#be1b0f",
};

export const DARK: Palette = {
  roles: {
    idle: "#99a8b8",
    listening: "#5460e2",
    connecting: "#ffd108",
    connected: "#9bf0d7",
    half_closed: "#944e78",
    error: "#f8551b",
  },
  ground: "#14171c",
  raised: "#1b2027",
  hover: "#212730",
  selected: "#22344f",
  line: "#2c333d",
  edge: "#6d7987",
  text: "#e4e8ed",
  muted: "#a0abb8",
  accent: "#8ab4ff",
  onAccent: "#0d1626",
  good: "#5fd69a",
  warn: "#f2b84b",
  bad: "#ff8a75",
  onBad: "#2a0703",
  lost: "#f8551b",
};

/** For who asks for high contrast: texts at 7:1 on every ground (WCAG 1.4.6), bars at 4.5:1 on theirs. */
export const LIGHT_STRONG: Palette = {
  roles: {
    idle: "#507d8b",
    listening: "#0e005e",
    connecting: "#bc530a",
    connected: "#004d68",
    half_closed: "#8518cd",
    error: "#861400",
  },
  ground: "#ffffff",
  raised: "#f0f2f4",
  hover: "#e4e8ec",
  selected: "#cfe0ff",
  line: "#a4abb2",
  edge: "#000000",
  text: "#000000",
  muted: "#2a3038",
  accent: "#0b3a8c",
  onAccent: "#ffffff",
  good: "#00482a",
  warn: "#5a3500",
  bad: "#7d0d05",
  onBad: "#ffffff",
  lost: "#861400",
};

export const DARK_STRONG: Palette = {
  roles: {
    idle: "#89b9e1",
    listening: "#7059fb",
    connecting: "#ffd108",
    connected: "#bdfffe",
    half_closed: "#a15e8f",
    error: "#ff5002",
  },
  ground: "#000000",
  raised: "#0c0e11",
  hover: "#1c2026",
  selected: "#12284a",
  line: "#5c646d",
  edge: "#ffffff",
  text: "#ffffff",
  muted: "#d6dbe0",
  accent: "#b8d4ff",
  onAccent: "#000000",
  good: "#8ff0c0",
  warn: "#ffd480",
  bad: "#ffb3a3",
  onBad: "#000000",
  lost: "#ff5002",
};

/** System colours, where the user's system imposes its own. */
export const FORCED: Palette = {
  roles: {
    idle: "GrayText",
    listening: "CanvasText",
    connecting: "CanvasText",
    connected: "CanvasText",
    half_closed: "CanvasText",
    error: "CanvasText",
  },
  ground: "Canvas",
  raised: "Canvas",
  hover: "Canvas",
  selected: "Canvas",
  line: "GrayText",
  edge: "CanvasText",
  text: "CanvasText",
  muted: "CanvasText",
  accent: "Highlight",
  onAccent: "HighlightText",
  good: "CanvasText",
  warn: "CanvasText",
  bad: "CanvasText",
  onBad: "Canvas",
  lost: "CanvasText",
};

/** Relative luminance of a `#rrggbb` colour (WCAG 2.2). */
export function luminance(hex: string): number {
  const channel = (at: number) => {
    const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}

/** Contrast ratio of two `#rrggbb` colours (WCAG 2.2). */
export function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

/** Whether a colour is one of the system's, which mostly have one for everything that is drawn. */
export function isSystem(colour: string): boolean {
  return !colour.startsWith("#");
}

/** Black or white, whichever reads better on a colour; system colours keep the system's choice. */
export function textOn(colour: string): string {
  if (isSystem(colour)) return "Canvas";
  return contrast(colour, "#000000") > contrast(colour, "#ffffff") ? "#000000" : "#ffffff";
}

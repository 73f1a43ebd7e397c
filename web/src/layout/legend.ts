import type { Step } from "../protocol/types.gen.ts";
import type { OverviewScene } from "../render/overview.ts";
import type { Role } from "../render/palette.ts";
import { type Band, type Form, type Overlay, Scene, type Shape, type Tie } from "../render/scene.ts";
import { look } from "./life.ts";

/** A piece of the lanes, with what lies over it, or of the strip; and what it means. */
export interface Entry {
  readonly words: string;
  readonly piece:
    | { readonly of: "lanes"; readonly scene: Scene; readonly overlay?: Overlay }
    | { readonly of: "strip"; readonly scene: OverviewScene };
}

export interface Group {
  readonly title: string;
  readonly entries: readonly Entry[];
}

const WIDTH = 72;
const HEIGHT = 26;
const STRIP_HEIGHT = 36;
/** Where a piece's bar begins and ends. */
const FROM = 10;
const TO = 62;

const step = (phase: string, state: string | null = null): Step => ({ t: 0, phase, state, error: null });

/** Phases of a socket, drawn as a row draws them. */
const PHASES: readonly (readonly [Step, string])[] = [
  [step("created"), "A socket that has no address yet"],
  [step("bound"), "A socket with an address"],
  [step("listening"), "A listener"],
  [step("connecting"), "Connecting"],
  [step("queued"), "Waits in an accept queue"],
  [step("connected"), "Connected"],
  [step("half_closed", "CLOSE_WAIT"), "Half-closed by the peer: writing is still open"],
  [step("half_closed", "FIN_WAIT2"), "Half-closed by this side: reading is still open"],
  [step("closing"), "The kernel still closes it; the descriptor is gone"],
  [step("closed"), "A file, a pipe, or a socket that is closed"],
];

/** Every other form of a bar, and the bar that it stands on. */
const FORMS: Readonly<Record<"fold" | "level" | "limit" | "full", readonly [Role, words: string]>> = {
  fold: ["connected", "Lives too short to be told apart, with their number where there is room"],
  level: ["connecting", "On a listener: how many wait; a full queue fills the height, if its limit is known"],
  limit: ["error", "The queue's limit, where it was at least half full"],
  full: ["error", "The queue was full"],
};

/** Every mark: where on its bar, with what role, and what it means. */
const SHAPES: Readonly<Record<Shape, readonly [x: number, on: Form, Role, words: string]>> = {
  accept: [36, "double", "connected", "A child that was accepted; hollow: by another process"],
  accepts: [24, "double", "connected", "Several of them, and how many; so with other marks"],
  overflow: [24, "double", "error", "What the listener dropped, in packets"],
  notch: [FROM, "solid", "connected", "Begins with an accept"],
  inherited: [FROM, "solid", "connected", "Shares an open file: by a fork or a duplication"],
  passed: [FROM, "solid", "connected", "Sent by another process"],
  cap: [TO, "solid", "idle", "Closed"],
  arrow: [TO, "solid", "idle", "Open until its process ended"],
  cross: [36, "solid", "error", "A call that failed, or an error: click for why"],
};

const BANDS: readonly (readonly [readonly Band["kind"][], string])[] = [
  [["lost"], "Events that were lost, and how many"],
  [["unkept", "ahead"], "Hatched: not kept any more, or not there yet"],
];

const TIES: Readonly<Record<Tie, string>> = {
  accept: "A listener and its child",
  pair: "Both ends of one connection",
  shared: "Descriptors of one open file",
};

/** What the lanes and the strip draw. */
export function legend(): Group[] {
  return [
    { title: "Bars: what a descriptor holds, or a socket does", entries: [...phases(), ...forms()] },
    { title: "Marks", entries: marks() },
    { title: "Over the rows", entries: [...ties(), ...bands()] },
    { title: "The strip: all kept time", entries: strip() },
  ];
}

function piece(words: string, draw: (scene: Scene) => void): Entry {
  const scene = new Scene(WIDTH, HEIGHT, 0);
  draw(scene);
  return { words, piece: { of: "lanes", scene } };
}

function phases(): Entry[] {
  return PHASES.map(([step, words]) => {
    const { role, form } = look(step);
    return piece(words, ({ bars }) => bars.push(FROM, TO, 0, HEIGHT, role, form));
  });
}

function forms(): Entry[] {
  const { fold, level, limit, full } = FORMS;
  return [
    piece(fold[1], ({ bars, labels }) => {
      bars.push(FROM, TO, 0, HEIGHT, fold[0], "fold");
      labels.push({ x: FROM + 4, y: 0, width: TO - FROM - 8, text: "×12", least: "", on: undefined });
    }),
    piece(level[1], ({ bars }) => {
      bars.push(FROM, TO, 0, HEIGHT, "listening", "double");
      [3, 6, 12, 9, 5].forEach((tall, i) => {
        bars.push(FROM + 8 * i, FROM + 8 * (i + 1), HEIGHT - 4 - tall, tall, level[0], "level");
      });
    }),
    piece(
      "On a collapsed process: how many descriptors were open, where they are too many for lines",
      ({ bars }) => {
        [4, 6, 12, 16, 11, 8].forEach((tall, i) => {
          bars.push(FROM + 8 * i, FROM + 8 * (i + 1), HEIGHT - 4 - tall, tall, "connected", "level");
        });
      },
    ),
    piece(limit[1], ({ bars }) => {
      bars.push(FROM, TO, 0, HEIGHT, "listening", "double");
      bars.push(FROM, TO, HEIGHT - 14, 10, level[0], "level");
      bars.push(FROM, TO, 3, 1, limit[0], "limit");
    }),
    piece(full[1], ({ bars }) => {
      bars.push(FROM, TO, 0, HEIGHT, "listening", "double");
      bars.push(FROM + 12, TO - 12, 4, HEIGHT - 8, level[0], "level");
      bars.push(FROM + 12, TO - 12, 4, 3, full[0], "full");
    }),
  ];
}

function marks(): Entry[] {
  return Object.entries(SHAPES).map(([name, [x, on, role, words]]) => {
    const shape = name as Shape;
    return piece(words, ({ bars, marks }) => {
      bars.push(FROM, TO, 0, HEIGHT, on === "double" ? "listening" : "connected", on);
      const many = shape === "accepts" || shape === "overflow" ? { many: 12 } : {};
      marks.push({ x, y: 0, height: HEIGHT, shape, role, ...many });
      if (shape === "accept") marks.push({ x: x + 14, y: 0, height: HEIGHT, shape, role: "idle" });
    });
  });
}

function ties(): Entry[] {
  // As far apart as two rows are: nearer, the dashes cannot be told.
  const half = 22;
  return Object.entries(TIES).map(([tie, words]) => {
    const overlay: Overlay = {
      width: WIDTH,
      height: 2 * half,
      top: 0,
      links: [{ tie: tie as Tie, x: 30, y0: half / 2, y1: 1.5 * half, bend: 17 }],
      note: undefined,
      cursor: undefined,
      range: undefined,
      bookmarks: [],
      pointer: undefined,
      failure: undefined,
      outline: undefined,
    };
    const scene = new Scene(WIDTH, 2 * half, 0);
    if (tie === "accept") scene.bars.push(FROM, TO, 0, half, "listening", "double");
    else scene.bars.push(FROM, TO, 0, half, "connected", "solid");
    scene.bars.push(30, TO, half, half, "connected", "solid");
    return { words, piece: { of: "lanes", scene, overlay } };
  });
}

function bands(): Entry[] {
  return BANDS.map(([kinds, words]) => {
    // The loss is told in the ruler.
    const top = kinds.includes("lost") ? 18 : 0;
    const scene = new Scene(WIDTH, top + HEIGHT, top);
    scene.bars.push(kinds.includes("unkept") ? 26 : 0, 46, top, HEIGHT, "connected", "solid");
    const spans = { lost: [33, 39, "17 lost"], unkept: [0, 26, ""], ahead: [46, WIDTH, ""] } as const;
    for (const kind of kinds) {
      const [x0, x1, label] = spans[kind];
      scene.bands.push({ x0, x1, kind, label });
    }
    return { words, piece: { of: "lanes", scene } };
  });
}

/** Each with one thing of the strip alone, in eight parts of its time. */
function strip(): Entry[] {
  const none = new Uint32Array(8);
  const whole: OverviewScene = {
    width: WIDTH,
    height: STRIP_HEIGHT,
    summary: { from: 0, to: 8, changes: none, errors: none, open: none },
    losses: [],
    bookmarks: [],
    cursor: undefined,
    window: { from: 0, to: 8 },
  };
  const of = (words: string, more: Partial<OverviewScene>): Entry => ({
    words,
    piece: { of: "strip", scene: { ...whole, ...more } },
  });
  const { summary } = whole;
  return [
    of("Descriptors that are open", {
      summary: { ...summary, open: Uint32Array.of(2, 3, 3, 5, 8, 7, 4, 6) },
    }),
    of("Changes: what was opened, closed or went on", {
      summary: { ...summary, changes: Uint32Array.of(4, 1, 0, 9, 16, 2, 0, 6) },
    }),
    of("Errors", { summary: { ...summary, errors: Uint32Array.of(0, 0, 1, 0, 0, 1, 1, 0) } }),
    of("Lost events", { losses: [{ seq: 1, t: 5, count: 17, cause: "" }] }),
    of("A bookmark", { bookmarks: [3] }),
    of("The time in sight: drag it, or its ends", { window: { from: 2, to: 6 } }),
  ];
}

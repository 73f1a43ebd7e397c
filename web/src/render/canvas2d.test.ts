import { expect, test, vi } from "vitest";
import { Canvas2dRenderer } from "./canvas2d.ts";
import { LIGHT } from "./palette.ts";
import { Scene } from "./scene.ts";

/** Texts that a scene draws, each as `x text`; a character is six pixels wide. */
function texts(scene: Scene): string[] {
  const found: string[] = [];
  const known: Record<string, unknown> = {
    measureText: (text: string) => ({ width: 6 * text.length }),
    fillText: (text: string, x: number) => found.push(`${Math.round(x)} ${text}`),
  };
  const to = new Proxy(known, {
    get: (own, name) => own[name as string] ?? (() => to),
    set: () => true,
  });
  const canvas = { getContext: () => to } as unknown as HTMLCanvasElement;
  vi.stubGlobal("document", { createElement: () => canvas });
  new Canvas2dRenderer(canvas, canvas).lanes(scene, LIGHT);
  return found;
}

const ruler = (width: number, ...ticks: [x: number, label: string][]) => {
  const scene = new Scene(width, 100, 32);
  for (const [x, label] of ticks) scene.ticks.push({ x, label });
  return scene;
};

test("times stand right of their ticks, and none beyond the edge", () => {
  const scene = ruler(300, [10, "12:00:00"], [110, "12:00:05"], [210, "12:00:10"], [290, "12:00:15"]);
  expect(texts(scene)).toEqual(["15 12:00:00", "115 12:00:05", "215 12:00:10"]);
});

test("where a narrow ruler has room for one, they stand left of their ticks if those are more", () => {
  expect(texts(ruler(200, [80, "12:00:00"], [180, "12:00:15"]))).toEqual(["27 12:00:00", "127 12:00:15"]);
  expect(texts(ruler(200, [30, "12:00:00"], [150, "12:00:15"]))).toEqual(["35 12:00:00"]);
});

test("a time and the tag of a loss do not cover each other", () => {
  const scene = ruler(200, [80, "12:00:00"], [180, "12:00:15"]);
  scene.bands.push({ x0: 115, x1: 121, kind: "lost", label: "17 lost" });
  expect(texts(scene)).toEqual(["27 12:00:00", "97 17 lost"]);
});

test("the cursor's tag leaves no half of a time beside it", () => {
  const cleared: number[][] = [];
  const known: Record<string, unknown> = {
    measureText: (text: string) => ({ width: 6 * text.length }),
    fillRect: (x: number, y: number, width: number, height: number) => {
      if (y === 8 && height === 16) cleared.push([x, x + width]);
    },
  };
  const to = new Proxy(known, { get: (own, name) => own[name as string] ?? (() => to), set: () => true });
  const canvas = { getContext: () => to } as unknown as HTMLCanvasElement;
  vi.stubGlobal("document", { createElement: () => canvas });
  const renderer = new Canvas2dRenderer(canvas, canvas);
  renderer.lanes(
    ruler(400, [10, "12:00:00"], [110, "12:00:05"], [210, "12:00:10"], [310, "12:00:15"]),
    LIGHT,
  );
  renderer.overlay(
    {
      width: 400,
      height: 100,
      top: 32,
      links: [],
      note: undefined,
      // 84 pixels wide: from 148 to 232.
      cursor: { x: 190, label: "12:00:08.500" },
      range: undefined,
      bookmarks: [],
      pointer: undefined,
      failure: undefined,
      outline: undefined,
    },
    LIGHT,
  );
  expect(cleared).toEqual([
    [115, 163],
    [215, 263],
  ]);
});

test("a port stands for an address that does not fit, a file's name is cut, and a number is whole or left out", () => {
  const scene = new Scene(400, 100, 0);
  const add = (text: string, least: string | undefined, ...widths: number[]) => {
    for (const width of widths) scene.labels.push({ x: width, y: 0, width, text, least, on: undefined });
  };
  add("127.0.0.1:51212", ":51212", 90, 89, 36, 35);
  add("/var/log/nginx", undefined, 60);
  add("×1,234", "", 36, 35);
  expect(texts(scene)).toEqual([
    "90 127.0.0.1:51212",
    "89 :51212",
    "36 :51212",
    "60 /var/log/…",
    "36 ×1,234",
  ]);
});

test("a label that a link crosses is drawn once more over the link, with a halo", () => {
  const written: string[] = [];
  const known: Record<string, unknown> = {
    measureText: (text: string) => ({ width: 6 * text.length }),
    fillText: (text: string) => written.push(text),
    strokeText: (text: string) => written.push(`halo ${text}`),
    bezierCurveTo: () => written.push("link"),
  };
  const to = new Proxy(known, {
    get: (own, name) => own[name as string] ?? (() => to),
    set: () => true,
  });
  const canvas = { getContext: () => to } as unknown as HTMLCanvasElement;
  vi.stubGlobal("document", { createElement: () => canvas });
  const renderer = new Canvas2dRenderer(canvas, canvas);
  const scene = new Scene(400, 200, 0);
  for (const [text, x, y] of [
    ["crossed", 80, 50],
    ["right of it", 120, 50],
    ["below", 80, 150],
  ] as const) {
    scene.labels.push({ x, y, width: 90, text, least: undefined, on: "connected" });
  }
  renderer.lanes(scene, LIGHT);
  written.length = 0;
  renderer.overlay(
    {
      ...{ width: 400, height: 200, top: 0, links: [{ tie: "accept", x: 110, y0: 20, y1: 100, bend: 28 }] },
      ...{ note: undefined, cursor: undefined, range: undefined, bookmarks: [], pointer: undefined },
      ...{ failure: undefined, outline: undefined },
    },
    LIGHT,
  );
  // The link's own border is a line, too.
  expect(written).toEqual(["link", "link", "halo crossed", "crossed"]);
});

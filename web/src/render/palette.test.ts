import { describe, expect, test } from "vitest";
import { contrast, DARK, DARK_STRONG, LIGHT, LIGHT_STRONG, type Palette, ROLES, textOn } from "./palette.ts";

type Triple = readonly [number, number, number];

function linear(hex: string): Triple {
  const channel = (at: number) => {
    const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
}

/** Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB. */
const VISIONS: Readonly<Record<string, readonly [Triple, Triple, Triple]>> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protan: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deutan: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritan: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

/** OKLab (Björn Ottosson, 2020) of a colour as a vision sees it. */
function oklab(hex: string, vision: readonly [Triple, Triple, Triple]): Triple {
  const rgb = linear(hex);
  const dot = (row: Triple, of: Triple) => row[0] * of[0] + row[1] * of[1] + row[2] * of[2];
  const seen = vision.map((row) => Math.min(1, Math.max(0, dot(row, rgb)))) as unknown as Triple;
  const l = Math.cbrt(dot([0.4122214708, 0.5363325363, 0.0514459929], seen));
  const m = Math.cbrt(dot([0.2119034982, 0.6806995451, 0.1073969566], seen));
  const s = Math.cbrt(dot([0.0883024619, 0.2817188376, 0.6299787005], seen));
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** How far apart roles are at least, and the contrasts of bars and of texts. */
const PALETTES: readonly (readonly [string, Palette, number, bars: number, texts: number])[] = [
  ["light", LIGHT, 0.14, 3, 4.5],
  ["dark", DARK, 0.17, 3, 4.5],
  ["light, high contrast", LIGHT_STRONG, 0.15, 4.5, 7],
  ["dark, high contrast", DARK_STRONG, 0.17, 4.5, 7],
];

describe.each(PALETTES)("%s", (_, palette, apart, bars, texts) => {
  test.each(ROLES)("%s stands out from the ground", (role) => {
    expect(contrast(palette.roles[role], palette.ground)).toBeGreaterThanOrEqual(bars);
  });

  test.each(Object.keys(VISIONS))("roles can be told apart with %s vision", (name) => {
    const vision = VISIONS[name];
    if (!vision) throw new Error(name);
    const close: string[] = [];
    ROLES.forEach((a, i) => {
      for (const b of ROLES.slice(i + 1)) {
        const [p, q] = [oklab(palette.roles[a], vision), oklab(palette.roles[b], vision)];
        const distance = Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
        if (distance < apart) close.push(`${a} and ${b}: ${distance.toFixed(3)}`);
      }
    });
    expect(close).toEqual([]);
  });

  test.each(["text", "muted", "accent", "good", "warn", "bad"] as const)(
    "%s reads on every ground",
    (name) => {
      for (const ground of [palette.ground, palette.raised, palette.hover, palette.selected]) {
        expect(contrast(palette[name], ground)).toBeGreaterThanOrEqual(texts);
      }
    },
  );

  test("texts read on what they stand on, borders can be seen", () => {
    expect(contrast(palette.onAccent, palette.accent)).toBeGreaterThanOrEqual(texts);
    expect(contrast(palette.onBad, palette.bad)).toBeGreaterThanOrEqual(texts);
    expect(contrast(palette.edge, palette.ground)).toBeGreaterThanOrEqual(3);
    for (const role of ROLES) {
      expect(contrast(textOn(palette.roles[role]), palette.roles[role])).toBeGreaterThanOrEqual(4.5);
    }
  });
});

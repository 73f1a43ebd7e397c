import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { lineFields } from "../net/linefields.ts";
import type { Line } from "../protocol/types.gen.ts";
import { type Fields, parseFilter } from "./filter.ts";
import { Clock } from "./time.ts";

interface Vectors {
  readonly lines: Readonly<Record<string, Line>>;
  readonly fits: readonly { readonly filter: string; readonly lines: readonly string[] }[];
  readonly errors: readonly { readonly filter: string; readonly token: string; readonly says: string }[];
}

/** The vectors that the command line's filter passes. Numbers above 2^53 are kept exact, as that does. */
const VECTORS = JSON.parse(
  readFileSync(new URL("../../../tracer-user/wire/testdata/filter.json", import.meta.url), "utf8").replace(
    /("ts_ns": )(\d+)/g,
    '$1"$2"',
  ),
) as Vectors;

/** The page's own keys; the command line knows every kind of event besides, and refuses others. */
const FIELDS: Fields<Line> = {
  ...lineFields(new Clock("0")),
  ts_ns: { number: (line) => [BigInt(line.ts_ns)] },
  event: { text: (line) => [line.event], known: ["accept", "connect", "bind", "close", "lost"] },
};

describe("the vectors of the command line", () => {
  test.each(VECTORS.fits)("$filter", ({ filter, lines }) => {
    const fits = parseFilter(filter, FIELDS);
    if (typeof fits !== "function") throw new Error(fits.reason);
    const fitting = Object.entries(VECTORS.lines).flatMap(([name, line]) => (fits(line) ? [name] : []));
    expect(fitting).toEqual(lines);
  });

  test.each(VECTORS.errors)("$filter is refused", ({ filter, token, says }) => {
    const problem = parseFilter(filter, FIELDS);
    if (typeof problem === "function") throw new Error("it was read");
    expect(problem.token).toBe(token);
    expect(problem.reason).toContain(says);
  });
});

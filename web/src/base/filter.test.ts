import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Field, type Fields, parseFilter } from "./filter.ts";

type Line = Readonly<Record<string, unknown>>;

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

const several = (value: unknown): never[] => (value === undefined ? [] : [value].flat()) as never[];
const text = (key: string): Field<Line> => ({ text: (line) => several(line[key]) });
const number = (key: string): Field<Line> => ({ number: (line) => several(line[key]) });
/** A flag that is left out of a line is false, `cloexec` aside. */
const flag = (key: string): Field<Line> => ({
  flag: (line) => several(line[key] ?? (key === "cloexec" ? undefined : false)),
});

const FIELDS: Fields<Line> = {
  seq: number("seq"),
  ts_ns: { number: (line) => [BigInt(line.ts_ns as string)] },
  event: { text: (line) => several(line.event), known: ["accept", "connect", "bind", "close", "lost"] },
  ...Object.fromEntries(
    ["pid", "fd", "fds", "ret", "new_fd", "wait_ns", "dur_ns", "count"].map((key) => [key, number(key)]),
  ),
  ...Object.fromEntries(["pending", "cloexec", "late"].map((key) => [key, flag(key)])),
  ...Object.fromEntries(
    "process comm call error path socket listener family type protocol local peer asked cause via"
      .split(" ")
      .map((key) => [key, text(key)]),
  ),
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

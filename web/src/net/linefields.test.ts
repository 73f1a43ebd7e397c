import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { Clock } from "../base/time.ts";
import { lineFields } from "./linefields.ts";

test("the page's keys for lines are those of the command line", async () => {
  const source = await readFile(new URL("../../../tracer-user/wire/src/filter.rs", import.meta.url), "utf8");
  const known = [...source.matchAll(/^ {4}\("([a-z_]+)", Field::/gm)].map(([, name]) => name);
  expect(known.length).toBeGreaterThan(80);
  expect(Object.keys(lineFields(new Clock("0"))).sort()).toEqual(known.sort());
});

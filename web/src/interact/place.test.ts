import { describe, expect, test } from "vitest";
import { type Place, readPlace, writePlace } from "./place.ts";

const EVERYTHING: Place = {
  view: { from: 1795348800123456789n, to: 1795348860123456789n },
  cursor: 1795348830000000001n,
  base: 1795348820000000000n,
  mode: "instances",
  density: "compact",
  pinned: ["812@5119676157000", "811@5119676150000"],
  lesson: true,
  lessonOf: { process: "812@5119676157000", slot: { fd: 6, opened: 1795348804000000000n } },
  range: { from: 1795348810000000000n, to: 1795348811000000000n },
  bookmarks: [1795348801000000000n, 1795348802000000000n],
  tab: "events",
  filter: 'comm:"my server" -kind:file local:*:80 a&b=c#d',
  target: { process: "812@5119676157000", slot: { fd: 9, opened: 1795348805000000000n } },
};
const LEAST: Place = {
  view: { live: 60_000_000_000n },
  cursor: undefined,
  base: undefined,
  mode: "slots",
  density: "normal",
  pinned: [],
  lesson: false,
  lessonOf: undefined,
  range: undefined,
  bookmarks: [],
  tab: undefined,
  filter: "",
  target: undefined,
};

describe("a place in a link", () => {
  test("comes back as it was, to the nanosecond", () => {
    expect(readPlace(`#${writePlace(EVERYTHING)}`)).toEqual(EVERYTHING);
    expect(readPlace(writePlace(LEAST))).toEqual(LEAST);
  });

  test("is written in terms that stay", () => {
    expect(writePlace(LEAST)).toBe("v=1&live=60000000000");
    expect(writePlace({ ...LEAST, target: { process: "812@5", slot: { fd: 9, opened: 7n } } })).toBe(
      "v=1&live=60000000000&sel=812%405%2F9%407",
    );
  });

  test.each(["", "#", "v=2&live=1", "v=1", "v=1&t=5,4", "v=1&t=4", "v=1&t=a,b", "v=1&live=-5", "token=abc"])(
    "%o is none",
    (fragment) => {
      expect(readPlace(fragment)).toBeUndefined();
    },
  );

  test("what is wrong in it is left out", () => {
    expect(
      readPlace(
        "v=1&live=60000000000&at=now&range=9,1&marks=x&since=-1&rows=hack&tab=hack&sel=../../etc/passwd",
      ),
    ).toEqual(LEAST);
  });
});

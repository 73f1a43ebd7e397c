import { expect, test } from "vitest";
import { FakeSession } from "../../test/fake/session.ts";
import { Scene } from "../render/scene.ts";
import type { Failure } from "../store/failures.ts";
import { Session } from "../store/session.ts";
import { drawErrors, type Errors } from "./errors.ts";
import { TimeScale } from "./timescale.ts";

/** The crosses of a row, a pixel for each nanosecond: `500` for one, `500 ×2` for several. */
function crosses(errors: Errors): string[] {
  const scene = new Scene(2000, 100, 0);
  const scale = new TimeScale(0, 2000, 2000);
  const { entities } = new Session();
  drawErrors({ scene, entities, scale, edge: 2000, y: 0, height: 24, bare: false }, errors);
  return scene.marks.map(({ x, many }) => (many === undefined ? `${x}` : `${x} ×${many}`));
}

function failed(t: number, dur_ns: number): Failure {
  const fake = new FakeSession();
  const process = fake.process(7, "server").id;
  return {
    seq: t,
    ts_ns: t,
    t,
    dur_ns,
    via: "syscall",
    event: "accept",
    call: "accept4",
    error: "EMFILE",
    process,
    fd: 3,
  };
}

test("what a call returned and its socket met meanwhile is one error", () => {
  const call = failed(1000, 900);
  expect(crosses({ times: [[700, 1500]], failed: [[call]] })).toEqual(["1000", "1500"]);
});

test("a call that failed during another one is an error of its own", () => {
  const errors = { times: [[700]], failed: [[failed(500, 100), failed(1000, 900)]] };
  expect(crosses(errors)).toEqual(["500", "1000"]);
});

import { expect, test } from "vitest";
import type { Line } from "../protocol/types.gen.ts";
import { Failures } from "./failures.ts";

function line(seq: number, more: Partial<Line> = {}): Line {
  const base = { seq, ts_ns: 0, t: seq * 10, via: "syscall", process: "1@1", event: "bind", call: "bind" };
  return { ...base, fd: 3, error: "EADDRINUSE", ...more };
}

test("failed calls by process and slot, in order, each once", () => {
  const failures = new Failures();
  failures.add([line(5), line(9)]);
  failures.add([line(5), line(2), line(7, { fd: 4 })]);
  const { fd: _, ...without } = line(8);
  failures.add([without]);
  expect(failures.ofProcess("1@1").map(({ seq }) => seq)).toEqual([2, 5, 7, 8, 9]);
  expect(failures.ofSlot("1@1", 3).map(({ seq }) => seq)).toEqual([2, 5, 9]);
  expect(failures.find(7)?.fd).toBe(4);
  expect(failures.find(6)).toBeUndefined();
  expect(failures.counts.get("1@1")).toBe(5);
});

test("what is part of how calls work is no failure", () => {
  const failures = new Failures();
  failures.add([
    line(1, { error: "EAGAIN" }),
    line(2, { error: "ERESTARTSYS" }),
    line(3, { event: "open", call: "openat", error: "ENOENT" }),
    line(4, { event: "state", error: "ECONNRESET", call: undefined as never }),
  ]);
  expect(failures.length).toBe(0);
  failures.add([line(5, { event: "open", call: "openat", error: "EACCES" })]);
  expect(failures.length).toBe(1);
});

test("the oldest go first, and a process that is gone takes its own along", () => {
  const failures = new Failures(2);
  failures.add([line(1), line(2), line(3, { process: "2@2" })]);
  expect(failures.find(1)).toBeUndefined();
  expect(failures.ofProcess("1@1").map(({ seq }) => seq)).toEqual([2]);
  failures.evictProcess("1@1");
  expect([failures.length, failures.counts.get("1@1")]).toEqual([1, undefined]);
});

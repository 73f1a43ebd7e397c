import { stepAt } from "../a11y/sentences.ts";
import type { Descriptor, Socket } from "../protocol/types.gen.ts";

/** What became of one number between two instants. */
export interface Difference {
  readonly fd: number;
  /** `opened`: empty before. `closed`: empty after. `replaced`: holds another thing. `changed`: the same, in another state. */
  readonly kind: "opened" | "closed" | "replaced" | "changed";
  readonly before: Descriptor | undefined;
  readonly after: Descriptor | undefined;
}

interface Instant {
  readonly at: number;
  /** What a table held, by number. */
  readonly table: readonly Descriptor[];
}

/** The numbers of a table that differ between two instants, the earlier one first. */
export function differences(
  before: Instant,
  after: Instant,
  socketOf: (descriptor: Descriptor) => Socket | undefined,
): Difference[] {
  const old = new Map(before.table.map((one) => [one.fd, one]));
  const now = new Map(after.table.map((one) => [one.fd, one]));
  const numbers = [...new Set([...old.keys(), ...now.keys()])].sort((a, b) => a - b);
  return numbers.flatMap((fd): Difference[] => {
    const [a, b] = [old.get(fd), now.get(fd)];
    const kind = change(a, b);
    if (kind !== "same") return [{ fd, kind, before: a, after: b }];
    const socket = a && socketOf(a);
    const moved = socket !== undefined && stepAt(socket, before.at) !== stepAt(socket, after.at);
    return moved ? [{ fd, kind: "changed", before: a, after: b }] : [];
  });
}

function change(
  a: Descriptor | undefined,
  b: Descriptor | undefined,
): Exclude<Difference["kind"], "changed"> | "same" {
  if (!a) return "opened";
  if (!b) return "closed";
  return a.id === b.id ? "same" : "replaced";
}

import { lowerBound, upperBound } from "../base/search.ts";
import type { Descriptor, Process } from "../protocol/types.gen.ts";
import { type Entities, holding } from "../store/entities.ts";
import type { Failure, Failures } from "../store/failures.ts";
import type { Subject } from "./filter.ts";

const at = ({ t }: Failure) => t;

/** The calls of a process that failed on a descriptor while it was open. */
export function failedOn(
  failures: Failures,
  process: string,
  { fd, opened, closed }: Descriptor,
): readonly Failure[] {
  const all = failures.ofSlot(process, fd);
  return all.slice(lowerBound(all, opened, at), upperBound(all, closed ?? Number.POSITIVE_INFINITY, at));
}

/** What failed of that which a filter looks at, beside what its socket's steps tell. */
export function failedOf(
  failures: Failures,
  { process, descriptor, socket, loose }: Subject,
): readonly Failure[] {
  const calls = process && descriptor ? failedOn(failures, process.id, descriptor) : (loose?.() ?? []);
  return [...calls, ...failures.ofSocket(socket?.id)];
}

/** The failed calls of a process on nothing that it held: on no number, or on one that was free. */
export function looseOf(entities: Entities, failures: Failures, process: Process): readonly Failure[] {
  return failures.ofProcess(process.id).filter(({ fd, t }) => {
    const slot = fd === undefined ? undefined : entities.slot(process.table, fd);
    return !slot || !holding(slot, t);
  });
}

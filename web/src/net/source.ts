import type { Events } from "../protocol/types.gen.ts";
import { browserWorld, Live, type Owner } from "./live.ts";
import { fetchEvents } from "./rest.ts";

/** The element that holds a capture, packed. */
export const CAPTURE_ID = "sockreel-capture";

/** Where a session comes from: a daemon, or the very file that the page is. */
export interface Source {
  /** Tells everything that is known, and what comes. */
  start(owner: Owner): void;
  /** A page of events, as `fetchEvents`. */
  events(fromSeq: number, limit: number, filter: string, before?: number): Promise<Events>;
}

/** The daemon that this page came from. */
export function daemon(): Source {
  return { start: (owner) => new Live(browserWorld(), owner).start(), events: fetchEvents };
}

/** What was put into this file, if it is an exported one. */
export async function kept(): Promise<Source | undefined> {
  const packed = document.getElementById(CAPTURE_ID)?.textContent;
  if (!packed) return undefined;
  const { replay } = await import("./replay.ts");
  return replay(packed);
}

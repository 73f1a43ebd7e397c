import { type Fields, type Filter, parseFilter } from "../base/filter.ts";
import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";
import type { Failure, Failures } from "../store/failures.ts";
import { failedOf } from "./failed.ts";

/**
 * What a row filter looks at: a slot's content with its process and socket, a socket that no slot holds yet, or a process
 * alone.
 */
export interface Subject {
  readonly process: Process | undefined;
  readonly descriptor: Descriptor | undefined;
  readonly socket: Socket | undefined;
  /** Of a process alone: its failed calls on nothing that it held. */
  readonly loose?: () => readonly Failure[];
}

export type RowFilter = Filter<Subject>;

/**
 * Keys are the names of a line's fields, so that one habit serves the command line and the page; `port` and `state` are
 * a row's own: either end's port, and the phase or the kernel's state that the socket is in.
 */
const FIELDS = {
  process: { text: ({ process }) => [process?.id] },
  pid: { number: ({ process }) => [process?.pid] },
  comm: { text: ({ process }) => [process?.comm] },
  fd: { number: ({ descriptor }) => [descriptor?.fd] },
  cloexec: { flag: ({ descriptor }) => [descriptor?.cloexec] },
  kind: { text: ({ descriptor }) => [descriptor?.kind] },
  inode: { number: ({ descriptor }) => [whole(descriptor?.ino)] },
  path: { text: ({ descriptor }) => [descriptor?.name || undefined] },
  socket: { text: ({ socket }) => [socket?.id] },
  listener: { text: ({ socket }) => [socket?.listener] },
  family: { text: ({ socket }) => [socket?.family] },
  type: { text: ({ socket }) => [socket?.type] },
  protocol: { text: ({ socket }) => [socket?.protocol] },
  local: { text: ({ socket }) => [socket?.local] },
  peer: { text: ({ socket }) => [socket?.peer] },
  port: { number: ({ socket }) => [port(socket?.local), port(socket?.peer)] },
  state: { text: ({ socket }) => [socket?.steps.at(-1)?.phase, socket?.steps.at(-1)?.state] },
  error: { text: ({ socket }) => socket?.steps.map((step) => step.error) ?? [] },
  wait_ns: { number: ({ socket }) => [socket?.wait_ns] },
} satisfies Fields<Subject>;

export const FILTER_KEYS = Object.keys(FIELDS);

/**
 * Reads a row filter; a sentence says what is wrong where it cannot be read. Errors are those that a socket met, and of
 * the calls that failed.
 */
export function readRowFilter(text: string, failures: Failures): RowFilter | string {
  const error = (subject: Subject) => [
    ...FIELDS.error.text(subject),
    ...new Set(failedOf(failures, subject).map((failure) => failure.error)),
  ];
  const read = parseFilter(text, { ...FIELDS, error: { text: error } });
  return typeof read === "function" ? read : `${read.token}: ${read.reason}`;
}

const DIGIT_0 = 48;
const DIGIT_9 = 57;
const BRACKET = 91;

/** The port of an address. It is asked for each socket that there is, so it goes without a regular expression. */
function port(address: string | null | undefined): number | undefined {
  if (!address) return undefined;
  const first = address.charCodeAt(0);
  // Names of unix sockets may hold colons, too; an address begins with a digit or a bracket.
  if ((first < DIGIT_0 || first > DIGIT_9) && first !== BRACKET) return undefined;
  const colon = address.lastIndexOf(":");
  if (colon < 0 || colon + 1 === address.length) return undefined;
  let number = 0;
  for (let i = colon + 1; i < address.length; i += 1) {
    const digit = address.charCodeAt(i) - DIGIT_0;
    if (digit < 0 || digit > 9) return undefined;
    number = number * 10 + digit;
  }
  return number;
}

function whole(digits: string | undefined): bigint | undefined {
  return digits !== undefined && /^\d+$/.test(digits) ? BigInt(digits) : undefined;
}

import type { Descriptor, Process, Socket } from "../protocol/types.gen.ts";

/** What a filter looks at: a slot's content with its process and socket. */
export interface Subject {
  readonly process: Process;
  readonly descriptor: Descriptor;
  readonly socket: Socket | undefined;
}

interface Term {
  readonly negated: boolean;
  readonly test: (subject: Subject) => boolean;
}

export type Filter = (subject: Subject) => boolean;

type Field = (subject: Subject) => (string | null | undefined)[];

/** Keys are the names of the contract's fields, so that one habit serves the command line and the page. */
const FIELDS: Readonly<Record<string, Field>> = {
  pid: ({ process }) => [String(process.pid)],
  comm: ({ process }) => [process.comm],
  process: ({ process }) => [process.id],
  fd: ({ descriptor }) => [String(descriptor.fd)],
  kind: ({ descriptor }) => [descriptor.kind],
  path: ({ descriptor }) => [descriptor.name],
  family: ({ socket }) => [socket?.family],
  type: ({ socket }) => [socket?.type],
  protocol: ({ socket }) => [socket?.protocol],
  socket: ({ socket }) => [socket?.id],
  listener: ({ socket }) => [socket?.listener],
  local: ({ socket }) => [socket?.local],
  peer: ({ socket }) => [socket?.peer],
  port: ({ socket }) => [port(socket?.local), port(socket?.peer)],
  state: ({ socket }) => [socket?.steps.at(-1)?.phase, socket?.steps.at(-1)?.state?.toLowerCase()],
  error: ({ socket }) => socket?.steps.map((step) => step.error) ?? [],
};

/** Fields whose value is looked for inside; all others have to be equal. */
const INSIDE = new Set(["comm", "path", "local", "peer"]);

export const FILTER_KEYS = Object.keys(FIELDS);

/**
 * Reads a row filter: `key:value` terms and free words, all of which must hold; `,` separates alternatives, `-` in
 * front negates, quotes hold words together. Returns what is wrong as a sentence where it cannot be read.
 */
export function parseFilter(text: string): Filter | string {
  const terms: Term[] = [];
  for (const [, dash, key, quotedValue, value, quoted, word] of text.matchAll(
    /(-?)(?:([a-z_]+):(?:"([^"]*)"|(\S*))|"([^"]*)"|(\S+))/gi,
  )) {
    const wanted = (quotedValue ?? value ?? quoted ?? word ?? "").toLowerCase();
    const negated = dash === "-";
    if (key === undefined) {
      if (wanted) terms.push({ negated, test: (subject) => anywhere(subject).includes(wanted) });
      continue;
    }
    const field = FIELDS[key.toLowerCase()];
    if (!field) return `There is no key “${key}”. Keys: ${FILTER_KEYS.join(", ")}.`;
    if (!wanted) return `“${key}:” needs a value.`;
    const alternatives = quotedValue === undefined ? wanted.split(",").filter(Boolean) : [wanted];
    const inside = INSIDE.has(key.toLowerCase());
    terms.push({
      negated,
      test: (subject) =>
        field(subject).some((found) => {
          const has = found?.toLowerCase();
          return has != null && alternatives.some((one) => (inside ? has.includes(one) : has === one));
        }),
    });
  }
  return (subject) => terms.every((term) => term.test(subject) !== term.negated);
}

function anywhere({ process, descriptor, socket }: Subject): string {
  return [
    process.comm,
    process.pid,
    `fd ${descriptor.fd}`,
    descriptor.kind,
    descriptor.name,
    socket?.protocol,
    socket?.local,
    socket?.peer,
    socket?.id,
    socket?.steps.at(-1)?.phase,
  ]
    .join("\n")
    .toLowerCase();
}

function port(address: string | null | undefined): string | undefined {
  return address?.match(/:(\d+)$/)?.[1];
}

import { count, duration } from "../../src/base/time.ts";
import type { Answers, Question } from "../../src/net/answers.ts";
import type {
  Basis,
  Group,
  Holder,
  Party,
  Process,
  Queue,
  Room,
  Socket,
  When,
} from "../../src/protocol/types.gen.ts";
import { type FakeSession, T0_NS } from "./session.ts";

/** What a daemon answers of a told session: of its listeners what they are; of everything else that it found nothing. */
export function plainOf(session: FakeSession, about: Readonly<Record<string, string>> = {}): Answers {
  const at = when(session.now);
  const { lost } = session.status;
  const missing = `${count(lost)} events were lost: what they would have told may be missing.`;
  const basis: Basis = { at, scope: session.info.selection, caveats: lost > 0 ? [missing] : [] };
  const listeners = [...session.sockets.values()].filter(
    ({ steps, ended }) => ended === null && steps.at(-1)?.phase === "listening",
  );
  return {
    queues: {
      queues: listeners.map((listener) => queueOf(session, listener)),
      sampled: at,
      period_ns: 1e9,
      basis,
    },
    slow: { listeners: [], basis },
    balance: { groups: listeners.map((listener) => groupOf(session, listener)), basis },
    who: {
      target: about["of"] ?? "",
      sockets: listeners
        .filter(({ local }) => local === about["of"])
        .map((socket) => ({
          socket,
          listening: when(socket.steps.at(-1)?.t ?? 0),
          holders: holdersOf(session, socket),
          others: [],
          former: [],
        })),
      before: [],
      ownerless: [],
      leftovers: [],
      not_followed: [],
      connections: [...session.sockets.values()].filter(
        ({ listener, holders }) => holders > 0 && session.sockets.get(listener ?? "")?.local === about["of"],
      ).length,
      basis,
    },
    handovers: { sockets: [], basis },
    leaks: {
      growing: [],
      hung_up: [],
      unread: [],
      survived_exec: [],
      room: roomOf(session),
      basis: { ...basis, caveats: [...basis.caveats, ...doubts(session), ...unjudged(session)] },
    },
    fds: { tables: [], basis },
    connections: { connections: [], left_out: 0, basis },
  };
}

/** Whose tables may be wrong, as `Caveat::Doubtful` of tracer-answers says it. */
function doubts(session: FakeSession): string[] {
  return [...session.processes.values()]
    .filter(({ standing }) => standing === "doubtful")
    .map(({ pid, comm, since, why }) => {
      const at = new Date((Number(T0_NS) + (since ?? 0)) / 1e6).toISOString().replace("T", " ");
      return `the table of ${pid} (${comm}) may be wrong since ${at}: ${why === "unread" ? "it was not read" : `records were lost (${why})`}`;
    });
}

/** Where no connection that was accepted was closed yet, it takes so long to tell whether any is (`growth` of tracer-answers). */
const JUDGED_NS = 64e9;
/** So many that are open are worth a note. */
const SOME = 8;

/** Who may leave connections open, which cannot be told yet. */
function unjudged(session: FakeSession): string[] {
  return [...session.processes.values()].flatMap(({ table, pid, comm, seen }) => {
    const all = [...session.descriptors.values()].filter(
      (one) => one.table === table && one.opened_by === "accept",
    );
    const traced = session.now - seen;
    if (all.length < SOME || all.some(({ closed }) => closed !== null) || traced >= JUDGED_NS) return [];
    return [
      `whether ${pid} (${comm}) leaves descriptors of socket by accept open cannot be told yet: it takes ${duration(JUDGED_NS)} of tracing, and ${duration(traced)} are known`,
    ];
  });
}

/** Tables that are nearly full. */
function roomOf(session: FakeSession): Room[] {
  return [...session.processes.values()].flatMap((process) => {
    const limit = process.fd_limit ?? Number.POSITIVE_INFINITY;
    const held = [...session.descriptors.values()].filter(({ table }) => table === process.table);
    const used = held.filter(({ closed }) => closed === null).length;
    return used < 0.8 * limit ? [] : [{ process: party(process), used, limit }];
  });
}

function groupOf(session: FakeSession, socket: Socket): Group {
  const children = [...session.sockets.values()].filter(({ listener }) => listener === socket.id);
  const accepted = children.filter((child) => child.accepted !== null);
  const owners = holdersOf(session, socket);
  return {
    members: [
      {
        socket,
        owners,
        assigned: children.length,
        accepted: accepted.length,
        waiting: children.filter((child) => child.accepted === null && child.ended === null).length,
      },
    ],
    workers: owners.map((process) => {
      const own = accepted.filter((child) => child.accepted_by === process.process);
      const last = own.at(-1)?.accepted;
      return {
        process,
        ...(last === undefined || last === null ? {} : { tid: process.pid, last: when(last) }),
        accepted: own.length,
        woken_idle: 0,
      };
    }),
    findings: [],
  };
}

export function when(t: number, seq?: number): When {
  return { ts_ns: Number(T0_NS) + t, t, ...(seq === undefined ? {} : { seq }) };
}

export function party({ id, pid, comm }: Process): Party {
  return { process: id, pid, comm };
}

/** Who has a socket open. */
function holdersOf(session: FakeSession, socket: Socket): Holder[] {
  const open = [...session.descriptors.values()].filter(
    (one) => one.socket === socket.id && one.closed === null,
  );
  return open.flatMap(({ table, fd, cloexec, opened, opened_by }) =>
    [...session.processes.values()]
      .filter((process) => process.table === table)
      .map((process) => ({ ...party(process), fd, cloexec, since: when(opened), how: opened_by })),
  );
}

/** Connections that wait for longer are overdue (`OVERDUE_NS` of tracer-answers). */
const OVERDUE_NS = 1e9;

function queueOf(session: FakeSession, listener: Socket): Queue {
  const children = [...session.sockets.values()].filter((one) => one.listener === listener.id);
  const waiting = children
    .filter(({ accepted, ended }) => accepted === null && ended === null)
    .map(({ id, peer, queued }) => ({
      socket: id,
      ...(peer === null ? {} : { peer }),
      since: when(queued ?? 0),
      at_least: false,
      age_ns: session.now - (queued ?? 0),
    }));
  const overdue = waiting.filter(({ age_ns }) => age_ns >= OVERDUE_NS);
  const waits = children.flatMap(({ wait_ns }) => wait_ns ?? []).sort((a, b) => a - b);
  const part = (of: number) => waits[Math.ceil(of * waits.length) - 1] ?? 0;
  const drops = session.lines.filter((line) => line.event === "overflow" && line.listener === listener.id);
  const total = listener.drops ?? 0;
  const noticed = drops.at(-1);
  const oldest_ns = overdue[0]?.age_ns ?? 0;
  return {
    socket: listener,
    owners: holdersOf(session, listener),
    len: listener.queue_len ?? 0,
    len_at: when(session.now),
    limit: listener.queue_limit ?? 0,
    holds: (listener.queue_limit ?? 0) + 1,
    asked: listener.backlog ?? 0,
    queued: children.length,
    accepted: waits.length,
    waits: {
      count: waits.length,
      without_start: 0,
      ...(waits.length === 0
        ? {}
        : {
            p50_ns: part(0.5),
            p90_ns: part(0.9),
            p99_ns: part(0.99),
            p999_ns: part(0.999),
            max_ns: part(1),
          }),
    },
    waiting,
    others: 0,
    lengths: [],
    // Those of unix sockets are not counted by the kernel.
    ...(listener.family === "unix"
      ? {}
      : {
          drops: {
            total,
            queue_full_min: total,
            queue_full_max: total,
            counted_twice: 0,
            other_min: 0,
            other_max: 0,
            ...(noticed?.t === undefined ? {} : { noticed: when(noticed.t, noticed.seq) }),
            moments: drops.length,
            refused: [],
            sent_again: 0,
            clients: [],
          },
        }),
    failed: [],
    findings: [
      ...(overdue.length === 0
        ? []
        : [
            {
              kind: "slow",
              text: `accepting is behind: ${overdue.length} connections have waited for up to ${duration(oldest_ns)}`,
              count: overdue.length,
              oldest_ns,
            },
          ]),
      ...(total === 0
        ? []
        : [
            {
              kind: "overflowed",
              text: `the queue was full: at least ${total} connections or parts of handshakes were dropped`,
              count: total,
              ...(noticed?.t === undefined ? {} : { evidence: when(noticed.t, noticed.seq) }),
            },
          ]),
    ],
  };
}

export function isQuestion(text: string, answers: Answers): text is Question {
  return text in answers;
}

import { count, duration } from "../../src/base/time.ts";
import type { Answers, Question } from "../../src/net/answers.ts";
import type {
  Basis,
  Group,
  Holder,
  Line,
  Party,
  Process,
  Queue,
  Room,
  Socket,
  When,
} from "../../src/protocol/types.gen.ts";
import { HOSTILE, type Story } from "./nginx.ts";
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
      return `the table of ${pid} (${comm}) may be wrong since ${at}: ${why}`;
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

function when(t: number, seq?: number): When {
  return { ts_ns: Number(T0_NS) + t, t, ...(seq === undefined ? {} : { seq }) };
}

function party({ id, pid, comm }: Process): Party {
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
              text: `accepting is behind: ${overdue.length} connections waited for up to ${duration(oldest_ns)}`,
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

/** What goes wrong after the told story: the peer of the open connection hangs up, accepts fail, and 17 events are lost. */
export function trouble({ session, worker, listener, open }: Story): void {
  session.lose(17);
  session.step(open.socket, "half_closed", "CLOSE_WAIT");
  for (let i = 0; i < 12; i += 1) {
    session.pass(500);
    session.fail(worker, {
      event: "accept",
      call: "accept4",
      fd: 6,
      ret: -24,
      error: "EMFILE",
      socket: listener.id,
      local: listener.local ?? "",
      dur_ns: 4_100,
    });
  }
  session.pass(2000);
}

/** Answers about the told story and its trouble, as a daemon gives them: a queue that is stuck, a worker that leaks. */
export function answersOf({ session, master, worker, listener, open }: Story): Answers {
  /** The newest event of a kind that fits. */
  const told = (event: string, fits: (line: Line) => boolean = () => true): When => {
    const line = session.lines.findLast((one) => one.event === event && fits(one));
    return when(line?.t ?? 0, line?.seq);
  };
  const basis: Basis = {
    at: when(session.now),
    scope: session.info.selection,
    caveats: ["17 events were lost: what they would have told may be missing."],
  };
  const holder = (process: Process, fd: number, how: string, since: When, more: Partial<Holder>): Holder => ({
    ...party(process),
    fd,
    cloexec: false,
    since,
    how,
    ...more,
  });
  const waiting = [...session.sockets.values()].filter(
    (socket) => socket.listener === listener.id && socket.accepted === null && socket.ended === null,
  );
  const oldest_ns = session.now - (waiting[0]?.queued ?? 0);
  const accepted = told("accept", ({ error }) => error === undefined);
  const failed = told("accept", ({ error }) => error !== undefined);
  const slowest = told("accept", ({ wait_ns }) => (wait_ns ?? 0) >= 0.9e9);
  const holders = [
    holder(
      master,
      6,
      "socket",
      told("socket", ({ new_fd }) => new_fd === 6),
      {},
    ),
    holder(worker, 6, "fork", told("fork"), { from: party(master) }),
  ];
  const used = [...session.descriptors.values()].filter(
    ({ table, closed }) => table === worker.table && closed === null,
  ).length;
  const left = [...session.sockets.values()].filter(({ accepted_by, holders: n }) => accepted_by && n > 0);
  return {
    queues: {
      queues: [
        {
          socket: listener,
          owners: [party(master), party(worker)],
          len: waiting.length,
          len_at: when(session.now - 1e9),
          limit: 511,
          holds: 512,
          asked: 511,
          longest: waiting.length,
          longest_at: when(waiting.at(-1)?.queued ?? 0),
          queued: 17,
          accepted: 14,
          waits: {
            count: 14,
            without_start: 0,
            p50_ns: 144_000,
            p90_ns: 250_000,
            p99_ns: 900_000_000,
            p999_ns: 900_000_000,
            max_ns: 900_000_000,
            max_at: slowest,
          },
          waiting: waiting.map(({ id, peer, queued }) => ({
            socket: id,
            ...(peer === null ? {} : { peer }),
            since: when(queued ?? 0),
            at_least: false,
            age_ns: session.now - (queued ?? 0),
          })),
          others: 0,
          lengths: [],
          drops: {
            total: 9,
            queue_full_min: 4,
            queue_full_max: 6,
            counted_twice: 0,
            other_min: 3,
            other_max: 5,
            host_overflows: 6,
            noticed: when(session.now - 1e9),
            moments: 1,
            refused: [{ when: when(session.now - 2e9), peer: "127.0.0.1:51499" }],
            sent_again: 0,
            clients: [],
          },
          failed: [{ error: "EMFILE", count: 12, last: failed }],
          findings: [
            {
              kind: "stuck",
              text: `accept fails with EMFILE, 12 times: 3 connections waited for up to ${duration(oldest_ns)}, and nothing was accepted for ${duration(session.now - accepted.t)}`,
              count: 3,
              oldest_ns,
              error: "EMFILE",
              evidence: failed,
            },
          ],
        },
      ],
      sampled: when(session.now),
      period_ns: 1e9,
      basis,
    },
    slow: { listeners: [], basis },
    balance: {
      groups: [
        {
          members: [
            {
              socket: listener,
              owners: [party(master), party(worker)],
              assigned: 17,
              accepted: 14,
              waiting: waiting.length,
              oldest_ns,
            },
          ],
          workers: [
            {
              process: party(worker),
              tid: 812,
              accepted: 14,
              woken_idle: 7,
              woken_idle_per_accept: 0.5,
              last: failed,
            },
            { process: party(master), accepted: 0, woken_idle: 0 },
          ],
          findings: [
            {
              kind: "idle",
              text: "nginx/811 accepted nothing, the others 14",
              processes: [party(master)],
              count: 14,
              evidence: accepted,
            },
          ],
        },
      ],
      basis,
    },
    who: {
      target: listener.local ?? "",
      sockets: [
        {
          socket: listener,
          bound: told("bind", ({ socket }) => socket === listener.id),
          listening: told("listen"),
          holders,
          others: [
            {
              process: "77@1",
              pid: 77,
              comm: HOSTILE,
              fd: 3,
              how: "unknown",
              ino: "9",
              local: "127.0.0.1:80",
            },
          ],
          former: [],
        },
      ],
      before: [],
      ownerless: [],
      not_followed: [],
      leftovers: [
        {
          state: "TIME_WAIT",
          family: "inet",
          local: "127.0.0.1:80",
          peer: "127.0.0.1:51201",
          netns: 4026531840,
          inferred: false,
        },
      ],
      connections: left.length,
      basis,
    },
    handovers: {
      sockets: [
        {
          socket: listener,
          owners: holders.map((one) => ({ ...one, accepted: one.pid === worker.pid ? 14 : 0 })),
          findings: [
            {
              what: "left_behind",
              processes: [party(worker)],
              text: "812 nginx still holds it, though 813 nginx of its generation gave it up (#12) for 814 nginx",
              since: when(0, 12),
            },
          ],
        },
      ],
      basis,
    },
    leaks: {
      growing: [
        {
          process: party(worker),
          kind: "socket",
          by: "accept",
          left: left.length,
          made: 14,
          made_at_least: false,
          over_ns: 50e9,
          longest_ns: 12e9,
          since: when(left[0]?.accepted ?? 0),
          threads: [{ tid: 812, left: left.length }],
          newest: [{ fd: open.descriptor.fd, made: accepted }],
          stacks: [
            {
              left: left.length - 1,
              threads: [{ tid: 812, left: left.length - 1 }],
              stack: {
                frames: [
                  { file: "/usr/lib/libc.so.6", offset: "0x10e2a4", symbol: "accept4", symbol_offset: 20 },
                  {
                    file: "/usr/sbin/nginx",
                    offset: "0x4f1c2",
                    symbol: "ngx_event_accept",
                    symbol_offset: 258,
                  },
                ],
                cut: "no_frame_pointer",
              },
            },
            { left: 1, threads: [] },
          ],
        },
      ],
      hung_up: [
        {
          socket: open.socket,
          holders: [holder(worker, open.descriptor.fd, "accept", accepted, {})],
          since: when(open.socket.steps.at(-1)?.t ?? 0),
          found: false,
          age_ns: session.now - (open.socket.steps.at(-1)?.t ?? 0),
        },
      ],
      unread: [],
      survived_exec: [],
      room: [
        {
          process: party(worker),
          limit: 1024,
          used,
          left_per_1000_s: 60,
          reached_in_ns: ((1024 - used) / 60) * 1e12,
        },
      ],
      basis,
    },
    fds: {
      tables: [
        {
          process: worker.id,
          pid: worker.pid,
          comm: worker.comm,
          fd_limit: 1024,
          descriptors: [
            {
              ...holder(worker, 6, "fork", told("fork"), { from: party(master) }),
              kind: "socket",
              name: "",
              ino: "0",
              file: "f6",
              socket: listener,
            },
          ],
          direct: [],
          passing: 0,
        },
      ],
      basis,
    },
    connections: { connections: [], left_out: 0, basis },
  };
}

export function isQuestion(text: string, answers: Answers): text is Question {
  return text in answers;
}

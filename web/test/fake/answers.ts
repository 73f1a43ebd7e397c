import type { Answers, Question } from "../../src/net/answers.ts";
import type { Basis, Holder, Party, Process, When } from "../../src/protocol/types.gen.ts";
import type { Story } from "./nginx.ts";
import { type FakeSession, T0_NS } from "./session.ts";

/** What a daemon answers where it found nothing. */
export function nothingOf(session: FakeSession): Answers {
  const at = { ts_ns: Number(T0_NS) + session.now, t: session.now };
  const basis: Basis = { at, scope: session.info.selection, caveats: [] };
  return {
    queues: { queues: [], basis },
    slow: { listeners: [], basis },
    balance: { groups: [], basis },
    who: {
      target: "",
      sockets: [],
      before: [],
      ownerless: [],
      leftovers: [],
      not_followed: [],
      connections: 0,
      basis,
    },
    handovers: { sockets: [], basis },
    leaks: { growing: [], hung_up: [], unread: [], survived_exec: [], room: [], basis },
    fds: { tables: [], basis },
    connections: { connections: [], left_out: 0, basis },
  };
}

/** Answers about the told story, as a daemon gives them; a queue that is stuck, a worker that leaks. */
export function answersOf({ session, master, worker, listener, open }: Story): Answers {
  const when = (t: number, seq?: number): When => ({
    ts_ns: Number(T0_NS) + t,
    t,
    ...(seq === undefined ? {} : { seq }),
  });
  const party = ({ id, pid, comm }: Process): Party => ({ process: id, pid, comm });
  const basis: Basis = {
    at: when(session.now),
    scope: session.info.selection,
    caveats: ["17 events were lost: what they would have told may be missing."],
  };
  const holder = (
    process: Process,
    fd: number,
    how: string,
    since: number,
    more: Partial<Holder>,
  ): Holder => ({
    ...party(process),
    fd,
    cloexec: false,
    since: when(since, 7),
    how,
    ...more,
  });
  const waiting = [...session.sockets.values()].filter(
    (socket) => socket.listener === listener.id && socket.accepted === null && socket.ended === null,
  );
  const evil = [...session.processes.values()].find(({ pid }) => pid === 1313) ?? worker;
  const holders = [
    holder(master, 6, "socket", 1.5e9, {}),
    holder(worker, 6, "fork", 1.8e9, { from: party(master) }),
  ];
  return {
    queues: {
      queues: [
        {
          socket: listener,
          owners: [party(master), party(worker)],
          len: 3,
          len_at: when(session.now - 1e9, 60),
          limit: 511,
          holds: 512,
          asked: 511,
          longest: 4,
          longest_at: when(session.now - 2e9, 58),
          queued: 17,
          accepted: 14,
          waits: {
            count: 14,
            without_start: 2,
            p50_ns: 144_000,
            p90_ns: 250_000,
            p99_ns: 900_000_000,
            p999_ns: 900_000_000,
            max_ns: 900_000_000,
            max_at: when(30e9, 40),
          },
          waiting: waiting.map(({ id, peer, queued }) => ({
            socket: id,
            ...(peer === null ? {} : { peer }),
            since: when(queued ?? 0, 61),
            at_least: false,
            age_ns: session.now - (queued ?? 0),
          })),
          others: 1,
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
            refused: [{ when: when(session.now - 2e9, 59), peer: "127.0.0.1:51499" }],
            sent_again: 0,
            clients: [],
          },
          failed: [{ error: "EMFILE", count: 12, last: when(session.now - 3e9, 57) }],
          findings: [
            {
              kind: "stuck",
              text: "3 wait and nobody accepts: the oldest for 1.50 s",
              count: 3,
              oldest_ns: 1.5e9,
              evidence: when(session.now - 1.6e9, 56),
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
              waiting: 3,
            },
          ],
          workers: [
            {
              process: party(worker),
              tid: 812,
              accepted: 14,
              woken_idle: 7,
              woken_idle_per_accept: 0.5,
              last: when(40e9, 55),
            },
            { process: party(evil), accepted: 0, woken_idle: 0 },
          ],
          findings: [
            {
              kind: "idle",
              text: `${evil.comm} 1313 accepted nothing, the others 14`,
              processes: [party(evil)],
              count: 14,
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
          bound: when(1.5e9, 5),
          listening: when(1.5e9, 6),
          holders,
          others: [
            {
              process: "77@1",
              pid: 77,
              comm: "elsewhere",
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
      connections: 4,
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
              text: "nginx 812 still holds it, though nginx 813 of its generation gave it up for nginx 814",
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
          left: 21,
          made: 2_100,
          over_ns: 60e9,
          longest_ns: 3e9,
          since: when(5e9, 20),
          threads: [{ tid: 812, left: 21 }],
          newest: [{ fd: open.descriptor.fd, made: when(open.descriptor.opened, 50) }],
          stacks: [
            {
              left: 20,
              threads: [{ tid: 812, left: 20 }],
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
          holders: [holder(worker, open.descriptor.fd, "accept", open.descriptor.opened, {})],
          since: when(session.now - 8e9, 52),
          found: false,
          age_ns: 8e9,
        },
      ],
      unread: [],
      survived_exec: [],
      room: [{ process: party(worker), limit: 1024, used: 900, left_per_1000_s: 350, reached_in_ns: 354e9 }],
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
              ...holder(worker, 6, "fork", 1.8e9, { from: party(master) }),
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

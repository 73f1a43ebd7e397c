import { duration } from "../../src/base/time.ts";
import type { Answers } from "../../src/net/answers.ts";
import type { Basis, Holder, Line, Process, When } from "../../src/protocol/types.gen.ts";
import { party, when } from "./answers.ts";
import { HOSTILE, type Story } from "./nginx.ts";

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
              text: `accept fails with EMFILE, 12 times: 3 connections have waited for up to ${duration(oldest_ns)}, and nothing was accepted for ${duration(session.now - accepted.t)}`,
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

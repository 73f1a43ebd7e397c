import { visible } from "../../base/escape.ts";
import { count, duration } from "../../base/time.ts";
import type { Drops, Queue, SlowListener, Split, Waits } from "../../protocol/types.gen.ts";
import { useApp } from "../context.ts";
import { At, Doubt, Evidence, Fact, Moment, Parties, PartyLink, SocketLink } from "../details/facts.tsx";
import { ALL, Answer, Caveats, Finding, Rows, useAnswer } from "./answer.tsx";

/** One accept queue: what waits, how long connections waited, what was dropped, where the waits went. */
export function QueueOf({ socket }: { readonly socket: string }) {
  const told = useAnswer("queues", ALL);
  const { answer } = useAnswer("slow", ALL);
  const basis = answer?.basis;
  const slow = answer?.listeners.find((one) => one.socket.id === socket);
  return (
    <Answer title="This queue" told={told}>
      {({ queues, period_ns }) => {
        const queue = queues.find((one) => one.socket.id === socket);
        if (!queue) return <p class="muted">At that instant nothing was known of this listener.</p>;
        return (
          <>
            <Known queue={queue} period={period_ns} />
            <Waiting queue={queue} />
            {slow && slow.known > 0 && <WhereTo slow={slow} />}
            {slow?.known === 0 && (
              <Caveats caveats={basis?.caveats.filter((one) => /scheduler/.test(one)) ?? []} />
            )}
          </>
        );
      }}
    </Answer>
  );
}

function Known({ queue, period }: { readonly queue: Queue; readonly period: number | undefined }) {
  const { findings, owners, len, len_at, limit, holds, asked, longest, longest_at } = queue;
  const { without_start } = queue.waits;
  const { session } = useApp();
  return (
    <>
      {findings.map(({ kind, text, evidence }) => (
        <Finding key={text} kind={kind} text={text} evidence={evidence} />
      ))}
      <dl class="facts">
        <Fact name="Held by">
          <Parties parties={owners} />
        </Fact>
        {limit !== undefined && (
          <Fact name="Accept queue">
            {len === undefined ? "length unknown" : count(len)}
            <Doubt process={session.entities.processes.get(owners[0]?.process ?? "")} />, limit {count(limit)}{" "}
            <span class="muted">
              (holds {holds === undefined ? "?" : count(holds)}
              {asked !== undefined && `; asked for ${asked}`})
            </span>
            {holds !== undefined && len !== undefined && len > holds && (
              <span class="bad">, {count(len - holds)} more than it holds</span>
            )}
            {len_at && (
              <>
                {" "}
                at <At when={len_at} />
              </>
            )}
          </Fact>
        )}
        {longest !== undefined && longest_at && (
          <Fact name="Longest">
            {count(longest)} at <At when={longest_at} />
          </Fact>
        )}
        <Fact name="Accepted">
          {count(queue.accepted)}{" "}
          <span class="muted">
            of {count(queue.queued)} queued
            {without_start > 0 && `; of ${count(without_start)} it is not known when they were queued`}
          </span>
        </Fact>
        <Fact name="Waited">
          <Waited waits={queue.waits} />
        </Fact>
        <Fact name="Dropped">
          <Dropped drops={queue.drops} period={period} />
        </Fact>
        {queue.turned_away && (
          <Fact name="Turned away">
            {count(queue.turned_away.count)} connects with EAGAIN, the last at{" "}
            <At when={queue.turned_away.last} />
          </Fact>
        )}
        {queue.failed.map(({ error, count: n, last }) => (
          <Fact name="Accept failed" key={error}>
            {visible(error)} {count(n)} times, the last at <At when={last} />
          </Fact>
        ))}
      </dl>
    </>
  );
}

function Waited({ waits }: { readonly waits: Waits }) {
  const { p50_ns, p90_ns, p99_ns, p999_ns, max_ns, max_at } = waits;
  const parts = [
    ["p50", p50_ns],
    ["p90", p90_ns],
    ["p99", p99_ns],
    ["p99.9", p999_ns],
  ] as const;
  if (max_ns === undefined) return <span class="muted">nobody whose wait is known</span>;
  return (
    <span data-waits={waits.count}>
      {parts.map(([name, ns]) => (ns === undefined ? "" : `${name} ${duration(ns)}, `))}
      max {duration(max_ns)}
      <Evidence when={max_at} />
    </span>
  );
}

function Dropped({
  drops,
  period,
}: {
  readonly drops: Drops | undefined;
  readonly period: number | undefined;
}) {
  if (!drops) {
    return period === undefined ? (
      <span class="muted">not known: queues are not sampled here</span>
    ) : (
      <span class="muted">not known of this one</span>
    );
  }
  const { total, since, noticed, host_overflows, sent_again, refused, clients } = drops;
  const every = period === undefined ? "" : ` each ${duration(period)}`;
  if (total === 0) {
    return (
      <>
        nothing{" "}
        <span class="muted">
          (sampled{every}
          {since && (
            <>
              {" "}
              since <Moment t={since.t} />
            </>
          )}
          )
        </span>
      </>
    );
  }
  return (
    <>
      <span class="bad" data-drops={total}>
        {count(total)} packets: {between(drops.queue_full_min, drops.queue_full_max)} met a full queue,{" "}
        {between(drops.other_min, drops.other_max)} for another reason
      </span>
      {noticed && (
        <>
          {" "}
          noticed at <At when={noticed} />
        </>
      )}
      <ul class="evidence">
        {host_overflows !== undefined && (
          <li>ListenOverflows of the network namespace grew by {count(host_overflows)}</li>
        )}
        <li>
          moment and peer are known of {count(drops.moments)}
          {refused.length > 0 ? ", the newest of them:" : ""}
        </li>
        {refused.slice(-3).map(({ when, peer }) => (
          <li key={`${when.t} ${peer}`}>
            dropped <bdi>{visible(peer ?? "?")}</bdi> at <At when={when} />
          </li>
        ))}
        {sent_again > 0 && (
          <li>
            {count(sent_again)} SYNs of clients on this host were sent again
            {clients.at(-1) && (
              <>
                , the last by <bdi>{visible(clients.at(-1)?.peer ?? "?")}</bdi>
              </>
            )}
          </li>
        )}
      </ul>
    </>
  );
}

/** `12`, `3 to 12`, `?`: what is known of a count at least and at most. */
export function between(least: number | undefined, most: number | undefined): string {
  if (least === undefined || most === undefined) return "?";
  return least === most ? count(least) : `${count(least)} to ${count(most)}`;
}

function Waiting({ queue }: { readonly queue: Queue }) {
  const { waiting, others } = queue;
  return (
    <>
      <Rows
        title={`Waiting to be accepted (${count(waiting.length + others)})`}
        columns={["Peer", "Waits for", "Since"]}
      >
        {waiting.map(({ socket, peer, since, at_least, age_ns }) => (
          <tr key={socket} data-waits-for={age_ns}>
            <td>
              <SocketLink id={socket} text={peer} />
            </td>
            <td class="num">
              {at_least && "more than "}
              {duration(age_ns)}
            </td>
            <td>
              <At when={since} />
            </td>
          </tr>
        ))}
      </Rows>
      {others > 0 && <p class="muted">and {count(others)} more in the queue</p>}
    </>
  );
}

const PARTS = [
  ["asleep", "asleep, waiting for connections"],
  ["runnable", "ready to run"],
  ["running", "running"],
  ["blocked", "blocked elsewhere"],
  ["unknown", "not known"],
] as const;

/** Where waits went, as the scheduler tells (`--sched`). */
function WhereTo({ slow }: { readonly slow: SlowListener }) {
  const { known, unknown, total, slowest } = slow;
  const all = PARTS.reduce((sum, [part]) => sum + total[`${part}_ns`], 0);
  return (
    <>
      <Rows
        title={`Where ${count(known)} waits went${unknown > 0 ? `, of ${count(unknown)} it is not known` : ""}`}
        columns={["The acceptor was", "Time", "Part"]}
      >
        {PARTS.filter(([part]) => total[`${part}_ns`] > 0).map(([part, words]) => (
          <tr key={part}>
            <td>
              {words}
              {part === "blocked" && total.blocked_in && ` (${visible(total.blocked_in)})`}
            </td>
            <td class="num">{duration(total[`${part}_ns`])}</td>
            <td class="num">{Math.round((100 * total[`${part}_ns`]) / Math.max(1, all))} %</td>
          </tr>
        ))}
      </Rows>
      <Rows title="Slowest" columns={["Wait", "Most of it", "Accepted by", "Accepted"]}>
        {slowest.slice(0, 5).map(({ wait_ns, accepted, by, tid, cause, split }) => (
          <tr key={`${accepted.t} ${tid}`}>
            <td class="num">{duration(wait_ns)}</td>
            <td>
              {cause}
              {split && cause !== "unknown" && ` ${duration(split[`${cause}_ns` as keyof Split] as number)}`}
            </td>
            <td>
              <PartyLink party={by} /> thread {tid}
            </td>
            <td>
              <At when={accepted} />
            </td>
          </tr>
        ))}
      </Rows>
    </>
  );
}

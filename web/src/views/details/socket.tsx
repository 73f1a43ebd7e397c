import { address, listenerName, phaseWord, processName, socketKind, stepAt } from "../../a11y/sentences.ts";
import { spoken, spokenAt } from "../../a11y/spoken.ts";
import { visible } from "../../base/escape.ts";
import { count, duration } from "../../base/time.ts";
import { otherEnd } from "../../layout/ends.ts";
import { look } from "../../layout/life.ts";
import { toldOf } from "../../layout/queue.ts";
import type { Process, Socket } from "../../protocol/types.gen.ts";
import { useApp } from "../context.ts";
import { Doubt, Fact, inodeName, Moment } from "./facts.tsx";

/** A socket's addresses, listener and queue, at the instant that is shown. */
export function OfSocket({
  socket,
  process,
}: {
  readonly socket: Socket;
  readonly process: Process | undefined;
}) {
  const app = useApp();
  const { entities } = app.session;
  const at = app.instant;
  const step = stepAt(socket, at);
  const { tcp } = socket;
  const queue = toldOf(entities, socket, at);
  const other = otherEnd(entities, socket);
  const holder = other && entities.holders(other.id)[0];
  const owner = holder && app.selecting.owner(holder.table);
  return (
    <div class="card">
      <h2>
        {socketKind(socket)} socket{" "}
        {step && <span class={`chip ${look(step).role.replace("_", "-")}`}>{phaseWord(step.phase)}</span>}{" "}
        <Doubt process={process} />
      </h2>
      <dl class="facts">
        <Fact name="Kind">
          {socket.family} {socket.type} {socket.protocol ?? ""}
        </Fact>
        <Fact name="Local">
          <bdi>{address(socket.local)}</bdi>
        </Fact>
        {socket.peer !== null && (
          <Fact name="Peer">
            <bdi>{address(socket.peer)}</bdi>
          </Fact>
        )}
        {other && (
          <Fact name="Other end">
            <button type="button" class="link" onClick={() => app.selecting.jump(other.id)}>
              {holder ? `fd ${holder.fd}` : inodeName(other)}
              {owner && (
                <>
                  {" of "}
                  <bdi>{processName(owner)}</bdi>
                </>
              )}
            </button>
          </Fact>
        )}
        {socket.listener !== null && (
          <Fact name="Listener">
            <button type="button" class="link" onClick={() => app.selecting.parent()}>
              from {listenerName(entities, socket, process?.table ?? "")}
            </button>
            {socket.inferred && <span class="muted"> inferred: accepted before tracing began</span>}
          </Fact>
        )}
        {socket.queued !== null && (
          <Fact name="Queued">
            <Moment t={socket.queued} />
          </Fact>
        )}
        {socket.accepted !== null && (
          <Fact name="Accepted">
            <Moment t={socket.accepted} />
            {socket.wait_ns === null
              ? " after a wait that was not seen"
              : ` after waiting ${duration(socket.wait_ns)}`}
          </Fact>
        )}
        {spokenAt(socket, at) && <Fact name="Protocol">{spoken(socket, at)}</Fact>}
        {tcp && (
          <>
            <Fact name="Bytes">
              <span title="As the kernel counts them: a SYN and a FIN are one each">
                {count(tcp.bytes_received)} received, {count(tcp.bytes_acked)} acknowledged
              </span>
            </Fact>
            <Fact name="Round trip">
              {tcp.rtt_us > 0 ? duration(tcp.rtt_us * 1e3) : "not measured"}
              {tcp.retransmits > 0 && (
                <span class="bad">
                  , {count(tcp.retransmits)} {tcp.retransmits === 1 ? "segment" : "segments"} sent again
                </span>
              )}
            </Fact>
            <Fact name="Counted at">
              <Moment t={tcp.t} />
            </Fact>
          </>
        )}
        {socket.closed_first !== null && (
          <Fact name="Closed first by">{socket.closed_first === "peer" ? "the peer" : "this side"}</Fact>
        )}
        {socket.backlog !== null && <Fact name="Backlog asked">{socket.backlog}</Fact>}
        {queue.limit !== undefined && (
          <Fact name="Accept queue">
            {queue.waiting}
            <Doubt process={process} />, limit {queue.limit}
          </Fact>
        )}
        <Fact name="Network namespace">{socket.netns}</Fact>
        <Fact name="Name in the API">{socket.id}</Fact>
      </dl>
    </div>
  );
}

/** Its states, one after the other. What its calls failed with is told beside: an error here is the socket's own. */
export function Life({ socket }: { readonly socket: Socket }) {
  const failed = socket.steps.some(({ error }) => error);
  return (
    <div class="card">
      <table>
        <caption>Life</caption>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">Became</th>
            <th scope="col">Kernel state</th>
            <th scope="col">Lasted</th>
            {failed && <th scope="col">Socket error</th>}
          </tr>
        </thead>
        <tbody>
          {socket.steps.map((step, i) => {
            const next = socket.steps[i + 1];
            return (
              <tr key={`${step.t} ${step.phase} ${step.state}`}>
                <td>
                  <Moment t={step.t} />
                </td>
                <td>
                  <span class={`chip ${look(step).role.replace("_", "-")}`}>{phaseWord(step.phase)}</span>
                </td>
                <td class="muted">{step.state ?? "not known"}</td>
                <td class="num">{next ? duration(next.t - step.t) : <span class="muted">still</span>}</td>
                {failed && (
                  <td class={step.error ? "bad" : "muted"}>{step.error ? visible(step.error) : "none"}</td>
                )}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** The descriptors that point to it, or did. */
export function Holders({ socket }: { readonly socket: Socket }) {
  const app = useApp();
  const { entities } = app.session;
  const holders = entities.holders(socket.id);
  return (
    <div class="card">
      <table>
        <caption>Descriptors that held it</caption>
        <thead>
          <tr>
            <th scope="col">fd</th>
            <th scope="col">Process</th>
            <th scope="col">Opened by</th>
            <th scope="col">Closed by</th>
          </tr>
        </thead>
        <tbody>
          {holders.map((holder) => {
            const process = [...entities.processes.values()].find((one) => one.table === holder.table);
            return (
              <tr key={holder.id}>
                <td>
                  <button type="button" class="link" onClick={() => app.selecting.jumpTo(holder)}>
                    {holder.fd}
                  </button>
                </td>
                <td>
                  <bdi>{process ? processName(process) : "one that is not kept"}</bdi>
                </td>
                <td>{holder.opened_by}</td>
                <td>{holder.closed_by ?? <span class="muted">still open</span>}</td>
              </tr>
            );
          })}
          {holders.length === 0 && (
            <tr>
              <td colSpan={4} class="muted">
                none yet
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
}

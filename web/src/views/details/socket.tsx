import { address, listenerName, phaseWord, processName, socketKind, stepAt } from "../../a11y/sentences.ts";
import { spoken, spokenAt } from "../../a11y/spoken.ts";
import { visible } from "../../base/escape.ts";
import { count, duration } from "../../base/time.ts";
import { otherEnd } from "../../layout/ends.ts";
import { look } from "../../layout/life.ts";
import { toldOf } from "../../layout/queue.ts";
import type { Socket } from "../../protocol/types.gen.ts";
import { useApp } from "../context.ts";
import { Fact, Moment } from "./facts.tsx";

/** A socket's addresses, listener and queue. */
export function OfSocket({ socket, table }: { readonly socket: Socket; readonly table: string }) {
  const app = useApp();
  const { entities } = app.session;
  const step = stepAt(socket, app.edge);
  const { tcp } = socket;
  const queue = toldOf(entities, socket, app.edge);
  const other = otherEnd(entities, socket);
  const holder = other && entities.holders(other.id)[0];
  const owner = holder && app.selecting.owner(holder.table);
  return (
    <div class="card">
      <h2>
        {socketKind(socket)} socket{" "}
        {step && <span class={`chip ${look(step).role.replace("_", "-")}`}>{phaseWord(step.phase)}</span>}
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
              {holder ? `fd ${holder.fd}` : other.id}
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
              from {listenerName(entities, socket, table)}
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
            {socket.wait_ns !== null && <> after waiting {duration(socket.wait_ns)}</>}
          </Fact>
        )}
        {spokenAt(socket, app.edge) && <Fact name="Protocol">{spoken(socket, app.edge)}</Fact>}
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
            {queue.waiting}, limit {queue.limit}
          </Fact>
        )}
        <Fact name="Network namespace">{socket.netns}</Fact>
        <Fact name="Name in the API">{socket.id}</Fact>
      </dl>
    </div>
  );
}

/** Its states, one after the other. */
export function Life({ socket }: { readonly socket: Socket }) {
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
            <th scope="col">Error</th>
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
                <td class="muted">{step.state ?? ""}</td>
                <td class="num">{next ? duration(next.t - step.t) : ""}</td>
                <td class="bad">{step.error ? visible(step.error) : ""}</td>
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
                  <bdi>{process ? processName(process) : holder.table}</bdi>
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

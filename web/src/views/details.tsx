import type { ComponentChildren } from "preact";
import {
  address,
  children as childrenWord,
  exitWord,
  failureSentence,
  holds,
  listenerName,
  phaseWord,
  processName,
  socketKind,
  standing,
  stepAt,
} from "../a11y/sentences.ts";
import { spoken, spokenAt } from "../a11y/spoken.ts";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import { look } from "../layout/life.ts";
import type { Descriptor, Explained, ExplainedHolder, Process, Socket } from "../protocol/types.gen.ts";
import { childEnd, joined } from "../store/entities.ts";
import type { Failure } from "../store/failures.ts";
import { useApp } from "./context.ts";
import { flags } from "./descriptors.tsx";

/** Children in the table; the tree of rows lists more. */
const MOST_CHILDREN = 200;
const MOST_FAILED = 100;

/** Everything that is known of what is selected. */
export function Details() {
  const app = useApp();
  app.state.version.value;
  const selection = app.state.selection.value;
  if (!selection) {
    return (
      <p class="hint">
        Select a row, a bar or an accept mark to see its whole life. Keys: ↑ ↓ and Enter on rows.
      </p>
    );
  }
  const socket = app.selecting.socket();
  const descriptor = app.selecting.descriptor();
  const process = app.process(selection.process);
  const failed = app.selecting.failed();
  if (!socket && !descriptor && !process) return <p class="hint">Not kept any more.</p>;
  return (
    <div class="details">
      {failed && <OfFailure failure={failed} />}
      {!socket && !descriptor && process && <OfProcess process={process} />}
      {descriptor && process && <OfDescriptor descriptor={descriptor} process={process} socket={socket} />}
      {descriptor && process && !failed && (
        <Failed failures={failuresIn(app.session.failures.ofSlot(process.id, descriptor.fd), descriptor)} />
      )}
      {socket && <OfSocket socket={socket} table={process?.table ?? ""} />}
      {socket && !socket.listener && <Children listener={socket} />}
      {socket && <Life socket={socket} />}
      {socket && <Holders socket={socket} />}
    </div>
  );
}

/** Those of a slot's failed calls that met this descriptor. */
function failuresIn(all: readonly Failure[], { opened, closed }: Descriptor): readonly Failure[] {
  return all.filter(({ t }) => t >= opened && (closed === null || t <= closed));
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Moment({ t }: { readonly t: number }) {
  const app = useApp();
  return (
    <button type="button" class="link num" title="Set the time cursor here" onClick={() => app.setCursor(t)}>
      {app.session.clock.timeOfDay(t, 1e3)}
    </button>
  );
}

function OfProcess({ process }: { readonly process: Process }) {
  const app = useApp();
  const open = app.session.entities.tableAt(process.table, app.instant).length;
  return (
    <>
      <div class="card">
        <h2>
          <bdi>{processName(process)}</bdi>
        </h2>
        <dl class="facts">
          <Fact name="Identity">{process.id}</Fact>
          {process.exe !== null && (
            <Fact name="Program">
              <bdi>{visible(process.exe)}</bdi>
            </Fact>
          )}
          {process.ppid !== null && <Fact name="Parent">{process.ppid}</Fact>}
          <Fact name="First seen">
            <Moment t={process.seen} />
          </Fact>
          {process.ended !== null && (
            <Fact name="Ended">
              <Moment t={process.ended} />
              {exitWord(process.status)}
            </Fact>
          )}
          <Fact name="Descriptors">
            {count(open)}
            {process.fd_limit === null ? "" : ` of at most ${count(process.fd_limit)}`} in table{" "}
            {process.table}
          </Fact>
          <Fact name="Standing">
            {standing(process)}
            {process.since !== null && (
              <>
                {" "}
                since <Moment t={process.since} />
              </>
            )}
          </Fact>
        </dl>
      </div>
      <Failed failures={app.session.failures.ofProcess(process.id)} />
    </>
  );
}

/** One failed call, with what explains it. */
function OfFailure({ failure }: { readonly failure: Failure }) {
  const app = useApp();
  return (
    <div class="card failure">
      <h2>
        <bdi>{failureSentence(failure)}</bdi>
      </h2>
      <dl class="facts">
        <Fact name="When">
          <Moment t={failure.t} />
        </Fact>
        <Fact name="Error">
          <bdi>{visible(failure.error)}</bdi> <span class="muted">returned {failure.ret ?? ""}</span>
        </Fact>
        {failure.asked !== undefined && (
          <Fact name="Asked for">
            <bdi>{visible(failure.asked)}</bdi>
          </Fact>
        )}
        {failure.dur_ns !== undefined && <Fact name="Took">{duration(failure.dur_ns)}</Fact>}
        <Fact name="Event">
          <button type="button" class="link num" onClick={() => app.showEvent(failure.seq)}>
            {failure.seq}
          </button>
        </Fact>
      </dl>
      {failure.explain && <Explanation explain={failure.explain} />}
    </div>
  );
}

/** Why it failed, with what that rests on: each piece leads to where it stands. */
function Explanation({ explain }: { readonly explain: Explained }) {
  const app = useApp();
  const { text, sockets = [], kinds = [], events = [], limit, used } = explain;
  const held = ({ process, pid, comm, fd }: ExplainedHolder) => (
    <li key={`${process} ${fd}`}>
      <bdi>
        fd {fd} of {visible(comm)} {pid}
      </bdi>
    </li>
  );
  return (
    <>
      <p class="explanation" data-cause={explain.cause}>
        <bdi>{visible(text)}</bdi>
      </p>
      <ul class="evidence">
        {limit !== undefined && (
          <li>
            {count(used ?? 0)} of {count(limit)} in use
            {explain.limit_inferred ? " (the limit is inferred)" : ""}
          </li>
        )}
        {kinds.map(({ kind, by, count: n }) => (
          <li key={`${kind} ${by}`}>
            {count(n)} × {kind.replaceAll("_", " ")} by {by}
          </li>
        ))}
        {sockets.map((one) => (
          <li key={`${one.socket} ${one.local} ${one.peer}`}>
            {one.socket ? (
              <button type="button" class="link" onClick={() => app.selecting.jump(one.socket ?? "")}>
                {one.socket}
              </button>
            ) : (
              "a socket that is not followed"
            )}{" "}
            <bdi>
              {[one.local, one.peer]
                .filter((end) => end)
                .map((end) => visible(end ?? ""))
                .join(" ↔ ")}
            </bdi>
            <ul>{(one.holders ?? []).map(held)}</ul>
          </li>
        ))}
        {events.map((seq) => (
          <li key={seq}>
            event{" "}
            <button type="button" class="link num" onClick={() => app.showEvent(seq)}>
              {seq}
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

/** A table of failed calls, the newest first: each leads to what explains it. */
function Failed({ failures }: { readonly failures: readonly Failure[] }) {
  const app = useApp();
  if (failures.length === 0) return null;
  const shown = failures.slice(-MOST_FAILED).reverse();
  return (
    <div class="card">
      <table>
        <caption>
          Failed calls ({count(failures.length)})
          {failures.length > shown.length && `, newest ${count(shown.length)}`}
        </caption>
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">What</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((failure) => (
            <tr key={failure.seq}>
              <td>
                <Moment t={failure.t} />
              </td>
              <td>
                <button type="button" class="link" onClick={() => app.selecting.failure(failure)}>
                  <bdi>{failureSentence(failure)}</bdi>
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function OfDescriptor({
  descriptor,
  process,
  socket,
}: {
  readonly descriptor: Descriptor;
  readonly process: Process;
  readonly socket: Socket | undefined;
}) {
  const app = useApp();
  return (
    <div class="card">
      <h2>
        fd {descriptor.fd} <span class="muted">of</span> <bdi>{processName(process)}</bdi>
      </h2>
      <dl class="facts">
        <Fact name="Holds">
          <bdi>{holds(descriptor, socket)}</bdi>
        </Fact>
        <Fact name="Opened">
          <Moment t={descriptor.opened} /> by {descriptor.opened_by}
        </Fact>
        <Fact name={descriptor.closed === null ? "Open for" : "Closed"}>
          {descriptor.closed === null ? (
            duration(app.edge - descriptor.opened)
          ) : (
            <>
              <Moment t={descriptor.closed} /> by {descriptor.closed_by}, after{" "}
              {duration(descriptor.closed - descriptor.opened)}
            </>
          )}
        </Fact>
        {flags(descriptor) && <Fact name="Flags">{flags(descriptor)}</Fact>}
        <Fact name="Inode">
          {descriptor.ino} <span class="muted">on</span> {descriptor.dev}
        </Fact>
        <Fact name="Open file">
          {descriptor.file} <span class="muted">({descriptor.id})</span>
        </Fact>
      </dl>
    </div>
  );
}

function OfSocket({ socket, table }: { readonly socket: Socket; readonly table: string }) {
  const app = useApp();
  const step = stepAt(socket, app.edge);
  return (
    <div class="card">
      <h2>
        {socketKind(socket)} socket {socket.id}{" "}
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
        {socket.listener !== null && (
          <Fact name="Listener">
            <button type="button" class="link" onClick={() => app.selecting.parent()}>
              from {listenerName(app.session.entities, socket, table)}
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
        {spokenAt(socket, app.edge) && <Fact name="Spoken">{spoken(socket, app.edge)}</Fact>}
        {socket.closed_first !== null && (
          <Fact name="Closed first by">{socket.closed_first === "peer" ? "the peer" : "this side"}</Fact>
        )}
        {socket.backlog !== null && <Fact name="Backlog asked">{socket.backlog}</Fact>}
        {socket.queue_limit !== null && (
          <Fact name="Accept queue">
            {socket.queue_len ?? 0} of {socket.queue_limit}
          </Fact>
        )}
        <Fact name="Network namespace">{socket.netns}</Fact>
      </dl>
    </div>
  );
}

function Life({ socket }: { readonly socket: Socket }) {
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

function Holders({ socket }: { readonly socket: Socket }) {
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
                <td>{holder.closed_by ?? <span class="muted">open</span>}</td>
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

function Children({ listener }: { readonly listener: Socket }) {
  const app = useApp();
  const { entities } = app.session;
  const all = entities.children(listener.id);
  if (all.length === 0 && listener.children === 0) return null;
  const shown = all.slice(-MOST_CHILDREN).reverse();
  const waiting = all.filter(
    (child) => child.accepted === null && child.ended === null && child.queued !== null,
  );
  return (
    <div class="card">
      <table>
        <caption>
          Children ({count(listener.children)})
          {waiting.length > 0 && `, ${count(waiting.length)} in the queue`}
          {all.length > shown.length && `, newest ${count(shown.length)}`}
        </caption>
        <thead>
          <tr>
            <th scope="col">Peer</th>
            <th scope="col">Accepted</th>
            <th scope="col">Waited</th>
            <th scope="col">Lasted</th>
            <th scope="col">Closed first</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((child) => {
            const end = childEnd(entities, child);
            return (
              <tr key={child.id}>
                <td>
                  <button type="button" class="link" onClick={() => app.selecting.jump(child.id)}>
                    <bdi>{address(child.peer)}</bdi>
                  </button>
                </td>
                <td>
                  {child.accepted === null ? (
                    <span class="muted">in queue</span>
                  ) : (
                    <Moment t={child.accepted} />
                  )}
                </td>
                <td class="num">{child.wait_ns === null ? "" : duration(child.wait_ns)}</td>
                <td class="num">
                  {end === undefined ? (
                    <span class="muted">open</span>
                  ) : (
                    duration(end - (child.accepted ?? joined(child)))
                  )}
                </td>
                <td>{child.closed_first ?? ""}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {all.length > shown.length && (
        <p class="hint">{childrenWord(all.length - shown.length)} earlier: see the list of rows.</p>
      )}
    </div>
  );
}

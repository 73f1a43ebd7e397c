import { useMemo, useState } from "preact/hooks";
import { acceptedBy, phaseWord, processName, stepAt } from "../a11y/sentences.ts";
import { spoken, spokenAt } from "../a11y/spoken.ts";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import {
  bytesAt,
  type Connection,
  closedFirst,
  connectionsAt,
  countersAt,
  type End,
} from "../layout/connections.ts";
import { look } from "../layout/life.ts";
import { ALL, useAnswer } from "./answers/answer.tsx";
import { useApp } from "./context.ts";
import { Moment, NotKnown } from "./details/facts.tsx";
import { type Column, SortedTable } from "./sorted.tsx";

/** Who is connected to whom, at the instant that is shown; the page's row filter holds here too. */
export function Connections() {
  const app = useApp();
  const { state, session } = app;
  state.version.value;
  const [ended, setEnded] = useState(false);
  const at = app.instant;
  const found = connectionsAt({ entities: session.entities, at, filter: app.filtering.filter, ended });
  // The daemon reads the kernel's counters for its answer; they come with the stream, of all that are open.
  useAnswer("connections", ALL);
  const read = newestCounters(found, at);
  const when = app.moments.words();
  const lost = session.lostUntil(at);
  const columns = useMemo(() => columnsAt(at), [at]);
  return (
    <div class="connections">
      <div class="bar">
        <span>
          <b>{count(found.length)}</b> {found.length === 1 ? "connection" : "connections"} {when}
          {ended && ", ended ones among them"}
        </span>
        <button
          type="button"
          aria-pressed={ended}
          title="Also connections that have ended and are kept"
          onClick={() => setEnded(!ended)}
        >
          Show ended
        </button>
        {state.filter.value.trim() !== "" && <span class="muted">that fit the filter of rows</span>}
        {lost > 0 && (
          <span class="doubt">
            <button type="button" class="link" onClick={() => app.listEvents("event:lost")}>
              {count(lost)} events were lost
            </button>
            : some connections may be missing, others may have ended.
          </span>
        )}
        {at < (session.status?.kept_since ?? 0) && (
          <span class="doubt">Before the oldest kept event: may be incomplete.</span>
        )}
        {read !== undefined && (
          <span class="muted">
            Bytes (a SYN and a FIN count as one each) of open ones as of <Moment t={read} />
          </span>
        )}
      </div>
      {found.length === 0 ? (
        <p class="hint">{ended ? "No connection is kept." : "Nobody is connected at this instant."}</p>
      ) : (
        <SortedTable
          label="Connections"
          className="connectionrows"
          rows={found}
          pairs={900}
          columns={columns}
          row={(connection) => <Line connection={connection} at={at} />}
        />
      )}
    </div>
  );
}

/** When the counters of an open connection were read last. */
function newestCounters(found: readonly Connection[], at: number): number | undefined {
  let newest: number | undefined;
  for (const { client, server, ended } of found) {
    if (ended !== undefined) continue;
    for (const end of [client, server]) {
      const tcp = countersAt(end, at);
      if (tcp && tcp.t > (newest ?? 0)) newest = tcp.t;
    }
  }
  return newest;
}

const pidOf = (end: End | undefined) => end?.process?.pid ?? 0;
const rttOf = (connection: Connection, at: number) =>
  (countersAt(connection.server, at) ?? countersAt(connection.client, at))?.rtt_us;
const resent = ({ client, server }: Connection, at: number) => {
  const both = [countersAt(client, at)?.retransmits, countersAt(server, at)?.retransmits];
  return both.some((one) => one !== undefined) ? (both[0] ?? 0) + (both[1] ?? 0) : undefined;
};

/** How long a connection was, or is, in a queue (nanoseconds), and the same in words; none where no listener made it. */
function waitOf(
  { server }: Connection,
  at: number,
): { readonly ns: number; readonly words: string } | undefined {
  if (!server || server.socket.listener === null) return undefined;
  const { queued, accepted, wait_ns } = server.socket;
  // Who was accepted before tracing began has a holder and no such moment.
  if (acceptedBy(server.socket, at) || (accepted === null && server.holder)) {
    return wait_ns === null ? { ns: -1, words: "unknown" } : { ns: wait_ns, words: duration(wait_ns) };
  }
  return { ns: at - (queued ?? at), words: "still waits" };
}

/** Either end's address: its own, or as the other end sees it. */
function addressOf(end: End | undefined, other: End | undefined): string {
  return end?.socket.local ?? other?.socket.peer ?? "";
}

function columnsAt(at: number): Column<Connection>[] {
  return [
    { title: "Client", key: ({ client, server }) => addressOf(client, server) },
    { title: "Client's process", key: ({ client }) => pidOf(client) },
    { title: "Server", key: ({ client, server }) => addressOf(server, client) },
    { title: "Server's process", key: ({ server }) => pidOf(server) },
    { title: "State", key: ({ client, server }) => stateOf(client, at) + stateOf(server, at) },
    { title: "Waited", key: (connection) => waitOf(connection, at)?.ns ?? -1 },
    { title: "Age", key: ({ since }) => -since },
    { title: "Closed first", key: (connection) => closedFirst(connection, at)?.who ?? "" },
    { title: "To server", key: (connection) => bytesAt(connection, at).up ?? -1 },
    { title: "To client", key: (connection) => bytesAt(connection, at).down ?? -1 },
    { title: "Round trip", key: (connection) => rttOf(connection, at) ?? -1 },
    { title: "Sent again", key: (connection) => resent(connection, at) ?? -1 },
    { title: "Protocol", key: (connection) => protocolOf(connection, at) },
  ];
}

function stateOf(end: End | undefined, at: number): string {
  return (end && stepAt(end.socket, at)?.phase) ?? "";
}

/** `unix`, `tcp, http/1`: what carries the connection, and what is spoken on it where that was looked at. */
function protocolOf(connection: Connection, at: number): string {
  const { protocol, family } = (connection.client ?? connection.server)?.socket ?? {};
  return [protocol ?? family, spokenOf(connection, at)].filter((part) => part).join(", ");
}

/** What the server's end saw counts more: who connects may have written what never arrived. */
function spokenOf({ client, server }: Connection, at: number): string {
  const ends = [server, client].filter((end) => end !== undefined);
  const known = ends.find(({ socket }) => (spokenAt(socket, at)?.app_protocol ?? "unknown") !== "unknown");
  const end = known ?? ends.find(({ socket }) => spokenAt(socket, at));
  return end ? spoken(end.socket, at) : "";
}

function Line({ connection, at }: { readonly connection: Connection; readonly at: number }) {
  const app = useApp();
  const { client, server, since, ended } = connection;
  const { up, down } = bytesAt(connection, at);
  const rtt = rttOf(connection, at);
  const first = closedFirst(connection, at);
  const again = resent(connection, at);
  const number = (n: number | undefined) => (n === undefined ? <NotKnown /> : count(n));
  return (
    <>
      <Address end={client} other={server} />
      <Owner end={client} />
      <Address end={server} other={client} />
      <Owner end={server} />
      <span role="cell" data-connection={(client ?? server)?.socket.id} data-ended={ended !== undefined}>
        <States connection={connection} at={at} />
      </span>
      <span role="cell" class="num">
        {server || client?.socket.type === "dgram" ? waitOf(connection, at)?.words : <NotKnown />}
      </span>
      <span role="cell" class="num">
        {duration((ended ?? at) - since)}
      </span>
      <span role="cell" data-first={first?.who}>
        {!first && ended !== undefined && <NotKnown />}
        {first && (
          <button
            type="button"
            class="link"
            title="Set the time cursor where it closed"
            onClick={() => app.setCursor(first.t)}
          >
            {first.who}
          </button>
        )}
      </span>
      <span role="cell" class="num" data-up={up}>
        {number(up)}
      </span>
      <span role="cell" class="num" data-down={down}>
        {number(down)}
      </span>
      <span role="cell" class="num">
        {rtt ? duration(rtt * 1e3) : <NotKnown />}
      </span>
      <span role="cell" class={again ? "num bad" : "num"}>
        {number(again)}
      </span>
      <span role="cell">
        <bdi>{protocolOf(connection, at)}</bdi>
      </span>
    </>
  );
}

function Address({ end, other }: { readonly end: End | undefined; readonly other: End | undefined }) {
  const app = useApp();
  // An unnamed unix socket has no address to show: its inode, as ss(8) has it.
  const name = end && `* ${end.socket.ino}`;
  const text = visible(addressOf(end, other).replace(/^unix:$/, "") || name || "");
  return (
    <span role="cell">
      {end ? (
        <button type="button" class="link" onClick={() => app.selecting.jump(end.socket.id, end.process?.id)}>
          <bdi>{text}</bdi>
        </button>
      ) : (
        <bdi class="muted" title="This end is not there any more, not followed, or not on this host.">
          {text}
        </bdi>
      )}
    </span>
  );
}

/** `curl 990 fd 5` */
function Owner({ end }: { readonly end: End | undefined }) {
  return (
    <span role="cell">
      {end?.process ? <bdi>{processName(end.process)}</bdi> : <NotKnown />}
      {end && end.others > 0 && (
        <span class="muted" title={`${count(end.others)} more have the listener, too`}>
          {" "}
          +{end.others}
        </span>
      )}
      {end?.holder && <span class="muted"> fd {end.holder.fd}</span>}
    </span>
  );
}

/** The state of both ends, once where it is the same. */
function States({
  connection: { client, server },
  at,
}: {
  readonly connection: Connection;
  readonly at: number;
}) {
  const steps = [client, server]
    .map((end) => end && stepAt(end.socket, at))
    .filter((step) => step !== undefined);
  const different = steps.filter((step, i) => steps.findIndex(({ phase }) => phase === step.phase) === i);
  return (
    <>
      {different.map((step) => (
        <span key={step.phase} class={`chip ${look(step).role.replace("_", "-")}`}>
          {phaseWord(step.phase)}
        </span>
      ))}
    </>
  );
}

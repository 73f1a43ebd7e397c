import { phaseWord, processName } from "../a11y/sentences.ts";
import { spoken, spokenAt } from "../a11y/spoken.ts";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import { type Connection, connectionsAt } from "../layout/connections.ts";
import { look } from "../layout/life.ts";
import { useApp } from "./context.ts";
import { SortedTable } from "./sorted.tsx";

/** Who is connected to whom, at the instant that is shown; the page's row filter holds here too. */
export function Connections() {
  const app = useApp();
  const { state, session } = app;
  state.version.value;
  state.cursor.value;
  const at = app.instant;
  const found = connectionsAt({ entities: session.entities, at, filter: app.filter });
  return (
    <div class="connections">
      <div class="bar">
        <span>
          <b>{count(found.length)}</b> {found.length === 1 ? "connection" : "connections"}{" "}
          {state.cursor.value === undefined ? "now" : `at ${session.clock.timeOfDay(at, 1e3)}`}
        </span>
        {state.filter.value.trim() !== "" && <span class="muted">that fit the filter of rows</span>}
      </div>
      {found.length === 0 ? (
        <p class="hint">Nobody is connected at this instant.</p>
      ) : (
        <SortedTable
          label="Connections"
          className="connectionrows"
          rows={found}
          columns={[
            { title: "Local", key: ({ socket }) => socket.local ?? "" },
            { title: "Peer", key: ({ socket }) => socket.peer ?? "" },
            { title: "State", key: ({ phase }) => phase },
            { title: "Process", key: ({ process }) => process?.pid ?? 0 },
            { title: "fd", key: ({ holder }) => holder?.fd ?? -1 },
            { title: "Age", key: ({ since }) => -since },
            { title: "Waited", key: ({ socket }) => socket.wait_ns ?? -1 },
            { title: "Spoken", key: ({ socket }) => spokenAt(socket, at)?.app_protocol ?? "" },
            { title: "Other end", key: ({ other }) => other?.id ?? "" },
          ]}
          row={(connection) => <Line connection={connection} at={at} />}
        />
      )}
    </div>
  );
}

function Line({ connection, at }: { readonly connection: Connection; readonly at: number }) {
  const app = useApp();
  const { socket, phase, since, holder, process, other } = connection;
  const step = socket.steps.findLast(({ t }) => t <= at);
  return (
    <>
      <span role="cell" data-connection={socket.id}>
        <button type="button" class="link" onClick={() => app.selecting.jump(socket.id, process?.id)}>
          <bdi>{visible(socket.local ?? socket.id)}</bdi>
        </button>
      </span>
      <span role="cell">
        <bdi>{visible(socket.peer ?? "")}</bdi>
      </span>
      <span role="cell">
        <span class={`chip ${step ? look(step).role.replace("_", "-") : "idle"}`}>{phaseWord(phase)}</span>
      </span>
      <span role="cell">
        <bdi>{process ? processName(process) : ""}</bdi>
      </span>
      <span role="cell" class="num">
        {holder?.fd ?? ""}
      </span>
      <span role="cell" class="num">
        {duration(at - since)}
      </span>
      <span role="cell" class="num">
        {socket.wait_ns === null ? "" : duration(socket.wait_ns)}
      </span>
      <span role="cell">
        <bdi>{spoken(socket, at)}</bdi>
      </span>
      <span role="cell">
        {other && (
          <button type="button" class="link" onClick={() => app.selecting.jump(other.id)}>
            <bdi>{owner(app, other.id)}</bdi>
          </button>
        )}
      </span>
    </>
  );
}

/** `fd 5 of curl 990`, or the socket's own name where nobody is known to hold it. */
function owner(app: ReturnType<typeof useApp>, id: string): string {
  const holder = app.session.entities.holders(id).at(-1);
  const process = holder && app.selecting.owner(holder.table);
  return holder && process ? `fd ${holder.fd} of ${processName(process)}` : id;
}

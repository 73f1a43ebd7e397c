import { phaseWord, place, processName, socketKind, standing, stepAt } from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import { look } from "../layout/life.ts";
import type { Descriptor } from "../protocol/types.gen.ts";
import { useApp } from "./context.ts";
import { VirtualTable } from "./virtual.tsx";

/** The descriptor table of one process at one instant: files and sockets together. */
export function Descriptors() {
  const app = useApp();
  const { state, session } = app;
  state.version.value;
  const cursor = state.cursor.value;
  const process = app.selecting.process();
  if (!process) return <p class="hint">No process is there yet; its descriptors will stand here.</p>;
  const at = app.instant;
  const table = session.entities.tableAt(process.table, at);
  const unkept = cursor !== undefined && cursor < (session.status?.kept_since ?? 0);
  return (
    <div class="descriptors">
      <div class="bar">
        <label>
          Process{" "}
          <select
            value={process.id}
            onChange={(event) => {
              const chosen = app.process(event.currentTarget.value);
              if (chosen) app.selecting.wholeProcess(chosen);
            }}
          >
            {[...session.entities.processes.values()].map((one) => (
              <option key={one.id} value={one.id}>
                {processName(one)}
              </option>
            ))}
          </select>
        </label>
        <span data-instant={cursor === undefined ? "now" : "cursor"}>
          {cursor === undefined ? "now" : `at ${session.clock.timeOfDay(cursor, 1e3)}`}
        </span>
        <span>
          <b>{count(table.length)}</b> open
          {process.fd_limit === null ? "" : ` of at most ${count(process.fd_limit)}`}
        </span>
        <span class={process.standing === "doubtful" ? "doubt" : "muted"}>{standing(process)}</span>
        {cursor !== undefined && (
          <button type="button" onClick={() => app.setCursor(undefined)}>
            Back to now
          </button>
        )}
        {cursor === undefined && <span class="muted">Click the ruler to see another instant.</span>}
        {unkept && <span class="doubt">Before the oldest kept event: may be incomplete.</span>}
      </div>
      {table.length === 0 ? (
        <p class="hint">{processName(process)} held no descriptor at this instant.</p>
      ) : (
        <VirtualTable
          label={`Descriptors of ${processName(process)}`}
          className="fds"
          count={table.length}
          rowHeight={24}
          columns={["fd", "Kind", "State", "Name or address", "Opened", "For", "Flags"]}
          row={(index) => <Line descriptor={table[index] as Descriptor} at={at} />}
        />
      )}
    </div>
  );
}

function Line({ descriptor, at }: { readonly descriptor: Descriptor; readonly at: number }) {
  const app = useApp();
  const socket = descriptor.socket ? app.session.entities.sockets.get(descriptor.socket) : undefined;
  const step = socket && stepAt(socket, at);
  const kind = socket ? `${socketKind(socket)} socket` : descriptor.kind.replaceAll("_", " ");
  const name = socket ? place(socket, at) : visible(descriptor.name) || "—";
  return (
    <>
      <span role="cell" data-table-fd={descriptor.fd}>
        <button type="button" class="link" onClick={() => app.selecting.jumpTo(descriptor)}>
          {descriptor.fd}
        </button>
      </span>
      <span role="cell">{kind}</span>
      <span role="cell">
        {step && <span class={`chip ${look(step).role.replace("_", "-")}`}>{phaseWord(step.phase)}</span>}
      </span>
      <span role="cell">
        <bdi>{name}</bdi>
      </span>
      <span role="cell">{descriptor.opened_by}</span>
      <span role="cell" class="num">
        {duration(at - descriptor.opened)}
      </span>
      <span role="cell">{flags(descriptor)}</span>
    </>
  );
}

/** Close-on-exec, and how the descriptor came if this process did not open it. */
export function flags(descriptor: Descriptor): string {
  const found: string[] = [];
  if (descriptor.cloexec) found.push("cloexec");
  if (descriptor.opened_by === "fork") found.push("inherited");
  if (descriptor.opened_by === "pass") found.push("passed");
  if (descriptor.opened_by === "dup") found.push("duplicate");
  return found.join(", ");
}

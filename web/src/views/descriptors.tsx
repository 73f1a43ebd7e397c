import { address, phaseWord, place, processName, socketKind, stepAt } from "../a11y/sentences.ts";
import { visible } from "../base/escape.ts";
import { count, duration } from "../base/time.ts";
import type { App } from "../interact/app.ts";
import { type Difference, differences } from "../layout/difference.ts";
import { look } from "../layout/life.ts";
import { limitWords, originOf } from "../layout/slotgrid.ts";
import type { Descriptor, Process } from "../protocol/types.gen.ts";
import { useApp } from "./context.ts";
import { Doubt, Standing } from "./details/facts.tsx";
import { lazy } from "./lazy.tsx";
import { type Column, SortedTable } from "./sorted.tsx";

const SlotGrid = lazy(async () => (await import("./slotgrid.tsx")).SlotGrid);

/** The descriptor table of one process at one instant: files and sockets together, or what two instants differ in. */
export function Descriptors() {
  const app = useApp();
  const { state, session } = app;
  state.version.value;
  const cursor = state.cursor.value;
  const base = state.base.value;
  const process = app.selecting.process();
  if (!process) {
    return (
      <p class="hint">
        {state.rows.value.hidden > 0
          ? "The filter of rows hides every process."
          : "No process was seen yet. The descriptors of one will stand here."}
      </p>
    );
  }
  const at = app.instant;
  const table = session.entities.tableAt(process.table, at);
  return (
    <div class="descriptors">
      <Bar process={process} open={table.length} at={at} />
      {base !== undefined ? (
        <Differences process={process} from={Math.min(base, at)} to={Math.max(base, at)} />
      ) : table.length === 0 ? (
        <p class="hint">{processName(process)} held no descriptor at this instant.</p>
      ) : state.cells.value ? (
        <SlotGrid process={process} table={table} at={at} />
      ) : (
        <Table process={process} table={table} at={at} />
      )}
      {cursor !== undefined && cursor < (session.status?.kept_since ?? 0) && (
        <p class="hint doubt">Before the oldest kept event: may be incomplete.</p>
      )}
    </div>
  );
}

function Bar({
  process,
  open,
  at,
}: {
  readonly process: Process;
  readonly open: number;
  readonly at: number;
}) {
  const app = useApp();
  const { state, session } = app;
  const cursor = state.cursor.value;
  const base = state.base.value;
  return (
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
      <span data-instant={cursor === undefined ? "now" : "cursor"}>{app.moments.words()}</span>
      <span>
        <b>{count(open)}</b>
        <Doubt process={process} /> open
        {process.fd_limit === null ? "" : ` of at most ${count(process.fd_limit)}`}
      </span>
      {process.fd_limit !== null && (
        <meter
          min={0}
          max={process.fd_limit}
          high={process.fd_limit * NEAR}
          value={open}
          aria-label="Part of the limit that is used"
        />
      )}
      <Standing process={process} />
      <span class="group">
        <button
          type="button"
          aria-pressed={state.cells.value}
          title="The table as cells by number"
          onClick={() => (state.cells.value = !state.cells.value)}
        >
          Cells
        </button>
        <button
          type="button"
          aria-pressed={base !== undefined}
          title="Show what changes from this instant on; the time cursor is the other one"
          onClick={() => (state.base.value = base === undefined ? at : undefined)}
        >
          Compare
        </button>
      </span>
      {cursor !== undefined && (
        <button type="button" onClick={() => app.setCursor(undefined)}>
          {app.live ? "Back to now" : "To the end"}
        </button>
      )}
      {cursor === undefined && base === undefined && (
        <span class="muted aside">Click the ruler to see another instant.</span>
      )}
    </div>
  );
}

const COLUMNS = ["fd", "Kind", "State", "Name or address", "Opened by", "Open for", "Flags"];

function Table({
  process,
  table,
  at,
}: {
  readonly process: Process;
  readonly table: readonly Descriptor[];
  readonly at: number;
}) {
  const app = useApp();
  const { filter } = app.filtering;
  const socketOf = (one: Descriptor) => app.session.entities.sockets.get(one.socket ?? "");
  const shown = filter
    ? table.filter((descriptor) => filter({ process, descriptor, socket: socketOf(descriptor) }))
    : table;
  const keys: Column<Descriptor>["key"][] = [
    ({ fd }) => fd,
    (one) => kindOf(app, one),
    (one) => stateOf(app, one, at) ?? "",
    (one) => nameOf(app, one, at),
    ({ opened_by }) => opened_by,
    ({ opened }) => -opened,
    flags,
  ];
  return (
    <>
      {shown.length < table.length && (
        <p class="hint">
          {count(table.length - shown.length)} of {count(table.length)} do not fit the filter of rows.
        </p>
      )}
      <SortedTable
        label={`Descriptors of ${processName(process)}`}
        className="fds"
        rows={shown}
        pairs={700}
        columns={COLUMNS.map((title, i) => ({ title, key: keys[i] ?? (() => 0) }))}
        row={(descriptor) => <Line process={process} descriptor={descriptor} at={at} />}
        line={
          process.fd_limit === null
            ? undefined
            : {
                column: 0,
                key: process.fd_limit,
                text: <LimitLine process={process} limit={process.fd_limit} open={table.length} />,
              }
        }
      />
    </>
  );
}

/** From this part of the limit on it is in sight. */
const NEAR = 0.8;

/** Where the numbers end that the process may use. */
function LimitLine({
  process,
  limit,
  open,
}: {
  readonly process: Process;
  readonly limit: number;
  readonly open: number;
}) {
  return (
    <span role="cell" class={open >= limit * NEAR ? "limitline bad" : "limitline"} data-limit={limit}>
      {limitWords(limit, open)} <Doubt process={process} />
    </span>
  );
}

export function kindOf(app: App, descriptor: Descriptor): string {
  const socket = app.session.entities.sockets.get(descriptor.socket ?? "");
  return socket ? `${socketKind(socket)} socket` : descriptor.kind.replaceAll("_", " ");
}

function stateOf(app: App, descriptor: Descriptor, at: number): string | undefined {
  const socket = app.session.entities.sockets.get(descriptor.socket ?? "");
  return socket && stepAt(socket, at)?.phase;
}

/** The name in words, also where there is none; that a socket listens stands beside it. */
export function nameOf(app: App, descriptor: Descriptor, at: number): string {
  const { kind, name, ino, socket: id } = descriptor;
  const socket = app.session.entities.sockets.get(id ?? "");
  if (socket) return stepAt(socket, at)?.phase === "listening" ? address(socket.local) : place(socket, at);
  // A pipe has its inode for a name, as in /proc/PID/fd (proc(5)).
  if (kind === "pipe") return `pipe:[${ino}]`;
  return visible(name) || (kind === "socket" ? "(address not known)" : "(name not known)");
}

/** Why a name is not known, where it is not. */
function unnamed(app: App, { kind, name, socket }: Descriptor): string | undefined {
  if (name !== "" || kind === "pipe" || app.session.entities.sockets.has(socket ?? "")) return undefined;
  return kind === "socket"
    ? "This socket is not followed, or not kept any more."
    : "The record does not tell the name of this file.";
}

function Chip({ descriptor, at }: { readonly descriptor: Descriptor; readonly at: number }) {
  const app = useApp();
  const socket = app.session.entities.sockets.get(descriptor.socket ?? "");
  const step = socket && stepAt(socket, at);
  if (!step) return null;
  return <span class={`chip ${look(step).role.replace("_", "-")}`}>{phaseWord(step.phase)}</span>;
}

function Jump({ descriptor }: { readonly descriptor: Descriptor }) {
  const app = useApp();
  return (
    <button type="button" class="link" onClick={() => app.selecting.jumpTo(descriptor)}>
      {descriptor.fd}
    </button>
  );
}

function Line({
  process,
  descriptor,
  at,
}: {
  readonly process: Process;
  readonly descriptor: Descriptor;
  readonly at: number;
}) {
  const app = useApp();
  // When it was opened is not known: it was there when tracing began.
  const before = descriptor.opened_by === "snapshot";
  const why = unnamed(app, descriptor);
  return (
    <>
      <span role="cell" data-table-fd={descriptor.fd}>
        <Jump descriptor={descriptor} /> <Doubt process={process} />
      </span>
      <span role="cell">{kindOf(app, descriptor)}</span>
      <span role="cell">
        <Chip descriptor={descriptor} at={at} />
      </span>
      <span role="cell" class={why && "muted"} title={why}>
        <bdi>{nameOf(app, descriptor, at)}</bdi>
      </span>
      <span role="cell" title={before ? "Open before tracing began" : undefined}>
        {before ? "not seen" : descriptor.opened_by}
      </span>
      <span role="cell" class="num">
        {before && "≥ "}
        {duration(at - descriptor.opened)}
      </span>
      <span role="cell">{flags(descriptor)}</span>
    </>
  );
}

/** Close-on-exec, and how the descriptor came if this process did not open it. */
export function flags(descriptor: Descriptor): string {
  return [descriptor.cloexec ? "cloexec" : undefined, originOf(descriptor)]
    .filter((flag) => flag !== undefined)
    .join(", ");
}

const SIGNS: Readonly<Record<Difference["kind"], string>> = {
  opened: "+",
  closed: "−",
  replaced: "↻",
  changed: "≠",
};

/** What a table's numbers hold at one instant and not at another. */
function Differences({
  process,
  from,
  to,
}: {
  readonly process: Process;
  readonly from: number;
  readonly to: number;
}) {
  const app = useApp();
  const { clock, entities } = app.session;
  const at = (t: number) => ({ at: t, table: entities.tableAt(process.table, t) });
  const found = differences(at(from), at(to), (one) => entities.sockets.get(one.socket ?? ""));
  const words = `${clock.timeOfDay(from, 1e3)} and ${clock.timeOfDay(to, 1e3)}`;
  if (found.length === 0) {
    return (
      <p class="hint">
        No descriptor of {processName(process)} differs between {words}. Move the time cursor, or wait.
      </p>
    );
  }
  const text = (one: Descriptor | undefined, t: number) =>
    one ? `${kindOf(app, one)} ${nameOf(app, one, t)}` : "";
  // Where all were opened, or all were closed, one side has nothing.
  const sides = [["before", "Before", from] as const, ["after", "After", to] as const].filter(([side]) =>
    found.some((one) => one[side]),
  );
  return (
    <>
      <p class="hint" style={{ padding: "0 12px 6px" }} data-differences={found.length}>
        {count(found.length)} {found.length === 1 ? "descriptor differs" : "descriptors differ"} between{" "}
        {words}.
      </p>
      <SortedTable
        label={`Differences of ${processName(process)}`}
        className={sides.length > 1 ? "differences both" : "differences"}
        rows={found}
        pairs={560}
        columns={[
          { title: "fd", key: ({ fd }) => fd },
          { title: "Became", key: ({ kind }) => kind },
          ...sides.map(([side, title, t]) => ({ title, key: (one: Difference) => text(one[side], t) })),
        ]}
        row={(one) => {
          const { fd, kind, before, after } = one;
          const shown = after ?? before;
          return (
            <>
              <span role="cell" data-difference={kind}>
                {shown ? <Jump descriptor={shown} /> : fd}
              </span>
              <span role="cell">
                <b aria-hidden="true">{SIGNS[kind]}</b> {kind}
              </span>
              {sides.map(([side, title, t]) => {
                const held = one[side];
                return (
                  <span role="cell" key={title} title={text(held, t) || undefined}>
                    {held && <Chip descriptor={held} at={t} />} <bdi>{text(held, t)}</bdi>
                  </span>
                );
              })}
            </>
          );
        }}
      />
    </>
  );
}

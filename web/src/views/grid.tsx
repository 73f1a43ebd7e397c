import { Component } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { moved } from "../a11y/treegrid.ts";
import { duration } from "../base/time.ts";
import type { App } from "../interact/app.ts";
import {
  DENSITIES,
  type Density,
  LEGIBLE,
  listenerKey,
  MODES,
  type Mode,
  processKey,
  type Row,
  type Rows,
  rowAt,
  TWO_LINES,
} from "../layout/rows.ts";
import { useApp } from "./context.ts";
import { describe, type RowText } from "./rowtext.ts";

const MEANING: Readonly<Record<Mode, string>> = {
  slots: "A row is a number of a table, whatever it held",
  instances: "A row is one descriptor, from filled to emptied: leaks stand at the top",
  listeners: "Listeners, with their children below",
};

/** Up to so many rows, all of them are in the document; beyond, those in sight and the focused one. */
const MOUNT_ALL = 300;
const OVERSCAN = 240;

/** The rows' headers: a tree of processes, slots and children, all of it reachable by keyboard. */
export function Grid() {
  const app = useApp();
  const { rows: laid, scroll, selection, pinned } = app.state;
  const { rows, index } = laid.value;
  const top = scroll.value;
  const [focused, setFocused] = useState<string | undefined>(undefined);
  const wanted = useRef(false);
  const body = useRef<HTMLDivElement>(null);
  const clip = useRef<HTMLDivElement>(null);

  // Exactly one row is in the tab order: the focused one, or the first while that is gone.
  const home = focused !== undefined && index.has(focused) ? focused : rows[0]?.key;

  useLayoutEffect(() => {
    if (clip.current && clip.current.scrollTop !== top) clip.current.scrollTop = top;
  }, [top, laid.value.height]);
  useLayoutEffect(() => {
    if (!wanted.current || home === undefined) return;
    wanted.current = false;
    body.current?.querySelector<HTMLElement>('[tabindex="0"][role=row]')?.focus({ preventScroll: true });
  }, [home]);
  useEffect(() => {
    const element = clip.current;
    if (!element) return undefined;
    const onWheel = (event: WheelEvent) => {
      if (event.ctrlKey) return;
      event.preventDefault();
      app.scrollTo(app.state.scroll.peek() + event.deltaY);
    };
    // A browser scrolls even a clipped box to bring what is focused or found into sight: the lanes go with it.
    const onScroll = () => app.scrollTo(element.scrollTop);
    element.addEventListener("wheel", onWheel, { passive: false });
    element.addEventListener("scroll", onScroll);
    return () => {
      element.removeEventListener("wheel", onWheel);
      element.removeEventListener("scroll", onScroll);
    };
  }, [app]);

  const onKeyDown = (event: KeyboardEvent) => {
    const at = home === undefined ? undefined : index.get(home);
    const row = at === undefined ? undefined : rows[at];
    if (!row || at === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    const move = moved(event.key, rows, at, Math.floor(app.room / row.height));
    if (move.kind === "none") return;
    event.preventDefault();
    if (move.kind === "expand") app.expand(row.key, move.expanded);
    else if (move.kind === "select") app.selecting.row(row);
    else {
      const next = rows[move.index];
      if (!next) return;
      app.revealRow(next);
      wanted.current = true;
      setFocused(next.key);
    }
  };

  const bottom = top + app.room;
  const above = headAbove(laid.value, top);
  return (
    <div class="heads">
      <div class="corner">
        <label>
          <span class="word">Rows: </span>
          <select
            aria-label="Rows"
            value={app.state.mode.value}
            onChange={(event) => app.setMode(event.currentTarget.value as Mode)}
          >
            {MODES.map((mode) => (
              <option key={mode} value={mode} title={MEANING[mode]}>
                {mode}
              </option>
            ))}
          </select>
        </label>
        <select
          aria-label="Height of rows"
          title="Height of rows (Shift 1, 2, 3)"
          value={app.state.density.value}
          onChange={(event) => app.setDensity(event.currentTarget.value as Density)}
        >
          {DENSITIES.map((density) => (
            <option key={density}>{density}</option>
          ))}
        </select>
        <span data-span={app.state.span.value} data-cursor={app.state.cursor.value} title="Time in sight">
          <span>{duration(app.state.span.value)} </span>
          <span>in sight</span>
        </span>
        {above && <Above app={app} row={above} />}
      </div>
      <div
        class="clip"
        ref={clip}
        onPointerMove={(event) =>
          app.pointAt(event.clientY - event.currentTarget.getBoundingClientRect().top)
        }
        onPointerLeave={() => app.pointAt(undefined)}
      >
        <div
          role="treegrid"
          aria-label="Processes, descriptors and sockets"
          aria-rowcount={rows.length}
          class="rows"
          ref={body}
          style={{ height: `${laid.value.height}px` }}
          onKeyDown={onKeyDown}
        >
          {rows.map((row, at) => {
            const inSight = row.y + row.height > top - OVERSCAN && row.y < bottom + OVERSCAN;
            if (rows.length > MOUNT_ALL && !inSight && row.key !== home) return null;
            return (
              <Head
                key={row.key}
                app={app}
                row={row}
                at={at}
                text={describe(app.session, row, app.edge, app.state.cursor.value)}
                tabbable={row.key === home}
                selected={row.key === selection.value?.row}
                pinned={row.level === 1 && pinned.value.has(row.process.id)}
                onFocus={() => setFocused(row.key)}
              />
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** The head that the topmost row in sight belongs to, where that is out of sight. */
function headAbove({ rows, index }: Rows, top: number): Row | undefined {
  const row = rows[rowAt(rows, top)];
  if (!row) return undefined;
  const own = "listener" in row ? index.get(listenerKey(row.listener.id)) : undefined;
  const head = rows[own ?? index.get(processKey(row.process.id)) ?? -1];
  return head && head.y + head.height <= top ? head : undefined;
}

/** An address keeps its port whole: that stands for it where there is no room for both, as on the lanes. */
function Name({ text: { name, data } }: { readonly text: RowText }) {
  const port = data["data-socket"] === undefined ? "" : (/:\d+$/.exec(name)?.[0] ?? "");
  if (!port) return <bdi class="name">{name}</bdi>;
  return (
    <bdi class="name address">
      <span>{name.slice(0, -port.length)}</span>
      <span>{port}</span>
    </bdi>
  );
}

/** Whose the rows at the top are, in the corner above them. By keyboard, ArrowLeft leads there. */
function Above({ app, row }: { readonly app: App; readonly row: Row }) {
  const { name, number } = describe(app.session, row, app.edge);
  return (
    <button
      type="button"
      class="above"
      aria-hidden="true"
      tabIndex={-1}
      title={`Go to the top of the rows of ${name} ${number ?? ""}`}
      onClick={() => app.scrollTo(row.y)}
    >
      ↑ <bdi>{name}</bdi> {number}
    </button>
  );
}

interface HeadProps {
  readonly app: App;
  readonly row: Row;
  readonly at: number;
  readonly text: RowText;
  readonly tabbable: boolean;
  readonly selected: boolean;
  readonly pinned: boolean;
  readonly onFocus: () => void;
}

/** One row's header. It is drawn again only if something that it shows changed. */
class Head extends Component<HeadProps> {
  override shouldComponentUpdate(next: HeadProps): boolean {
    const { row, at, text, tabbable, selected, pinned } = this.props;
    return (
      at !== next.at ||
      tabbable !== next.tabbable ||
      selected !== next.selected ||
      pinned !== next.pinned ||
      row.height !== next.row.height ||
      row.y !== next.row.y ||
      row.place !== next.row.place ||
      row.setSize !== next.row.setSize ||
      text.key !== next.text.key
    );
  }

  render({ app, row, at, text, tabbable, selected, pinned, onFocus }: HeadProps) {
    const high = row.height >= TWO_LINES ? "tall" : row.height >= LEGIBLE ? "" : "illegible";
    const [first, ...rest] = text.tail;
    return (
      <div
        role="row"
        class={`head-row ${row.kind} ${text.faint ? "faint" : ""} ${high}`}
        tabIndex={tabbable ? 0 : -1}
        aria-level={row.level}
        aria-setsize={row.setSize}
        aria-posinset={row.place}
        aria-rowindex={at + 1}
        aria-expanded={text.expanded}
        aria-selected={selected}
        aria-label={pinned ? `${text.sentence}, pinned` : text.sentence}
        {...text.data}
        style={{ top: `${row.y}px`, height: `${row.height}px` }}
        onFocus={onFocus}
        onClick={() => app.selecting.row(row)}
      >
        <div role="gridcell">
          {text.expanded === undefined ? (
            <span class="twist" />
          ) : (
            <span
              class="twist"
              aria-hidden="true"
              data-expander
              onClick={(event) => {
                event.stopPropagation();
                app.expand(row.key, !text.expanded);
              }}
            >
              {text.expanded ? "▾" : "▸"}
            </span>
          )}
          {text.lead && <span class="lead">{text.lead}</span>}
          {text.chip && <span class={`chip ${text.tone}`}>{text.chip}</span>}
          <Name text={text} />
          {text.number !== undefined && <span class="number"> {text.number}</span>}
          {row.level === 1 && (
            <span
              class={`pin ${pinned ? "pinned" : ""}`}
              aria-hidden="true"
              title={pinned ? "Unpin (Shift P)" : "Pin to the top (Shift P)"}
              onClick={(event) => {
                event.stopPropagation();
                app.togglePin(row.process);
              }}
            >
              {pinned ? "▲" : "△"}
            </span>
          )}
          {first && (
            <span class={text.doubt ? "tail doubt" : "tail"} title={text.doubt}>
              {first}
              {rest.map((part) => (
                <span key={part}>{part}</span>
              ))}
            </span>
          )}
        </div>
      </div>
    );
  }
}

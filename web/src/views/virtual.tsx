import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

interface Props {
  readonly label: string;
  readonly className: string;
  readonly count: number;
  readonly rowHeight: number;
  /** Column titles. */
  readonly columns: readonly string[];
  readonly row: (index: number) => ComponentChildren;
  /** The column that rows are sorted by, where headers sort. */
  readonly order?: { readonly column: number; readonly down: boolean } | undefined;
  readonly onSort?: (column: number) => void;
  /** Stays at the last row when rows come, if it was there. */
  readonly sticky?: boolean;
  /** A row that is brought into sight when it is another one than before; `showsId` tells it from others if rows may come above. */
  readonly shows?: number;
  readonly showsId?: number | undefined;
  /** Called when the first row comes into sight, and the last. */
  readonly onTop?: () => void;
  readonly onEnd?: () => void;
  /** Gives rows names and finds them again: what is in sight stays there when rows come or go above it. */
  readonly names?: {
    readonly of: (index: number) => number | undefined;
    readonly find: (name: number) => number;
  };
}

const OVERSCAN = 8;

/** A table of rows of one height, of which only those in sight are in the document. */
export function VirtualTable(props: Props) {
  const { label, className, count, rowHeight, columns, row, order, onSort, sticky } = props;
  const { shows, showsId = shows, onTop, onEnd, names } = props;
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const held = useRef<{ name: number; index: number } | undefined>(undefined);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(200);

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const element = box.current;
    if (element && sticky && atEnd.current) element.scrollTop = element.scrollHeight;
  }, [count, sticky, height]);

  useLayoutEffect(() => {
    const element = box.current;
    const top = held.current;
    if (!element || !top || !names || (sticky && atEnd.current)) return;
    const index = names.find(top.name);
    if (index === top.index) return;
    element.scrollTop += (index - top.index) * rowHeight;
    held.current = { ...top, index };
  });

  useLayoutEffect(() => {
    const element = box.current;
    if (!element || shows === undefined || shows < 0) return;
    // The head covers the first row's height.
    const at = shows * rowHeight;
    const room = element.clientHeight - 2 * rowHeight;
    if (at < element.scrollTop) element.scrollTop = at;
    else if (at > element.scrollTop + room) element.scrollTop = at - room;
  }, [showsId, rowHeight]);

  const scrolled = () => {
    const element = box.current;
    if (!element) return;
    atEnd.current = element.scrollTop + element.clientHeight >= element.scrollHeight - rowHeight;
    setTop(element.scrollTop);
    const index = Math.floor(element.scrollTop / rowHeight);
    const name = names?.of(index);
    held.current = name === undefined ? undefined : { name, index };
    if (element.scrollTop < rowHeight) onTop?.();
    else if (atEnd.current) onEnd?.();
  };
  const first = Math.max(0, Math.floor(top / rowHeight) - OVERSCAN);
  const last = Math.min(count, Math.ceil((top + height) / rowHeight) + OVERSCAN);
  return (
    <div
      class={`virtual ${className}`}
      ref={box}
      onScroll={scrolled}
      tabIndex={0}
      role="region"
      aria-label={label}
    >
      <div role="table" aria-label={label} aria-rowcount={count + 1}>
        <div role="row" class="tr head" aria-rowindex={1}>
          {columns.map((column, i) => (
            <span
              role="columnheader"
              key={column}
              aria-sort={order?.column === i ? (order.down ? "descending" : "ascending") : undefined}
            >
              {onSort ? (
                <button type="button" class="sort" title={`Sort by: ${column}`} onClick={() => onSort(i)}>
                  {column}
                  {order?.column === i && <span aria-hidden="true">{order.down ? " ▾" : " ▴"}</span>}
                </button>
              ) : (
                column
              )}
            </span>
          ))}
        </div>
        <div class="spacer" role="rowgroup" style={{ height: `${count * rowHeight}px` }}>
          {Array.from({ length: Math.max(0, last - first) }, (_, i) => (
            <div
              role="row"
              class="tr"
              key={first + i}
              aria-rowindex={first + i + 2}
              style={{ top: `${(first + i) * rowHeight}px`, height: `${rowHeight}px` }}
            >
              {row(first + i)}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

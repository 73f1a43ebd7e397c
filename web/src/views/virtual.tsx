import "../styles/tables.css";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** The head of a column. */
export interface Head {
  readonly title: string;
  /** The same in full, where the title alone, without its neighbours, says too little. */
  readonly says?: string;
}

interface Props {
  readonly label: string;
  readonly className: string;
  readonly count: number;
  readonly rowHeight: number;
  readonly columns: readonly Head[];
  /** In a box narrower than this each two cells stand one above the other, so that fewer columns are out of sight. */
  readonly pairs?: number;
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
/** Height of a row of pairs. */
const PAIRED = 44;

/** A table of rows of one height, of which only those in sight are in the document. */
export function VirtualTable(props: Props) {
  const { label, className, count, columns, row, order, onSort, sticky, pairs = 0 } = props;
  const { shows, showsId = shows, onTop, onEnd, names } = props;
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const held = useRef<{ name: number; index: number } | undefined>(undefined);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(200);
  const [width, setWidth] = useState(Number.POSITIVE_INFINITY);
  const [beyond, setBeyond] = useState(0);
  const paired = width < pairs;
  const rowHeight = paired ? PAIRED : props.rowHeight;

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => {
      setHeight(element.clientHeight);
      setWidth(element.clientWidth);
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const element = box.current;
    if (element && sticky && atEnd.current) element.scrollTop = element.scrollHeight;
  }, [count, sticky, height, rowHeight]);

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

  /** Columns that are out of sight at the right, or cut there. */
  const measure = () => {
    const element = box.current;
    if (!element) return;
    const edge = element.getBoundingClientRect().left + element.clientLeft + element.clientWidth + 1;
    const heads = [...element.querySelectorAll("[role=columnheader]")];
    setBeyond(heads.filter((head) => head.getBoundingClientRect().right > edge).length);
  };
  useLayoutEffect(measure, [width, paired, columns.length]);

  const scrolled = () => {
    const element = box.current;
    if (!element) return;
    measure();
    const isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - rowHeight;
    // A box that has another height by now is put in its place by what follows that, not by who looks.
    if (element.clientHeight === height) atEnd.current = isAtEnd;
    setTop(element.scrollTop);
    const index = Math.floor(element.scrollTop / rowHeight);
    const name = names?.of(index);
    held.current = name === undefined ? undefined : { name, index };
    if (element.scrollTop < rowHeight) onTop?.();
    else if (isAtEnd) onEnd?.();
  };
  const first = Math.max(0, Math.floor(top / rowHeight) - OVERSCAN);
  const last = Math.min(count, Math.ceil((top + height) / rowHeight) + OVERSCAN);
  return (
    <div class="virtualbox">
      <div
        class={`virtual ${className}${paired ? " paired" : ""}${beyond > 0 ? " goes-on" : ""}`}
        ref={box}
        onScroll={scrolled}
        tabIndex={0}
        role="region"
        aria-label={label}
      >
        <div role="table" aria-label={label} aria-rowcount={count + 1}>
          <div role="row" class="tr head" aria-rowindex={1}>
            {columns.map(({ title, says }, i) => (
              <span
                role="columnheader"
                key={title}
                aria-label={says}
                aria-sort={order?.column === i ? (order.down ? "descending" : "ascending") : undefined}
              >
                {onSort ? (
                  <button
                    type="button"
                    class="sort"
                    title={`Sort by: ${says ?? title}`}
                    onClick={() => onSort(i)}
                  >
                    {title}
                    {order?.column === i && <span aria-hidden="true">{order.down ? " ▾" : " ▴"}</span>}
                  </button>
                ) : (
                  title
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
      {beyond > 0 && (
        <div class="beyond" aria-hidden="true">
          <button
            type="button"
            tabIndex={-1}
            title="Scroll to the columns at the right"
            onClick={() => box.current?.scrollBy({ left: box.current.clientWidth / 2 })}
          >
            {beyond} more {beyond === 1 ? "column" : "columns"} →
          </button>
        </div>
      )}
    </div>
  );
}

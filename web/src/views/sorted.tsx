import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { type Head, VirtualTable } from "./virtual.tsx";

export interface Column<T> extends Head {
  /** What rows are ordered by. */
  readonly key: (row: T) => number | string;
}

interface Props<T> {
  readonly label: string;
  readonly className: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly pairs: number;
  readonly row: (row: T) => ComponentChildren;
  /** A line between two rows, while they stand in the order of a column: before the first one beyond `key`. */
  readonly line?:
    | { readonly column: number; readonly key: number; readonly text: ComponentChildren }
    | undefined;
}

interface Order {
  readonly column: number;
  readonly down: boolean;
}

/** A virtual table that its headers sort: first up, then down, then as the rows came. */
export function SortedTable<T>({ label, className, rows, columns, pairs, row, line }: Props<T>) {
  const [order, setOrder] = useState<Order | undefined>(undefined);
  const sorted = useMemo(() => sort(rows, columns, order), [rows, columns, order]);
  const at =
    line && (order === undefined || order.column === line.column) ? place(sorted, columns, line, order) : -1;
  const press = (column: number) =>
    setOrder((before) =>
      before?.column !== column ? { column, down: false } : before.down ? undefined : { column, down: true },
    );
  return (
    <VirtualTable
      label={label}
      className={className}
      count={sorted.length + (at < 0 ? 0 : 1)}
      rowHeight={24}
      columns={columns}
      pairs={pairs}
      order={order}
      onSort={press}
      row={(index) => {
        if (index === at) return line?.text;
        const one = sorted[at >= 0 && index > at ? index - 1 : index];
        return one === undefined ? null : row(one);
      }}
    />
  );
}

function sort<T>(rows: readonly T[], columns: readonly Column<T>[], order: Order | undefined): readonly T[] {
  const key = order && columns[order.column]?.key;
  if (!order || !key) return rows;
  const turn = order.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return (x < y ? -1 : x > y ? 1 : 0) * turn;
  });
}

/** Where a line stands among rows that are in the order of its column. */
function place<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  { column, key }: { readonly column: number; readonly key: number },
  order: Order | undefined,
): number {
  const of = columns[column]?.key;
  const beyond = rows.findIndex((one) => {
    const value = Number(of?.(one));
    return order?.down ? value < key : value >= key;
  });
  return beyond < 0 ? rows.length : beyond;
}

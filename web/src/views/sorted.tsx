import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { VirtualTable } from "./virtual.tsx";

export interface Column<T> {
  readonly title: string;
  /** What rows are ordered by. */
  readonly key: (row: T) => number | string;
}

interface Props<T> {
  readonly label: string;
  readonly className: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly row: (row: T) => ComponentChildren;
}

interface Order {
  readonly column: number;
  readonly down: boolean;
}

/** A virtual table that its headers sort: first up, then down, then as the rows came. */
export function SortedTable<T>({ label, className, rows, columns, row }: Props<T>) {
  const [order, setOrder] = useState<Order | undefined>(undefined);
  const sorted = useMemo(() => sort(rows, columns, order), [rows, columns, order]);
  const press = (column: number) =>
    setOrder((before) =>
      before?.column !== column ? { column, down: false } : before.down ? undefined : { column, down: true },
    );
  return (
    <VirtualTable
      label={label}
      className={className}
      count={sorted.length}
      rowHeight={24}
      columns={columns.map(({ title }) => title)}
      order={order}
      onSort={press}
      row={(index) => {
        const one = sorted[index];
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

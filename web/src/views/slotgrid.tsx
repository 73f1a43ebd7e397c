import { effect } from "@preact/signals";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { isDoubtful, slotSentence, standingSince } from "../a11y/sentences.ts";
import { count } from "../base/time.ts";
import { palette } from "../interact/theme.ts";
import { type Cell, cellOf, gridSize, limitWords } from "../layout/slotgrid.ts";
import type { Descriptor, Process } from "../protocol/types.gen.ts";
import { Patterns } from "../render/bars.ts";
import { CELL_PX, drawGrid } from "../render/slotgrid.ts";
import { useApp } from "./context.ts";
import { Doubt } from "./details/facts.tsx";

interface Props {
  readonly process: Process;
  readonly table: readonly Descriptor[];
  readonly at: number;
}

/** A descriptor table as cells by number. The table of rows says the same in words; this is its picture. */
export function SlotGrid({ process, table, at }: Props) {
  const app = useApp();
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const patterns = useRef<Patterns | undefined>(undefined);
  const [size, setSize] = useState({ width: 600, height: 160 });
  const [scroll, setScroll] = useState(0);
  const [told, setTold] = useState("");
  const { entities } = app.session;
  const cells = table.map((one) => cellOf(one, entities.sockets.get(one.socket ?? ""), at));
  const byNumber = new Map<number, Cell>(cells.map((cell) => [cell.fd, cell]));
  const columns = Math.max(8, Math.floor((size.width - 4) / CELL_PX));
  const numbers = gridSize(cells, process.fd_limit);
  const chosen = app.selecting.descriptor();
  const doubtful = isDoubtful(process, at);
  const selected = chosen?.table === process.table ? chosen.fd : undefined;

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() =>
      setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() =>
    effect(() => {
      const colours = palette.value;
      const element = canvas.current;
      const context = element?.getContext("2d", { alpha: false });
      if (!element || !context) return;
      element.width = Math.round(size.width * devicePixelRatio);
      element.height = Math.round(size.height * devicePixelRatio);
      context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
      patterns.current ??= new Patterns(context);
      const scene = {
        ...size,
        columns,
        scroll,
        size: numbers,
        cells: byNumber,
        limit: process.fd_limit,
        selected,
        doubtful,
      };
      drawGrid(patterns.current, scene, colours);
    }),
  );

  const cellAt = (event: MouseEvent): Cell | undefined => {
    const area = canvas.current?.getBoundingClientRect();
    if (!area) return undefined;
    const column = Math.floor((event.clientX - area.left) / CELL_PX);
    const line = Math.floor((event.clientY - area.top + scroll) / CELL_PX);
    return column < columns ? byNumber.get(line * columns + column) : undefined;
  };
  return (
    <div class="slotgrid" role="region" aria-label="Descriptors as cells" tabIndex={0}>
      <div
        class="cells"
        ref={box}
        role="img"
        aria-label={`${cells.length} descriptors as cells by number; the table has them in words`}
        onScroll={(event) => setScroll(event.currentTarget.scrollTop)}
        onPointerMove={(event) => {
          const cell = cellAt(event);
          const socket = cell && entities.sockets.get(cell.descriptor.socket ?? "");
          setTold(cell ? slotSentence(entities, cell.descriptor, socket, at) : "");
        }}
        onPointerLeave={() => setTold("")}
        onClick={(event) => {
          const cell = cellAt(event);
          if (cell) app.selecting.jumpTo(cell.descriptor);
        }}
      >
        <div style={{ height: `${Math.ceil(numbers / columns) * CELL_PX}px` }}>
          <canvas ref={canvas} style={{ width: `${size.width}px`, height: `${size.height}px` }} />
        </div>
      </div>
      <p class="legend muted">
        {doubtful && <b class="doubt">? {standingSince(process, app.session.clock)}. </b>}
        {process.fd_limit !== null && (
          <b data-limit={process.fd_limit}>
            {numbers < process.fd_limit && `The first ${count(numbers)} are drawn; `}
            {limitWords(process.fd_limit, table.length)}
            {doubtful && " "}
            <Doubt process={process} />.{" "}
          </b>
        )}
        {told ||
          "Filled: socket, with a line on top: listener; half: half-closed, hatched: connecting, low frame: not connected. Frame: file. Two lines: pipe. Ring: epoll and the like. Corner at the left: inherited or duplicated, two: passed. Dot at the right: close-on-exec. Red: the limit."}
      </p>
    </div>
  );
}

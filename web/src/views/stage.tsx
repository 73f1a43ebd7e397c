import { effect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import {
  childSentence,
  dropSentence,
  failureSentence,
  processSentence,
  slotSentence,
} from "../a11y/sentences.ts";
import { count, duration } from "../base/time.ts";
import type { App } from "../interact/app.ts";
import { type Hover, startPointer } from "../interact/pointer.ts";
import { palette } from "../interact/theme.ts";
import { layLinks } from "../layout/links.ts";
import { layScene, RULER_HEIGHT } from "../layout/timeline.ts";
import { Canvas2dRenderer } from "../render/canvas2d.ts";
import { useApp } from "./context.ts";
import { Empty } from "./empty.tsx";
import { Grid } from "./grid.tsx";
import { lazy } from "./lazy.tsx";

const Measured = lazy(async () => (await import("./measured.tsx")).Measured);

/** The timeline: rows' headers at the left, their lives at the right. */
export function Stage() {
  const app = useApp();
  const area = useRef<HTMLDivElement>(null);
  const lanes = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLCanvasElement>(null);
  const [hover, setHover] = useState<Hover | undefined>(undefined);
  const hovered = useRef<Hover | undefined>(undefined);

  useEffect(() => {
    if (!area.current || !lanes.current || !overlay.current) return undefined;
    const painter = new Painter(app, area.current, lanes.current, overlay.current, () => hovered.current);
    const stopPointer = startPointer(app, area.current, (next) => {
      hovered.current = next;
      setHover(next);
      app.frames.request();
    });
    return () => {
      stopPointer();
      painter.stop();
    };
  }, [app]);

  return (
    <section class="stage" aria-label="Timeline">
      <Grid />
      <div class="lanes" ref={area}>
        <div aria-hidden="true">
          <canvas ref={lanes} />
          <canvas ref={overlay} />
        </div>
        <Tooltip hover={hover} />
      </div>
      {app.state.range.value && <Measured />}
      <Empty />
      <Arrived />
      <Scroller />
    </section>
  );
}

/** Draws the lanes when something that they show changed, and the overlay at every frame. */
class Painter {
  readonly #renderer: Canvas2dRenderer;
  readonly #stops: (() => void)[] = [];
  #width = 0;
  #height = 0;
  #drawn = "";
  #next: ReturnType<typeof setTimeout> | undefined;
  readonly #calm = matchMedia("(prefers-reduced-motion: reduce)");

  constructor(
    readonly app: App,
    readonly area: HTMLElement,
    lanes: HTMLCanvasElement,
    overlay: HTMLCanvasElement,
    readonly hover: () => Hover | undefined,
  ) {
    this.#renderer = new Canvas2dRenderer(lanes, overlay);
    const observer = new ResizeObserver(() => this.#resize());
    observer.observe(area);
    this.#stops.push(
      () => observer.disconnect(),
      effect(() => {
        app.state.selection.value;
        app.state.cursor.value;
        app.state.range.value;
        app.state.bookmarks.value;
        palette.value;
        app.frames.request();
      }),
    );
    app.frames.add(() => this.#paint());
    this.#resize();
  }

  stop(): void {
    clearTimeout(this.#next);
    for (const stop of this.#stops) stop();
  }

  #resize(): void {
    this.#width = this.area.clientWidth;
    this.#height = this.area.clientHeight;
    this.#renderer.resize(this.#width, this.#height, devicePixelRatio);
    this.#drawn = "";
    this.app.setRoom(this.#height - RULER_HEIGHT);
  }

  #paint(): void {
    const { app } = this;
    if (this.#width === 0 || this.#height === 0) return;
    const { viewport, session, state } = app;
    const scale = viewport.scale(this.#width);
    const rows = state.rows.peek();
    const scroll = state.scroll.peek();
    const selection = state.selection.peek();
    const inputs = [
      viewport.start,
      viewport.end,
      scroll,
      session.version,
      state.version.peek(),
      app.edge,
      selection?.row,
    ];
    const now = `${inputs.join(" ")} ${palette.peek().text}`;
    if (now !== this.#drawn) {
      this.#drawn = now;
      const scene = layScene({
        entities: session.entities,
        failures: session.failures,
        overflows: session.overflows,
        rows: rows.rows,
        scale,
        scroll,
        height: this.#height,
        edge: app.edge,
        clock: session.clock,
        keptSince: session.status?.kept_since ?? 0,
        losses: session.losses,
        selected: selection?.row,
      });
      this.#renderer.lanes(scene, palette.peek());
    }
    this.#overlay();
    this.#goOn(scale.nsPerPx);
  }

  #overlay(): void {
    const { app } = this;
    const { session, state, viewport } = app;
    const scale = viewport.scale(this.#width);
    const rows = state.rows.peek();
    const shift = RULER_HEIGHT - state.scroll.peek();
    const selection = state.selection.peek();
    const descriptor = app.selecting.descriptor();
    const keptSince = session.status?.kept_since ?? 0;
    const question = { entities: session.entities, rows, scale, edge: app.edge, keptSince };
    const laid = selection
      ? layLinks(question, {
          socket: app.selecting.socket(),
          descriptor,
          process: selection.process,
          row: selection.row,
        })
      : { links: [], more: 0 };
    const row = selection && rows.rows[rows.index.get(selection.row) ?? -1];
    const cursor = state.cursor.peek();
    const range = state.range.peek();
    const failure = app.selecting.failed();
    this.#renderer.overlay(
      {
        width: this.#width,
        height: this.#height,
        top: RULER_HEIGHT,
        links: laid.links.map((link) => ({ ...link, y0: link.y0 + shift, y1: link.y1 + shift })),
        note: laid.more > 0 ? `and ${laid.more} more children in sight` : undefined,
        cursor:
          cursor === undefined
            ? undefined
            : { x: scale.x(cursor), label: session.clock.timeOfDay(cursor, scale.nsPerPx) },
        range: range && {
          x0: scale.x(range.from),
          x1: scale.x(range.to),
          label: duration(range.to - range.from),
        },
        bookmarks: state.bookmarks.peek().map((t) => scale.x(t)),
        pointer: this.hover()?.x,
        failure: row && failure && { x: scale.x(failure.t), y: row.y + row.height / 2 + shift },
        outline:
          row && row.kind !== "process" && row.kind !== "lane" && descriptor
            ? {
                x0: scale.x(descriptor.opened),
                x1: scale.x(Math.min(descriptor.closed ?? app.edge, app.edge)),
                y: row.y + shift,
                height: row.height,
              }
            : undefined,
      },
      palette.peek(),
    );
  }

  /** While following, the next frame comes when the edge has moved by a pixel; reduced motion: once a second. */
  #goOn(nsPerPx: number): void {
    const { app } = this;
    clearTimeout(this.#next);
    if (!app.live || app.state.link.peek() !== "open" || app.state.paused.peek()) return;
    if (!app.viewport.following && app.edge < app.viewport.start) return;
    const wait = this.#calm.matches ? 1000 : Math.min(1000, Math.max(33, nsPerPx / 1e6));
    this.#next = setTimeout(() => app.frames.request(), wait);
  }
}

/** Rows never move for what comes at their end; this says that something did. */
function Arrived() {
  const app = useApp();
  const { count: many, first } = app.state.arrived.value;
  if (!first) return null;
  const [one, more] = first.kind === "process" ? ["process", "processes"] : ["listener", "listeners"];
  return (
    <button type="button" class="arrived" onClick={() => app.scrollTo(first.y)}>
      +{count(many)} {many === 1 ? one : more} <span aria-hidden="true">↓</span>
    </button>
  );
}

/** The native scrollbar; the offset itself is ours, so that headers and lanes move in one frame. */
function Scroller() {
  const app = useApp();
  const bar = useRef<HTMLDivElement>(null);
  const { scroll, rows } = app.state;
  useLayoutEffect(() => {
    if (bar.current && bar.current.scrollTop !== scroll.value) bar.current.scrollTop = scroll.value;
  }, [scroll.value, rows.value.height]);
  return (
    <div
      class="scroller"
      ref={bar}
      aria-hidden="true"
      tabIndex={-1}
      onScroll={(event) => app.scrollTo(event.currentTarget.scrollTop)}
    >
      <div style={{ height: `${rows.value.height}px` }} />
    </div>
  );
}

function Tooltip({ hover }: { readonly hover: Hover | undefined }) {
  const app = useApp();
  const text = hover?.hit && tooltip(app, hover);
  if (!hover || !text) return null;
  const left = hover.x > 420;
  return (
    <div
      class={left ? "tooltip left" : "tooltip"}
      aria-hidden="true"
      style={{ transform: `translate(${hover.x}px, ${hover.y}px)` }}
    >
      <span>{text}</span>
    </div>
  );
}

function tooltip(app: App, { hit }: Hover): string {
  const { entities } = app.session;
  if (!hit) return "";
  if (hit.overflow) return dropSentence(hit.overflow.drops);
  if (hit.failure) return failureSentence(hit.failure);
  if (hit.child) {
    const wait = hit.child.wait_ns === null ? "" : `, waited ${duration(hit.child.wait_ns)}`;
    return `accept: ${childSentence(entities, hit.child, app.edge)}${wait}`;
  }
  if (hit.row.kind === "child") return childSentence(entities, hit.row.socket, app.edge);
  if (hit.row.kind === "process") return processSentence(hit.row.process, hit.row.open, app.edge);
  if (!hit.descriptor) return "";
  const socket = hit.descriptor.socket ? entities.sockets.get(hit.descriptor.socket) : undefined;
  return slotSentence(entities, hit.descriptor, socket, app.edge);
}

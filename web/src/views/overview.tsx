import { useLayoutEffect, useRef } from "preact/hooks";
import { Slices } from "../base/slices.ts";
import { count } from "../base/time.ts";
import type { App } from "../interact/app.ts";
import { palette } from "../interact/theme.ts";
import { type Summary, summarizing } from "../layout/overview.ts";
import { drawOverview } from "../render/overview.ts";
import { useApp } from "./context.ts";
import { lazy } from "./lazy.tsx";

const Starts = lazy(async () => (await import("./starts.tsx")).Starts);

const HEIGHT = 36;
/** Pixels of a bucket. */
const BUCKET_PX = 3;
/** The whole time is counted anew at most so often, and so that counting takes a twentieth of the time at most. */
const COUNT_MS = 50;
const SHARE = 20;
/** A count begins within a frame. */
const SLICE_MS = 4;
const NONE = new Uint32Array(1);
const NOTHING = { changes: NONE, errors: NONE, open: NONE };
/** How near to an edge of the window takes hold of it. */
const EDGE_PX = 6;

/** The whole kept time in one strip, with the time in sight as a window that can be moved. */
export function Overview() {
  const app = useApp();
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const element = canvas.current;
    if (!element) return undefined;
    const strip = new Strip(app, element);
    return () => strip.stop();
  }, [app]);
  app.state.version.value;
  const status = app.session.status;
  const from = app.session.clock.timeOfDay(status?.kept_since ?? 0, 1e9);
  const to = app.session.clock.timeOfDay(app.edge, 1e9);
  return (
    <div class="overview">
      <Starts />
      <button type="button" class="astable" onClick={() => (app.state.strip.value = true)}>
        All kept time as a table
      </button>
      <canvas
        ref={canvas}
        role="img"
        title="All kept time: open descriptors (line), changes (bars), errors (on top). Drag to move the time in sight. K: what all marks mean."
        aria-label={`All kept time, ${from} to ${to}: ${count(status?.events ?? 0)} events, ${count(status?.lost ?? 0)} lost`}
      />
    </div>
  );
}

type Drag =
  | { readonly kind: "move"; readonly grip: number }
  | { readonly kind: "from" | "to"; readonly fixed: number };

class Strip {
  readonly #abort = new AbortController();
  readonly #context: CanvasRenderingContext2D | null;
  readonly #observer: ResizeObserver;
  #width = 0;
  #summary: Summary | undefined;
  readonly #counting = new Slices<Summary>(SLICE_MS);
  /** Of the session, as it was last counted. */
  #version = -1;
  /** When the next count may begin. */
  #due = 0;
  #later: ReturnType<typeof setTimeout> | undefined;
  #drag: Drag | undefined;

  constructor(
    readonly app: App,
    readonly canvas: HTMLCanvasElement,
  ) {
    this.#context = canvas.getContext("2d", { alpha: false });
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(canvas);
    const { signal } = this.#abort;
    canvas.addEventListener("pointerdown", (event) => this.#down(event), { signal });
    canvas.addEventListener("pointermove", (event) => this.#move(event), { signal });
    for (const end of ["pointerup", "pointercancel"] as const) {
      canvas.addEventListener(end, () => (this.#drag = undefined), { signal });
    }
    canvas.addEventListener("dblclick", () => app.fit(false), { signal });
    app.frames.add(() => this.#paint());
    this.#resize();
  }

  stop(): void {
    clearTimeout(this.#later);
    this.#counting.stop();
    this.#abort.abort();
    this.#observer.disconnect();
  }

  #resize(): void {
    this.#width = this.canvas.clientWidth;
    this.canvas.width = Math.max(1, Math.round(this.#width * devicePixelRatio));
    this.canvas.height = Math.round(HEIGHT * devicePixelRatio);
    this.#counting.stop();
    this.#summary = undefined;
    this.#due = 0;
    this.app.frames.request();
  }

  #first(): number {
    return this.app.session.status?.kept_since ?? 0;
  }

  /** The newest count. A new one is made beside it, between the frames. */
  #count(): Summary {
    const { session, edge, frames } = this.app;
    const from = this.#first();
    const to = Math.max(edge, from + 1);
    const now = performance.now();
    const known = this.#summary;
    const stale = !known || this.#version !== session.version || known.to !== to;
    if (!this.#counting.busy && stale && now >= this.#due) {
      const buckets = Math.max(1, Math.floor(this.#width / BUCKET_PX));
      this.#version = session.version;
      const work = summarizing(session.entities, session.failures, from, to, buckets);
      this.#counting.start(work, (summary) => {
        this.#summary = summary;
        this.#due = performance.now() + Math.max(COUNT_MS, SHARE * this.#counting.took);
        frames.request();
      });
    } else if (!this.#counting.busy && this.#version !== session.version) {
      this.#later ??= setTimeout(() => {
        this.#later = undefined;
        frames.request();
      }, this.#due - now);
    }
    return this.#summary ?? { from, to, ...NOTHING };
  }

  #paint(): void {
    if (!this.#context || this.#width === 0) return;
    const { viewport, session, state } = this.app;
    this.#context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    const scene = {
      width: this.#width,
      height: HEIGHT,
      summary: this.#count(),
      losses: session.losses,
      bookmarks: state.bookmarks.peek(),
      cursor: state.cursor.peek(),
      failure: this.app.selecting.failed()?.t,
      window: { from: viewport.start, to: viewport.end },
    };
    drawOverview(this.#context, scene, palette.peek());
  }

  #time(event: PointerEvent): number {
    const { from, to } = this.#count();
    const x = event.clientX - this.canvas.getBoundingClientRect().left;
    return from + (x / Math.max(1, this.#width)) * (to - from);
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0) return;
    const { viewport } = this.app;
    const { from, to } = this.#count();
    const t = this.#time(event);
    const near = ((to - from) / Math.max(1, this.#width)) * EDGE_PX;
    if (Math.abs(t - viewport.start) <= near) this.#drag = { kind: "from", fixed: viewport.end };
    else if (Math.abs(t - Math.min(viewport.end, to)) <= near)
      this.#drag = { kind: "to", fixed: viewport.start };
    else {
      const inside = t > viewport.start && t < viewport.end;
      this.#drag = { kind: "move", grip: inside ? t - viewport.start : viewport.span / 2 };
      if (!inside) this.#move(event);
    }
    this.canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  #move(event: PointerEvent): void {
    const drag = this.#drag;
    if (!drag) return;
    const { viewport } = this.app;
    const t = this.#time(event);
    if (drag.kind === "move") viewport.place(t - drag.grip, t - drag.grip + viewport.span);
    else viewport.place(Math.min(t, drag.fixed), Math.max(t, drag.fixed));
    this.app.frames.request();
  }
}

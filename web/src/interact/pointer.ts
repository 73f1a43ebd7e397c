import { effect, untracked } from "@preact/signals";
import { snap } from "../layout/changes.ts";
import { type Hit, hit } from "../layout/hit.ts";
import { rowAt } from "../layout/rows.ts";
import { RULER_HEIGHT } from "../layout/timeline.ts";
import type { App } from "./app.ts";

/** What the pointer is over, for the outline and the tooltip. */
export interface Hover {
  readonly x: number;
  readonly y: number;
  readonly hit: Hit | undefined;
}

/** A place over the lanes, and their width (pixels). */
interface Point {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

const WHEEL_ZOOM = 0.0025;
/** Movement below this is a click (pixels). */
const CLICK_PX = 4;

type Drag =
  | { readonly kind: "cursor" }
  | { readonly kind: "pan"; x: number; y: number }
  /** A click until it moves; then it marks out a range from `t` on. */
  | { readonly kind: "press"; readonly t: number };

/** Mouse, pen and touch on the lanes. Returns what takes the listeners away again. */
export function startPointer(
  app: App,
  area: HTMLElement,
  hover: (hover: Hover | undefined) => void,
): () => void {
  const abort = new AbortController();
  const { signal } = abort;
  let drag: Drag | undefined;
  let origin = { x: 0, y: 0 };
  let rests: Point | undefined;

  const point = (event: MouseEvent): Point => {
    const box = area.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top, width: box.width };
  };
  const timeAt = (event: MouseEvent) => {
    const { x, width } = point(event);
    return app.viewport.scale(width).t(x);
  };
  /** The moment under the pointer, or that of a change of the row that is near; Alt takes the pointer's own. */
  const rangeEdge = (event: PointerEvent) => {
    const { x, y, width } = point(event);
    const scale = app.viewport.scale(width);
    if (event.altKey) return scale.t(x);
    const { rows } = app.state.rows.peek();
    const row = rows[rowAt(rows, y - RULER_HEIGHT + app.state.scroll.peek())];
    return snap(app.session.entities, row, scale, scale.t(x));
  };
  const find = ({ x, y, width }: Point): Hover => {
    if (y < RULER_HEIGHT) return { x, y, hit: undefined };
    const { rows } = app.state.rows.peek();
    const below = y - RULER_HEIGHT + app.state.scroll.peek();
    const { entities, failures, overflows } = app.session;
    const lanes = { rows, entities, failures, overflows, scale: app.viewport.scale(width), edge: app.edge };
    return { x, y, hit: hit(lanes, x, below) };
  };

  area.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      const across = event.shiftKey ? event.deltaY + event.deltaX : event.deltaX;
      if (event.ctrlKey) app.zoom(Math.exp(event.deltaY * unit * WHEEL_ZOOM), timeAt(event));
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        app.pan((across * unit) / Math.max(1, area.clientWidth));
      } else app.scrollTo(app.state.scroll.peek() + event.deltaY * unit);
    },
    { passive: false, signal },
  );

  area.addEventListener(
    "pointerdown",
    (event) => {
      const at = point(event);
      origin = at;
      if (event.button === 1 || (event.button === 0 && event.shiftKey) || event.pointerType === "touch") {
        drag = { kind: "pan", x: at.x, y: at.y };
      } else if (event.button === 0 && at.y < RULER_HEIGHT) {
        drag = { kind: "cursor" };
        app.setCursor(timeAt(event));
      } else if (event.button === 0) {
        drag = { kind: "press", t: rangeEdge(event) };
      } else return;
      area.setPointerCapture(event.pointerId);
      event.preventDefault();
    },
    { signal },
  );

  area.addEventListener(
    "pointermove",
    (event) => {
      const at = point(event);
      if (drag?.kind === "cursor") app.setCursor(timeAt(event));
      else if (drag?.kind === "pan") {
        app.pan((drag.x - at.x) / Math.max(1, at.width));
        if (event.pointerType === "touch") app.scrollTo(app.state.scroll.peek() + drag.y - at.y);
        drag.x = at.x;
        drag.y = at.y;
      } else if (drag?.kind === "press" && Math.abs(at.x - origin.x) >= CLICK_PX) {
        app.ranging.set(drag.t, rangeEdge(event));
      }
      rests = at;
      app.pointAt(at.y < RULER_HEIGHT ? undefined : at.y - RULER_HEIGHT);
      hover(find(at));
    },
    { signal },
  );

  area.addEventListener(
    "pointerup",
    (event) => {
      const at = point(event);
      const still = Math.hypot(at.x - origin.x, at.y - origin.y) < CLICK_PX;
      const clicked =
        still && (drag?.kind === "press" || (drag?.kind === "pan" && event.pointerType === "touch"));
      drag = undefined;
      if (!clicked) return;
      if (at.y < RULER_HEIGHT) {
        app.setCursor(timeAt(event));
        return;
      }
      const found = find(at).hit;
      if (found?.overflow) app.showEvent(found.overflow.seq);
      else if (found?.failure) app.selecting.failure(found.failure);
      else if (found?.child) app.selecting.jump(found.child.id);
      else if (found) app.selecting.row(found.row, found.descriptor);
      else {
        app.state.selection.value = undefined;
        app.state.range.value = undefined;
      }
      app.frames.request();
    },
    { signal },
  );

  area.addEventListener(
    "dblclick",
    (event) => {
      const at = point(event);
      app.fit(at.y >= RULER_HEIGHT && find(at).hit !== undefined);
    },
    { signal },
  );
  area.addEventListener("pointercancel", () => (drag = undefined), { signal });
  area.addEventListener(
    "pointerleave",
    () => {
      rests = undefined;
      app.pointAt(undefined);
      hover(undefined);
    },
    { signal },
  );
  // Rows come, go and scroll under a pointer that rests.
  const stopLooking = effect(() => {
    void app.state.rows.value;
    void app.state.scroll.value;
    const at = rests;
    if (at) untracked(() => hover(find(at)));
  });
  return () => {
    stopLooking();
    abort.abort();
  };
}

import { useEffect, useLayoutEffect } from "preact/hooks";
import { press } from "../interact/keys.ts";
import { useApp } from "./context.ts";
import { Drawer } from "./drawer.tsx";
import { lazy, loadRest } from "./lazy.tsx";
import { Notice } from "./notice.tsx";
import { Overview } from "./overview.tsx";
import { Stage } from "./stage.tsx";
import { Toolbar } from "./toolbar.tsx";

const Lesson = lazy(async () => (await import("./lesson.tsx")).Lesson);
const Palette = lazy(async () => (await import("./palette.tsx")).Palette);
const StripTable = lazy(async () => (await import("./striptable.tsx")).StripTable);
const Legend = lazy(async () => (await import("./legend.tsx")).Legend);
const Help = lazy(async () => (await import("./help.tsx")).Help);

/** The whole page, from top to bottom. */
export function Page() {
  const app = useApp();
  // Before anything is painted: who sees the page can press its keys.
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent) => press(app, event);
    const onHash = () => {
      app.sharing.awaits(location.hash);
      app.sharing.arrived();
    };
    const onShown = () => app.shown();
    document.addEventListener("visibilitychange", onShown);
    addEventListener("keydown", onKey);
    addEventListener("hashchange", onHash);
    return () => {
      document.removeEventListener("visibilitychange", onShown);
      removeEventListener("keydown", onKey);
      removeEventListener("hashchange", onHash);
    };
  }, [app]);
  useEffect(() => void loadRest(), []);
  return (
    <>
      <Toolbar />
      <Notice />
      <main>
        <h1 class="unseen">Timeline of processes, descriptors and sockets</h1>
        <Overview />
        {app.state.lesson.value ? (
          <Lesson />
        ) : (
          <>
            <Stage />
            <Drawer />
          </>
        )}
      </main>
      <Help />
      <Legend />
      <StripTable />
      <Palette />
      <p class="unseen" role="status" aria-live="polite">
        {app.state.said}
      </p>
    </>
  );
}

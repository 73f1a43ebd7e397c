import { useEffect } from "preact/hooks";
import { press } from "../interact/keys.ts";
import { useApp } from "./context.ts";
import { Drawer } from "./drawer.tsx";
import { Help } from "./help.tsx";
import { Stage } from "./stage.tsx";
import { Toolbar } from "./toolbar.tsx";

/** The whole page, from top to bottom. */
export function Page() {
  const app = useApp();
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => press(app, event);
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [app]);
  return (
    <>
      <Toolbar />
      <main>
        <h1 class="unseen">Timeline of processes, descriptors and sockets</h1>
        <Stage />
        <Drawer />
      </main>
      <Help />
      <p class="unseen" role="status" aria-live="polite">
        {app.state.said}
      </p>
    </>
  );
}

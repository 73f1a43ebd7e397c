import { visible } from "../base/escape.ts";
import { REFUSED } from "../interact/state.ts";
import { useApp } from "./context.ts";

/** Says why there is nothing to see, and what to do about it. */
export function Empty() {
  const app = useApp();
  app.state.version.value;
  const link = app.state.link.value;
  const { rows, hidden } = app.state.rows.value;
  // What is there already stays usable; a notice says why nothing comes any more.
  if (rows.length > 0) return null;
  if (link === "refused") {
    return (
      <div class="empty">
        <h2>{REFUSED.what}</h2>
        <p>{REFUSED.help}</p>
      </div>
    );
  }
  if (hidden > 0) {
    // What fits may be in what has not been looked at yet.
    if (app.filtering.searching) return null;
    const what = app.state.mode.value === "listeners" ? "listener" : "row";
    return (
      <div class="empty">
        <h2>The filter hides {hidden === 1 ? `the only ${what}` : `all ${hidden} ${what}s`}</h2>
        <p>
          <button type="button" onClick={() => app.filtering.set("")}>
            Clear the filter
          </button>
        </p>
      </div>
    );
  }
  const info = app.session.info;
  if (!info || link === "connecting") {
    return (
      <div class="empty">
        <h2>{link === "away" ? "The server does not answer" : "Connecting"}</h2>
        {link === "away" && (
          <p>
            The page keeps trying. See that <code>sockreel serve</code> still runs.
          </p>
        )}
      </div>
    );
  }
  if (info.source === "recording") {
    return (
      <div class="empty">
        <h2>This recording holds no processes</h2>
        <p>
          Record again with <code>sockreel trace --record FILE -- COMMAND</code>.
        </p>
      </div>
    );
  }
  return (
    <div class="empty">
      <h2>Nothing to see yet</h2>
      <p>
        Watching: <bdi>{visible(info.selection)}</bdi>. Rows appear with the first process that fits. If you
        watch a server, visit it: <code>curl http://127.0.0.1:PORT/</code>
      </p>
    </div>
  );
}

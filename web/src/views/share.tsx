import "../styles/share.css";
import { useApp } from "./context.ts";

/** What one can give someone else of what is here. @param chosen Is told when one of them was chosen. */
export function Ways({ chosen }: { readonly chosen: () => void }) {
  const app = useApp();
  const range = app.state.range.value !== undefined;
  const what = range ? "the measured range" : "everything that is kept";
  const events = range ? "the events of the measured range" : "all kept events";
  const choose = (run: () => Promise<void>) => () => {
    chosen();
    void run();
  };
  return (
    <div class="choices">
      <button type="button" onClick={choose(() => app.sharing.copy())}>
        Copy a link to what is in sight <kbd>Y</kbd>
      </button>
      <button type="button" onClick={choose(() => app.exporting.page())}>
        Save {what} as one HTML file <kbd>X</kbd>
      </button>
      <button type="button" onClick={choose(() => app.exporting.lines())}>
        Save {events} as JSON Lines
      </button>
    </div>
  );
}

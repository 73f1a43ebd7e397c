import "../styles/help.css";
import { visible } from "../base/escape.ts";
import { KEYS } from "../interact/keys.ts";
import { chooseContrast, chooseShortcuts } from "../interact/theme.ts";
import { FILTER_KEYS } from "../layout/filter.ts";
import { useApp } from "./context.ts";
import { TitledDialog } from "./dialog.tsx";

const POINTER: readonly (readonly [string, string])[] = [
  ["Ctrl + wheel", "Zoom at the pointer"],
  ["Shift + wheel, Shift + drag", "Pan in time"],
  ["Click or drag on the ruler", "Set the time cursor"],
  ["Drag in the strip at the top", "Move the time in sight, or one of its ends"],
  ["Drag over the lanes", "Measure a range; its ends snap to changes, Alt leaves them free"],
  ["Double click", "Show an item whole; on the ruler: everything"],
  ["↑ ↓ Home End on a row", "Move between rows; Enter selects"],
];

/** What keys do, each with all that do so. */
const MEANINGS = new Map<string, string[]>();
for (const { does, shown } of KEYS) MEANINGS.set(does, [...(MEANINGS.get(does) ?? []), shown]);

/** Keys, filters, and what this session can and cannot tell. */
export function Help() {
  const app = useApp();
  const info = app.session.info;
  return (
    <TitledDialog shown={app.state.help} title="Keys and session">
      <div class="shortcuts">
        <label>
          <input
            type="checkbox"
            checked={app.state.shortcuts.value}
            onChange={(event) => chooseShortcuts(app, event.currentTarget.checked)}
          />{" "}
          Single keys are commands. Without them, F1 and Ctrl P still find every command.
        </label>
        <label>
          <input
            type="checkbox"
            checked={app.state.strong.value}
            onChange={(event) => chooseContrast(app, event.currentTarget.checked)}
          />{" "}
          High contrast, also where the system does not ask for it
        </label>
        <button
          type="button"
          onClick={() => {
            app.state.help.value = false;
            app.state.key.value = true;
          }}
        >
          Colours, forms and marks
        </button>
      </div>
      <div class="columns">
        <table>
          <caption>Keyboard</caption>
          <tbody>
            <tr>
              <th scope="row">
                <kbd>F1</kbd> <kbd>Ctrl P</kbd>
              </th>
              <td>Find a command, a process or a socket</td>
            </tr>
            {[...MEANINGS].map(([does, keys]) => (
              <tr key={does}>
                <th scope="row">
                  {keys.map((key) => (
                    <kbd key={key}>{key}</kbd>
                  ))}
                </th>
                <td>{does}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <div>
          <table>
            <caption>Pointer and rows</caption>
            <tbody>
              {POINTER.map(([what, does]) => (
                <tr key={what}>
                  <th scope="row">{what}</th>
                  <td>{does}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <h3>Filter</h3>
          <p>
            <code>key:value</code>, all terms must hold; <code>,</code> separates alternatives, <code>-</code>{" "}
            in front negates, <code>*</code> stands for anything, <code>&gt; &gt;= &lt; &lt;=</code> compare
            numbers. A word without a key is looked for everywhere. Keys of rows: {FILTER_KEYS.join(", ")}.
            The list of events takes the keys of <code>sockreel dump --filter</code>.
          </p>
          <p>
            <code>error:EMFILE</code> finds descriptors on which a call failed so, sockets that met the error,
            and processes with such a call that had no descriptor yet (a socket that could not be made).{" "}
            <code>error:*</code> finds any error.
          </p>
          {info && (
            <>
              <h3>Session</h3>
              <dl class="facts">
                <dt>Version</dt>
                <dd>{info.version}</dd>
                <dt>Selection</dt>
                <dd>{visible(info.selection)}</dd>
                <dt>Attached</dt>
                <dd>{info.attached.length} probes</dd>
              </dl>
              {info.missing.length > 0 && (
                <>
                  <h3>What this kernel cannot tell</h3>
                  <ul>
                    {info.missing.map((sentence) => (
                      <li key={sentence}>{sentence}</li>
                    ))}
                  </ul>
                </>
              )}
            </>
          )}
        </div>
      </div>
    </TitledDialog>
  );
}

import "../styles/palette.css";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { choices, found } from "../interact/choices.ts";
import { useApp } from "./context.ts";
import { Dialog } from "./dialog.tsx";

/** Choices that are offered at a time. */
const MOST = 50;
const COMBOBOX: object = { role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list" };

/** Finds what one can do or go to by a word of it (the combobox pattern of the W3C ARIA Authoring Practices). */
export function Palette() {
  const app = useApp();
  const { palette } = app.state;
  return (
    <Dialog
      shown={palette}
      class="palette"
      aria-label="Find a command, a process or a socket"
      onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
    >
      {palette.value && <Search />}
    </Dialog>
  );
}

function Search() {
  const app = useApp();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  const all = useMemo(() => choices(app), [app]);
  const offered = useMemo(() => found(all, text, MOST), [all, text]);
  const at = Math.min(chosen, offered.length - 1);

  useEffect(() => {
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  }, [at]);

  const run = (index: number) => {
    const choice = offered[index];
    if (!choice) return;
    // Closed first: what is chosen may put the focus elsewhere.
    app.state.palette.value = false;
    setTimeout(choice.run, 0);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) setChosen((at + step + offered.length) % Math.max(1, offered.length));
    else if (event.key === "Enter") run(at);
    else return;
    event.preventDefault();
  };

  return (
    <>
      <input
        type="text"
        {...COMBOBOX}
        aria-label="Find a command, a process or a socket"
        aria-activedescendant={at >= 0 ? `choice-${at}` : undefined}
        placeholder="A command, a process, an address …"
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setChosen(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div id="palette-list" role="listbox" aria-label="Choices" ref={list}>
        {offered.map(({ title, hint }, i) => (
          <div
            key={i}
            id={`choice-${i}`}
            role="option"
            aria-selected={i === at}
            tabIndex={-1}
            onClick={() => run(i)}
            onPointerMove={() => setChosen(i)}
          >
            <bdi>{title}</bdi> <span class="muted">{hint}</span>
          </div>
        ))}
      </div>
      {offered.length === 0 && <p class="hint">Nothing is called so.</p>}
    </>
  );
}

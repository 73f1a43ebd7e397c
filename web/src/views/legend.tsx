import "../styles/help.css";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { palette } from "../interact/theme.ts";
import { type Entry, legend } from "../layout/legend.ts";
import { Canvas2dRenderer } from "../render/canvas2d.ts";
import { drawOverview } from "../render/overview.ts";
import { useApp } from "./context.ts";
import { TitledDialog } from "./dialog.tsx";

/** What the lanes and the strip draw, each piece drawn by what draws them. */
export function Legend() {
  const app = useApp();
  const { key } = app.state;
  return (
    <TitledDialog shown={key} title="Colours, forms and marks" kind="key">
      {key.value && <Groups />}
    </TitledDialog>
  );
}

function Groups() {
  const groups = useMemo(legend, []);
  return (
    <div class="groups">
      {groups.map(({ title, entries }) => (
        <section key={title}>
          <h3>{title}</h3>
          <ul>
            {entries.map((entry) => (
              <li key={entry.words}>
                <Piece entry={entry} />
                <span>{entry.words}</span>
              </li>
            ))}
          </ul>
        </section>
      ))}
      <section>
        <h3>Signs</h3>
        <ul>
          {SIGNS.map(([sign, words]) => (
            <li key={sign}>
              <b class="sign">{sign}</b>
              <span>{words}</span>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}

/** What stands beside texts and numbers, or instead of them. */
const SIGNS = [
  ["?", "May be wrong: events were lost, or a table was not read"],
  ["≥", "At least: it began before tracing did"],
  ["–", "Not known"],
  ["·", "A socket that has no descriptor: it waits in a queue, or is closed"],
  ["←", "Accepted: the other end connected to it"],
  ["→", "It connected to the other end"],
  ["↔", "A pair that was made together, or which end connected was not seen"],
] as const;

function Piece({ entry: { piece } }: { readonly entry: Entry }) {
  const lower = useRef<HTMLCanvasElement>(null);
  const upper = useRef<HTMLCanvasElement>(null);
  const { width, height } = piece.scene;
  const colours = palette.value;
  useLayoutEffect(() => {
    if (!lower.current || !upper.current) return;
    const renderer = new Canvas2dRenderer(lower.current, upper.current);
    renderer.resize(width, height, devicePixelRatio);
    if (piece.of === "lanes") {
      renderer.lanes(piece.scene, colours);
      if (piece.overlay) renderer.overlay(piece.overlay, colours);
      return;
    }
    const to = lower.current.getContext("2d");
    to?.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    if (to) drawOverview(to, piece.scene, colours);
  }, [piece, width, height, colours]);
  return (
    <span class="piece" aria-hidden="true" style={{ width: `${width}px`, height: `${height}px` }}>
      <canvas ref={lower} />
      <canvas ref={upper} />
    </span>
  );
}

import type { Summary } from "../layout/overview.ts";
import type { Loss } from "../store/session.ts";
import type { Palette } from "./palette.ts";

/** What the strip shows, in pixels and moments of its own. */
export interface OverviewScene {
  readonly width: number;
  readonly height: number;
  readonly summary: Summary;
  readonly losses: readonly Loss[];
  readonly bookmarks: readonly number[];
  readonly cursor: number | undefined;
  /** When the failure that is selected happened. */
  readonly failure?: number | undefined;
  /** The time in sight. */
  readonly window: { readonly from: number; readonly to: number };
}

/** Room for the marks of errors above the bars. */
const MARKS_PX = 5;
const LOSS_PX = 3;

/** Draws the whole kept time: changes as bars, open descriptors as a line, errors, losses, and what is in sight. */
export function drawOverview(to: CanvasRenderingContext2D, scene: OverviewScene, palette: Palette): void {
  const { width, height, summary } = scene;
  const { changes, errors, open } = summary;
  const x = (t: number) => ((t - summary.from) / Math.max(1, summary.to - summary.from)) * width;
  const step = width / Math.max(1, changes.length);
  const room = height - MARKS_PX - 1;
  to.fillStyle = palette.ground;
  to.fillRect(0, 0, width, height);

  // By the root: one burst must not flatten everything else.
  const most = Math.sqrt(Math.max(1, ...changes));
  to.fillStyle = palette.roles.idle;
  changes.forEach((count, i) => {
    if (count === 0) return;
    const tall = Math.max(1, (Math.sqrt(count) / most) * room);
    to.fillRect(i * step, height - tall, Math.max(1, step - 0.5), tall);
  });

  const fullest = Math.max(1, ...open);
  to.strokeStyle = palette.roles.connected;
  to.lineWidth = 1.5;
  to.beginPath();
  open.forEach((count, i) => {
    const y = height - 1 - (count / fullest) * (room - 2);
    if (i === 0) to.moveTo(0, y);
    to.lineTo(i * step, y);
    to.lineTo((i + 1) * step, y);
  });
  to.stroke();

  to.fillStyle = palette.roles.error;
  errors.forEach((count, i) => {
    if (count > 0) to.fillRect(i * step, 0, Math.max(2, step), MARKS_PX);
  });
  to.fillStyle = palette.lost;
  for (const loss of scene.losses) {
    const at = x(loss.t);
    for (let y = 0; y < height; y += 4) to.fillRect(at - LOSS_PX / 2, y, LOSS_PX, 2);
  }
  to.fillStyle = palette.accent;
  for (const mark of scene.bookmarks) {
    // A pennant, as on the ruler.
    to.beginPath();
    to.moveTo(x(mark), 0);
    to.lineTo(x(mark) + 8, 4);
    to.lineTo(x(mark), 8);
    to.fill();
    to.fillRect(x(mark), 0, 1, height);
  }
  if (scene.failure !== undefined) {
    const at = x(scene.failure);
    to.fillRect(at - 5, 0, 10, MARKS_PX + 3);
    to.fillStyle = palette.roles.error;
    to.fillRect(at - 2.5, 0, 5, MARKS_PX);
    to.fillStyle = palette.accent;
  }
  if (scene.cursor !== undefined) to.fillRect(Math.round(x(scene.cursor)), 0, 1, height);

  const from = Math.max(0, x(scene.window.from));
  const until = Math.min(width, x(scene.window.to));
  to.globalAlpha = 0.55;
  to.fillStyle = palette.raised;
  to.fillRect(0, 0, from, height);
  to.fillRect(until, 0, width - until, height);
  to.globalAlpha = 1;
  to.strokeStyle = palette.edge;
  to.lineWidth = 1;
  to.strokeRect(from + 0.5, 0.5, Math.max(2, until - from - 1), height - 1);
  to.fillStyle = palette.edge;
  for (const edge of [from, Math.max(from + 2, until) - 3]) to.fillRect(edge, height / 2 - 6, 3, 12);
}

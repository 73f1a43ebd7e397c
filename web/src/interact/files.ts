import { count } from "../base/time.ts";
import type { About, Carried, Question } from "../net/answers.ts";
import { cut } from "../net/capture.ts";
import { ownCode, pageOf } from "../net/onefile.ts";
import type { Line } from "../protocol/types.gen.ts";
import type { App } from "./app.ts";
import { Places } from "./places.ts";
import type { Range } from "./range.ts";

/** Events of one answer, the most that a daemon gives. */
const PAGE = 10_000;
/** Events of one file: as many as the page's list of events keeps. The newest count. */
const MOST = 200_000;
/** By how much one moment's times of day may differ. */
const ROOM_NS = 1e9;
/** Answers about everything that a file carries, and the listeners of which it says who holds them. */
const WHOLE: readonly Question[] = ["queues", "slow", "balance", "handovers", "leaks"];
const MOST_ADDRESSES = 50;

/** What a file holds, and for how many of the oldest events there was no room. */
export interface Made {
  readonly text: string;
  readonly left: number;
}

/** One HTML file with this page in it, which shows the range to whoever opens it, without a server. */
export async function makePage(app: App, range: Range): Promise<Made> {
  const { lines, left } = await eventsOf(app, range);
  const { info, status, entities } = app.session;
  if (!info) throw new Error("there is no session yet");
  const answers = await answersOf(app, range);
  const { start, end } = app.viewport;
  const place = start < range.to && end > range.from ? new Places(app).fragment(true) : undefined;
  const capture = cut({ info, status: status ?? info.status, entities, lines, answers, place }, range);
  return { text: await pageOf(await ownCode(), capture), left };
}

/** The range's events, one JSON object a line. */
export async function makeLines(app: App, range: Range): Promise<Made> {
  const { lines, left } = await eventsOf(app, range);
  const { clock } = app.session;
  const text = lines.map(({ t, ...line }) => {
    const json = JSON.stringify(line);
    // Longer than a number is exact; the offset `t` gives it back.
    return `${t === undefined ? json : json.replace(/"ts_ns":[^,]+/, `"ts_ns":${clock.epoch(t)}`)}\n`;
  });
  return { text: text.join(""), left };
}

/** The newest events of the range, oldest first, and how many there was no room for. */
async function eventsOf(app: App, { from, to }: Range): Promise<{ lines: Line[]; left: number }> {
  const { clock, status } = app.session;
  // Times of day are measured anew while a session goes on: the server picks by those with room to spare, `t` decides.
  const measured = app.state.range.peek() !== undefined;
  const filter = measured
    ? `ts_ns:>=${clock.epoch(from - ROOM_NS)} ts_ns:<=${clock.epoch(to + ROOM_NS)}`
    : "";
  const within = ({ t }: Line) => t === undefined || (t <= to && (!measured || t >= from));
  let lines: Line[] = [];
  let left = 0;
  let next: number | null | undefined = status?.first_seq ?? 0;
  while (next !== null && next !== undefined) {
    const page = await app.source.events(next, PAGE, filter);
    lines.push(...page.events.filter(within));
    if (lines.length > MOST) {
      left += lines.length - MOST;
      lines = lines.slice(-MOST);
    }
    next = page.next_seq;
  }
  return { lines, left };
}

/** What views would ask about the end of the range; what is not answered is left out, and the file says so. */
async function answersOf(app: App, { to }: Range): Promise<Carried[]> {
  const { session, source } = app;
  const at = session.clock.epoch(to);
  const listeners = [...session.entities.sockets.values()].filter(
    ({ steps, local }) => local && steps.some(({ phase, t }) => phase === "listening" && t <= to),
  );
  const addresses = [...new Set(listeners.map(({ local }) => local ?? ""))].slice(-MOST_ADDRESSES);
  const wanted: [Question, About][] = [
    ...WHOLE.map((question): [Question, About] => [question, {}]),
    ...addresses.map((of): [Question, About] => ["who", { of }]),
  ];
  const answers: Carried[] = [];
  for (const [question, about] of wanted) {
    const answer = await source.answer(question, about, at).catch(() => undefined);
    if (answer) answers.push({ question, about, answer });
  }
  return answers;
}

/** Puts a file into the downloads, and says so. */
export function handOver({ text, left }: Made, type: string, name: string): string {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken the content by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  const note = left > 0 ? ` The oldest ${count(left)} events had no room.` : "";
  return `The file is in your downloads.${note} It holds names, paths and addresses of this host.`;
}

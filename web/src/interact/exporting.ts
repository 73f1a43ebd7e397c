import { count } from "../base/time.ts";
import type { About, Carried, Question } from "../net/answers.ts";
import type { Line } from "../protocol/types.gen.ts";
import type { App } from "./app.ts";
import type { Range } from "./range.ts";

/** Events of one answer, the most that a daemon gives. */
const PAGE = 10_000;
/** Events of one file: as many as the page's list of events keeps. The newest count. */
const MOST = 200_000;
/** Answers about everything that a file carries, and the listeners of which it says who holds them. */
const WHOLE: readonly Question[] = ["queues", "slow", "balance", "handovers", "leaks"];
const MOST_ADDRESSES = 50;

/** Files for others: the page itself with what it shows, and events as the command line prints them. */
export class Exporting {
  #busy = false;

  constructor(readonly app: App) {}

  /** The measured range; without one, everything that is kept. */
  get range(): Range {
    const { app } = this;
    return app.state.range.peek() ?? { from: app.session.status?.kept_since ?? 0, to: app.edge };
  }

  /** One HTML file with this page in it, which shows the range to whoever opens it, without a server. */
  async page(): Promise<void> {
    await this.#save("html", "text/html", async (range) => {
      const { lines, left } = await this.#events(range);
      const { info, status, entities } = this.app.session;
      if (!info) throw new Error("there is no session yet");
      const [{ cut }, { ownCode, pageOf }] = await Promise.all([
        import("../net/capture.ts"),
        import("../net/onefile.ts"),
      ]);
      const answers = await this.#answers(range);
      const capture = cut({ info, status: status ?? info.status, entities, lines, answers }, range);
      return { text: await pageOf(await ownCode(), capture), left };
    });
  }

  /** The range's events, one JSON object a line. */
  async lines(): Promise<void> {
    await this.#save("jsonl", "application/x-ndjson", async (range) => {
      const { lines, left } = await this.#events(range);
      const { clock } = this.app.session;
      const text = lines.map(({ t, ...line }) => {
        const json = JSON.stringify(line);
        // Longer than a number is exact; the offset `t` gives it back.
        return `${t === undefined ? json : json.replace(/"ts_ns":[^,]+/, `"ts_ns":${clock.epoch(t)}`)}\n`;
      });
      return { text: text.join(""), left };
    });
  }

  /** The newest events of the range, oldest first, and how many there was no room for. */
  async #events({ from, to }: Range): Promise<{ lines: Line[]; left: number }> {
    const { clock, status } = this.app.session;
    const filter = `ts_ns:>=${clock.epoch(from)} ts_ns:<=${clock.epoch(to)}`;
    let lines: Line[] = [];
    let left = 0;
    let next: number | null | undefined = status?.first_seq ?? 0;
    while (next !== null && next !== undefined) {
      const page = await this.app.source.events(next, PAGE, filter);
      lines.push(...page.events);
      if (lines.length > MOST) {
        left += lines.length - MOST;
        lines = lines.slice(-MOST);
      }
      next = page.next_seq;
    }
    return { lines, left };
  }

  /** What views would ask about the end of the range; what is not answered is left out, and the file says so. */
  async #answers({ to }: Range): Promise<Carried[]> {
    const { session, source } = this.app;
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

  async #save(
    ending: string,
    type: string,
    make: (range: Range) => Promise<{ text: string; left: number }>,
  ): Promise<void> {
    const { app } = this;
    if (this.#busy) return;
    this.#busy = true;
    app.say("Making the file.");
    try {
      const { range } = this;
      const { text, left } = await make(range);
      const at = app.session.clock.timeOfDay(range.from, 1e9).replaceAll(":", "");
      download(new Blob([text], { type }), `sockreel-${at}.${ending}`);
      const note = left > 0 ? ` The oldest ${count(left)} events had no room.` : "";
      app.state.notice.value = `The file is in your downloads.${note} It holds names, paths and addresses of this host.`;
    } catch (error) {
      app.state.notice.value = `The file could not be made: ${error instanceof Error ? error.message : error}`;
    }
    this.#busy = false;
  }
}

function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken the content by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

import { count } from "../base/time.ts";
import type { App } from "./app.ts";
import type { Made } from "./files.ts";
import type { Range } from "./range.ts";

type Make = (app: App, range: Range) => Promise<Made>;

/** Files for others: the page itself with what it shows, and events as the command line prints them. */
export class Exporting {
  #busy = false;

  constructor(readonly app: App) {}

  /** The measured range; without one, everything that is kept. */
  get range(): Range {
    const { app } = this;
    return app.state.range.peek() ?? { from: app.session.status?.kept_since ?? 0, to: app.edge };
  }

  async page(): Promise<void> {
    await this.#save("html", "text/html", ({ makePage }) => makePage);
  }

  async lines(): Promise<void> {
    await this.#save("jsonl", "application/x-ndjson", ({ makeLines }) => makeLines);
  }

  /** The code that makes files comes when one is asked for. */
  async #save(
    ending: string,
    type: string,
    make: (code: typeof import("./files.ts")) => Make,
  ): Promise<void> {
    const { app } = this;
    if (this.#busy) return;
    this.#busy = true;
    app.say("Making the file.");
    try {
      const { range } = this;
      const { text, left } = await make(await import("./files.ts"))(app, range);
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

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
      const code = await import("./files.ts");
      const made = await make(code)(app, range);
      const at = app.session.clock.timeOfDay(range.from, 1e9).replaceAll(":", "");
      app.state.notice.value = code.handOver(made, type, `sockreel-${at}.${ending}`);
    } catch (error) {
      app.state.notice.value = `The file could not be made: ${error instanceof Error ? error.message : error}`;
    }
    this.#busy = false;
  }
}

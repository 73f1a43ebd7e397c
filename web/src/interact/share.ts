import type { App } from "./app.ts";

/** Every fragment that leads somewhere says the version of what it says. */
const OURS = /(^#?|&)v=\d/;

/** Links to what is in sight: making them, and going where one leads. The code for both comes when it is needed. */
export class Sharing {
  /** Where a link leads, until the data that it names have come. */
  #awaited: string | undefined;

  constructor(readonly app: App) {}

  /** Puts the link into the address and onto the clipboard. */
  async copy(): Promise<void> {
    const url = new URL(location.href);
    url.hash = (await this.#places()).fragment();
    history.replaceState(null, "", url);
    try {
      await navigator.clipboard.writeText(url.href);
      this.app.say("Link copied.");
      this.app.state.notice.value = "The link to what is in sight is on the clipboard.";
    } catch {
      this.app.state.notice.value = "The address of this page now is the link to what is in sight.";
    }
  }

  /** Takes note of where an address leads; gone there as soon as the session's data are here. */
  awaits(fragment: string): void {
    this.#awaited = OURS.test(fragment) ? fragment : undefined;
    if (this.#awaited !== undefined) void this.#places();
  }

  /** The session's data are here: goes where the link leads. */
  arrived(): void {
    const fragment = this.#awaited;
    // What it names may be in what is still to come.
    if (fragment === undefined || this.app.session.behind) return;
    this.#awaited = undefined;
    void this.#places().then((places) => places.follow(fragment));
  }

  async #places() {
    const { Places } = await import("./places.ts");
    return new Places(this.app);
  }
}

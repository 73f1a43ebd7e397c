/** Between two messages a screen reader needs time to read the first (milliseconds). */
const REST_MS = 1_000;
/** Messages that wait; what comes beyond takes the place of the oldest. */
const WAITING = 3;

/** What there is to say; asked for when it is said, so that it is true then. */
type Words = string | (() => string);

/** Says one thing after another in a live region, none of them while the one before is being read. */
export class Speech {
  readonly #waiting: { readonly about: string; readonly words: Words }[] = [];
  #saidAt = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly speak: (text: string) => void,
    readonly now: () => number,
  ) {}

  /** @param about Of several messages about one thing that wait, only the newest is said. */
  say(words: Words, about = "what was done"): void {
    const known = this.#waiting.findIndex((one) => one.about === about);
    if (known >= 0) this.#waiting[known] = { about, words };
    else this.#waiting.push({ about, words });
    if (this.#waiting.length > WAITING) this.#waiting.shift();
    this.#go();
  }

  #go(): void {
    if (this.#timer !== undefined) return;
    const rest = this.#saidAt + REST_MS - this.now();
    if (rest > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#go();
      }, rest);
      return;
    }
    const next = this.#waiting.shift();
    if (!next) return;
    this.#saidAt = this.now();
    this.speak(typeof next.words === "string" ? next.words : next.words());
    if (this.#waiting.length > 0) this.#go();
  }
}

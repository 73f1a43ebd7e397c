/**
 * What was worked out of objects at one revision of the session. At a newer one all of it is let go: it would hold on to what is
 * forgotten since.
 */
export class Worked<K extends WeakKey, V> {
  static readonly #all: Worked<WeakKey, unknown>[] = [];
  #revision = -1;
  #known = new WeakMap<K, V>();

  constructor() {
    Worked.#all.push(this as unknown as Worked<WeakKey, unknown>);
  }

  /** Whoever draws says of which revision, also where nothing is drawn that was worked out before. */
  static letGo(revision: number): void {
    for (const one of Worked.#all) one.#turn(revision);
  }

  at(revision: number, of: K): V | undefined {
    return revision === this.#revision ? this.#known.get(of) : undefined;
  }

  keep(revision: number, of: K, what: V): V {
    this.#turn(revision);
    this.#known.set(of, what);
    return what;
  }

  #turn(revision: number): void {
    if (revision === this.#revision) return;
    this.#revision = revision;
    this.#known = new WeakMap();
  }
}

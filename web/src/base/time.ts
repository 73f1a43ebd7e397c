/** Times are nanoseconds since the session's first moment; this turns them into what people read. */

const UNITS: readonly (readonly [number, string])[] = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
  [1, "ns"],
];

/** A duration with three significant digits: `18.2 µs`, `2.30 s`, `3 m 04 s`, `2 h 00 m`. */
export function duration(ns: number): string {
  if (!Number.isFinite(ns)) return "?";
  const abs = Math.abs(ns);
  const sign = ns < 0 ? "−" : "";
  if (abs >= 3600e9) {
    const minutes = Math.floor(abs / 60e9);
    return sign + parts(Math.floor(minutes / 60), "h", minutes % 60, "m");
  }
  if (abs >= 60e9) {
    const seconds = Math.floor(abs / 1e9);
    return sign + parts(Math.floor(seconds / 60), "m", seconds % 60, "s");
  }
  for (const [size, unit] of UNITS) {
    if (abs >= size) {
      const value = abs / size;
      const digits = size === 1 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
      return `${sign}${value.toFixed(digits)} ${unit}`;
    }
  }
  return "0 s";
}

function parts(big: number, unit: string, small: number, smallUnit: string): string {
  return `${big} ${unit} ${String(small).padStart(2, "0")} ${smallUnit}`;
}

const GROUPED = new Intl.NumberFormat("en-US");

/** A count with grouping: `1,234,567`. */
export function count(n: number): string {
  // Nothing to group: of each row that is drawn several numbers are asked for, and most are small.
  return Number.isInteger(n) && Math.abs(n) < 1000 ? String(n) : GROUPED.format(n);
}

const AGO: Readonly<Record<string, number>> = { ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** Wall clock of a session. */
export class Clock {
  readonly #t0: bigint;

  /** @param t0 Nanoseconds since the Unix epoch of offset 0, decimal; anything else counts as 0. */
  constructor(t0: string) {
    this.#t0 = /^-?\d{1,19}$/.test(t0) ? BigInt(t0) : 0n;
  }

  /**
   * Local time of day at an offset, with as many decimals as `step_ns` asks for: two moments one step apart differ.
   */
  timeOfDay(t: number, step_ns = 1e6): string {
    const epoch = this.epoch(t);
    const floor = ((epoch % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    const date = new Date(Number((epoch - floor) / 1_000_000n));
    const pad = (n: number) => String(n).padStart(2, "0");
    const base = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
    const digits = step_ns >= 1e9 ? 0 : step_ns >= 1e6 ? 3 : step_ns >= 1e3 ? 6 : 9;
    return digits === 0 ? base : `${base}.${floor.toString().padStart(9, "0").slice(0, digits)}`;
  }

  /** Nanoseconds since the Unix epoch of an offset. */
  epoch(t: number): bigint {
    return this.#t0 + BigInt(Math.round(t));
  }

  /** The offset of a moment given in nanoseconds since the Unix epoch. */
  offset(epoch: bigint): number {
    return Number(epoch - this.#t0);
  }

  /**
   * The offset of a moment as people write it: a local time of day (of the day of `now`), a time before `now` (`-30s`),
   * RFC 3339, or nanoseconds since the Unix epoch. `undefined` where it is none of these.
   */
  read(text: string, now: number): number | undefined {
    const words = text.trim();
    const [, amount, unit] = words.match(/^-(\d+(?:\.\d+)?)(ms|s|m|h)$/) ?? [];
    if (amount !== undefined && unit !== undefined) return now - Number(amount) * (AGO[unit] ?? 0);
    if (/^\d{16,19}$/.test(words)) return this.offset(BigInt(words));
    const [, h, m, s, fraction = ""] = words.match(/^(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?$/) ?? [];
    if (h !== undefined && m !== undefined) {
      const day = new Date(Number(this.epoch(now) / 1_000_000n));
      day.setHours(Number(h), Number(m), Number(s ?? 0), 0);
      return this.offset(BigInt(day.getTime()) * 1_000_000n + BigInt(fraction.padEnd(9, "0")));
    }
    if (!/^\d{4}-\d\d-\d\d[T ]/.test(words)) return undefined;
    const parsed = Date.parse(words);
    return Number.isNaN(parsed) ? undefined : this.offset(BigInt(parsed) * 1_000_000n);
  }

  /** Distance from offset 0 to the day's midnight in local time, so that ticks fall on round wall-clock times. */
  phase(): number {
    const ms = Number(this.#t0 / 1_000_000n);
    const offset_ms = new Date(ms).getTimezoneOffset() * 60_000;
    return (
      ((((ms - offset_ms) % 86_400_000) + 86_400_000) % 86_400_000) * 1e6 + Number(this.#t0 % 1_000_000n)
    );
  }
}

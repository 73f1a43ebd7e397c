/** Maps time (nanoseconds since the session's first moment) to pixels: `start` at 0, `end` at `width`. */
export class TimeScale {
  readonly nsPerPx: number;

  constructor(
    readonly start: number,
    readonly end: number,
    readonly width: number,
  ) {
    this.nsPerPx = (end - start) / Math.max(1, width);
  }

  x(t: number): number {
    return (t - this.start) / this.nsPerPx;
  }

  t(x: number): number {
    return this.start + x * this.nsPerPx;
  }
}

/** Steps that fall on round wall-clock times: 1, 2, 5 below a second, then what clocks are made of. */
const CLOCK_STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
];

/** The smallest round step that keeps ticks at least `gap` pixels apart. */
export function tickStep(nsPerPx: number, gap: number): number {
  const least = nsPerPx * gap;
  for (let decade = 1; decade < 1e9; decade *= 10) {
    for (const factor of [1, 2, 5]) if (decade * factor >= least) return decade * factor;
  }
  for (const seconds of CLOCK_STEPS_S) if (seconds * 1e9 >= least) return seconds * 1e9;
  return Math.ceil(least / 86400e9) * 86400e9;
}

/**
 * Times of the ticks of a scale.
 * @param phase Distance from a round wall-clock time to offset 0, so that ticks are round for people.
 */
export function ticks(scale: TimeScale, phase: number, gap: number): { step: number; times: number[] } {
  const step = tickStep(scale.nsPerPx, gap);
  const shift = phase % step;
  const times: number[] = [];
  for (let k = Math.ceil((scale.start + shift) / step); ; k += 1) {
    const t = k * step - shift;
    if (t > scale.end) return { step, times };
    times.push(t);
  }
}

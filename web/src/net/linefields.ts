import type { Field, Fields } from "../base/filter.ts";
import type { Clock } from "../base/time.ts";
import type { Line } from "../protocol/types.gen.ts";

type Key = keyof Line & string;

const TEXTS: readonly Key[] = [
  ..."process comm event call error kind path socket listener family type protocol local peer asked level".split(
    " ",
  ),
  ..."option options from to dir closed_first child how cause via app_protocol sni standing why".split(" "),
  ..."cgroup blocked_in accept_failed".split(" "),
] as Key[];
const NUMBERS = [
  ..."seq pid tid call_id fd ret new_fd fds inode asked_value value backlog queue_len queue_limit".split(" "),
  ..."wait_ns dur_ns status count repaired since_ns ring new_ring direct new_direct directs cpu cpu_seq".split(
    " ",
  ),
  ..."asleep_ns runnable_ns running_ns blocked_ns unknown_ns netns pidns ns_pid".split(" "),
  ..."drops drops_total queue_full_min queue_full_max period_ns".split(" "),
  ..."bytes_acked bytes_received rtt_us retransmits".split(" "),
] as Key[];
/** A flag that is left out of a line is false; of these two it is not known. */
const FLAGS = "pending cloexec nonblock inferred late unconfirmed confirmed doubtful sni_cut slept".split(
  " ",
) as Key[];
const UNKNOWN: readonly Key[] = ["cloexec", "nonblock"];

const several = (value: unknown): never[] => (value === undefined ? [] : [value].flat()) as never[];

/** The keys by which lines are filtered: as `FIELDS` of tracer-wire's `filter` module. */
export function lineFields(clock: Clock): Fields<Line> {
  const table: Record<string, Field<Line>> = {
    // The line's own number is too long to be exact here.
    ts_ns: { number: ({ t }) => (t === undefined ? [] : [clock.epoch(t)]) },
    explain: { text: ({ explain }) => several(explain?.cause) },
  };
  for (const key of TEXTS) table[key] = { text: (line) => several(line[key]) };
  for (const key of NUMBERS) table[key] = { number: (line) => several(line[key]) };
  for (const key of FLAGS)
    table[key] = { flag: (line) => several(line[key] ?? (UNKNOWN.includes(key) ? undefined : false)) };
  return table;
}

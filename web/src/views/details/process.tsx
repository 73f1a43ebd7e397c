import { exitWord, processName } from "../../a11y/sentences.ts";
import { visible } from "../../base/escape.ts";
import { count } from "../../base/time.ts";
import type { Process } from "../../protocol/types.gen.ts";
import { Inherited } from "../answers/inherited.tsx";
import { LeaksOf } from "../answers/leaks.tsx";
import { useApp } from "../context.ts";
import { Doubt, Fact, Moment, Standing } from "./facts.tsx";
import { Failed } from "./failure.tsx";

/** A process: its identity, its table, what it leaves behind, what it has from others, and its failed calls. */
export function OfProcess({ process }: { readonly process: Process }) {
  const app = useApp();
  const open = app.session.entities.tableAt(process.table, app.instant).length;
  return (
    <>
      <div class="card">
        <h2>
          <bdi>{processName(process)}</bdi>
        </h2>
        <dl class="facts">
          {process.exe !== null && (
            <Fact name="Program">
              <bdi>{visible(process.exe)}</bdi>
            </Fact>
          )}
          {process.ppid !== null && <Fact name="Parent">{process.ppid}</Fact>}
          <Fact name="First seen">
            <Moment t={process.seen} />
          </Fact>
          {process.ended !== null && (
            <Fact name="Ended">
              <Moment t={process.ended} />
              {exitWord(process.status)}
            </Fact>
          )}
          <Fact name="Descriptors">
            {count(open)}
            <Doubt process={process} />
            {process.fd_limit === null ? "" : ` of at most ${count(process.fd_limit)}`}
          </Fact>
          <Fact name="Standing">
            <Standing process={process} />
          </Fact>
          <Fact name="Names in the API">
            {process.id}, table {process.table}
          </Fact>
        </dl>
      </div>
      <LeaksOf process={process.id} />
      <Inherited pid={process.pid} process={process.id} />
      <Failed failures={app.session.failures.ofProcess(process.id)} />
    </>
  );
}

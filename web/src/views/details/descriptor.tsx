import { holds, isDoubtful, processName } from "../../a11y/sentences.ts";
import { count, duration } from "../../base/time.ts";
import type { Descriptor, Process, Socket } from "../../protocol/types.gen.ts";
import { useApp } from "../context.ts";
import { flags } from "../descriptors.tsx";
import { Doubt, Fact, Moment, Standing } from "./facts.tsx";

/** A descriptor: what it holds, and from when to when. */
export function OfDescriptor({
  descriptor,
  process,
  socket,
}: {
  readonly descriptor: Descriptor;
  readonly process: Process;
  readonly socket: Socket | undefined;
}) {
  const app = useApp();
  // When it was opened is not known: it was there when tracing began.
  const before = descriptor.opened_by === "snapshot";
  const atLeast = before ? "at least " : "";
  const at = app.instant;
  const others = app.session.entities
    .holders(descriptor.socket ?? "")
    .filter((one) => one !== descriptor && one.opened <= at && (one.closed === null || one.closed > at));
  return (
    <div class="card">
      <h2>
        fd {descriptor.fd} <span class="muted">of</span> <bdi>{processName(process)}</bdi>
        {others.length > 0 && (
          <span class="muted" title="Descriptors that hold the same socket at this instant">
            {" "}
            and {count(others.length)} more
          </span>
        )}{" "}
        <Doubt process={process} />
      </h2>
      <dl class="facts">
        <Fact name="Holds">
          <bdi>{holds(descriptor, socket)}</bdi>
        </Fact>
        <Fact name="Opened">
          {before ? "before tracing began, " : ""}
          <Moment t={descriptor.opened} />
          {!before && ` by ${descriptor.opened_by}`}
        </Fact>
        <Fact name={descriptor.closed === null ? "Open for" : "Closed"}>
          {descriptor.closed === null ? (
            atLeast + duration(app.edge - descriptor.opened)
          ) : (
            <>
              <Moment t={descriptor.closed} /> by {descriptor.closed_by}, after {atLeast}
              {duration(descriptor.closed - descriptor.opened)}
            </>
          )}
        </Fact>
        {isDoubtful(process, at) && (
          <Fact name="Standing">
            <Standing process={process} />
          </Fact>
        )}
        {flags(descriptor) && <Fact name="Flags">{flags(descriptor)}</Fact>}
        <Fact name="Inode">
          {descriptor.ino} <span class="muted">on</span> {descriptor.dev}
        </Fact>
        <Fact name="Names in the API">
          {descriptor.id}, open file {descriptor.file}
        </Fact>
      </dl>
    </div>
  );
}

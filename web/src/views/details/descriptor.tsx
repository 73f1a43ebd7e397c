import { holds, processName } from "../../a11y/sentences.ts";
import { duration } from "../../base/time.ts";
import type { Descriptor, Process, Socket } from "../../protocol/types.gen.ts";
import { useApp } from "../context.ts";
import { flags } from "../descriptors.tsx";
import { Fact, Moment } from "./facts.tsx";

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
  return (
    <div class="card">
      <h2>
        fd {descriptor.fd} <span class="muted">of</span> <bdi>{processName(process)}</bdi>
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

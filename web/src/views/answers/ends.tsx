import { visible } from "../../base/escape.ts";
import type { Descriptor, Process } from "../../protocol/types.gen.ts";
import { useApp } from "../context.ts";
import { Answer, Rows, useAnswer } from "./answer.tsx";

/** How a descriptor may be used, as lsof(8) marks it, in words. */
const ACCESS: Readonly<Record<string, string>> = { r: "reads", w: "writes", u: "reads and writes" };

/** What has other ends though it is no socket: what processes talk to each other through. */
export function hasEnds({ kind, name }: Descriptor): boolean {
  return /^(pipe|fifo|mqueue|eventfd|memfd)$/.test(kind) || /^(\/dev\/shm\/|\/memfd:|memfd:)/.test(name);
}

/** Who else has a descriptor of the same pipe, queue or memory. */
export function OtherEnds({
  descriptor,
  process,
}: {
  readonly descriptor: Descriptor;
  readonly process: Process;
}) {
  const app = useApp();
  return (
    <Answer title="Other ends" told={useAnswer("fds", { pid: String(process.pid) })}>
      {({ tables, basis }) => {
        const row = tables
          .flatMap(({ descriptors }) => descriptors)
          .find(
            (one) => one.process === process.id && one.fd === descriptor.fd && one.ino === descriptor.ino,
          );
        if (!row) return <p>fd {descriptor.fd} did not hold this at that instant.</p>;
        const { others = [], ipc = row.kind } = row;
        if (others.length === 0) return <p>Nobody else who is followed has a descriptor of it.</p>;
        return (
          <Rows columns={["Process", "fd", `The ${ipc.replaceAll("_", " ")}`]}>
            {others.map(({ process: id, pid, comm, fd, access }) => (
              <tr key={`${id} ${fd}`}>
                <td>
                  <bdi>
                    {visible(comm)} {pid}
                  </bdi>
                </td>
                <td>
                  <button type="button" class="link" onClick={() => app.selecting.slotAt(id, fd, basis.at.t)}>
                    {fd}
                  </button>
                </td>
                <td>{access === undefined ? "" : (ACCESS[access] ?? visible(access))}</td>
              </tr>
            ))}
          </Rows>
        );
      }}
    </Answer>
  );
}

import { visible } from "../../base/escape.ts";
import type { Row } from "../../protocol/types.gen.ts";
import { useApp } from "../context.ts";
import { At } from "../details/facts.tsx";
import { Answer, Rows, useAnswer } from "./answer.tsx";
import { how, Until } from "./who.tsx";

/** What a process has from others: inherited or passed, what it gave up of that included. */
export function Inherited({ pid, process }: { readonly pid: number; readonly process: string }) {
  const app = useApp();
  return (
    <Answer title="Has from other processes" told={useAnswer("fds", { pid: String(pid), inherited: "true" })}>
      {({ tables }) => {
        const rows = tables.flatMap((table) => table.descriptors).filter((row) => row.process === process);
        if (rows.length === 0) return <p>Nothing was seen.</p>;
        return (
          <Rows columns={["fd", "What", "How", "Since", "Until"]}>
            {rows.map((row) => (
              <tr key={`${row.fd} ${row.since.t}`} class={row.until ? "muted" : ""}>
                <td>
                  <button
                    type="button"
                    class="link"
                    onClick={() => app.selecting.slotAt(row.process, row.fd, row.since.t)}
                  >
                    {row.fd}
                  </button>
                </td>
                <td>
                  <bdi>{what(row)}</bdi>
                </td>
                <td>
                  <bdi>{how(row)}</bdi>
                </td>
                <td>{row.how === "snapshot" ? "before tracing began" : <At when={row.since} />}</td>
                <td>
                  <Until holder={row} />
                </td>
              </tr>
            ))}
          </Rows>
        );
      }}
    </Answer>
  );
}

function what({ kind, name, socket }: Row): string {
  if (!socket) return `${kind.replaceAll("_", " ")} ${visible(name)}`;
  const ends = [socket.local, socket.peer].filter((end) => end).map((end) => visible(end ?? ""));
  return `${socket.protocol ?? socket.family} ${ends.join(" ↔ ")}`;
}

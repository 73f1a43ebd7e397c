import { visible } from "../../base/escape.ts";
import { count } from "../../base/time.ts";
import type { Held, Holder, Leftover, Owner, Socket } from "../../protocol/types.gen.ts";
import { At, Fact, PartyLink, SocketLink } from "../details/facts.tsx";
import { ALL, Answer, Finding, Rows, useAnswer } from "./answer.tsx";

/** Sockets that are named one by one. */
const MOST = 5;

/** Who holds a listener's address: how each came by it, since when, who held it before, what is left of it. */
export function WhoHolds({ socket }: { readonly socket: Socket }) {
  const told = useAnswer("who", { of: socket.local ?? "" });
  const handed = useAnswer("handovers", ALL).answer?.sockets.find((one) => one.socket.id === socket.id);
  return (
    <Answer title="Who holds it" told={told}>
      {(who) => {
        const { sockets, before, ownerless, leftovers, connections, not_followed } = who;
        const { before_left_out = 0, leftovers_left_out = 0 } = who;
        const own = sockets.find((one) => one.socket.id === socket.id);
        const others = sockets.filter((one) => one !== own);
        return (
          <>
            {handed?.findings.map(({ what, text, since }) => (
              <Finding key={text} kind={what} text={text} evidence={since} />
            ))}
            {own && <Holders held={own} owners={handed?.owners ?? []} />}
            <dl class="facts">
              {own?.listening && (
                <Fact name="Listens since">
                  <At when={own.listening} />
                </Fact>
              )}
              {socket.options.length > 0 && <Fact name="Options">{visible(socket.options.join(", "))}</Fact>}
              <Fact name="Accepted and open">{count(connections)}</Fact>
              {own && own.others.length > 0 && (
                <Fact name="Held, not followed">
                  <bdi>
                    {own.others.map(({ comm, pid, fd }) => `fd ${fd} of ${visible(comm)} ${pid}`).join(", ")}
                  </bdi>
                </Fact>
              )}
              {others.length > 0 && (
                <Fact name="Also has the address">
                  <Sockets all={others} />
                </Fact>
              )}
              {not_followed.length > 0 && (
                <Fact name="Also has it, not followed">
                  <bdi>
                    {not_followed
                      .map(({ comm, pid, fd }) => `fd ${fd} of ${visible(comm)} ${pid}`)
                      .join(", ")}
                  </bdi>
                </Fact>
              )}
              {before.length > 0 && (
                <Fact name="Had it before">
                  <Sockets all={before} leftOut={before_left_out} />
                </Fact>
              )}
              {ownerless.length + leftovers.length > 0 && (
                <Fact name="Without an owner">
                  {[
                    ownerless.length > 0 ? `${count(ownerless.length)} sockets` : "",
                    ...states(leftovers),
                    leftovers_left_out > 0 ? `${count(leftovers_left_out)} older ones` : "",
                  ]
                    .filter((part) => part)
                    .join(", ")}
                </Fact>
              )}
            </dl>
          </>
        );
      }}
    </Answer>
  );
}

function Holders({ held, owners }: { readonly held: Held; readonly owners: readonly Owner[] }) {
  const all = [...held.holders, ...held.former];
  const accepted = ({ process, fd, since }: Holder) =>
    owners.find((one) => one.process === process && one.fd === fd && one.since.t === since.t)?.accepted;
  // They are counted by holder where there were several; what a single one accepted, "Who accepts" tells.
  const counted = owners.length > 0;
  return (
    <Rows columns={["Process", "fd", "How", "Since", "Until", ...(counted ? ["Accepted"] : [])]}>
      {all.map((holder) => (
        <tr key={`${holder.process} ${holder.fd} ${holder.since.t}`} class={holder.until ? "muted" : ""}>
          <td>
            <PartyLink party={holder} />
          </td>
          <td class="num">{holder.fd}</td>
          <td>
            <bdi>{how(holder)}</bdi>
          </td>
          <td>{holder.how === "snapshot" ? "before tracing began" : <At when={holder.since} />}</td>
          <td>
            <Until holder={holder} />
          </td>
          {counted && <td class="num">{count(accepted(holder) ?? 0)}</td>}
        </tr>
      ))}
    </Rows>
  );
}

/** When and by what a process gave up a descriptor. */
export function Until({ holder: { until, until_by } }: { readonly holder: Holder }) {
  if (!until) return <span class="muted">still</span>;
  return (
    <>
      <At when={until} /> by {until_by}
    </>
  );
}

/** How a process came by a descriptor, and what it executed with it. */
export function how({ how: by, from, inferred, kept_across }: Holder): string {
  const whom = from ? ` ${visible(from.comm)} ${from.pid}` : "";
  const came =
    by === "fork"
      ? `inherited${whom && ` from${whom}`}`
      : by === "pass"
        ? `passed${whom && ` by${whom}`}`
        : by === "snapshot"
          ? "had it when tracing began"
          : by === "repair"
            ? "found by a check"
            : by;
  const kept = (kept_across ?? []).map(({ path }) => visible(path));
  return [
    came + (inferred ? " (concluded)" : ""),
    ...(kept.length > 0 ? [`kept across exec of ${kept.join(", ")}`] : []),
  ].join(", ");
}

function Sockets({ all, leftOut = 0 }: { readonly all: readonly Held[]; readonly leftOut?: number }) {
  const more = Math.max(0, all.length - MOST) + leftOut;
  return (
    <>
      {all.slice(0, MOST).map(({ socket, holders, former, ended }, i) => {
        const last = holders[0] ?? former.at(-1);
        return (
          <span key={socket.id}>
            {i > 0 && ", "}
            <SocketLink id={socket.id} />
            {last && (
              <>
                {" "}
                of <PartyLink party={last} />
              </>
            )}
            {ended && (
              <>
                {" "}
                until <At when={ended} />
              </>
            )}
          </span>
        );
      })}
      {more > 0 && `, and ${count(more)} more`}
    </>
  );
}

/** `3 × TIME_WAIT` */
function states(leftovers: readonly Leftover[]): string[] {
  const counts = new Map<string, number>();
  for (const { state } of leftovers) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, n]) => `${count(n)} × ${visible(state)}`);
}

import { count, duration } from "../../base/time.ts";
import type { Group } from "../../protocol/types.gen.ts";
import { At, Parties, PartyLink, SocketLink } from "../details/facts.tsx";
import { ALL, Answer, Finding, Rows, useAnswer } from "./answer.tsx";

/** Who accepts from a listener, and from those that share its address by `SO_REUSEPORT`. */
export function BalanceOf({ socket }: { readonly socket: string }) {
  return (
    <Answer title="Who accepts" told={useAnswer("balance", ALL)}>
      {({ groups }) => {
        const group = groups.find(({ members }) => members.some((member) => member.socket.id === socket));
        return group ? (
          <OfGroup group={group} />
        ) : (
          <p class="muted">At that instant nothing was known of this listener.</p>
        );
      }}
    </Answer>
  );
}

function OfGroup({ group }: { readonly group: Group }) {
  const { members, workers, findings } = group;
  return (
    <>
      {findings.map(({ kind, text, evidence }) => (
        <Finding key={text} kind={kind} text={text} evidence={evidence} />
      ))}
      <Rows columns={["Worker", "Thread", "Accepted", "Woken for nothing", "Per accept", "Last accept"]}>
        {workers.map(({ process, tid, accepted, woken_idle, woken_idle_per_accept, last }) => (
          <tr key={`${process.process} ${tid}`}>
            <td>
              <PartyLink party={process} />
            </td>
            <td class="num">{tid ?? <span class="muted">none</span>}</td>
            <td class="num">{count(accepted)}</td>
            <td class="num">{count(woken_idle)}</td>
            <td class="num">
              {woken_idle_per_accept?.toFixed(2) ?? (
                <span class="muted">{accepted > 0 ? "not known" : "no accepts"}</span>
              )}
            </td>
            <td>{last ? <At when={last} /> : <span class="muted">never</span>}</td>
          </tr>
        ))}
      </Rows>
      {members.length > 1 && (
        <Rows
          title="SO_REUSEPORT group"
          columns={["Listener", "Held by", "Assigned", "Accepted", "Waiting", "Oldest waits"]}
        >
          {members.map(({ socket, owners, assigned, accepted, waiting, oldest_ns }) => (
            <tr key={socket.id}>
              <td>
                <SocketLink id={socket.id} />
              </td>
              <td>
                <Parties parties={owners} />
              </td>
              <td class="num">{count(assigned)}</td>
              <td class="num">{count(accepted)}</td>
              <td class="num">{count(waiting)}</td>
              <td class="num">
                {oldest_ns === undefined ? <span class="muted">nobody waits</span> : duration(oldest_ns)}
              </td>
            </tr>
          ))}
        </Rows>
      )}
    </>
  );
}

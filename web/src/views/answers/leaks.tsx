import { visible } from "../../base/escape.ts";
import { count, duration } from "../../base/time.ts";
import type {
  Growing,
  Holder,
  HungUp,
  Leaks,
  Party,
  Room,
  Socket,
  SurvivedExec,
  Unread,
} from "../../protocol/types.gen.ts";
import { useApp } from "../context.ts";
import { At, Evidence, PartyLink, SocketLink } from "../details/facts.tsx";
import { ALL, Answer, Finding, Rows, useAnswer } from "./answer.tsx";
import { MadeFrom } from "./stack.tsx";

/** What a process leaves behind. */
export function LeaksOf({ process }: { readonly process: string }) {
  return (
    <Answer title="What it leaves behind" told={useAnswer("leaks", ALL)}>
      {(leaks) => {
        const own = of(leaks, process);
        return isNothing(own) ? (
          <p>
            {leaks.basis.caveats.length > 0 ? "Nothing, as far as is known" : "Nothing"}: no kind of
            descriptor only grows, and no connection is forgotten.
          </p>
        ) : (
          <Left leaks={own} />
        );
      }}
    </Answer>
  );
}

/** The part of an answer that is about one process. */
function of(leaks: Leaks, id: string): Leaks {
  const ours = ({ process }: { process: Party }) => process.process === id;
  const holds = ({ holders }: { holders: Holder[] }) => holders.some(({ process }) => process === id);
  return {
    ...leaks,
    growing: leaks.growing.filter(ours),
    hung_up: leaks.hung_up.filter(holds),
    unread: leaks.unread.filter(holds),
    survived_exec: leaks.survived_exec.filter(ours),
    room: leaks.room.filter(ours),
  };
}

export function isNothing({ growing, hung_up, unread, survived_exec, room }: Leaks): boolean {
  return growing.length + hung_up.length + unread.length + survived_exec.length + room.length === 0;
}

/** Everything that an answer found. */
export function Left({ leaks }: { readonly leaks: Leaks }) {
  const { growing, hung_up, unread, survived_exec, room } = leaks;
  return (
    <>
      {growing.map((one) => (
        <Grows key={`${one.process.process} ${one.kind} ${one.by}`} growing={one} />
      ))}
      {hung_up.length > 0 && (
        <Finding
          kind="hung_up"
          text={`${many(hung_up.length, "connection stays", "connections stay")} open though the peer hung up`}
        />
      )}
      <Rows
        title="The peer hung up, and nobody closes (CLOSE_WAIT)"
        columns={["Connection", "Held by", "CLOSE_WAIT for", "Hung up by"]}
      >
        {hung_up.map((one) => (
          <Hung key={one.socket.id} hung={one} />
        ))}
      </Rows>
      {unread.length > 0 && (
        <Finding
          kind="unread"
          text={`${many(unread.length, "accepted connection was", "accepted connections were")} never read`}
        />
      )}
      <Rows
        title="Accepted, and never read"
        columns={["Connection", "Held by", "Unread for at least", "Bytes unread"]}
      >
        {unread.map((one) => (
          <NeverRead key={one.socket.id} unread={one} />
        ))}
      </Rows>
      {survived_exec.length > 0 && (
        <Finding
          kind="survived_exec"
          text={`${many(survived_exec.length, "socket", "sockets")} survived an exec`}
        />
      )}
      <Rows title="Sockets that survived an exec" columns={["Socket", "Process", "fd", "Exec"]}>
        {survived_exec.map((one) => (
          <Survived key={`${one.process.process} ${one.fd}`} one={one} />
        ))}
      </Rows>
      {room.map(({ process: { process, comm, pid }, used, limit }) => (
        <Finding
          key={process}
          kind="room"
          text={`${visible(comm)} ${pid} uses ${count(used)} of the ${count(limit)} descriptors that it may have`}
        />
      ))}
      <Rows title="Room for descriptors" columns={["Process", "In use", "Limit", "At this rate"]}>
        {room.map((one) => (
          <HasRoom key={one.process.process} room={one} />
        ))}
      </Rows>
    </>
  );
}

/** `1 socket`, `2 sockets`. */
export function many(n: number, one: string, more: string): string {
  return `${count(n)} ${n === 1 ? one : more}`;
}

function Grows({ growing }: { readonly growing: Growing }) {
  const app = useApp();
  const {
    process,
    kind,
    by,
    left,
    made,
    made_at_least,
    over_ns,
    longest_ns,
    since,
    stopped,
    threads,
    newest,
    stacks = [],
  } = growing;
  const name = `${visible(process.comm)} ${process.pid}`;
  const what = kind.replaceAll("_", " ");
  const words = `${name} ${stopped ? "left" : "leaves"} ${what} descriptors open: ${count(left)} of ${made_at_least ? "at least " : ""}${count(made)} made by ${by} in ${duration(over_ns)}`;
  return (
    <div class="grows">
      <Finding kind="growing" text={words} />
      <dl class="facts">
        <dt>First that is left</dt>
        <dd>
          <At when={since} />
        </dd>
        {stopped && (
          <>
            <dt>None was made after</dt>
            <dd>
              <At when={stopped} />
            </dd>
          </>
        )}
        <dt>What was closed</dt>
        <dd>{longest_ns === undefined ? "none" : `was open for at most ${duration(longest_ns)}`}</dd>
        {threads.length > 0 && (
          <>
            <dt>Made by</dt>
            <dd>{threads.map((thread) => `thread ${thread.tid} (${count(thread.left)})`).join(", ")}</dd>
          </>
        )}
        <dt>Newest</dt>
        <dd>
          {newest.map(({ fd, made: when }, i) => (
            <span key={`${fd} ${when.t}`}>
              {i > 0 && ", "}
              <button
                type="button"
                class="link"
                onClick={() => app.selecting.slotAt(process.process, fd, when.t)}
              >
                fd {fd}
              </button>
              <Evidence when={when} />
            </span>
          ))}
        </dd>
      </dl>
      <MadeFrom places={stacks} />
    </div>
  );
}

const ends = ({ local, peer }: Socket) => `${local ?? "*"} ↔ ${peer ?? "*"}`;

function Held({ holders }: { readonly holders: readonly Holder[] }) {
  return (
    <>
      {holders.map((holder, i) => (
        <span key={`${holder.process} ${holder.fd}`}>
          {i > 0 && ", "}fd {holder.fd} of <PartyLink party={holder} />
        </span>
      ))}
    </>
  );
}

function Hung({ hung }: { readonly hung: HungUp }) {
  const { socket, holders, since, found, age_ns, peer } = hung;
  return (
    <tr>
      <td>
        <SocketLink id={socket.id} text={ends(socket)} />
      </td>
      <td>
        <Held holders={holders} />
      </td>
      <td>
        {found ? "longer than " : ""}
        {duration(age_ns)}
        <Evidence when={since} />
      </td>
      <td>{peer ? <PartyLink party={peer} /> : <span class="muted">not followed</span>}</td>
    </tr>
  );
}

function NeverRead({ unread }: { readonly unread: Unread }) {
  const { socket, holders, bytes, age_ns } = unread;
  return (
    <tr>
      <td>
        <SocketLink id={socket.id} text={ends(socket)} />
      </td>
      <td>
        <Held holders={holders} />
      </td>
      <td class="num">{duration(age_ns)}</td>
      <td class="num">{count(bytes)}</td>
    </tr>
  );
}

function Survived({ one }: { readonly one: SurvivedExec }) {
  const { process, fd, socket, exec } = one;
  return (
    <tr>
      <td>
        <SocketLink id={socket.id} text={socket.peer ? ends(socket) : socket.local} />
      </td>
      <td>
        <PartyLink party={process} />
      </td>
      <td class="num">{fd}</td>
      <td>
        <At when={exec} />
      </td>
    </tr>
  );
}

function HasRoom({ room }: { readonly room: Room }) {
  const { process, used, limit, reached_in_ns } = room;
  return (
    <tr>
      <td>
        <PartyLink party={process} />
      </td>
      <td class="num">{count(used)}</td>
      <td class="num">{count(limit)}</td>
      <td class={reached_in_ns === undefined ? "" : "bad"}>
        {reached_in_ns === undefined ? "no rate is known" : `full in ${duration(reached_in_ns)}`}
      </td>
    </tr>
  );
}

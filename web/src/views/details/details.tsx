import { useLayoutEffect, useRef } from "preact/hooks";
import { stepAt } from "../../a11y/sentences.ts";
import type { Descriptor } from "../../protocol/types.gen.ts";
import type { Failure } from "../../store/failures.ts";
import { Away } from "../answers/answer.tsx";
import { BalanceOf } from "../answers/balance.tsx";
import { hasEnds, OtherEnds } from "../answers/ends.tsx";
import { WhoHolds } from "../answers/who.tsx";
import { useApp } from "../context.ts";
import { Children } from "./children.tsx";
import { OfDescriptor } from "./descriptor.tsx";
import { Failed, OfFailure } from "./failure.tsx";
import { OfProcess } from "./process.tsx";
import { Holders, Life, OfSocket } from "./socket.tsx";

/** Everything that is known of what is selected. */
export function Details() {
  const app = useApp();
  app.state.version.value;
  const selection = app.state.selection.value;
  const box = useRef<HTMLDivElement>(null);
  // What was asked for stands first, wherever one was in what was there before.
  useLayoutEffect(() => box.current?.scrollTo(0, 0), [selection?.row, selection?.failure]);
  if (!selection) {
    return (
      <p class="hint">
        {app.state.rows.value.rows.length === 0
          ? "There is nothing to select yet."
          : "Select a row, a bar or an accept mark to see its whole life. Keys: ↑ ↓ and Enter on rows, K for what all marks mean."}
      </p>
    );
  }
  const socket = app.selecting.socket();
  const descriptor = app.selecting.descriptor();
  const process = app.process(selection.process);
  const failed = app.selecting.failed();
  const listens = socket !== undefined && stepAt(socket, app.instant)?.phase === "listening";
  if (!socket && !descriptor && !process) return <p class="hint">Not kept any more.</p>;
  return (
    <div class="details" ref={box}>
      <Away />
      {failed && <OfFailure failure={failed} />}
      {!socket && !descriptor && process && <OfProcess process={process} />}
      {descriptor && process && <OfDescriptor descriptor={descriptor} process={process} socket={socket} />}
      {descriptor && process && hasEnds(descriptor) && (
        <OtherEnds descriptor={descriptor} process={process} />
      )}
      {descriptor && process && !failed && (
        <Failed failures={failuresIn(app.session.failures.ofSlot(process.id, descriptor.fd), descriptor)} />
      )}
      {socket && !failed && <Failed title="Errors" failures={app.session.failures.ofSocket(socket.id)} />}
      {socket && <OfSocket socket={socket} process={process} />}
      {listens && socket.local && <WhoHolds socket={socket} />}
      {listens && <BalanceOf socket={socket.id} />}
      {socket && !socket.listener && <Children listener={socket} process={process} />}
      {socket && <Life socket={socket} />}
      {socket && !listens && <Holders socket={socket} />}
    </div>
  );
}

/** Those of a slot's failed calls that met this descriptor. */
function failuresIn(all: readonly Failure[], { opened, closed }: Descriptor): readonly Failure[] {
  return all.filter(({ t }) => t >= opened && (closed === null || t <= closed));
}

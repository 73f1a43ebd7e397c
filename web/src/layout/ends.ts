import type { Socket } from "../protocol/types.gen.ts";
import type { Entities } from "../store/entities.ts";
import { Worked } from "./worked.ts";

const others = new Worked<Socket, { readonly other: Socket | undefined }>();

/** The socket at the other end of a connection, where that is on this host and known. */
export function otherEnd(entities: Entities, socket: Socket): Socket | undefined {
  if (socket.other_end !== undefined) return entities.sockets.get(socket.other_end);
  if (!isNamed(socket) || socket.peer === null) return undefined;
  const known = others.at(entities.revision, socket);
  if (known) return known.other;
  let other: Socket | undefined;
  for (const one of entities.sockets.values()) {
    if (one === socket || one.local !== socket.peer || one.peer !== socket.local) continue;
    if (one.netns === socket.netns && together(one, socket)) other = one;
  }
  return others.keep(entities.revision, socket, { other }).other;
}

/** When a socket was first seen. */
export function begun(socket: Socket): number {
  return socket.steps[0]?.t ?? 0;
}

/** Ports are used again: the two ends of a connection were there at one time. */
export function together(one: Socket, two: Socket): boolean {
  return (
    begun(one) <= (two.ended ?? Number.POSITIVE_INFINITY) &&
    begun(two) <= (one.ended ?? Number.POSITIVE_INFINITY)
  );
}

/** Unix sockets have mostly no names of their own: only internet addresses tell a pair. */
export function isNamed({ family, local }: Socket): boolean {
  return local !== null && (family === "inet" || family === "inet6");
}

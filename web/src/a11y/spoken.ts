import { visible } from "../base/escape.ts";
import type { Socket, Spoken } from "../protocol/types.gen.ts";

/** What was spoken on a socket at an instant, where that was looked at (`--peek`). */
export function spokenAt(socket: Socket, at: number): Spoken | undefined {
  return socket.spoken?.findLast(({ t }) => t <= at);
}

/** The same in words: the protocol, and the server's name that TLS asks for. */
export function spoken(socket: Socket, at: number): string {
  const known = spokenAt(socket, at);
  if (!known) return "";
  const name = known.sni === undefined ? "" : ` for ${visible(known.sni)}${known.sni_cut ? "…" : ""}`;
  return `${known.app_protocol}${name}${known.inferred ? " (concluded)" : ""}`;
}

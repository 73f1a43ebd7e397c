import { visible } from "../../base/escape.ts";
import { count } from "../../base/time.ts";
import type { Frame, MadeAt, Stack } from "../../protocol/types.gen.ts";

/** Places that are shown; the command line has all of them. */
const MOST = 5;

/** From where in their program descriptors were made that are left, most first (`--stacks`). */
export function MadeFrom({ places }: { readonly places: readonly MadeAt[] }) {
  return (
    <>
      {places.slice(0, MOST).map((place, i) => (
        <Place key={i} place={place} open={i === 0} />
      ))}
      {places.length > MOST && <p class="muted">and {count(places.length - MOST)} other places</p>}
    </>
  );
}

function Place({ place, open }: { readonly place: MadeAt; readonly open: boolean }) {
  const { left, threads, stack } = place;
  const by = threads.map(({ tid, left: n }) => `thread ${tid} (${count(n)})`).join(", ");
  if (!stack) {
    return (
      <p>
        {count(left)} without a known place{by && `, made by ${by}`}
      </p>
    );
  }
  return (
    <details open={open}>
      <summary>
        {count(left)} from <bdi>{placeOf(stack)}</bdi>
        {by && `, made by ${by}`}
      </summary>
      <ol class="stack">
        {stack.frames.map((frame, i) => (
          <li key={i}>
            <bdi>{frameText(frame)}</bdi>
          </li>
        ))}
      </ol>
      {stack.cut !== undefined && <p class="muted">{cutText(stack)}</p>}
    </details>
  );
}

/** The innermost frame that has a name and is not the C library's. */
function placeOf({ frames }: Stack): string {
  const own = frames.find(({ file, symbol }) => symbol && !/\/libc[.-]/.test(file ?? "")) ?? frames[0];
  return own ? visible(own.symbol ?? own.file ?? own.offset) : "an unknown place";
}

/** As `strace -k` prints it. */
function frameText({ file, offset, symbol, symbol_offset = 0 }: Frame): string {
  const place = symbol === undefined ? "" : `(${visible(symbol)}+0x${symbol_offset.toString(16)})`;
  return `${visible(file ?? "[no file]")}${place} [${offset}]`;
}

function cutText({ frames, cut }: Stack): string {
  const file = visible(frames.at(-1)?.file ?? "this code");
  if (cut === "no_frame_pointer") return `No more is known: ${file} keeps no frame pointer there.`;
  if (cut === "unread") return "Addresses alone: the process had ended, or may not be looked into.";
  return "There is more.";
}

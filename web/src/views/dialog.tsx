import type { Signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";

type Attributes = Omit<JSX.IntrinsicElements["dialog"], "open" | "ref" | "onClose" | "onBeforeToggle">;

/** A modal dialog that is open while a signal says so. */
export function Dialog({ shown, children, ...rest }: Attributes & { readonly shown: Signal<boolean> }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = shown.value;
  // Before the next key comes: it may be typed into this.
  useLayoutEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  const closed = () => {
    shown.value = false;
  };
  // Escape closes it at once and says so later (`close` is a task of its own): a key in between is a command already.
  const toggles = (event: Event) => {
    if ((event as ToggleEvent).newState === "closed") closed();
  };
  return (
    <dialog {...rest} ref={dialog} onClose={closed} onBeforeToggle={toggles}>
      {children}
    </dialog>
  );
}

interface Titled {
  readonly shown: Signal<boolean>;
  readonly title: string;
  readonly kind?: string;
  readonly children: ComponentChildren;
}

/** One with its name and a way out at its top. */
export function TitledDialog({ shown, title, kind = "", children }: Titled) {
  const id = useId();
  return (
    <Dialog shown={shown} class={`help ${kind}`} aria-labelledby={id}>
      <div class="title">
        <h2 id={id}>{title}</h2>
        <button
          type="button"
          onClick={() => {
            shown.value = false;
          }}
        >
          Close
        </button>
      </div>
      {children}
    </Dialog>
  );
}

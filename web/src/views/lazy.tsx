import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";

const loads: (() => Promise<void>)[] = [];

/** A view whose code comes when it is shown first, or when the page has nothing better to do. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  // A signal, since code may arrive between a render and its effects: whoever rendered is told all the same.
  const view = signal<{ readonly View?: ComponentType<P>; readonly failed?: boolean }>({});
  let coming: Promise<void> | undefined;
  const get = () => {
    coming ??= load().then(
      (View) => {
        view.value = { View };
      },
      (error) => {
        // What could not be had may be there the next time.
        coming = undefined;
        throw error;
      },
    );
    return coming;
  };
  const show = async () => {
    if (view.peek().failed) view.value = {};
    try {
      await get();
    } catch {
      view.value = { failed: true };
    }
  };
  loads.push(get);
  return function Lazy(props: P) {
    const { View, failed } = view.value;
    useEffect(() => void show(), []);
    if (View) return <View {...props} />;
    if (!failed) return null;
    return (
      <p class="hint">
        This part of the page could not be loaded.{" "}
        <button type="button" onClick={() => void show()}>
          Try again
        </button>
      </p>
    );
  };
}

/** Loads what is not there yet, so that the page needs nothing of its server later but data. */
export async function loadRest(): Promise<void> {
  // What comes may bring views of its own that are lazy.
  for (let known = 0; known < loads.length; ) {
    const next = loads.slice(known);
    known = loads.length;
    await Promise.allSettled(next.map((load) => load()));
  }
}

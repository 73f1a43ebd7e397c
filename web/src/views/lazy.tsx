import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

const loads: (() => Promise<unknown>)[] = [];

/** A view whose code comes when it is shown first, or when the page has nothing better to do. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let coming: Promise<ComponentType<P>> | undefined;
  let View: ComponentType<P> | undefined;
  const get = () => {
    coming ??= load().then(
      (loaded) => {
        View = loaded;
        return loaded;
      },
      (error) => {
        // What could not be had may be there the next time.
        coming = undefined;
        throw error;
      },
    );
    return coming;
  };
  loads.push(get);
  return function Lazy(props: P) {
    const [, setLoaded] = useState(View !== undefined);
    const [tries, setTries] = useState(0);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      let here = true;
      setFailed(false);
      if (!View)
        get().then(
          () => here && setLoaded(true),
          () => here && setFailed(true),
        );
      return () => {
        here = false;
      };
    }, [tries]);
    if (View) return <View {...props} />;
    if (!failed) return null;
    return (
      <p class="hint">
        This part of the page could not be loaded.{" "}
        <button type="button" onClick={() => setTries(tries + 1)}>
          Try again
        </button>
      </p>
    );
  };
}

/** Loads what is not there yet, so that the page needs nothing of its server later but data. */
export async function loadRest(): Promise<void> {
  await Promise.allSettled(loads.map((load) => load()));
}

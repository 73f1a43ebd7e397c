import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { App } from "../interact/app.ts";

export const AppContext = createContext<App | undefined>(undefined);

/** The page's app. Every view stands below its provider. */
export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error("A view stands outside of the page.");
  return app;
}

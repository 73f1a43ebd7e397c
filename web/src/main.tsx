import { render } from "preact";
import { App } from "./interact/app.ts";
import { startTheme } from "./interact/theme.ts";
import { daemon, kept } from "./net/source.ts";
import "./styles/base.css";
import "./styles/toolbar.css";
import "./styles/stage.css";
import "./styles/drawer.css";
import "./styles/media.css";
import { AppContext } from "./views/context.ts";
import { Page } from "./views/page.tsx";

// A token that the server took from the address must not stay in it: addresses are shared and remembered.
const url = new URL(location.href);
if (url.searchParams.has("token")) {
  url.searchParams.delete("token");
  history.replaceState(null, "", url);
}

const source = (await kept()) ?? daemon();
const app = new App(source);
app.sharing.awaits(location.hash || (source.place ?? ""));
// Numbers of the session stand in the page that a daemon serves, so that they are in its first picture.
const told = document.querySelector<HTMLMetaElement>("meta[name=sockreel-info]")?.content;
if (told) app.session.foretell(JSON.parse(told));
startTheme(app);
const root = document.getElementById("app");
if (root) {
  render(
    <AppContext.Provider value={app}>
      <Page />
    </AppContext.Provider>,
    root,
  );
}
app.start();
// For whoever looks closer, from the browser's console.
Object.defineProperty(globalThis, "sockreel", { value: app });

import { useRef, useState } from "preact/hooks";
import { TABS, type Tab } from "../interact/state.ts";
import { useApp } from "./context.ts";
import { lazy } from "./lazy.tsx";

const Connections = lazy(async () => (await import("./connections.tsx")).Connections);
const Descriptors = lazy(async () => (await import("./descriptors.tsx")).Descriptors);
const Details = lazy(async () => (await import("./details/details.tsx")).Details);
const EventList = lazy(async () => (await import("./eventlist.tsx")).EventList);
const Findings = lazy(async () => (await import("./findings.tsx")).Findings);
const Queues = lazy(async () => (await import("./queues.tsx")).Queues);

const TITLES: Readonly<Record<Tab, string>> = {
  details: "Details",
  descriptors: "Descriptors",
  queues: "Queues",
  connections: "Connections",
  events: "Events",
  findings: "Findings",
};
const LEAST = 96;
const STEP = 32;

/** How high the part with a grip is: in a low window it is lower than it was asked for. */
const shownAt = (grip: HTMLElement) => grip.parentElement?.offsetHeight ?? LEAST;

/** The lower part of the page: what is selected, its process's table, the events. */
export function Drawer() {
  const app = useApp();
  const { tab } = app.state;
  const { drawer } = app.state;
  const [first] = useState(() => Math.round(Math.max(160, innerHeight * 0.36)));
  // What was dragged lasts, wherever one was meanwhile.
  const most = () => Math.max(LEAST, innerHeight - 220);
  const height = Math.min(most(), drawer.value ?? first);
  const grip = useRef<{ y: number; height: number } | undefined>(undefined);
  const resize = (to: number) => (drawer.value = Math.min(most(), Math.max(LEAST, Math.round(to))));

  const walk = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const at = TABS.indexOf(tab.peek());
    const next = TABS[(at + step + TABS.length) % TABS.length];
    if (!next) return;
    tab.value = next;
    document.getElementById(`tab-${next}`)?.focus();
  };

  return (
    <section
      class="drawer"
      aria-label="Details, descriptors, queues, connections, events and findings"
      style={{ height: `${height}px` }}
    >
      <div
        class="grip"
        role="separator"
        aria-label="Height of the lower part"
        aria-orientation="horizontal"
        aria-valuenow={height}
        aria-valuemin={LEAST}
        aria-valuemax={most()}
        tabIndex={0}
        onKeyDown={(event) => {
          if (event.key === "ArrowUp") resize(shownAt(event.currentTarget) + STEP);
          else if (event.key === "ArrowDown") resize(shownAt(event.currentTarget) - STEP);
          else return;
          event.preventDefault();
        }}
        onPointerDown={(event) => {
          grip.current = { y: event.clientY, height: shownAt(event.currentTarget) };
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerMove={(event) => {
          if (grip.current) resize(grip.current.height + grip.current.y - event.clientY);
        }}
        onPointerUp={() => {
          grip.current = undefined;
        }}
      />
      <div class="tabs" role="tablist" aria-label="Lower part">
        {TABS.map((name, i) => (
          <button
            type="button"
            role="tab"
            id={`tab-${name}`}
            key={name}
            aria-selected={tab.value === name}
            aria-controls="drawer-panel"
            tabIndex={tab.value === name ? 0 : -1}
            title={`${TITLES[name]} (${i + 1})`}
            onKeyDown={walk}
            onClick={() => (tab.value = name)}
          >
            {TITLES[name]}
          </button>
        ))}
      </div>
      <div class="panel" role="tabpanel" id="drawer-panel" aria-labelledby={`tab-${tab.value}`}>
        {tab.value === "details" && <Details />}
        {tab.value === "descriptors" && <Descriptors />}
        {tab.value === "queues" && <Queues />}
        {tab.value === "connections" && <Connections />}
        {tab.value === "events" && <EventList />}
        {tab.value === "findings" && <Findings />}
      </div>
    </section>
  );
}

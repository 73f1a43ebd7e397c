import { useEffect, useRef, useState } from "preact/hooks";
import { count } from "../base/time.ts";
import { chooseTheme } from "../interact/theme.ts";
import { OVERFLOWED } from "../store/overflows.ts";
import { useApp } from "./context.ts";
import { lazy } from "./lazy.tsx";

const Ways = lazy(async () => (await import("./share.tsx")).Ways);

const NEXT_THEME = { system: "light", light: "dark", dark: "system" } as const;

/** What must always be in sight: connection, loss, doubt; and the commands for the view. */
export function Toolbar() {
  const app = useApp();
  const { theme, help } = app.state;
  return (
    <header class="toolbar">
      <span class="brand">sockreel</span>
      <Connection />
      <Counters />
      <RowFilter />
      <ViewButtons />
      <div class="group">
        <button
          type="button"
          aria-pressed={app.state.lesson.value}
          title="One server, event by event, in sentences (E)"
          onClick={() => app.toggleLesson()}
        >
          Lesson
        </button>
        <button
          type="button"
          title={`Colours: ${theme.value}. Press for ${NEXT_THEME[theme.value]}.`}
          aria-label={`Colours: ${theme.value}`}
          onClick={() => chooseTheme(app, NEXT_THEME[theme.value])}
        >
          {theme.value === "system" ? "◐" : theme.value === "light" ? "☀" : "☾"}
        </button>
        <button
          type="button"
          aria-label="Help"
          title="Keys, colours and marks, session (?)"
          onClick={() => (help.value = true)}
        >
          ?
        </button>
      </div>
    </header>
  );
}

function Connection() {
  const app = useApp();
  app.state.version.value;
  const link = app.state.link.value;
  const info = app.session.info;
  const upTo = info ? `, data up to ${app.session.clock.timeOfDay(app.session.now, 1e9)}` : "";
  const [mood, text] =
    link === "refused"
      ? (["bad", "no access"] as const)
      : link === "away"
        ? (["warn", `reconnecting${upTo}`] as const)
        : link === "connecting" || !info
          ? (["idle", "connecting"] as const)
          : info.source === "recording"
            ? (["idle", "recorded"] as const)
            : (["good", app.state.paused.value ? "capturing" : "live"] as const);
  return (
    <span class={`connection ${mood}`} data-link={link} data-source={info?.source}>
      <span class="dot" aria-hidden="true" />
      {text}
    </span>
  );
}

function Counters() {
  const app = useApp();
  app.state.version.value;
  const status = app.session.status;
  if (!status) return <span class="counters" />;
  const marked = app.session.markedSince;
  const causes = status.lost_by_cause.map(({ cause, count: n }) => `${cause}: ${count(n)}`).join(", ");
  return (
    <span class="counters">
      <span data-counter="events">
        <b>{count(status.events)}</b> events
      </span>
      {app.live && (
        <span data-counter="rate" title="Events of the last seconds">
          <b>{app.state.link.value === "open" ? count(app.rate) : "–"}</b>/s
        </span>
      )}
      <span
        data-counter="lost"
        class={status.lost > 0 ? "alarm" : ""}
        title={causes || "Nothing was lost: every record's number was seen."}
      >
        <b>{count(status.lost)}</b> lost
      </span>
      {marked !== undefined && (
        <button
          type="button"
          class="link"
          data-counter="marked"
          title="Of failed calls and overflows the newest are marked in the lanes; the list of events has all of them."
          onClick={() => app.listEvents(app.session.failures.partial ? "error:*" : OVERFLOWED)}
        >
          errors shown since {app.session.clock.timeOfDay(marked, 1e9)}
        </button>
      )}
      <span data-counter="doubtful" class={status.doubtful > 0 ? "doubt" : ""}>
        <b>{count(status.doubtful)}</b> doubtful {status.doubtful === 1 ? "table" : "tables"}
      </span>
      {status.cut_off !== undefined && (
        <span
          data-counter="cut"
          class="alarm"
          title={`The recording was cut off: what came after its first ${count(status.cut_off)} records is missing.`}
        >
          ends early
        </span>
      )}
      <span data-counter="kept" title={`${count(status.kept)} events are kept`}>
        kept since <b>{app.session.clock.timeOfDay(status.kept_since, 1e9)}</b>
      </span>
    </span>
  );
}

function RowFilter() {
  const app = useApp();
  const { filter, mode, rows } = app.state;
  const problem = app.filtering.problem;
  const { slots, hidden } = rows.value;
  const what = `${mode.value === "listeners" ? "listener" : "row"}${slots === 1 ? "" : "s"}`;
  return (
    <span class="filter">
      <input
        id="row-filter"
        type="search"
        placeholder="Filter rows:  port:443  state:listening  -kind:file"
        aria-label="Filter rows"
        aria-invalid={problem !== undefined}
        aria-describedby="row-filter-note"
        title={problem ?? "Filter rows (/)"}
        value={filter.value}
        onInput={(event) => app.filtering.set(event.currentTarget.value)}
      />
      <span id="row-filter-note" class={problem ? "note problem" : "note"}>
        {problem ?? (filter.value.trim() ? `${slots - hidden} of ${slots}` : `${slots} ${what}`)}
      </span>
    </span>
  );
}

/** Ways to show someone else what is here. */
function Share() {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    addEventListener("pointerdown", outside);
    addEventListener("focusin", outside);
    return () => {
      removeEventListener("pointerdown", outside);
      removeEventListener("focusin", outside);
    };
  }, [open]);
  return (
    <span
      class="share"
      role="group"
      aria-label="Share"
      ref={box}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        event.stopPropagation();
        setOpen(false);
        box.current?.querySelector("button")?.focus();
      }}
    >
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
        Share
      </button>
      {open && <Ways chosen={() => setOpen(false)} />}
    </span>
  );
}

/** A moment as people write it. */
function GoTo() {
  const app = useApp();
  const [wrong, setWrong] = useState(false);
  return (
    <input
      id="go-to"
      class="goto"
      placeholder="Go to time"
      aria-label="Go to time"
      aria-invalid={wrong}
      title="12:04:05.25, -30s, RFC 3339 or nanoseconds since the epoch (T)"
      onInput={() => setWrong(false)}
      onKeyDown={(event) => {
        if (event.key !== "Enter") return;
        const done = app.moments.goTo(event.currentTarget.value);
        setWrong(!done);
        if (!done) return;
        // It is done: the time cursor moves on from there, and has its own label.
        event.currentTarget.value = "";
        event.currentTarget.blur();
      }}
    />
  );
}

function ViewButtons() {
  const app = useApp();
  app.state.version.value;
  const { link, lesson } = app.state;
  const paused = app.state.paused.value;
  const following = app.state.following.value;
  const since = paused ? app.events - paused.events : 0;
  const live = app.session.info?.source !== "recording";
  return (
    <div class="group" role="group" aria-label="View">
      {live && (
        <>
          <button
            type="button"
            aria-pressed={following && link.value === "open" && !lesson.value}
            title="Follow the newest moment (L)"
            onClick={() => app.follow()}
          >
            Live
          </button>
          <button
            type="button"
            aria-pressed={paused !== undefined}
            title="Pause the view (Space)"
            onClick={() => app.togglePause()}
          >
            {paused ? "Paused" : "Pause"}
            {since > 0 && <span class="badge">+{count(since)}</span>}
          </button>
        </>
      )}
      <GoTo />
      <button type="button" title="Show everything (0)" onClick={() => app.fit(false)}>
        Fit
      </button>
      <Share />
      <button type="button" aria-label="Zoom out" title="Zoom out (S)" onClick={() => app.zoom(1.5)}>
        −
      </button>
      <button type="button" aria-label="Zoom in" title="Zoom in (W)" onClick={() => app.zoom(1 / 1.5)}>
        +
      </button>
    </div>
  );
}

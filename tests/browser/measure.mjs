// Opens a session in Chromium, measures the page with it, and prints one line of JSON.
// usage: node measure.mjs URL recording|live SECONDS [SOAK_SECONDS]
import { setTimeout as sleep } from "node:timers/promises";
import { launch, paced, percentile, probes } from "./probes.mjs";
import { profiled } from "./profile.mjs";

const [url, kind, seconds, soak = "0"] = process.argv.slice(2);
/** How long it is looked at where the time goes. */
const PROFILED_MS = 5000;

const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
const faults = [];
page.on("pageerror", (error) => faults.push(String(error)));
page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
await page.addInitScript(probes);
const devtools = await page.context().newCDPSession(page);

const until = async (what, deadline = 120_000) => {
  const end = Date.now() + deadline;
  while (!(await page.evaluate(what))) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(50);
  }
};
const complete = () => until("globalThis.sockreel?.session.resume && sockreel.session.resume.rev >= sockreel.session.status.rev");
const frame = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
const memory = async () => {
  await devtools.send("HeapProfiler.collectGarbage");
  return (await page.evaluate(() => performance.measureUserAgentSpecificMemory())).bytes;
};
const painted = () => page.evaluate(() => sockreel.frames.painted);
const sizes = () => page.evaluate(() => {
  const { entities, status, events, failures } = sockreel.session;
  return { processes: entities.processes.size, descriptors: entities.descriptors.size, sockets: entities.sockets.size,
    events: status.events, kept_events: events.length, kept_since: status.kept_since, lost: status.lost,
    failures: failures.length };
});

const report = { kind };
// Whoever waits in vain says what was seen until then.
process.on("uncaughtException", (error) => {
  console.error(error, JSON.stringify(report));
  process.exit(1);
});
const begun = Date.now();
await page.goto(url);
await page.waitForSelector("[role=treegrid] [role=row]", { timeout: 120_000 });
report.rows_ms = Date.now() - begun;
report.first_paint_ms = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null);
if (kind === "recording") await complete();
report.complete_ms = Date.now() - begun;
report.sizes = await sizes();
report.isolated = await page.evaluate(() => crossOriginIsolated);
report.memory_bytes = await memory();
if (kind === "recording") {
  // With nothing to tell, nothing is drawn: the strip is counted, and that is all.
  await until("sockreel.frames.painted > 0");
  for (let before = -1; before !== (before = await painted()); ) await sleep(1000);
  const before = await painted();
  await sleep(3000);
  report.idle_frames = (await painted()) - before;
}

// Zoom, pan, scroll and mark out ranges: by keys, wheel and pointer.
const KEYS = ["wwwwwwww", "aaaa", "dddd", "ssss", "wwww", "ssssssss"];
const move = async () => {
  for (const key of KEYS.join("")) {
    await page.keyboard.press(key);
    await sleep(40);
  }
  await page.mouse.move(900, 300);
  for (let i = 0; i < 20; i += 1) {
    await page.mouse.wheel(0, 400);
    await sleep(25);
  }
  await page.mouse.move(1000, 500);
  await page.mouse.down();
  for (let i = 1; i <= 30; i += 1) {
    await page.mouse.move(1000 - 12 * i, 500);
    await sleep(16);
  }
  await page.mouse.up();
  await page.keyboard.press("Escape");
  await page.keyboard.press("0");
};
await page.keyboard.press("0");
await frame();
report.moving = await paced(page, async () => {
  for (const end = Date.now() + Number(seconds) * 1000; Date.now() < end; ) await move();
});
report.profiles = { "while moving": await profiled(browser, page, move) };

// The same again, looking at what is drawn: no frame may show nothing where there is something. Reading pixels takes time, so
// these frames are not measured.
report.blank_frames = 0;
report.looked_frames = 0;
for (const key of `0${KEYS.join("")}`) {
  await page.keyboard.press(key);
  await frame();
  report.looked_frames += 1;
  if (await page.evaluate(() => measured.blank())) report.blank_frames += 1;
}

if (kind === "recording") {
  report.searching = await paced(page, async () => {
    report.search = await page.evaluate(async () => {
      const begin = performance.now();
      sockreel.filtering.set("port:443,1");
      const next = () => new Promise((done) => requestAnimationFrame(done));
      await next();
      const first = performance.now() - begin;
      while (sockreel.filtering.searching) await next();
      await next();
      return { first_ms: Math.round(first), all_ms: Math.round(performance.now() - begin) };
    });
  });
  await page.evaluate(() => sockreel.filtering.set(""));
  // One page of the list of events, which is all that the page asks for while one looks at it.
  const asked = await page.evaluate(async (events) => {
    const taken = [];
    for (let i = 0; i < 200; i += 1) {
      const from = Math.floor(((i * 7919) % 997) * (events / 1000));
      const begin = performance.now();
      const answer = await fetch(`/api/v1/events?from=${from}&limit=500`);
      if (!answer.ok) throw new Error(`${answer.status}`);
      await answer.text();
      taken.push(performance.now() - begin);
    }
    return taken;
  }, report.sizes.events);
  report.page_of_events_ms = { p50: percentile(asked, 0.5), p99: percentile(asked, 0.99) };
} else {
  await page.keyboard.press("l");
  await page.evaluate(() => {
    // How old the newest moment is that a change brings, and how long it takes to apply one.
    measured.ages = [];
    measured.applied = [];
    const { session } = sockreel;
    const apply = session.apply.bind(session);
    session.apply = (message) => {
      const begin = performance.now();
      const applied = apply(message);
      measured.applied.push(performance.now() - begin);
      if (message.kind === "change") measured.ages.push(Date.now() - Number(session.clock.epoch(session.now) / 1000000n));
      return applied;
    };
  });
  report.following = await paced(page, () => sleep(Number(seconds) * 1000));
  report.rate = await page.evaluate(() => sockreel.rate);
  report.age_p95_ms = percentile(await page.evaluate(() => measured.ages), 0.95);
  report.apply_p99_ms = percentile(await page.evaluate(() => measured.applied), 0.99);
  report.profiles["while following"] = await profiled(browser, page, () => sleep(PROFILED_MS));
  // As time goes on, it takes no more than what is kept needs.
  report.soak = [];
  const sample = async () => {
    const { sockets, descriptors, kept_events } = await sizes();
    report.soak.push({ t_ms: Date.now() - begun, sockets, descriptors, kept_events, memory_bytes: await memory() });
  };
  for (const end = Date.now() + Number(soak) * 1000; Date.now() < end; await sleep(30_000)) await sample();
  await sample();

  // A machine six times as slow has to fall behind, and its daemon must not wait for it.
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: 6 });
  await sleep(Math.min(20, Number(seconds)) * 1000);
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: 1 });

  // Hidden, the page draws nothing.
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await sleep(300);
  const before = await painted();
  await sleep(2000);
  report.hidden_frames = (await painted()) - before;
  await page.evaluate(() => {
    delete document.hidden;
    document.dispatchEvent(new Event("visibilitychange"));
  });

  const cut = async (ms) => {
    await page.evaluate(() => {
      measured.streams.closed = true;
      for (const socket of measured.streams.all) socket.close();
    });
    await until("sockreel.state.link.value === 'away'");
    await sleep(ms);
    await page.evaluate(() => (measured.streams.closed = false));
  };
  const goOn = async () => {
    await until("sockreel.state.link.value === 'open'");
    // Events go on: it is there once it has what the daemon had when it came back.
    const told = await page.evaluate("sockreel.session.status.rev");
    await until(`sockreel.session.resume?.rev >= ${told}`);
  };
  await cut(Math.min(30, Number(seconds)) * 1000);
  const back = Date.now();
  await goOn();
  report.resumed_ms = Date.now() - back;
  report.resumed = await page.evaluate(() => sockreel.state.said.value);
  await cut(PROFILED_MS);
  report.profiles["going on after another cut"] = await profiled(browser, page, goOn);
  console.log(JSON.stringify({ quiet: true }));
  // Whoever runs this stops the events now, and says so.
  await new Promise((told) => process.stdin.once("data", told));
  const other = await browser.newContext();
  await other.addCookies(await page.context().cookies());
  const fresh = await other.newPage();
  await fresh.addInitScript(probes);
  await fresh.goto(new URL("/", url).href);
  // The last records are still on their way, and the periodic check goes on: what is compared is of one revision.
  const end = Date.now() + 240_000;
  for (;;) {
    const [before, after] = await Promise.all([page, fresh].map((one) => one.evaluate(() => measured.hash())));
    [report.hash, report.fresh_hash] = [before.hash, after.hash];
    if (before.rev !== undefined && before.rev === after.rev) break;
    if (Date.now() > end) throw new Error(`the pages have ${before.rev} and ${after.rev}`);
    await sleep(500);
  }
  if (report.hash !== report.fresh_hash) {
    const here = new Map(await page.evaluate(() => measured.known()));
    const there = new Map(await fresh.evaluate(() => measured.known()));
    const ids = [...new Set([...here.keys(), ...there.keys()])].filter((id) => here.get(id) !== there.get(id));
    report.differing = ids.slice(0, 5).map((id) => [here.get(id) ?? null, there.get(id) ?? null]);
  }
  report.metrics = await fresh.evaluate(async () => (await fetch("/metrics")).text());
}
report.faults = faults.filter((fault) => !/WebSocket connection|ERR_/.test(fault));
console.log(JSON.stringify(report));
await browser.close();
process.exit(0);

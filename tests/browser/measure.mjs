// Opens a session in Chromium, measures the page with it, and prints one line of JSON.
// usage: node measure.mjs URL recording|live [SECONDS]
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");
const [url, kind, seconds = "10"] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-blink-features=ForceEagerMeasureMemory"],
});
const page = await browser.newPage({ viewport: { width: 1600, height: 900 } });
const faults = [];
page.on("pageerror", (error) => faults.push(String(error)));
page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
await page.addInitScript(() => {
  // The time of every frame's own work, and the distance between two.
  const own = [];
  const apart = [];
  let last;
  const request = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (run) =>
    request((t) => {
      if (last !== undefined) apart.push(t - last);
      last = t;
      const begin = performance.now();
      run(t);
      own.push(performance.now() - begin);
    });
  // Whether the lanes show anything below the ruler.
  const blank = () => {
    const canvas = document.querySelector(".lanes canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 40, canvas.width, canvas.height - 40);
    const pixels = new Uint32Array(data.buffer);
    const seen = new Set();
    for (let i = 0; i < pixels.length && seen.size < 6; i += 7) seen.add(pixels[i]);
    return seen.size < 6;
  };
  // An order-independent sum over everything that the page knows of what is there.
  const hash = () => {
    const { entities } = sockreel.session;
    let sum = 0n;
    let count = 0;
    for (const all of [entities.processes, entities.descriptors, entities.sockets]) {
      for (const one of all.values()) {
        const text = JSON.stringify(one, Object.keys(one).sort());
        let h = 0xcbf29ce484222325n;
        for (let i = 0; i < text.length; i += 1) h = ((h ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n) & 0xffffffffffffffffn;
        sum = (sum + h) & 0xffffffffffffffffn;
        count += 1;
      }
    }
    return `${count} ${sum.toString(16)}`;
  };
  // The page's streams, to be cut as a network would.
  const Real = window.WebSocket;
  const streams = { all: [], closed: false, bytes: 0, most: 0, messages: 0 };
  window.WebSocket = function (...args) {
    const socket = new Real(streams.closed ? new URL("/nothing", args[0]) : args[0]);
    socket.addEventListener("message", ({ data }) => {
      streams.bytes += data.length;
      streams.most = Math.max(streams.most, data.length);
      streams.messages += 1;
    });
    streams.all.push(socket);
    return socket;
  };
  window.measured = { own, apart, blank, hash, streams };
});

const percentile = (values, part) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? null : Number(sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)].toFixed(2));
};
const until = async (what, deadline = 120_000) => {
  const end = Date.now() + deadline;
  while (!(await page.evaluate(what))) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(50);
  }
};
const complete = () => until("globalThis.sockreel?.session.resume && sockreel.session.resume.rev >= sockreel.session.status.rev");
const frame = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
const memory = async () => (await page.evaluate(() => performance.measureUserAgentSpecificMemory())).bytes;
const timings = () => page.evaluate(() => {
  const { own, apart } = measured;
  const taken = { own: [...own], apart: [...apart] };
  own.length = 0;
  apart.length = 0;
  return taken;
});
const frames = async () => {
  const { own, apart } = await timings();
  return { count: own.length, own_p50_ms: percentile(own, 0.5), own_p99_ms: percentile(own, 0.99),
    apart_p99_ms: percentile(apart, 0.99), over_50_ms: own.filter((ms) => ms > 50).length };
};

const report = { kind };
const begun = Date.now();
await page.goto(url);
await page.waitForSelector("[role=treegrid] [role=row]", { timeout: 120_000 });
report.rows_ms = Date.now() - begun;
report.first_paint_ms = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null);
if (kind === "recording") await complete();
report.complete_ms = Date.now() - begun;
report.sizes = await page.evaluate(() => {
  const { entities, status, failures } = sockreel.session;
  return { processes: entities.processes.size, descriptors: entities.descriptors.size, sockets: entities.sockets.size,
    events: status.events, lost: status.lost, failures: failures.length };
});
report.largest_message_bytes = await page.evaluate(() => measured.streams.most);
report.isolated = await page.evaluate(() => crossOriginIsolated);
report.load = await frames();
report.memory_bytes = await memory();

// Zoom and pan at many levels; no frame may show nothing where there is something.
report.blank_frames = 0;
report.looked_frames = 0;
const look = async () => {
  await frame();
  report.looked_frames += 1;
  if (await page.evaluate(() => measured.blank())) report.blank_frames += 1;
};
await page.keyboard.press("0");
await look();
await timings();
for (const keys of ["wwwwwwww", "aaaa", "dddd", "ssss", "wwww", "ssssssss"]) {
  for (const key of keys) {
    await page.keyboard.press(key);
    await look();
  }
}
await page.mouse.move(900, 300);
for (let i = 0; i < 20; i += 1) {
  await page.mouse.wheel(0, 400);
  await look();
}
report.moving = await frames();

if (kind === "recording") {
  const search = await page.evaluate(() => {
    const begin = performance.now();
    sockreel.setFilter("port:443");
    sockreel.layNow();
    const taken = performance.now() - begin;
    sockreel.setFilter("");
    sockreel.layNow();
    return taken;
  });
  report.search_ms = Number(search.toFixed(1));
  // With nothing to tell, nothing is drawn.
  await frame();
  await sleep(500);
  const before = await page.evaluate(() => sockreel.frames.painted);
  await sleep(1500);
  report.idle_frames = (await page.evaluate(() => sockreel.frames.painted)) - before;
} else {
  await page.keyboard.press("l");
  await timings();
  await page.evaluate(() => {
    // How old the newest moment is that a change brings.
    measured.ages = [];
    const { session } = sockreel;
    const apply = session.apply.bind(session);
    session.apply = (message) => {
      const applied = apply(message);
      if (message.kind === "change") measured.ages.push(Date.now() - Number(session.clock.epoch(session.now) / 1000000n));
      return applied;
    };
  });
  await sleep(Number(seconds) * 1000);
  report.following = await frames();
  report.rate = await page.evaluate(() => sockreel.rate);
  report.age_p95_ms = percentile(await page.evaluate(() => measured.ages), 0.95);
  report.memory_after_bytes = await memory();

  // Hidden, the page draws nothing.
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await sleep(300);
  const painted = await page.evaluate(() => sockreel.frames.painted);
  await sleep(2000);
  report.hidden_frames = (await page.evaluate(() => sockreel.frames.painted)) - painted;
  await page.evaluate(() => {
    delete document.hidden;
    document.dispatchEvent(new Event("visibilitychange"));
  });

  // Cut off, and back.
  await page.evaluate(() => {
    measured.streams.closed = true;
    for (const socket of measured.streams.all) socket.close();
  });
  await until("sockreel.state.link.value === 'away'");
  await sleep(3000);
  await page.evaluate(() => (measured.streams.closed = false));
  const back = Date.now();
  await until("sockreel.state.link.value === 'open'");
  report.resumed_ms = Date.now() - back;
  report.resumed = await page.evaluate(() => sockreel.state.said.value);
  console.log(JSON.stringify({ quiet: true }));
  // Whoever runs this stops the events now, and says so.
  await new Promise((told) => process.stdin.once("data", told));
  const other = await browser.newContext();
  await other.addCookies(await page.context().cookies());
  const fresh = await other.newPage();
  await fresh.goto(new URL("/", url).href);
  // The last records are still on their way: both pages have to reach what the daemon says that it has by then.
  const end = Date.now() + 60_000;
  const rev = (one) => one.evaluate("globalThis.sockreel?.session.resume?.rev");
  const told = () => fresh.evaluate(async () => (await (await fetch("/api/v1/info")).json()).status.rev);
  for (let before; ; ) {
    const now = await told();
    const same = [now, await rev(page), await rev(fresh)].every((one) => one === before);
    if (same) break;
    if (Date.now() > end) throw new Error(`the pages have ${await rev(page)} and ${await rev(fresh)} of ${now}`);
    before = now;
    await sleep(500);
  }
  report.hash = await page.evaluate(() => measured.hash());
  report.fresh_hash = await fresh.evaluate(`(${await page.evaluate(() => measured.hash.toString())})()`);
  report.metrics = await fresh.evaluate(async () => (await fetch("/metrics")).text());
}
report.faults = faults.filter((fault) => !/WebSocket connection|ERR_/.test(fault));
console.log(JSON.stringify(report));
await browser.close();
process.exit(0);

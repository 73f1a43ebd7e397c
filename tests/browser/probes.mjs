// What measures a page from inside it, and what reads that from outside.
import { createRequire } from "node:module";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");

export const launch = () =>
  chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--enable-blink-features=ForceEagerMeasureMemory"],
  });

/** Runs in the page before anything of its own. */
export function probes() {
  // The page's own work in each frame; and, while `pace` runs, how far apart the browser's frames are, whoever asks for them.
  const request = window.requestAnimationFrame.bind(window);
  const own = [];
  const apart = [];
  let last;
  let pacing = false;
  window.requestAnimationFrame = (run) =>
    request((t) => {
      const begin = performance.now();
      run(t);
      own.push(performance.now() - begin);
    });
  const tick = (t) => {
    if (!pacing) return;
    if (last !== undefined) apart.push(t - last);
    last = t;
    request(tick);
  };
  // Tasks of 50 ms and more, and how long each thing that the user did waited for its picture.
  const tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({
    type: "longtask",
  });
  const inputs = new Map();
  new PerformanceObserver((list) => {
    for (const { interactionId, duration } of list.getEntries()) {
      if (interactionId) inputs.set(interactionId, Math.max(inputs.get(interactionId) ?? 0, duration));
    }
  }).observe({ type: "event", durationThreshold: 16 });
  const pace = {
    start() {
      for (const list of [own, apart, tasks]) list.length = 0;
      inputs.clear();
      last = undefined;
      pacing = true;
      request(tick);
    },
    stop() {
      pacing = false;
      return { own: [...own], apart: [...apart], tasks: [...tasks], inputs: [...inputs.values()] };
    },
  };
  // Whether the lanes show anything below the ruler.
  const blank = () => {
    const canvas = document.querySelector(".lanes canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 40, canvas.width, canvas.height - 40);
    const pixels = new Uint32Array(data.buffer);
    const seen = new Set();
    for (let i = 0; i < pixels.length && seen.size < 6; i += 7) seen.add(pixels[i]);
    return seen.size < 6;
  };
  // Everything that the page knows of what is there, by id.
  const known = () => {
    const { entities } = sockreel.session;
    const all = [entities.processes, entities.descriptors, entities.sockets].flatMap((kind) => [...kind.values()]);
    return all.map((one) => [one.id, JSON.stringify(one, Object.keys(one).sort())]);
  };
  // An order-independent sum over it, and the revision that it has: both of one moment.
  const hash = () => {
    const all = known();
    let [low, high] = [0, 0];
    for (const [, text] of all) {
      let [a, b] = [0x811c9dc5, 0xcbf29ce4];
      for (let i = 0; i < text.length; i += 1) {
        const unit = text.charCodeAt(i);
        a = Math.imul(a ^ unit, 0x01000193);
        b = Math.imul(b ^ unit, 0x85ebca6b);
      }
      [low, high] = [(low + a) | 0, (high + b) | 0];
    }
    return { rev: sockreel.session.resume?.rev, hash: `${all.length} ${low >>> 0} ${high >>> 0}` };
  };
  // The page's streams, to be cut as a network would.
  const Real = window.WebSocket;
  const streams = { all: [], closed: false };
  window.WebSocket = function (...args) {
    const socket = new Real(streams.closed ? new URL("/nothing", args[0]) : args[0]);
    streams.all.push(socket);
    return socket;
  };
  window.measured = { pace, blank, known, hash, streams };
}

/** The value that a part of all values does not exceed (nearest rank). */
export const percentile = (values, part) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? null : Number(sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)].toFixed(1));
};

/** What frames were like while something was done. */
export const paced = async (page, run) => {
  await page.evaluate(() => measured.pace.start());
  await run();
  const { own, apart, tasks, inputs } = await page.evaluate(() => measured.pace.stop());
  return {
    frames: own.length,
    own_p50_ms: percentile(own, 0.5),
    own_p99_ms: percentile(own, 0.99),
    apart_p99_ms: percentile(apart, 0.99),
    apart_over_50: apart.filter((ms) => ms > 50).length,
    longest_task_ms: tasks.length === 0 ? 0 : Math.round(Math.max(...tasks)),
    inputs: inputs.length,
    // What took less than 16 ms is not told.
    input_p98_ms: percentile(inputs, 0.98) ?? 16,
  };
};

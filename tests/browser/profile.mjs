// Where a page's time goes while something is done: Chromium's processes, what its main thread does, and which functions run.
// A profile costs time itself: figures that are held against goals are taken without.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Functions that are shown. */
const SHOWN = 8;
const SAMPLE_US = 500;

/** Maps of the page's scripts, by file name: the same build again, which gives the same files. */
const sources = () => {
  const web = fileURLToPath(new URL("../../web", import.meta.url));
  const out = mkdtempSync(join(tmpdir(), "sockreel-maps-"));
  try {
    const vite = join(web, "node_modules/vite/bin/vite.js");
    execFileSync(process.execPath, [vite, "build", "--sourcemap", "hidden", "--outDir", out, "--logLevel", "error"], { cwd: web });
    const assets = join(out, "assets");
    const maps = readdirSync(assets).filter((name) => name.endsWith(".js.map"));
    return new Map(maps.map((name) => [name.slice(0, -".map".length), new SourceMap(JSON.parse(readFileSync(join(assets, name), "utf8")))]));
  } finally {
    rmSync(out, { recursive: true });
  }
};

let maps;
/** Where a function stands; what is not the page's own has its name alone. */
const place = ({ functionName, url, lineNumber, columnNumber }) => {
  maps ??= sources();
  const entry = maps.get(url.split("/").at(-1))?.findEntry(lineNumber, columnNumber);
  if (!entry?.originalSource) return functionName || "(anonymous)";
  const file = entry.originalSource.replace(/^.*(src|node_modules)\//, "");
  return `${file}:${entry.originalLine + 1}`;
};

const processes = async (devtools) => {
  const { processInfo } = await devtools.send("SystemInfo.getProcessInfo");
  return new Map(processInfo.map(({ id, type, cpuTime }) => [id, { type, cpuTime }]));
};

const metrics = async (devtools) => {
  const told = await devtools.send("Performance.getMetrics");
  return new Map(told.metrics.map(({ name, value }) => [name, value]));
};

/** Lines that tell where the time went during `run`. */
export const profiled = async (browser, page, run) => {
  const [whole, devtools] = [await browser.newBrowserCDPSession(), await page.context().newCDPSession(page)];
  await devtools.send("Performance.enable");
  await devtools.send("Profiler.enable");
  await devtools.send("Profiler.setSamplingInterval", { interval: SAMPLE_US });
  const before = { processes: await processes(whole), metrics: await metrics(devtools) };
  const begun = performance.now();
  await devtools.send("Profiler.start");
  await run();
  const { profile } = await devtools.send("Profiler.stop");
  const seconds = (performance.now() - begun) / 1000;
  const after = { processes: await processes(whole), metrics: await metrics(devtools) };
  const part = (spent) => `${Math.round((100 * spent) / seconds)} %`;

  const spent = new Map();
  for (const [id, { type, cpuTime }] of after.processes) {
    spent.set(type, (spent.get(type) ?? 0) + cpuTime - (before.processes.get(id)?.cpuTime ?? 0));
  }
  const told = ["renderer", "GPU", "browser"].map((type) => `${type} ${part(spent.get(type) ?? 0)}`);
  const of = (name) => after.metrics.get(name) - before.metrics.get(name);
  const [tasks, script, style, layout] = ["TaskDuration", "ScriptDuration", "RecalcStyleDuration", "LayoutDuration"].map(of);
  const rest = tasks - script - style - layout;

  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const self = new Map();
  profile.samples.forEach((id, index) => {
    const name = place(names.get(id));
    self.set(name, (self.get(name) ?? 0) + profile.timeDeltas[index] / 1e6);
  });
  self.delete("(idle)");
  const most = [...self].sort(([, a], [, b]) => b - a).slice(0, SHOWN);
  await Promise.all([whole.detach(), devtools.detach()]);
  return [
    `in ${seconds.toFixed(1)} s; processes, of one CPU: ${told.join(", ")}`,
    `the page's main thread: scripts ${part(script)}, style ${part(style)}, layout ${part(layout)}, painting and the rest ${part(rest)}`,
    `functions: ${most.map(([name, time]) => `${name} ${part(time)}`).join(", ")}`,
  ];
};

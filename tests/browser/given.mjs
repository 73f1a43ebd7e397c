// What somebody is given who was not there: a link to a place in a recording, and a file that needs no server.
// usage: node given.mjs URL FILE ADDRESS; chooses the listener at ADDRESS, saves the page to FILE and prints a line of JSON; once told that the server has ended, opens the
// file and prints another.
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { launch, probes } from "./probes.mjs";

const [url, file, address] = process.argv.slice(2);
const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1600, height: 900 } });
await context.addInitScript(probes);
await context.grantPermissions(["clipboard-read", "clipboard-write"]);
context.setDefaultTimeout(60_000);
const faults = [];
const requests = [];
const watched = async () => {
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => requests.push(request.url()));
  return page;
};
const complete = async (page) => {
  const end = Date.now() + 60_000;
  while (!(await page.evaluate("globalThis.sockreel !== undefined && sockreel.session.resume?.rev >= sockreel.session.status.rev"))) {
    if (Date.now() > end) throw new Error(`${page.url()} is not told everything`);
    await sleep(50);
  }
};
const shown = async (page) => {
  await complete(page);
  await page.locator("[role=row][aria-selected=true]").first().waitFor();
  return page.evaluate(() => {
    const { entities, status } = sockreel.session;
    return {
      hash: measured.hash().hash,
      events: status.events,
      selected: document.querySelector("[role=row][aria-selected=true]").dataset.fd,
      // Whole nanoseconds, as a link has them.
      cursor: Math.round(sockreel.state.cursor.value),
      bookmarks: sockreel.state.bookmarks.value.map(Math.round),
      tab: document.querySelector("[role=tab][aria-selected=true]").textContent,
      listeners: [...entities.sockets.values()].filter((one) => one.queue_limit !== null).map(({ local, children }) => [local, children]),
    };
  });
};

const page = await watched();
await page.goto(url);
await page.locator(`[role=row][aria-level="2"][aria-label*="${address}"]`).first().click();
await complete(page);
// A moment in the middle of what happened, kept as a bookmark, and another view.
const lanes = await page.locator(".lanes").boundingBox();
await page.mouse.click(lanes.x + lanes.width / 2, lanes.y + 10);
await page.keyboard.press("m");
await page.keyboard.press("5");
const here = await shown(page);
await page.keyboard.press("y");
await page.getByText("on the clipboard").waitFor();
const link = await page.evaluate(() => navigator.clipboard.readText());
const other = await watched();
await other.goto(link);
const there = await shown(other);
await page.getByRole("button", { name: "Share" }).click();
const coming = page.waitForEvent("download");
await page.getByRole("button", { name: /one HTML file/ }).click();
await (await coming).saveAs(file);
console.log(JSON.stringify({ here, there, link }));

await new Promise((told) => process.stdin.once("data", told));
await page.close();
await other.close();
requests.length = 0;
const alone = await watched();
await alone.goto(pathToFileURL(file).href);
const replayed = await shown(alone);
const elsewhere = requests.filter((asked) => !/^(file|blob|data):/.test(asked));
console.log(JSON.stringify({ replayed, elsewhere, faults }));
await browser.close();
process.exit(0);

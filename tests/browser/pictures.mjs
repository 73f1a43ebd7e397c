// The README's pictures, of a page over a server that has visitors.
// usage: node pictures.mjs URL DIRECTORY; prints one line of JSON with what was on them.
import { createRequire } from "node:module";
import { join } from "node:path";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");
const [url, directory] = process.argv.slice(2);
/** Seconds of visits that a picture shows. */
const SECONDS = 30;

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({ viewport: { width: 1600, height: 1000 }, colorScheme: "light" });
page.setDefaultTimeout(60_000);
const faults = [];
page.on("pageerror", (error) => faults.push(String(error)));
await page.goto(url);
const listener = page.locator('[role=row][data-state="listening"]', { hasText: "127.0.0.1" }).first();
await listener.waitFor();
await page.waitForFunction((seconds) => sockreel.edge > seconds * 1e9, SECONDS, { timeout: 120_000 });

// The timeline: a connection is chosen, and the time cursor stands in it.
await page.keyboard.press("Space");
await page.locator("#row-filter").fill("family:inet");
await page.keyboard.press("Escape");
const chosen = await page.evaluate(() => {
  const { entities } = sockreel.session;
  const lives = [...entities.sockets.values()]
    .map((socket) => ({ socket, held: entities.holders(socket.id)[0] }))
    .filter(({ socket, held }) => socket.listener !== null && socket.accepted !== null && held?.closed)
    .sort((a, b) => b.held.closed - b.held.opened - (a.held.closed - a.held.opened));
  // The last of the longest lives: links to the left of it have room.
  const { socket, held } = lives.slice(0, 10).sort((a, b) => b.held.opened - a.held.opened)[0];
  sockreel.selecting.jump(socket.id);
  sockreel.setCursor((held.opened + held.closed) / 2);
  sockreel.scrollTo(0);
  return { peer: socket.peer };
});
const children = await page.evaluate(() => [...sockreel.session.entities.sockets.values()].filter(({ accepted }) => accepted !== null).length);
await page.locator(".details h2").first().waitFor();
await page.screenshot({ path: join(directory, "page.png") });

// The lesson of the same server, at its first accept.
await page.keyboard.press("e");
await page.locator(".sentence strong").waitFor();
await page.locator(".chain button", { hasText: "accept" }).click();
await page.locator(".sentence strong", { hasText: "accept" }).waitFor();
await page.screenshot({ path: join(directory, "lesson.png") });
console.log(JSON.stringify({ children, peer: chosen.peer, faults }));
await browser.close();

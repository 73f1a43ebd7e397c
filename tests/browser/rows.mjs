// Opens a URL in Chromium and, for each line on standard input, prints the page's socket rows as one line of JSON.
// The page is loaded once: what changes in the rows came over the live stream.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({ viewport: { width: 1400, height: 4000 } });
const faults = [];
page.on("pageerror", (error) => faults.push(String(error)));
let loads = 0;
page.on("load", () => loads++);
await page.goto(process.argv[2], { waitUntil: "load" });
console.log(JSON.stringify({ opened: true }));

for await (const _ of createInterface({ input: process.stdin })) {
  const rows = await page.$$eval("[role=row][data-socket]", (rows) =>
    rows.map((row) => ({ ...row.dataset, text: row.textContent, label: row.getAttribute("aria-label") })));
  console.log(JSON.stringify({ rows, faults, loads }));
}
await browser.close();

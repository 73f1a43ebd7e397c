// What the page's answers show of a server that says of itself what is wrong with it.
// usage: node answers.mjs URL FACTS; prints one line of JSON with what stands on the page.
import { createRequire } from "node:module";

const { chromium } = createRequire(new URL("../../web/package.json", import.meta.url))("playwright-core");
const [url, facts] = [process.argv[2], JSON.parse(process.argv[3])];

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage({ viewport: { width: 1600, height: 1600 } });
page.setDefaultTimeout(30_000);
const faults = [];
page.on("pageerror", (error) => faults.push(String(error)));
await page.goto(url);
await page.locator('[role=row][data-state="listening"]').first().waitFor();
const texts = (within) => within.evaluateAll((all) => all.map((one) => one.innerText.replaceAll(/\s+/g, " ").trim()));
const cells = (rows) => rows.evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText.trim())));
const report = {};

// Queues: the stuck listener, chosen in the table, and who waits there.
await page.keyboard.press("3");
await page.locator("[data-listener] button", { hasText: facts.stuck }).click();
await page.keyboard.press("3");
const queue = page.locator('[data-answer="This queue"]');
await queue.locator("[data-finding=stuck]").waitFor();
report.waiting = (await cells(queue.locator("tr[data-waits-for]"))).map(([peer]) => peer);

// Who holds it, and how.
await page.keyboard.press("1");
const who = page.locator('[data-answer="Who holds it"]');
await who.locator("tbody tr").nth(1).waitFor();
report.holders = (await cells(who.locator("tbody tr"))).map(([process, fd, how]) => [process, Number(fd), how]);

// Connections: both ends in one row, with the kernel's counters; asking has them read.
await page.keyboard.press("4");
const row = page.locator(".connectionrows .spacer [role=row]", { hasText: facts.client });
await row.locator(`[data-up="${facts.up}"]`).waitFor();
const [client, clientBy, server, serverBy] = await texts(row.locator("[role=cell]"));
report.pair = { client, clientBy, server, serverBy };
report.up = Number(await row.locator("[data-up]").getAttribute("data-up"));
report.down = Number(await row.locator("[data-down]").getAttribute("data-down"));

// Findings: all that is wrong, and nothing else.
await page.keyboard.press("6");
const left = page.locator('[data-answer="Left behind"]');
await left.locator("tbody tr", { hasText: facts.gone }).waitFor();
report.findings = await page.locator("[data-finding]").evaluateAll((all) => all.map((one) => one.dataset.finding));
report.hungUp = (await cells(left.locator("tbody tr"))).map(([connection, holder]) => [connection, holder]);
report.faults = faults;
console.log(JSON.stringify(report));
await browser.close();

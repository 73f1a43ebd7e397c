import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HOSTILE, nginx } from "../fake/nginx.ts";
import { T0_NS } from "../fake/session.ts";
import { Browser, type Opened, open, RESULTS } from "./browser.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.launch();
});
afterAll(() => browser.close());

async function begun(page: Page): Promise<void> {
  await page.locator('[role=row][data-state="listening"]').first().waitFor();
}

/** Every row's name, with times that go on left out. */
const rows = (page: Page) =>
  page.$$eval("[role=treegrid] [role=row]", (all) =>
    all.map((row) => (row.getAttribute("aria-label") ?? "").replaceAll(/(\d+ m )?\d+ s\b/g, "_ s")),
  );

async function saved(opened: Opened, choice: RegExp, as: string): Promise<string> {
  const { page } = opened;
  await page.getByRole("button", { name: "Share" }).click();
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: choice }).click();
  const path = join(RESULTS, as);
  await (await coming).saveAs(path);
  return path;
}

/** Opens a file without any network, and keeps what the page asked for and complained about. */
async function reopened(path: string) {
  const page = await browser.context.newPage();
  const requests: string[] = [];
  const errors: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  await page.goto(pathToFileURL(path).href);
  return { page, requests, errors };
}

test("one HTML file shows the same without a server", async () => {
  const story = nginx();
  story.session.lose(17);
  const opened = await open(browser, story.session);
  try {
    await begun(opened.page);
    // Bookmarks and the tab go with it.
    await opened.page.keyboard.press("3");
    await opened.page.locator("#go-to").fill("12:00:20");
    await opened.page.locator("#go-to").press("Enter");
    await opened.page.keyboard.press("m");
    const path = await saved(opened, /one HTML file/, "export.html");
    await opened.page.keyboard.press("Space");
    const before = await rows(opened.page);
    await opened.server.stop();
    const text = await readFile(path, "utf8");
    expect(text).not.toContain(HOSTILE);
    expect(text).not.toContain("onerror=alert");

    const { page, requests, errors } = await reopened(path);
    await begun(page);
    await expect.poll(() => page.locator(".connection").textContent()).toBe("recorded");
    await expect.poll(() => rows(page)).toEqual(before);
    await expect.poll(() => page.locator("[role=tab][aria-selected=true]").textContent()).toBe("Queues");
    const looked = () =>
      page.evaluate(() => {
        const { sockreel } = globalThis as unknown as {
          sockreel: { state: Record<"bookmarks" | "cursor", { value: unknown }> };
        };
        return [sockreel.state.bookmarks.value, sockreel.state.cursor.value];
      });
    await expect.poll(looked).toEqual([[20e9], 20e9]);
    await expect.poll(() => page.locator("[data-counter=lost]").textContent()).toBe("17 lost");
    await page.keyboard.press("5");
    await page.getByRole("searchbox", { name: "Filter events" }).fill("event:bind error:*");
    await expect.poll(() => page.locator(".eventrows .spacer [role=row]").count()).toBe(1);
    await page.getByRole("searchbox", { name: "Filter events" }).fill("nofield:1");
    await page.getByRole("alert").getByText("no field is called").waitFor();
    await page.screenshot({ path: join(RESULTS, "exported.png") });

    // What was opened can be handed on.
    await page.getByRole("button", { name: "Share" }).click();
    const coming = page.waitForEvent("download");
    await page.getByRole("button", { name: /one HTML file/ }).click();
    const again = join(RESULTS, "export-again.html");
    await (await coming).saveAs(again);
    const second = await reopened(again);
    await begun(second.page);
    await expect.poll(() => rows(second.page)).toEqual(before);
    expect([...errors, ...second.errors]).toEqual([]);
    expect([...requests, ...second.requests].filter((url) => !/^(file|blob|data):/.test(url))).toEqual([]);
    await second.page.close();
    await page.close();
  } finally {
    await opened.close();
  }
});

test("a range is exported with what was there in it, and nothing else", async () => {
  const story = nginx("ranged", "recording");
  const opened = await open(browser, story.session);
  const { page } = opened;
  try {
    await begun(page);
    const box = await page.locator(".lanes").boundingBox();
    if (!box) throw new Error("no lanes");
    await page.mouse.move(box.x + box.width * 0.2, box.y + box.height - 4);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + box.height - 4, { steps: 4 });
    await page.mouse.up();
    const range = await page.evaluate(() => {
      const { sockreel } = globalThis as unknown as {
        sockreel: { state: { range: { value: { from: number; to: number } } } };
      };
      return sockreel.state.range.value;
    });
    const path = await saved(opened, /measured range as one HTML/, "range.html");
    const lines = await saved(opened, /measured range as JSON Lines/, "range.jsonl");
    const told = story.session.lines.filter(({ t = 0 }) => t >= range.from && t <= range.to);
    const kept = (await readFile(lines, "utf8")).trimEnd().split("\n");
    expect(kept.length).toBe(told.length);
    const numbers = kept.map((line) => [line.match(/"seq":(\d+)/)?.[1], line.match(/"ts_ns":(\d+)/)?.[1]]);
    expect(numbers).toEqual(
      told.map(({ seq, t = 0 }) => [String(seq), String(BigInt(T0_NS) + BigInt(Math.round(t)))]),
    );

    const exported = await reopened(path);
    await begun(exported.page);
    await expect
      .poll(() => exported.page.locator("[data-counter=events]").textContent())
      .toBe(`${told.length} events`);
    const names = await rows(exported.page);
    // curl came later than the range.
    expect(names.some((name) => name.includes("nginx 812"))).toBe(true);
    expect(names.some((name) => name.includes("curl"))).toBe(false);
    expect(exported.errors).toEqual([]);
    await exported.page.close();
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});
